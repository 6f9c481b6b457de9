//! The task of one connection: connects and comes back, greets controllers, publishes, hands records in.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::agent::{LinkState, Phase};
use crate::identity::EndpointId;
use crate::mtp::LinkStatus;
use crate::mtp::contract::{RESTARTS, farewell};
use crate::net::{Backoff, Round, Stream};
use crate::transport::mqtt::{Client, ClientConfig, Codec, Event, Properties, Publish, Up, Version};
use crate::usp::record::{MAX_RECORD, Payload, Record};

use super::agents::{MqttConfig, MqttLink, Shared};
use super::topics;
use super::wire::Wire;

/// What a connection is told.
pub(super) enum Command {
    Attach(EndpointId),
    /// Controllers are told that this agent leaves, save for these.
    Detach(EndpointId, Vec<EndpointId>),
    /// The agent is met otherwise from now on: its controllers are not told that it leaves.
    Retire,
    /// It connects anew before it says anything more.
    Restart(EndpointId),
    Send {
        agent: EndpointId,
        controller: EndpointId,
        record: Bytes,
    },
    Adapt(Arc<MqttConfig>),
}

/// One connection and the agents on it.
pub(super) struct Connection {
    shared: Arc<Shared>,
    config: Arc<MqttConfig>,
    /// The agent, if the connection is its own.
    owner: Option<EndpointId>,
    name: String,
    /// Topics of agents here are `<prefix>/<endpoint id>`.
    prefix: String,
    commands: mpsc::Receiver<Command>,
    stop: CancellationToken,
    status: LinkStatus,
    client: Client,
    started: Instant,
    agents: HashSet<EndpointId>,
    /// Agents whose Connect records are still to go out since the connection came up.
    greet: VecDeque<EndpointId>,
    /// Where a controller wants its answers (R-MQTT.26), where that is not its configured topic.
    replies: HashMap<(EndpointId, EndpointId), String>,
    /// Where the broker wants answers to this client to go (R-MQTT.21).
    response_information: Option<String>,
    /// What has been told asks for another connection.
    again: bool,
    /// What was told after that, for the other connection.
    later: Vec<Command>,
}

impl Connection {
    /// Starts the connection of one agent.
    pub fn own(shared: &Arc<Shared>, config: Arc<MqttConfig>, agent: &EndpointId) -> MqttLink {
        let prefix = config.topic_prefix.clone();
        Self::start(shared, config, Some(agent.clone()), agent.as_str().to_owned(), prefix, OWN_WAITING)
    }

    /// Starts one of the shared connections.
    pub fn shared(shared: &Arc<Shared>, config: &Arc<MqttConfig>, number: usize) -> MqttLink {
        let prefix = format!("{}/{number}", config.topic_prefix);
        Self::start(shared, Arc::clone(config), None, format!("shared-{number}"), prefix, SHARED_WAITING)
    }

