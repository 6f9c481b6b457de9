//! The stub ACS without its HTTP: sessions, queues of RPCs, the log.

use std::collections::{BTreeMap, HashMap, VecDeque};

use bytes::Bytes;

use crate::cwmp::rpc::{Inform, Request};
use crate::identity::EndpointId;
use crate::sim::soap::{self, Owned};

use super::answers;
use super::seen::{Exchange, Seen};

/// Names a session: in a cookie, and on its connection for CPEs that do not return cookies.
pub(super) type SessionId = u64;

/// A POST of a CPE.
pub(super) struct Post {
    pub body: Bytes,
    pub headers: Vec<(String, String)>,
    pub session: Option<SessionId>,
}

/// What to answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub status: u16,
    pub body: Bytes,
    /// The session that it belongs to.
    pub session: Option<SessionId>,
}

#[derive(Debug, Default)]
struct Device {
    queue: VecDeque<Request<'static>>,
    seen: VecDeque<Seen>,
    exchanges: VecDeque<Exchange>,
    session: Option<SessionId>,
    connection_request_url: Option<String>,
}

#[derive(Debug)]
struct Session {
    cpe: EndpointId,
    namespace: String,
    /// What every session is asked, as far as this one was not yet.
    todo: VecDeque<Request<'static>>,
    /// The RPC that awaits its answer, and its ID.
    outstanding: Option<(String, String)>,
    next_id: u32,
}

/// All that the stub ACS knows.
#[derive(Debug, Default)]
pub(super) struct Hub {
    devices: HashMap<EndpointId, Device>,
    sessions: BTreeMap<SessionId, Session>,
    last_session: SessionId,
    pub every_session: Vec<Request<'static>>,
    pub refuse: Option<u16>,
    /// Answers to CPEs carry HoldRequests.
    pub hold: bool,
    pub record: bool,
    /// Log entries since they were last taken, for those who look on.
    fresh: Vec<(EndpointId, Seen)>,
}

impl Hub {
    /// Queues an RPC; `false` if the queue is full.
    pub fn enqueue(&mut self, cpe: &EndpointId, rpc: Request<'static>) -> bool {
        let queue = &mut self.device(cpe).queue;
        let fits = queue.len() < MAX_QUEUE;
        if fits {
            queue.push_back(rpc);
        }
        fits
    }

    pub fn seen(&self, cpe: &EndpointId) -> Vec<Seen> {
        self.devices.get(cpe).map(|device| device.seen.iter().cloned().collect()).unwrap_or_default()
    }

    pub fn exchanges(&self, cpe: &EndpointId) -> Vec<Exchange> {
        self.devices.get(cpe).map(|device| device.exchanges.iter().cloned().collect()).unwrap_or_default()
    }

    pub fn cpes(&self) -> Vec<EndpointId> {
        self.devices.keys().cloned().collect()
    }

    pub fn connection_request_url(&self, cpe: &EndpointId) -> Option<String> {
        self.devices.get(cpe)?.connection_request_url.clone()
    }

    /// The log entries of all CPEs since this was last asked.
    pub fn take_fresh(&mut self) -> Vec<(EndpointId, Seen)> {
        std::mem::take(&mut self.fresh)
    }

    /// Whether a session of that name is open.
    pub fn knows(&self, session: Option<SessionId>) -> bool {
        session.is_some_and(|id| self.sessions.contains_key(&id))
    }

    /// Answers a POST.
    pub fn post(&mut self, post: Post) -> Answer {
        if let Some(status) = self.refuse {
            return Answer { status, body: Bytes::new(), session: None };
        }
        let received = post.body.clone();
        let before = self.cpe_of(post.session);
        let answer = self.answer(post);
        let cpe = self.cpe_of(answer.session).or(before);
        if let Some(cpe) = cpe.filter(|_| self.record) {
            let exchange = Exchange { received, status: answer.status, sent: answer.body.clone() };
            push_bounded(&mut self.device(&cpe).exchanges, exchange, MAX_EXCHANGES);
        }
        answer
    }

