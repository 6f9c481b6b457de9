//! The task of one connection: connects and comes back, greets controllers, sends, hands records in.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::agent::{LinkState, Phase};
use crate::identity::EndpointId;
use crate::mtp::LinkStatus;
use crate::mtp::contract::{RESTARTS, farewell, tls_of};
use crate::mtp::link::{self, Link, Shared};
use crate::net::{Backoff, Buffered, Round, Stream};
use crate::transport::stomp::{Client, ClientConfig, Event, Message};
use crate::usp::Shown;
use crate::usp::record::{MAX_RECORD, Payload, Record, Turn};

use super::config::StompConfig;
use super::destinations::{agent_destination, is_destination};

/// What a connection is told.
pub enum Command {
    Send {
        controller: EndpointId,
        record: Bytes,
    },
    Adapt(Arc<StompConfig>),
    /// The agent has restarted: it connects anew before it says anything more.
    Restart,
}

impl link::Command for Command {
    type Config = StompConfig;
    const NO_ROOM: &'static str = "too much waits for the broker";

    fn connect(shared: &Arc<Shared>, config: Arc<StompConfig>, agent: &EndpointId) -> Link<Self> {
        Connection::start(shared, config, agent)
    }

    fn send(_: &EndpointId, controller: &EndpointId, record: Bytes) -> Self {
        Self::Send { controller: controller.clone(), record }
    }

    fn adapt(config: Arc<StompConfig>) -> Self {
        Self::Adapt(config)
    }

    fn restart(_: &EndpointId) -> Self {
        Self::Restart
    }
}

/// The connection of one agent.
pub(super) struct Connection {
    shared: Arc<Shared>,
    config: Arc<StompConfig>,
    agent: EndpointId,
    commands: mpsc::Receiver<Command>,
    stop: CancellationToken,
    status: LinkStatus,
    client: Client,
    started: Instant,
    /// Where a controller wants its answers (R-STOMP.23), where that is not its configured destination.
    replies: HashMap<EndpointId, String>,
    /// Since when the connection is up, if it ever was.
    up_since: Option<u64>,
    /// When the goodbye must be over, once it is said.
    leaving: Option<u64>,
    /// Since when the broker does not read what is there for it.
    stuck_since: Option<u64>,
    /// What has been told asks for another connection.
    again: bool,
}

