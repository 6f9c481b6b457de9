//! What a controller knows: agents and the way to each, requests that await an answer.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::identity::EndpointId;
use crate::sim::time;
use crate::usp::ErrorCode;
use crate::usp::message::{self, Message, MessageBody, NotifyResp, Request, Response, notify};
use crate::usp::record::{Payload, Record, RecordFault};

use super::frames::{Frame, Sign};
use super::sessions::{Brought, SessionConfig, SessionStatistics, Sessions};
use super::topics;

/// An agent notified the controller.
#[derive(Debug, Clone, PartialEq)]
pub struct Notification {
    pub agent: EndpointId,
    pub msg_id: String,
    pub notify: message::Notify,
}

/// What an agent's Disconnect record said (TR-369 4.2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disconnect {
    pub reason: String,
    /// 0, or one of the record errors 7100 to 7199.
    pub reason_code: u32,
}

/// A record as it came, whoever it is for, with what the transport said of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrival {
    pub record: Record,
    pub envelope: Envelope,
}

/// What a transport says of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Envelope {
    Mqtt { topic: String, content_type: Option<String>, response_topic: Option<String> },
    Stomp { content_type: Option<String>, reply_to: Option<String> },
    WebSocket,
}

/// Why a request has no response.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum RequestError {
    /// The agent answered with an Error message.
    #[error("the agent answers with error {}: {}", ErrorCode(.0.err_code), .0.err_msg)]
    Error(message::Error),
    #[error("no answer came within {} s", .0.as_secs_f32())]
    Timeout(Duration),
    /// Over WebSocket: the agent has no connection open.
    #[error("the agent is not connected")]
    NotConnected,
    #[error("{MAX_PENDING} requests wait for answers already")]
    TooMany,
    #[error("the controller has stopped")]
    Stopped,
}

/// Where records for an agent go.
#[derive(Debug, Clone)]
pub(super) enum Way {
    /// A topic or destination at the broker.
    Topic(String),
    /// A WebSocket connection, told from others by its number.
    Connection(u64, mpsc::Sender<Frame>),
}

#[derive(Default)]
struct Agent {
    way: Option<Way>,
    onboarded: bool,
    disconnect: Option<Disconnect>,
    /// The last Connect record, with what the transport said of it.
    connect: Option<Arrival>,
}

#[derive(Default)]
struct State {
    agents: HashMap<EndpointId, Agent>,
    pending: HashMap<String, (EndpointId, oneshot::Sender<Answer>)>,
}

/// How a request was answered.
pub(super) type Answer = Result<Response, message::Error>;

/// What the task of a connection to a broker is told.
pub(super) enum Outgoing {
    /// A record for a topic or destination.
    Record {
        topic: String,
        record: Bytes,
        /// Over MQTT 5, another content type than the usual.
        content_type: Option<&'static str>,
    },
    /// Over MQTT: what comes to this topic is no record, and is to be told as it is.
    Listen(String),
}

/// A message at a broker that is no record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overheard {
    pub topic: String,
    pub content_type: Option<String>,
    pub payload: Bytes,
}

/// What a record brought.
pub(super) struct Received {
    pub agent: EndpointId,
    /// The records that answer it.
    pub answers: Vec<Bytes>,
}

/// The controller's knowledge, shared by its tasks and handles.
pub(super) struct Hub {
    pub endpoint_id: EndpointId,
    /// Nothing is sent or taken any more.
    pub stop: CancellationToken,
    /// The last task is over.
    pub stopped: CancellationToken,
    state: Mutex<State>,
    /// How many agents have sent an OnBoardRequest.
    onboarded: watch::Sender<usize>,
    notifications: broadcast::Sender<Notification>,
    arrivals: broadcast::Sender<Arrival>,
    overheard: broadcast::Sender<Overheard>,
    answers_notify: AtomicBool,
    /// Agents whose notifications are not answered.
    unanswered: Mutex<HashSet<EndpointId>>,
    /// Agents that may not open a connection now.
    turned_away: Mutex<HashSet<EndpointId>>,
    signs: broadcast::Sender<(EndpointId, Sign)>,
    id_prefix: String,
    ids: AtomicU64,
    /// The session contexts, if they are used.
    sessions: Mutex<Option<Sessions>>,
}

