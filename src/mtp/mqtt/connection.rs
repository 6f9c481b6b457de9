//! The task of one connection: connects and comes back, greets controllers, publishes, hands records in.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::identity::EndpointId;
use crate::net::{Backoff, Round, Stream};
use crate::transport::mqtt::{Client, ClientConfig, Codec, Event, Properties, Publish, Up, Version};
use crate::usp::record::{MAX_RECORD, Payload, Record};

use super::agents::Shared;
use super::topics;
use super::wire::Wire;

/// What a connection is told.
pub(super) enum Command {
    Attach(EndpointId),
    Restart(EndpointId),
    Send { agent: EndpointId, controller: EndpointId, record: Bytes },
}

/// One connection and the agents on it.
pub(super) struct Connection {
    shared: Arc<Shared>,
    /// The agent, if the connection is its own.
    owner: Option<EndpointId>,
    name: String,
    /// Topics of agents here are `<prefix>/<endpoint id>`.
    prefix: String,
    commands: mpsc::Receiver<Command>,
    client: Client,
    started: Instant,
    agents: HashSet<EndpointId>,
    /// Agents whose Connect records are still to go out since the connection came up.
    greet: VecDeque<EndpointId>,
    /// Where a controller wants its answers (R-MQTT.26), where that is not its configured topic.
    replies: HashMap<(EndpointId, EndpointId), String>,
    /// Where the broker wants answers to this client to go (R-MQTT.21).
    response_information: Option<String>,
}

impl Connection {
    /// Starts the connection of one agent.
    pub fn own(shared: &Arc<Shared>, agent: &EndpointId) -> mpsc::Sender<Command> {
        let prefix = shared.config.topic_prefix.clone();
        let filter = topics::agent_topic(&prefix, agent);
        Self::start(shared, Some(agent.clone()), agent.as_str().to_owned(), prefix, filter, OWN_WAITING)
    }

    /// Starts one of the shared connections.
    pub fn shared(shared: &Arc<Shared>, number: usize) -> mpsc::Sender<Command> {
        let prefix = format!("{}/{number}", shared.config.topic_prefix);
        let filter = format!("{prefix}/+");
        Self::start(shared, None, format!("shared-{number}"), prefix, filter, SHARED_WAITING)
    }