impl Connection {
    fn start(shared: &Arc<Shared>, config: Arc<StompConfig>, agent: &EndpointId) -> Link<Command> {
        let (link, commands) = Link::new(shared, WAITING);
        let client = Client::new(client_config(&config, agent));
        let connection = Self {
            shared: Arc::clone(shared),
            config,
            agent: agent.clone(),
            commands,
            stop: link.stop.clone(),
            status: link.status.clone(),
            client,
            started: Instant::now(),
            replies: HashMap::new(),
            up_since: None,
            leaving: None,
            stuck_since: None,
            again: false,
        };
        tokio::spawn(connection.run());
        link
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Connects again and again until told to stop (R-STOMP.7, R-STOMP.25).
    async fn run(mut self) {
        let mut backoff = self.backoff();
        while !self.stop.is_cancelled() {
            (self.up_since, self.leaving) = (None, None);
            let (why, mut phase) = match self.live().await {
                Ok(()) => ("it is stopped".to_owned(), Phase::Connecting),
                Err(lost) => lost,
            };
            self.client.disconnected();
            if let Some(since) = self.up_since {
                // A broker that answers what we say with ERROR must not be asked each second for ever.
                if self.now() - since > self.config.retry_ms.1 {
                    backoff.reset();
                }
                self.shared.metrics.mtp_down("stomp", self.agent.as_str(), &why);
                phase = Phase::Connecting;
            }
            if self.stop.is_cancelled() {
                return;
            }
            if std::mem::take(&mut self.again) {
                self.note(|state| state.phase = Phase::Connecting);
                backoff = self.backoff();
                continue;
            }
            self.note(|state| {
                state.phase = phase;
                state.retries = state.retries.saturating_add(1);
            });
            let wait = backoff.next(u64::from(self.started.elapsed().subsec_nanos()));
            if self.up_since.is_none() {
                self.shared.metrics.mtp_failed("stomp", self.agent.as_str(), &why, wait);
            }
            if self.rest(wait).await {
                backoff = self.backoff();
            }
        }
    }

    fn backoff(&self) -> Backoff {
        let (first, most) = self.config.retry_ms;
        Backoff::growing(first, self.config.retry_multiplier, most).from_zero()
    }

    /// Waits before the next try; whether there is a reason not to wait any longer.
    async fn rest(&mut self, wait: u64) -> bool {
        let sleep = tokio::time::sleep(Duration::from_millis(wait));
        tokio::pin!(sleep);
        loop {
            let room = self.client.pending() < QUEUE_AHEAD;
            tokio::select! {
                () = &mut sleep => return false,
                () = self.stop.cancelled() => return true,
                command = self.commands.recv(), if room => match command {
                    Some(command) => self.obey(command),
                    None => self.stop.cancel(),
                },
            }
            if std::mem::take(&mut self.again) {
                return true;
            }
        }
    }

    fn note(&self, change: impl FnOnce(&mut LinkState)) {
        if self.status.set(change) {
            self.shared.side.changed(&self.agent);
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Send { controller, record } => match Record::turn(record.clone()) {
                Some(turn) => self.begin_anew(&controller, turn, record),
                None => self.send(&controller, record),
            },
            Command::Adapt(config) => self.adapt(config),
            // A connection that is not up greets anew in any case.
            Command::Restart if self.client.is_up() => {
                let config = Arc::clone(&self.config);
                for (controller, at) in &config.controllers {
                    let at = self.replies.get(controller).unwrap_or(at).clone();
                    self.leave(controller, at, RESTARTS);
                }
                self.again = true;
            }
            Command::Restart => {}
        }
    }

    /// Another configuration, by the agent's own objects.
    fn adapt(&mut self, config: Arc<StompConfig>) {
        let before = std::mem::replace(&mut self.config, Arc::clone(&config));
        let place = |it: &StompConfig| {
            (it.host.clone(), it.port, it.tls.is_some(), it.login.clone(), it.virtual_host.clone())
        };
        let elsewhere = place(&before) != place(&config);
        let met = |it: &StompConfig, who: &EndpointId| it.controllers.iter().any(|(known, _)| known == who);
        for (controller, at) in before.controllers.iter().filter(|(it, _)| elsewhere || !met(&config, it)) {
            let learnt = self.replies.remove(controller).unwrap_or_else(|| at.clone());
            if self.client.is_up() {
                self.leave(controller, learnt, farewell(false));
            }
        }
        let moved = self.client.adapt(client_config(&config, &self.agent));
        self.again |= elsewhere;
        let news = config.controllers.iter().any(|(it, _)| !met(&before, it));
        if !elsewhere && self.client.is_up() && (news || moved) {
            let destination = self.client.destination().to_owned();
            self.greet(&destination);
        }
    }

    /// One connection from its opening to its end; ends well when it is to end and all is said.
    async fn live(&mut self) -> Result<(), (String, Phase)> {
        let config = Arc::clone(&self.config);
        let tls = tls_of(config.tls.as_ref(), Some(&self.agent));
        let stream = tokio::select! {
            stream = Stream::connect(&config.host, config.port, tls.as_ref(), CONNECT) => stream,
            () = self.stop.cancelled() => return Ok(()),
        };
        let stream = stream.map_err(|error| (error.to_string(), Phase::Unreachable))?;
        let mut io = Buffered::new(stream);
        self.client.connected(self.now());
        self.stuck_since = None;
        let result = loop {
            match self.turn(&mut io).await {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(why) => break Err((why, Phase::Refused)),
            }
        };
        // A last word of the client's may be there: DISCONNECT of a session that leads nowhere (R-STOMP.16).
        if !self.client.is_up() {
            self.client.transmit(self.now(), io.room(), &mut io.outgoing);
        }
        io.close().await;
        result
    }

    /// One round; `Ok(false)` when the connection is to end and all is said.
    async fn turn(&mut self, io: &mut Buffered) -> Result<bool, String> {
        let now = self.now();
        self.client.transmit(now, io.room(), &mut io.outgoing);
        if io.is_flushed() {
            self.stuck_since = None;
        } else {
            self.stuck_since.get_or_insert(now);
        }
        let stuck_at = self.stuck_since.map_or(u64::MAX, |since| since + STUCK_MS);
        let end = self.leaving.unwrap_or(u64::MAX);
        let deadline = self.client.next_deadline().unwrap_or(u64::MAX).min(stuck_at).min(end);
        let sleep = Duration::from_millis(deadline.saturating_sub(now).min(DAY_MS));
        let room = self.client.pending() < QUEUE_AHEAD;
        let stop = self.stop.clone();
        let mut events = Vec::new();
        tokio::select! {
            round = io.round() => match round {
                Round::Over(why) => return Err(why),
                Round::Written => self.stuck_since = None,
                Round::Read => {
                    let now = self.now();
                    self.client.receive(now, &mut io.incoming, &mut events);
                }
            },
            command = self.commands.recv(), if room && self.leaving.is_none() => match command {
                Some(command) => {
                    self.obey(command);
                    if self.again {
                        return Ok(self.go());
                    }
                }
                // The last handle is gone: it ends as if it were stopped.
                None => self.stop.cancel(),
            },
            () = tokio::time::sleep(sleep) => {
                let now = self.now();
                if end <= now {
                    return Ok(false);
                }
                if stuck_at <= now {
                    return Err("the broker does not read".into());
                }
                self.client.tick(now, &mut events);
            }
            () = stop.cancelled(), if self.leaving.is_none() => {
                // What was said before, an answer to the request that stops it above all, goes first.
                while let Ok(command) = self.commands.try_recv() {
                    self.obey(command);
                }
                return Ok(self.say_goodbye());
            }
        }
        for event in events {
            if !self.happened(event)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// `Ok(false)` when the connection has come to its end in order.
    fn happened(&mut self, event: Event) -> Result<bool, String> {
        match event {
            Event::Up(up) => {
                self.up_since = Some(self.now());
                self.shared.metrics.mtp_up("stomp");
                tracing::info!(agent = %self.agent, destination = up.destination, "STOMP connection is up");
                let named = self.client.is_named().then(|| up.destination.clone());
                self.greet(&up.destination);
                self.note(|state| *state = LinkState { phase: Phase::Up, named, ..LinkState::default() });
            }
            Event::Message(message) => self.message(message),
            Event::Rejected(message, reason) => {
                self.shared.metrics.usp_dropped(self.agent.as_str(), "the broker refused a message");
                let to = message.destination;
                tracing::warn!(agent = %self.agent, to, reason, "the broker refused a message");
                // What a controller said about its answers may be what is wrong.
                self.replies.retain(|_, learnt| *learnt != to);
            }
            Event::Closed => return Ok(false),
            Event::Close(why) => return Err(why),
        }
        Ok(true)
    }

    /// Sends Connect records (R-MTP.6) with what was subscribed to.
    fn greet(&mut self, destination: &str) {
        let (shared, config) = (Arc::clone(&self.shared), Arc::clone(&self.config));
        let mut greeting = Vec::new();
        for (controller, _) in &config.controllers {
            let payload = Payload::StompConnect { subscribed_destination: destination.to_owned() };
            greeting
                .extend(self.addressed(controller, Record::of(&self.agent, controller, payload).encode()));
            shared.metrics.usp_sent();
        }
        self.client.greet(greeting);
        for (controller, _) in &config.controllers {
            shared.side.connected(&self.agent, controller);
        }
    }

    /// A Disconnect record of the agent's over a connection that stays, or a Connect record of another MTP
    /// (R-MTP.8). Where there is no connection, the Connect record of the next one tells enough.
    fn begin_anew(&mut self, controller: &EndpointId, turn: Turn, record: Bytes) {
        if self.client.is_up() {
            let subscribed_destination = self.client.destination().to_owned();
            let payload = Payload::StompConnect { subscribed_destination };
            if turn == Turn::Disconnect {
                self.send(controller, record);
            }
            self.send(controller, Record::of(&self.agent, controller, payload).encode());
        }
    }

    /// Says goodbye; whether there is somebody to say it to.
    fn say_goodbye(&mut self) -> bool {
        if self.client.is_up() {
            let config = Arc::clone(&self.config);
            let why = farewell(self.shared.stop.is_cancelled());
            for (controller, at) in &config.controllers {
                let at = self.replies.get(controller).unwrap_or(at).clone();
                self.leave(controller, at, why);
            }
        }
        self.go()
    }

    /// Ends the session with the broker; whether there is one.
    fn go(&mut self) -> bool {
        if !self.client.is_up() {
            return false;
        }
        self.client.goodbye();
        self.leaving = Some(self.now() + GOODBYE_MS);
        true
    }

    fn leave(&mut self, controller: &EndpointId, destination: String, why: &'static str) {
        let payload = Payload::Disconnect { reason: why.into(), reason_code: 0 };
        let body = Record::of(&self.agent, controller, payload).encode();
        self.put(Message { destination, content_type: Some(CONTENT_TYPE.into()), reply_to: None, body });
    }

    fn send(&mut self, controller: &EndpointId, record: Bytes) {
        if let Some(message) = self.addressed(controller, record) {
            self.put(message);
        }
    }

    fn put(&mut self, message: Message) {
        if self.client.send(message).is_err() {
            self.shared.metrics.usp_dropped(self.agent.as_str(), "too much waits for the broker");
        } else {
            self.shared.metrics.usp_sent();
        }
    }

    /// A record as a message to where this controller listens.
    fn addressed(&self, controller: &EndpointId, record: Bytes) -> Option<Message> {
        let configured = self.config.controllers.iter().find(|(known, _)| known == controller);
        let learnt = self.replies.get(controller);
        let destination = learnt.or(configured.map(|(_, destination)| destination))?.clone();
        // R-STOMP.20; the client adds our own destination (R-STOMP.21).
        Some(Message { destination, content_type: Some(CONTENT_TYPE.into()), reply_to: None, body: record })
    }

    /// A message from the broker. What is no record is dropped in silence, as the standard wants since 1.2:
    /// the error messages of before (R-STOMP.23a to 24b) are neither sent nor understood.
    fn message(&mut self, message: Message) {
        if message.content_type.as_deref().is_some_and(|content| content != CONTENT_TYPE) {
            return self.shared.metrics.usp_dropped(self.agent.as_str(), "a message that is no USP record");
        }
        self.learn_reply(&message);
        self.shared.metrics.usp_received();
        self.shared.side.record(&self.agent, message.body, Shown::Untold);
    }

    /// Keeps where a controller wants its answers, if it is not where they would go anyway.
    fn learn_reply(&mut self, message: &Message) {
        let Some(given) = message.reply_to.as_ref().filter(|it| is_destination(it)) else { return };
        let controllers = &self.config.controllers;
        if self.replies.is_empty() && controllers.iter().any(|(_, destination)| destination == given) {
            return;
        }
        let Ok(record) = Record::decode(message.body.clone()) else { return };
        let known = controllers.iter().find(|(known, _)| known.as_str() == record.from_id);
        let Some((controller, configured)) = known else { return };
        if configured == given {
            self.replies.remove(controller);
        } else {
            self.replies.insert(controller.clone(), given.clone());
        }
    }
}

fn client_config(config: &StompConfig, agent: &EndpointId) -> ClientConfig {
    let named = || agent_destination(&config.destination_prefix, agent);
    ClientConfig {
        endpoint_id: agent.as_str().to_owned(),
        login: config.login.clone(),
        host: config.virtual_host.clone(),
        destination: config.own_destination.clone().unwrap_or_else(named),
        heart_beat: config.heart_beat_ms,
        max_body: MAX_RECORD,
        max_waiting: WAITING,
    }
}

/// R-STOMP.20.
const CONTENT_TYPE: &str = "application/vnd.bbf.usp.msg";
/// Records that may wait for the broker.
const WAITING: usize = 128;
/// Messages handed to the client ahead of the broker's receipts.
const QUEUE_AHEAD: usize = 64;
const CONNECT: Duration = Duration::from_secs(10);
/// How long the broker may not read before the connection is given up.
const STUCK_MS: u64 = 30_000;
/// Time for the goodbye to be confirmed.
const GOODBYE_MS: u64 = 2_000;
const DAY_MS: u64 = 86_400_000;