impl Hub {
    pub fn new(endpoint_id: EndpointId) -> Self {
        Self {
            endpoint_id,
            stop: CancellationToken::new(),
            stopped: CancellationToken::new(),
            state: Mutex::default(),
            onboarded: watch::Sender::new(0),
            notifications: broadcast::Sender::new(MAX_UNREAD),
            arrivals: broadcast::Sender::new(MAX_UNREAD),
            overheard: broadcast::Sender::new(MAX_UNREAD),
            answers_notify: AtomicBool::new(true),
            unanswered: Mutex::default(),
            turned_away: Mutex::default(),
            signs: broadcast::Sender::new(MAX_UNREAD),
            // Several controllers may share a topic, one after the other or at once.
            id_prefix: format!("{:x}-{:x}", time::now().0, std::process::id()),
            ids: AtomicU64::new(0),
            sessions: Mutex::default(),
        }
    }

    /// Unique among controllers on this machine and over their restarts.
    pub fn unique(&self) -> String {
        format!("{}-{}", self.id_prefix, self.ids.fetch_add(1, Ordering::Relaxed))
    }

    pub fn agents(&self) -> Vec<EndpointId> {
        let mut agents: Vec<EndpointId> = self.state().agents.keys().cloned().collect();
        agents.sort();
        agents
    }

    pub fn way(&self, agent: &EndpointId) -> Option<Way> {
        self.state().agents.get(agent)?.way.clone()
    }

    pub fn disconnect(&self, agent: &EndpointId) -> Option<Disconnect> {
        self.state().agents.get(agent)?.disconnect.clone()
    }

    pub fn onboarded(&self) -> watch::Receiver<usize> {
        self.onboarded.subscribe()
    }

    pub fn notifications(&self) -> broadcast::Receiver<Notification> {
        self.notifications.subscribe()
    }

    pub fn overheard(&self) -> broadcast::Receiver<Overheard> {
        self.overheard.subscribe()
    }

    pub fn overhear(&self, message: Overheard) {
        // Nobody may be listening any more.
        let _ = self.overheard.send(message);
    }

    pub fn answer_notify(&self, on: bool) {
        self.answers_notify.store(on, Ordering::Relaxed);
    }

    /// Everything goes in session contexts from now on.
    pub fn use_sessions(&self, config: SessionConfig) {
        *self.sessions() = Some(Sessions::new(self.endpoint_id.clone(), config));
    }

    pub fn session_statistics(&self) -> SessionStatistics {
        self.sessions().as_ref().map_or_else(SessionStatistics::default, |sessions| sessions.seen)
    }

    /// The records that time brings.
    pub fn tick(&self) -> Vec<(EndpointId, Bytes)> {
        self.sessions().as_mut().map(Sessions::tick).unwrap_or_default()
    }

    /// Makes records of a message.
    pub fn records(&self, agent: &EndpointId, message: Message) -> Vec<Bytes> {
        match self.sessions().as_mut() {
            Some(sessions) => sessions.send(agent, message.encode()).records,
            None => vec![Record::plain(&self.endpoint_id, agent, message.encode()).encode()],
        }
    }

    pub fn leave_unanswered(&self, agent: &EndpointId, on: bool) {
        let mut unanswered = self.unanswered.lock().unwrap_or_else(PoisonError::into_inner);
        match on {
            true => unanswered.insert(agent.clone()),
            false => unanswered.remove(agent),
        };
    }

    pub fn turn_away(&self, agent: &EndpointId, on: bool) {
        let mut turned_away = self.turned_away.lock().unwrap_or_else(PoisonError::into_inner);
        match on {
            true => turned_away.insert(agent.clone()),
            false => turned_away.remove(agent),
        };
    }

    pub fn is_turned_away(&self, agent: &EndpointId) -> bool {
        self.turned_away.lock().unwrap_or_else(PoisonError::into_inner).contains(agent)
    }

    pub fn signs(&self) -> broadcast::Receiver<(EndpointId, Sign)> {
        self.signs.subscribe()
    }