    fn start(
        shared: &Arc<Shared>,
        owner: Option<EndpointId>,
        name: String,
        prefix: String,
        filter: String,
        waiting: usize,
    ) -> mpsc::Sender<Command> {
        let (sender, commands) = mpsc::channel(waiting);
        let config = &shared.config;
        let mut filters = vec![filter.clone()];
        if config.version == Version::V311 {
            // There the topic for answers is part of the topic (R-MQTT.25).
            filters.push(format!("{filter}/+"));
        }
        let user_properties = match &owner {
            // R-MQTT.13. A connection of many agents is no single endpoint's.
            Some(agent) => vec![("usp-endpoint-id".to_owned(), agent.as_str().to_owned())],
            None => Vec::new(),
        };
        let client = Client::new(ClientConfig {
            version: config.version,
            client_id: format!("{}{name}", config.client_id_prefix),
            login: config.login.clone(),
            keep_alive: config.keep_alive,
            session_expiry: SESSION_EXPIRY,
            filters,
            user_properties,
            max_packet: u32::try_from(MAX_PACKET).unwrap_or(u32::MAX),
            max_waiting: waiting,
        });
        let connection = Self {
            shared: Arc::clone(shared),
            agents: owner.iter().cloned().collect(),
            owner,
            name,
            prefix,
            commands,
            client,
            started: Instant::now(),
            greet: VecDeque::new(),
            replies: HashMap::new(),
            response_information: None,
        };
        tokio::spawn(connection.run());
        sender
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Connects again and again until told to stop.
    async fn run(mut self) {
        let (first, most) = self.shared.config.retry_ms;
        let mut backoff = Backoff::new(first, most);
        let stop = self.shared.stop.clone();
        loop {
            // It ends by itself when the gateway stops: a goodbye takes a moment.
            let lived = self.live().await;
            self.client.disconnected();
            self.greet.clear();
            if lived.was_up {
                backoff.reset();
                self.shared.metrics.mtp_down("mqtt", &self.name, &lived.why);
            }
            if stop.is_cancelled() {
                return;
            }
            let wait = backoff.next(u64::from(fastrand(&self.name, self.started)));
            if !lived.was_up {
                self.shared.metrics.mtp_failed("mqtt", &self.name, &lived.why, wait);
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(wait)) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// One connection from its opening to its end.
    async fn live(&mut self) -> Lived {
        let config = &self.shared.config;
        let stream = tokio::select! {
            stream = Stream::connect(&config.host, config.port, config.tls.as_ref(), CONNECT) => stream,
            () = self.shared.stop.cancelled() => return Lived { was_up: false, why: "the gateway stops".into() },
        };
        let stream = match stream {
            Ok(stream) => stream,
            Err(error) => return Lived { was_up: false, why: error.to_string() },
        };
        let codec = Codec { version: config.version, max_packet: MAX_PACKET };
        let mut wire = Wire::new(stream, codec);
        self.client.connected(self.now());
        let mut was_up = false;
        let mut stuck_since = None;
        loop {
            match self.turn(&mut wire, &mut was_up, &mut stuck_since).await {
                Ok(None) => {}
                Ok(Some(why)) => {
                    wire.close().await;
                    return Lived { was_up, why: why.into() };
                }
                Err(why) => return Lived { was_up, why },
            }
        }
    }

    /// One round; says why if it was the last and all is said.
    async fn turn(
        &mut self,
        wire: &mut Wire,
        was_up: &mut bool,
        stuck_since: &mut Option<u64>,
    ) -> Result<Option<&'static str>, String> {
        let now = self.now();
        self.greet_some();
        wire.fill(&mut self.client, now)?;
        if wire.is_flushed() {
            *stuck_since = None;
        }
        let since = *stuck_since.get_or_insert(now);
        let stuck_at = if wire.is_flushed() { u64::MAX } else { since + STUCK_MS };
        let deadline = self.client.next_deadline().unwrap_or(u64::MAX).min(stuck_at);
        let sleep = Duration::from_millis(deadline.saturating_sub(now).min(DAY_MS));
        let room = QUEUE_AHEAD.saturating_sub(self.client.pending());
        let stop = self.shared.stop.clone();
        let (mut events, mut commands, mut restarts) = (Vec::new(), Vec::new(), false);
        tokio::select! {
            round = wire.round() => match round {
                Round::Over(why) => return Err(why),
                Round::Written => *stuck_since = None,
                Round::Read => {
                    let now = self.now();
                    wire.drain(&mut self.client, now, &mut events)?;
                }
            },
            // All that waits goes out with one write.
            count = self.commands.recv_many(&mut commands, room), if room > 0 => {
                if count == 0 {
                    return Ok(Some(STOPS));
                }
                for command in commands {
                    if self.obey(command) {
                        // Its own connection is made anew. What came behind waits for it in the client.
                        restarts = true;
                    }
                }
                if restarts {
                    wire.fill(&mut self.client, now)?;
                    return Ok(Some(RESTARTS));
                }
            }
            () = tokio::time::sleep(sleep) => {
                let now = self.now();
                if stuck_at <= now {
                    return Err("the broker does not read".into());
                }
                self.client.tick(now, &mut events);
            }
            () = stop.cancelled() => {
                if let Some(agent) = self.owner.clone() {
                    self.say_goodbye(&agent, STOPS);
                } else {
                    self.client.goodbye();
                }
                wire.fill(&mut self.client, now)?;
                return Ok(Some(STOPS));
            }
        }
        for event in events {
            self.happened(event, wire, was_up)?;
        }
        Ok(None)
    }

    fn happened(&mut self, event: Event, wire: &mut Wire, was_up: &mut bool) -> Result<(), String> {
        match event {
            Event::Up(up) => {
                *was_up = true;
                self.shared.metrics.mtp_up("mqtt");
                self.up(up, wire);
            }
            Event::Message(publish) => self.message(publish),
            Event::Rejected(reason) => {
                self.shared.metrics.usp_dropped(&self.name, "the broker refused a message");
                tracing::warn!(connection = self.name, reason, "the broker refused a message");
            }
            Event::Close(why) => return Err(why),
        }
        Ok(())
    }

    fn up(&mut self, up: Up, wire: &mut Wire) {
        tracing::info!(connection = self.name, topics = up.subscribed.join(" "), "MQTT connection is up");
        wire.limit = up.max_packet.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        self.response_information = up.response_information.filter(|_| self.owner.is_some());
        self.greet = self.agents.iter().cloned().collect();
    }

    /// Carries a command out; says whether the connection is to be made anew.
    fn obey(&mut self, command: Command) -> bool {
        match command {
            Command::Attach(agent) => {
                if (self.agents.insert(agent.clone()) || self.owner.is_some()) && self.client.is_up() {
                    let waits = self.greet.contains(&agent);
                    if !waits {
                        self.greet.push_back(agent);
                    }
                }
            }
            // A connection that is not up greets anew in any case.
            Command::Restart(agent) if self.client.is_up() => {
                self.say_goodbye(&agent, RESTARTS);
                if self.owner.is_some() {
                    return true;
                }
                self.greet.push_back(agent);
            }
            Command::Restart(_) => {}
            Command::Send { agent, controller, record } => self.publish(&agent, &controller, record),
        }
        false
    }

    /// Sends Connect records (R-MTP.6) as far as there is room: ten thousand agents do not fit at once.
    fn greet_some(&mut self) {
        while self.client.is_up() && self.client.pending() < QUEUE_AHEAD {
            let Some(agent) = self.greet.pop_front() else { return };
            let controllers: Vec<EndpointId> =
                self.shared.config.controllers.iter().map(|(controller, _)| controller.clone()).collect();
            for controller in controllers {
                let v5 = self.shared.config.version == Version::V5;
                let payload = Payload::MqttConnect { v5, subscribed_topic: self.own_topic(&agent) };
                let record = Record::of(&agent, &controller, payload).encode();
                self.publish(&agent, &controller, record);
                self.shared.side.connected(&agent, &controller);
            }
        }
    }

    /// Tells the controllers that an agent goes, and the broker if the connection is its own.
    fn say_goodbye(&mut self, agent: &EndpointId, why: &'static str) {
        let controllers: Vec<EndpointId> =
            self.shared.config.controllers.iter().map(|(controller, _)| controller.clone()).collect();
        for controller in controllers {
            let payload = Payload::Disconnect { reason: why.into(), reason_code: 0 };
            let record = Record::of(agent, &controller, payload).encode();
            // What is not acknowledged would come again after the agent is back.
            self.publish_at(agent, &controller, record, 0);
        }
        if self.owner.is_some() {
            self.client.goodbye();
        }
    }

    fn publish(&mut self, agent: &EndpointId, controller: &EndpointId, record: Bytes) {
        self.publish_at(agent, controller, record, 1);
    }

    fn publish_at(&mut self, agent: &EndpointId, controller: &EndpointId, record: Bytes, qos: u8) {
        let configured = self.shared.config.controllers.iter().find(|(known, _)| known == controller);
        let learnt = self.replies.get(&(agent.clone(), controller.clone()));
        let Some(topic) = learnt.or(configured.map(|(_, topic)| topic)) else { return };
        let own = self.own_topic(agent);
        let publish = match self.shared.config.version {
            Version::V5 => Publish {
                topic: topic.clone(),
                payload: record,
                qos,
                // R-MQTT.22, 23, 27.
                properties: Properties {
                    content_type: Some("usp.msg".into()),
                    response_topic: Some(own),
                    ..Properties::default()
                },
                ..Publish::default()
            },
            Version::V311 => {
                let topic = topics::with_reply_to(topic, &own);
                Publish { topic, payload: record, qos, ..Publish::default() }
            }
        };
        if self.client.publish(publish).is_err() {
            self.shared.metrics.usp_dropped(agent.as_str(), "too much waits for the broker");
        } else {
            self.shared.metrics.usp_sent();
        }
    }

    fn own_topic(&self, agent: &EndpointId) -> String {
        match &self.response_information {
            Some(topic) => topic.clone(),
            None => topics::agent_topic(&self.prefix, agent),
        }
    }

    /// A message from the broker: to its agent, if it is a record for one of ours.
    fn message(&mut self, publish: Publish) {
        let agent = self.owner.clone().or_else(|| topics::agent_of(&self.prefix, &publish.topic));
        let Some(agent) = agent.filter(|agent| self.agents.contains(agent)) else {
            return self.shared.metrics.usp_dropped(&self.name, "a record for nobody here");
        };
        // R-MQTT.27a. MQTT 3.1.1 has no content type.
        let content = publish.properties.content_type.as_deref();
        if content.is_some_and(|content| !CONTENT_TYPES.contains(&content)) {
            return self.shared.metrics.usp_dropped(agent.as_str(), "a message that is no USP record");
        }
        self.learn_reply(&agent, &publish);
        self.shared.metrics.usp_received();
        self.shared.side.record(&agent, publish.payload);
    }

    /// Keeps where a controller wants its answers, if it is not where they would go anyway.
    fn learn_reply(&mut self, agent: &EndpointId, publish: &Publish) {
        let given = match self.shared.config.version {
            Version::V5 => publish.properties.response_topic.clone(),
            Version::V311 => topics::reply_to(&publish.topic),
        };
        let Some(given) = given.filter(|topic| is_topic(topic)) else { return };
        if self.shared.config.controllers.iter().any(|(_, topic)| *topic == given) && self.replies.is_empty()
        {
            return;
        }
        let Ok(record) = Record::decode(publish.payload.clone()) else { return };
        let controllers = &self.shared.config.controllers;
        let Some((controller, configured)) =
            controllers.iter().find(|(known, _)| known.as_str() == record.from_id)
        else {
            return;
        };
        let key = (agent.clone(), controller.clone());
        if *configured == given {
            self.replies.remove(&key);
        } else {
            self.replies.insert(key, given);
        }
    }
}

/// How a connection ended.
struct Lived {
    was_up: bool,
    why: String,
}

/// A topic that can be published to.
fn is_topic(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_TOPIC && !text.contains(['+', '#', '\0'])
}

/// Spreads reconnections of many clients: differs by name and by moment.
fn fastrand(name: &str, started: Instant) -> u32 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    (name, started.elapsed().as_nanos()).hash(&mut hasher);
    u32::try_from(hasher.finish() >> 32).unwrap_or(0)
}

const STOPS: &str = "the gateway stops";
const RESTARTS: &str = "the agent restarts";
/// R-MQTT.27a.
const CONTENT_TYPES: [&str; 2] = ["usp.msg", "application/vnd.bbf.usp.msg"];
/// Largest packet taken: a record and its topic.
const MAX_PACKET: usize = MAX_RECORD + (64 << 10);
const MAX_TOPIC: usize = 1_024;
/// Records that may wait on an agent's own connection.
const OWN_WAITING: usize = 128;
/// Records that may wait on a shared connection.
const SHARED_WAITING: usize = 8_192;
/// Messages handed to the client ahead of the broker's acknowledgements.
const QUEUE_AHEAD: usize = 64;
/// How long the broker keeps our session while we are away, in seconds.
const SESSION_EXPIRY: u32 = 3_600;
const CONNECT: Duration = Duration::from_secs(10);
/// How long the broker may not read before the connection is given up.
const STUCK_MS: u64 = 30_000;
const DAY_MS: u64 = 86_400_000;