    fn answer(&mut self, post: Post) -> Answer {
        let session = post.session.filter(|id| self.sessions.contains_key(id));
        if soap::is_empty(&post.body) {
            let Some(id) = session else { return refusal() };
            self.note_unanswered(id);
            return self.next(id);
        }
        let content_type = post.headers.iter().find(|(name, _)| name == "content-type");
        let received = match soap::read(&post.body, content_type.map(|(_, value)| value.as_str())) {
            Ok(received) => received,
            Err(error) => {
                self.log_of(session, Seen::Violation(format!("body is no envelope: {error}")));
                return refusal();
            }
        };
        match (received.message, session) {
            (Owned::Request(Request::Inform(inform)), _) => {
                self.inform(inform, received.namespace, received.id, post.headers)
            }
            (_, None) => refusal(),
            (Owned::Request(request), Some(id)) => {
                self.note_unanswered(id);
                let message = match answers::answer(&request) {
                    Ok(response) => Owned::Response(response),
                    Err(fault) => Owned::Fault(fault),
                };
                self.log_of(session, Seen::Request(request));
                let body = self.write(id, received.id.as_deref(), message);
                Answer { status: 200, body, session }
            }
            (message, Some(id)) => {
                self.answered(id, received.id, message);
                self.next(id)
            }
        }
    }

    fn inform(
        &mut self,
        inform: Inform<'static>,
        namespace: String,
        message_id: Option<String>,
        headers: Vec<(String, String)>,
    ) -> Answer {
        self.last_session += 1;
        let id = self.last_session;
        let cpe = inform.device_id.endpoint_id();
        let url = inform.parameter_list.iter().find(|it| it.name.ends_with(CONNECTION_REQUEST_URL));
        let url = url.map(|it| it.value.clone().into_owned());
        let message = answers::answer(&Request::Inform(inform.clone()));
        let seen = seen_inform(inform, headers);
        self.log(&cpe, seen);
        let device = self.device(&cpe);
        device.connection_request_url = url.or(device.connection_request_url.take());
        if let Some(older) = device.session.replace(id) {
            self.sessions.remove(&older);
        }
        while self.sessions.len() >= MAX_SESSIONS {
            self.sessions.pop_first();
        }
        let todo = self.every_session.iter().cloned().collect();
        let session = Session { cpe, namespace, todo, outstanding: None, next_id: 1 };
        self.sessions.insert(id, session);
        let body = match message {
            Ok(response) => self.write(id, message_id.as_deref(), Owned::Response(response)),
            Err(fault) => self.write(id, message_id.as_deref(), Owned::Fault(fault)),
        };
        Answer { status: 200, body, session: Some(id) }
    }