    pub fn sign(&self, agent: &EndpointId, sign: Sign) {
        // Nobody may be looking.
        let _ = self.signs.send((agent.clone(), sign));
    }

    pub fn arrivals(&self) -> broadcast::Receiver<Arrival> {
        self.arrivals.subscribe()
    }

    pub fn connect(&self, agent: &EndpointId) -> Option<Arrival> {
        self.state().agents.get(agent)?.connect.clone()
    }

    /// Shows a record to those who look at records themselves.
    pub fn show(&self, bytes: &Bytes, envelope: impl FnOnce() -> Envelope) {
        let Ok(record) = Record::decode(bytes.clone()) else { return };
        let connects = matches!(
            record.payload,
            Payload::MqttConnect { .. } | Payload::WebSocketConnect | Payload::StompConnect { .. }
        );
        if !connects && self.arrivals.receiver_count() == 0 {
            return;
        }
        let arrival = Arrival { record, envelope: envelope() };
        if connects && let Ok(agent) = EndpointId::parse(&arrival.record.from_id) {
            self.meet(&agent, None, |known| known.connect = Some(arrival.clone()));
        }
        // Nobody may be looking.
        let _ = self.arrivals.send(arrival);
    }

    /// Expects an answer to this message from this agent.
    pub fn expect(
        &self,
        msg_id: &str,
        agent: &EndpointId,
    ) -> Result<oneshot::Receiver<Answer>, RequestError> {
        let (sender, answer) = oneshot::channel();
        let mut state = self.state();
        if state.pending.len() >= MAX_PENDING {
            return Err(RequestError::TooMany);
        }
        state.pending.insert(msg_id.to_owned(), (agent.clone(), sender));
        Ok(answer)
    }

    /// Expects that answer no more.
    pub fn give_up(&self, msg_id: &str) {
        self.state().pending.remove(msg_id);
    }

    /// An agent's connection is open.
    pub fn arrived(&self, agent: &EndpointId, way: Way) {
        self.meet(agent, Some(way), |_| ());
    }

    /// That connection is closed; a newer one stays the agent's.
    pub fn left(&self, agent: &EndpointId, number: u64) {
        if let Some(agent) = self.state().agents.get_mut(agent)
            && matches!(&agent.way, Some(Way::Connection(known, _)) if *known == number)
        {
            agent.way = None;
        }
    }

    /// All tasks are over: nobody will answer any more.
    pub fn ended(&self) {
        self.state().pending.clear();
        self.stopped.cancel();
    }

    /// Takes in a record. `way` is where its sender wants answers. Returns the sender, and the records that
    /// answer this one; nothing for a record that is not meant for this controller.
    pub fn receive(&self, bytes: Bytes, way: Option<Way>) -> Result<Option<Received>, RecordFault> {
        let record = Record::decode(bytes.clone())?;
        let Some(agent) = EndpointId::parse(&record.from_id).ok().filter(|_| self.is_me(&record.to_id))
        else {
            tracing::debug!(from = record.from_id, to = record.to_id, "a record is not for us, or nobody's");
            return Ok(None);
        };
        let answers = match record.payload {
            Payload::NoSession(message) => {
                self.meet(&agent, way, |_| ());
                let answer = self.message(&agent, message);
                let plain =
                    |answer: Message| Record::plain(&self.endpoint_id, &agent, answer.encode()).encode();
                answer.map(plain).into_iter().collect()
            }
            Payload::Session(_) => {
                self.meet(&agent, way, |_| ());
                self.in_session(&agent, record, &bytes)
            }
            Payload::MqttConnect { subscribed_topic: topic, .. }
            | Payload::StompConnect { subscribed_destination: topic } => {
                let said = Some(topic).filter(|topic| topics::is_topic(topic));
                let way = way.or(said.map(Way::Topic));
                self.meet(&agent, way, |known| known.disconnect = None);
                Vec::new()
            }
            Payload::Disconnect { reason, reason_code } => {
                let disconnect = Some(Disconnect { reason, reason_code });
                self.meet(&agent, way, |known| known.disconnect = disconnect);
                if let Some(sessions) = self.sessions().as_mut() {
                    sessions.disconnected(&agent);
                }
                Vec::new()
            }
            Payload::WebSocketConnect => {
                self.meet(&agent, way, |known| known.disconnect = None);
                Vec::new()
            }
            Payload::UdsConnect => {
                self.meet(&agent, way, |_| ());
                Vec::new()
            }
        };
        Ok(Some(Received { agent, answers }))
    }