    fn start(
        shared: &Arc<Shared>,
        config: Arc<MqttConfig>,
        owner: Option<EndpointId>,
        name: String,
        prefix: String,
        waiting: usize,
    ) -> MqttLink {
        let (sender, commands) = mpsc::channel(waiting);
        let (stop, status) = (shared.stop.child_token(), LinkStatus::default());
        let link = MqttLink::new(sender, stop.clone(), status.clone());
        let client = Client::new(client_config(&config, owner.as_ref(), &name, &prefix));
        let connection = Self {
            shared: Arc::clone(shared),
            config,
            agents: owner.iter().cloned().collect(),
            owner,
            name,
            prefix,
            commands,
            stop,
            status,
            client,
            started: Instant::now(),
            greet: VecDeque::new(),
            replies: HashMap::new(),
            response_information: None,
            again: false,
            later: Vec::new(),
        };
        tokio::spawn(connection.run());
        link
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Connects again and again until told to stop.
    async fn run(mut self) {
        let mut backoff = self.backoff();
        loop {
            // It ends by itself when it is stopped: a goodbye takes a moment.
            let lived = self.live().await;
            self.client.disconnected();
            self.greet.clear();
            if lived.was_up {
                backoff.reset();
                self.shared.metrics.mtp_down("mqtt", &self.name, &lived.why);
            }
            if self.stop.is_cancelled() {
                return;
            }
            if std::mem::take(&mut self.again) {
                self.note(|state| state.phase = Phase::Connecting);
                backoff = self.backoff();
                let later = std::mem::take(&mut self.later);
                later.into_iter().for_each(|command| self.obey(command));
                continue;
            }
            self.note(|state| {
                state.phase = lived.phase;
                state.retries = state.retries.saturating_add(1);
                state.subscribed.clear();
            });
            let wait = backoff.next(u64::from(fastrand(&self.name, self.started)));
            if !lived.was_up {
                self.shared.metrics.mtp_failed("mqtt", &self.name, &lived.why, wait);
            }
            if self.rest(wait).await {
                backoff = self.backoff();
            }
        }
    }

    fn backoff(&self) -> Backoff {
        let (first, most) = self.config.retry_ms;
        Backoff::growing(first, self.config.retry_multiplier, most)
    }

    /// Waits before the next try; whether there is a reason not to wait any longer. Commands that concern the
    /// connection are obeyed meanwhile, records wait in the client as long as there is room.
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

    /// Changes what is known of the connection and says so to those whom it concerns.
    fn note(&self, change: impl FnOnce(&mut LinkState)) {
        if self.status.set(change) {
            self.agents.iter().for_each(|agent| self.shared.side.changed(agent));
        }
    }

    /// One connection from its opening to its end.
    async fn live(&mut self) -> Lived {
        let config = Arc::clone(&self.config);
        let stopped = |was_up| Lived { was_up, phase: Phase::Connecting, why: "it is stopped".into() };
        let stream = tokio::select! {
            stream = Stream::connect(&config.host, config.port, config.tls.as_ref(), CONNECT) => stream,
            () = self.stop.cancelled() => return stopped(false),
        };
        let stream = match stream {
            Ok(stream) => stream,
            Err(error) => {
                return Lived { was_up: false, phase: Phase::Unreachable, why: error.to_string() };
            }
        };
        let codec = Codec { version: config.version, max_packet: MAX_PACKET };
        let mut wire = Wire::new(stream, codec);
        self.client.connected(self.now());
        let mut was_up = false;
        let mut stuck_since = None;
        loop {
            match self.turn(&mut wire, &mut was_up, &mut stuck_since).await {
                Ok(true) => {}
                Ok(false) => {
                    wire.close().await;
                    return stopped(was_up);
                }
                Err(why) => {
                    // A session that leads nowhere is ended in order (R-MQTT.16, R-MQTT.17).
                    let now = self.now();
                    if !self.client.is_up() && wire.fill(&mut self.client, now).is_ok() {
                        wire.close().await;
                    }
                    let phase = if was_up { Phase::Connecting } else { Phase::Refused };
                    return Lived { was_up, phase, why };
                }
            }
        }
    }

    /// One round; `Ok(false)` when the connection is to end and all is said.
    async fn turn(
        &mut self,
        wire: &mut Wire,
        was_up: &mut bool,
        stuck_since: &mut Option<u64>,
    ) -> Result<bool, String> {
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
        let stop = self.stop.clone();
        let (mut events, mut commands) = (Vec::new(), Vec::new());
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
                    return Ok(false);
                }
                let mut commands = commands.into_iter();
                while let Some(command) = commands.next() {
                    self.obey(command);
                    if self.again {
                        self.later.extend(commands);
                        self.client.goodbye();
                        wire.fill(&mut self.client, now)?;
                        return Ok(false);
                    }
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
                // What was said before, an answer to the request that stops it above all, goes first.
                while let Ok(command) = self.commands.try_recv() {
                    self.obey(command);
                }
                self.say_goodbye();
                if !self.shared.stop.is_cancelled() {
                    // It does not come back: what the broker keeps for it would be kept for nobody.
                    self.client.unsubscribe();
                }
                wire.fill(&mut self.client, now)?;
                return Ok(false);
            }
        }
        for event in events {
            self.happened(event, wire, was_up)?;
        }
        Ok(true)
    }

    fn happened(&mut self, event: Event, wire: &mut Wire, was_up: &mut bool) -> Result<(), String> {
        match event {
            Event::Up(up) => {
                *was_up = true;
                self.shared.metrics.mtp_up("mqtt");
                self.up(up, wire);
            }
            Event::Subscribed(subscribed) => self.note(|state| state.subscribed = subscribed),
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
        self.note(|state| {
            state.phase = Phase::Up;
            state.retries = 0;
            state.named.clone_from(&self.response_information);
            state.subscribed = up.subscribed;
            if up.assigned_client_id.is_some() {
                state.client_id = up.assigned_client_id;
            }
        });
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Attach(agent) => {
                if (self.agents.insert(agent.clone()) || self.owner.is_some()) && self.client.is_up() {
                    self.greet_soon(agent);
                }
            }
            // A connection that is not up greets anew in any case.
            Command::Restart(agent) if self.client.is_up() && self.agents.contains(&agent) => {
                let config = Arc::clone(&self.config);
                config.controllers.iter().for_each(|(it, _)| self.leave(&agent, it, RESTARTS));
                match self.owner {
                    Some(_) => self.again = true,
                    None => self.greet_soon(agent),
                }
            }
            Command::Restart(_) => {}
            Command::Retire => {
                let mut config = MqttConfig::clone(&self.config);
                config.controllers.clear();
                self.config = Arc::new(config);
            }
            Command::Detach(agent, stay) => {
                if self.agents.remove(&agent) {
                    self.greet.retain(|waiting| *waiting != agent);
                    let config = Arc::clone(&self.config);
                    let why = farewell(false);
                    let gone = config.controllers.iter().filter(|(it, _)| !stay.contains(it));
                    gone.for_each(|(it, _)| self.leave(&agent, it, why));
                    self.replies.retain(|(of, _), _| *of != agent);
                }
            }
            Command::Send { agent, controller, record } => self.publish(&agent, &controller, record),
            Command::Adapt(config) => self.adapt(config),
        }
    }

    fn greet_soon(&mut self, agent: EndpointId) {
        if !self.greet.contains(&agent) {
            self.greet.push_back(agent);
        }
    }

    /// Another configuration of the agent whose connection it is.
    fn adapt(&mut self, config: Arc<MqttConfig>) {
        let Some(agent) = self.owner.clone() else { return };
        let before = std::mem::replace(&mut self.config, config);
        let config = Arc::clone(&self.config);
        let place =
            |it: &MqttConfig| (it.host.clone(), it.port, it.tls.is_some(), it.version, it.login.clone());
        let elsewhere = place(&before) != place(&config);
        let met = |it: &MqttConfig, who: &EndpointId| it.controllers.iter().any(|(known, _)| known == who);
        for (controller, _) in before.controllers.iter().filter(|(it, _)| elsewhere || !met(&config, it)) {
            if self.client.is_up() {
                // Over the way that still leads to it.
                let after = std::mem::replace(&mut self.config, Arc::clone(&before));
                self.leave(&agent, controller, farewell(false));
                self.config = after;
            }
            self.replies.remove(&(agent.clone(), controller.clone()));
        }
        self.prefix.clone_from(&config.topic_prefix);
        let mut wanted = client_config(&config, self.owner.as_ref(), &self.name, &self.prefix);
        if wanted.client_id == client_config(&before, self.owner.as_ref(), &self.name, &self.prefix).client_id
        {
            // It may have been given by the broker meanwhile.
            self.client.client_id().clone_into(&mut wanted.client_id);
        } else {
            self.status.set(|state| state.client_id = None);
        }
        let mut events = Vec::new();
        self.client.adapt(wanted, &mut events);
        for event in events {
            if let Event::Subscribed(subscribed) = event {
                self.note(|state| state.subscribed = subscribed);
            }
        }
        self.again |= elsewhere;
        let news = config.controllers.iter().any(|(it, _)| !met(&before, it));
        if !elsewhere && news && self.client.is_up() {
            self.greet_soon(agent);
        }
    }

    /// Tells a controller that an agent goes.
    fn leave(&mut self, agent: &EndpointId, controller: &EndpointId, why: &'static str) {
        let payload = Payload::Disconnect { reason: why.into(), reason_code: 0 };
        // What is not acknowledged would come again after the agent is back.
        self.publish_at(agent, controller, Record::of(agent, controller, payload).encode(), 0);
    }

    /// Sends Connect records (R-MTP.6) as far as there is room: ten thousand agents do not fit at once.
    fn greet_some(&mut self) {
        while self.client.is_up() && self.client.pending() < QUEUE_AHEAD {
            let Some(agent) = self.greet.pop_front() else { return };
            let controllers: Vec<EndpointId> =
                self.config.controllers.iter().map(|(controller, _)| controller.clone()).collect();
            for controller in controllers {
                let v5 = self.config.version == Version::V5;
                let payload = Payload::MqttConnect { v5, subscribed_topic: self.own_topic(&agent) };
                let record = Record::of(&agent, &controller, payload).encode();
                self.publish(&agent, &controller, record);
                self.shared.side.connected(&agent, &controller);
            }
        }
    }

    fn say_goodbye(&mut self) {
        if let Some(agent) = self.owner.clone() {
            let config = Arc::clone(&self.config);
            let why = farewell(self.shared.stop.is_cancelled());
            config.controllers.iter().for_each(|(it, _)| self.leave(&agent, it, why));
        }
        self.client.goodbye();
    }

    fn publish(&mut self, agent: &EndpointId, controller: &EndpointId, record: Bytes) {
        let qos = self.config.own.as_ref().map_or(1, |own| own.qos.min(1));
        self.publish_at(agent, controller, record, qos);
    }

    fn publish_at(&mut self, agent: &EndpointId, controller: &EndpointId, record: Bytes, qos: u8) {
        let configured = self.config.controllers.iter().find(|(known, _)| known == controller);
        let learnt = self.replies.get(&(agent.clone(), controller.clone()));
        let Some(topic) = learnt.or(configured.map(|(_, topic)| topic)) else { return };
        let own = self.own_topic(agent);
        let publish = match self.config.version {
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
        match (&self.response_information, &self.config.own) {
            (Some(topic), _) => topic.clone(),
            (None, Some(own)) if !own.reply_topic.is_empty() => own.reply_topic.clone(),
            // Nothing is said of answers: the first topic that is listened on.
            (None, Some(own)) => own.filters.first().map_or_else(String::new, |(filter, _)| filter.clone()),
            (None, None) => topics::agent_topic(&self.prefix, agent),
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
        let given = match self.config.version {
            Version::V5 => publish.properties.response_topic.clone(),
            Version::V311 => topics::reply_to(&publish.topic),
        };
        let Some(given) = given.filter(|topic| is_topic(topic)) else { return };
        if self.config.controllers.iter().any(|(_, topic)| *topic == given) && self.replies.is_empty() {
            return;
        }
        let Ok(record) = Record::decode(publish.payload.clone()) else { return };
        let controllers = &self.config.controllers;
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
    phase: Phase,
    why: String,
}

/// What the client has to know, of the agent's own objects or of the prefixes for all.
fn client_config(config: &MqttConfig, owner: Option<&EndpointId>, name: &str, prefix: &str) -> ClientConfig {
    let filter = match owner {
        Some(agent) => topics::agent_topic(prefix, agent),
        None => format!("{prefix}/+"),
    };
    let mut filters = vec![(filter.clone(), 1)];
    if config.version == Version::V311 {
        // There the topic for answers is part of the topic (R-MQTT.25).
        filters = vec![(format!("{filter}/#"), 1)];
    }
    let user_properties = match owner {
        // R-MQTT.13. A connection of many agents is no single endpoint's.
        Some(agent) => vec![("usp-endpoint-id".to_owned(), agent.as_str().to_owned())],
        None => Vec::new(),
    };
    let mut client = ClientConfig {
        version: config.version,
        client_id: format!("{}{name}", config.client_id_prefix),
        login: config.login.clone(),
        keep_alive: config.keep_alive,
        session_expiry: SESSION_EXPIRY,
        clean: false,
        filters,
        reply_topic: None,
        user_properties,
        max_packet: u32::try_from(MAX_PACKET).unwrap_or(u32::MAX),
        max_waiting: if owner.is_some() { OWN_WAITING } else { SHARED_WAITING },
    };
    if let (Some(own), Some(agent)) = (&config.own, owner) {
        let unnamed = own.client_id.is_empty() && config.version == Version::V311;
        client.client_id = if unnamed { agent.as_str().to_owned() } else { own.client_id.clone() };
        client.clean = own.clean;
        client.session_expiry = own.session_expiry;
        client.filters.clone_from(&own.filters);
        let reply = Some(own.reply_topic.clone()).filter(|topic| !topic.is_empty());
        client.reply_topic = match config.version {
            Version::V5 => reply,
            Version::V311 => reply.map(|topic| format!("{topic}/#")),
        };
    }
    client
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
pub const SESSION_EXPIRY: u32 = 3_600;
const CONNECT: Duration = Duration::from_secs(10);
/// How long the broker may not read before the connection is given up.
const STUCK_MS: u64 = 30_000;
const DAY_MS: u64 = 86_400_000;