    /// The CPE has answered an RPC, if there was one.
    fn answered(&mut self, id: SessionId, answer_id: Option<String>, message: Owned) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let outstanding = session.outstanding.take();
        let Some((rpc, rpc_id)) = outstanding else {
            self.log_of(Some(id), Seen::Violation("an answer without an RPC".into()));
            return;
        };
        if answer_id.as_deref() != Some(&rpc_id) {
            let why = format!("{rpc} with ID {rpc_id} was answered with ID {answer_id:?}");
            self.log_of(Some(id), Seen::Violation(why));
        }
        let seen = match message {
            Owned::Response(response) if response.name() == format!("{rpc}Response") => {
                Seen::Response { rpc, response }
            }
            Owned::Response(response) => {
                Seen::Violation(format!("{rpc} was answered by {}", response.name()))
            }
            Owned::Fault(fault) => Seen::Fault { rpc, fault },
            Owned::Request(_) => return,
        };
        self.log_of(Some(id), seen);
    }

    /// The next RPC for the CPE, or the empty answer that ends the session.
    fn next(&mut self, id: SessionId) -> Answer {
        let Some(session) = self.sessions.get_mut(&id) else { return refusal() };
        let queue = self.devices.get_mut(&session.cpe).map(|device| &mut device.queue);
        let request = session.todo.pop_front().or_else(|| queue.and_then(VecDeque::pop_front));
        let Some(request) = request else {
            self.log_of(Some(id), Seen::End);
            if self.hold {
                // Who was held up may ask after it.
                return Answer { status: 204, body: Bytes::new(), session: Some(id) };
            }
            if let Some(session) = self.sessions.remove(&id) {
                self.device(&session.cpe).session = None;
            }
            return Answer { status: 204, body: Bytes::new(), session: None };
        };
        let rpc_id = format!("acs-{id}-{}", session.next_id);
        session.next_id += 1;
        session.outstanding = Some((request.name().to_owned(), rpc_id.clone()));
        let body = self.write(id, Some(&rpc_id), Owned::Request(request));
        Answer { status: 200, body, session: Some(id) }
    }

    fn note_unanswered(&mut self, id: SessionId) {
        let outstanding = self.sessions.get_mut(&id).and_then(|session| session.outstanding.take());
        if let Some((rpc, _)) = outstanding {
            self.log_of(Some(id), Seen::Violation(format!("{rpc} was not answered")));
        }
    }

    fn write(&self, id: SessionId, message_id: Option<&str>, message: Owned) -> Bytes {
        let namespace = self.sessions.get(&id).map_or("", |session| session.namespace.as_str());
        // The next RPC lets the CPE's requests go on.
        let held = self.hold && matches!(message, Owned::Response(_));
        soap::write_held(namespace, message_id, message, held)
    }

    fn log_of(&mut self, session: Option<SessionId>, seen: Seen) {
        if let Some(cpe) = self.cpe_of(session) {
            self.log(&cpe, seen);
        }
    }

    fn log(&mut self, cpe: &EndpointId, seen: Seen) {
        if self.fresh.len() < MAX_SEEN {
            self.fresh.push((cpe.clone(), seen.clone()));
        }
        push_bounded(&mut self.device(cpe).seen, seen, MAX_SEEN);
    }

    fn cpe_of(&self, session: Option<SessionId>) -> Option<EndpointId> {
        session.and_then(|id| self.sessions.get(&id)).map(|session| session.cpe.clone())
    }

    fn device(&mut self, cpe: &EndpointId) -> &mut Device {
        self.devices.entry(cpe.clone()).or_default()
    }
}

fn seen_inform(inform: Inform<'static>, headers: Vec<(String, String)>) -> Seen {
    let events = inform.event.0.into_iter();
    let parameters = inform.parameter_list.0.into_iter();
    Seen::Inform {
        device_id: inform.device_id,
        events: events.map(|it| (it.event_code.into_owned(), it.command_key.into_owned())).collect(),
        parameters: parameters.map(|it| (it.name.into_owned(), it.value.into_owned())).collect(),
        retry_count: inform.retry_count,
        headers,
    }
}

/// A POST that belongs to no session.
fn refusal() -> Answer {
    Answer { status: 400, body: Bytes::new(), session: None }
}

fn push_bounded<T>(queue: &mut VecDeque<T>, item: T, most: usize) {
    if queue.len() >= most {
        queue.pop_front();
    }
    queue.push_back(item);
}

const CONNECTION_REQUEST_URL: &str = ".ManagementServer.ConnectionRequestURL";
/// RPCs that wait for a CPE.
const MAX_QUEUE: usize = 1_000;
/// Log entries of a CPE; older ones are dropped.
const MAX_SEEN: usize = 1_000;
/// Recorded exchanges of a CPE; older ones are dropped.
const MAX_EXCHANGES: usize = 200;
/// Open sessions; the oldest is dropped, since its CPE has most likely gone.
const MAX_SESSIONS: usize = 20_000;