    /// A record of a session context; a controller that uses none drops it.
    fn in_session(&self, agent: &EndpointId, record: Record, bytes: &Bytes) -> Vec<Bytes> {
        let brought = self.sessions().as_mut().map(|sessions| sessions.receive(agent, record, bytes));
        let Some(Brought { mut records, messages }) = brought else { return Vec::new() };
        for message in messages {
            if let Some(answer) = self.message(agent, message) {
                records.extend(self.records(agent, answer));
            }
        }
        records
    }

    fn is_me(&self, endpoint: &str) -> bool {
        endpoint == self.endpoint_id.as_str()
    }

    fn meet(&self, agent: &EndpointId, way: Option<Way>, change: impl FnOnce(&mut Agent)) {
        let mut state = self.state();
        if state.agents.len() >= MAX_AGENTS && !state.agents.contains_key(agent) {
            return;
        }
        let known = state.agents.entry(agent.clone()).or_default();
        if way.is_some() {
            known.way = way;
        }
        change(known);
    }

    /// Takes in a message, and gives the one that answers it.
    fn message(&self, agent: &EndpointId, bytes: Bytes) -> Option<Message> {
        let message = match Message::decode(bytes) {
            Ok(message) => message,
            Err(error) => {
                tracing::debug!(%agent, %error, "a message is dropped");
                return None;
            }
        };
        match message.body {
            MessageBody::Response(response) => {
                self.answered(agent, &message.msg_id, Ok(response));
                None
            }
            MessageBody::Error(error) => {
                self.answered(agent, &message.msg_id, Err(error));
                None
            }
            MessageBody::Request(Request::Notify(notify)) => self.notified(agent, message.msg_id, notify),
            MessageBody::Request(_) => {
                let why = "this controller takes no requests but Notify";
                Some(Message::error(message.msg_id, ErrorCode::MESSAGE_NOT_SUPPORTED, why))
            }
        }
    }

    fn answered(&self, agent: &EndpointId, msg_id: &str, answer: Answer) {
        let mut state = self.state();
        // Only the agent that was asked may answer.
        if state.pending.get(msg_id).is_none_or(|(asked, _)| asked != agent) {
            tracing::debug!(%agent, msg_id, "an answer that nobody awaits is dropped");
            return;
        }
        if let Some((_, waiting)) = state.pending.remove(msg_id) {
            // Who asked may have gone.
            let _ = waiting.send(answer);
        }
    }

    fn notified(&self, agent: &EndpointId, msg_id: String, notify: message::Notify) -> Option<Message> {
        if matches!(notify.notification, Some(notify::Notification::OnBoardReq(_))) {
            let fresh = self
                .state()
                .agents
                .get_mut(agent)
                .is_some_and(|known| !std::mem::replace(&mut known.onboarded, true));
            if fresh {
                self.onboarded.send_modify(|count| *count += 1);
            }
        }
        let left = self.unanswered.lock().unwrap_or_else(PoisonError::into_inner).contains(agent);
        let due = notify.send_resp && !left && self.answers_notify.load(Ordering::Relaxed);
        let response = NotifyResp { subscription_id: notify.subscription_id.clone() };
        let answer = due.then(|| Message::response(&msg_id, Response::NotifyResp(response)));
        // Nobody may be listening.
        let _ = self.notifications.send(Notification { agent: agent.clone(), msg_id, notify });
        answer
    }

    fn sessions(&self) -> MutexGuard<'_, Option<Sessions>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Agents that a controller knows.
const MAX_AGENTS: usize = 131_072;
/// Requests that may wait for answers.
const MAX_PENDING: usize = 131_072;
/// Notifications that a reader may lag behind.
const MAX_UNREAD: usize = 16_384;
