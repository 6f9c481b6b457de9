//! The task of one connection: connects and comes back, greets controllers, publishes, hands records in.

mod orders;
mod records;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::agent::{LinkState, Phase, Traffic};
use crate::identity::EndpointId;
use crate::mtp::LinkStatus;
use crate::mtp::contract::tls_of;
use crate::mtp::link::{self, Link, Shared};
use crate::net::{Backoff, Round, Stream};
use crate::transport::mqtt::{Client, Codec, Event, Up};
use crate::usp::record::MAX_RECORD;

use super::config::{MqttConfig, client_config};
use super::crossing::Crossings;
use super::reports::{Report, Reports};
use super::wire::Wire;

/// What a connection is told.
pub enum Command {
    Attach(EndpointId),
    /// Controllers are told that this agent leaves, save for these.
    Detach(EndpointId, Vec<EndpointId>),
    /// The agent comes from a connection of its own, which ends when it is here: between the two nothing is lost.
    /// The last is this connection itself.
    Adopt(EndpointId, Link<Command>, Link<Command>),
    /// The agent is met otherwise from now on: its controllers are not told that it leaves.
    Retire(Handover),
    /// All is said that the agent had to say over the connection that it comes from.
    Greet(EndpointId),
    /// It connects anew before it says anything more.
    Restart(EndpointId),
    Send {
        agent: EndpointId,
        controller: EndpointId,
        record: Bytes,
    },
    Adapt(Arc<MqttConfig>),
    Report(Report),
}

/// An agent on its way to another connection, which speaks for it once this is dropped: controllers answer where
/// they heard of an agent last.
pub struct Handover {
    pub agent: EndpointId,
    pub to: Link<Command>,
}

impl Drop for Handover {
    fn drop(&mut self) {
        self.to.insist(Command::Greet(self.agent.clone()));
    }
}

impl link::Command for Command {
    type Config = MqttConfig;
    const NO_ROOM: &'static str = "too much waits for the broker";

    fn connect(shared: &Arc<Shared>, config: Arc<MqttConfig>, agent: &EndpointId) -> Link<Self> {
        Connection::own(shared, config, agent)
    }

    fn send(agent: &EndpointId, controller: &EndpointId, record: Bytes) -> Self {
        Self::Send { agent: agent.clone(), controller: controller.clone(), record }
    }

    fn adapt(config: Arc<MqttConfig>) -> Self {
        Self::Adapt(config)
    }

    fn restart(agent: &EndpointId) -> Self {
        Self::Restart(agent.clone())
    }
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
    traffic: Traffic,
    client: Client,
    started: Instant,
    agents: HashSet<EndpointId>,
    /// Where agents share this connection: those who have their own as well.
    crossings: Option<Arc<Crossings>>,
    /// Agents that have come from their own connection or gone to it, and until when they are heard on both; and
    /// the same by time.
    between: HashMap<EndpointId, Instant>,
    until: VecDeque<(Instant, EndpointId)>,
    /// Agents whose Connect records are still to go out since the connection came up.
    greet: VecDeque<EndpointId>,
    /// What agents say before the connection is up: agent, controller, record.
    held: VecDeque<(EndpointId, EndpointId, Bytes)>,
    /// Agents that are here, and still have something to say over the connection that they come from.
    coming: HashSet<EndpointId>,
    /// The agent whose connection this was, while it has something to say here.
    handover: Option<Handover>,
    /// Where a controller wants its answers (R-MQTT.26), where that is not its configured topic.
    replies: HashMap<(EndpointId, EndpointId), String>,
    /// Where the broker wants answers to this client to go (R-MQTT.21).
    response_information: Option<String>,
    /// What has been told asks for another connection.
    again: bool,
    /// What was told after that, for the other connection.
    later: Vec<Command>,
    /// Bulk data reports whose end somebody waits for.
    reports: Reports,
}

impl Connection {
    /// Starts the connection of one agent.
    fn own(shared: &Arc<Shared>, config: Arc<MqttConfig>, agent: &EndpointId) -> Link<Command> {
        let prefix = config.topic_prefix.clone();
        Self::start(shared, config, Some(agent.clone()), agent.as_str().to_owned(), prefix, None)
    }

    /// Starts one of the shared connections.
    pub fn shared(
        shared: &Arc<Shared>,
        config: &Arc<MqttConfig>,
        number: usize,
        crossings: &Arc<Crossings>,
    ) -> Link<Command> {
        let prefix = format!("{}/{number}", config.topic_prefix);
        let crossings = Some(Arc::clone(crossings));
        Self::start(shared, Arc::clone(config), None, format!("shared-{number}"), prefix, crossings)
    }

    fn start(
        shared: &Arc<Shared>,
        config: Arc<MqttConfig>,
        owner: Option<EndpointId>,
        name: String,
        prefix: String,
        crossings: Option<Arc<Crossings>>,
    ) -> Link<Command> {
        let waiting = if owner.is_some() { OWN_WAITING } else { SHARED_WAITING };
        let (link, commands) = Link::new(shared, waiting);
        let client = Client::new(client_config(&config, owner.as_ref(), &name, &prefix));
        let traffic = Traffic::default();
        link.status.set(|state| state.traffic = Some(traffic.clone()));
        let connection = Self {
            shared: Arc::clone(shared),
            config,
            agents: owner.iter().cloned().collect(),
            owner,
            name,
            prefix,
            commands,
            stop: link.stop.clone(),
            status: link.status.clone(),
            traffic,
            client,
            started: Instant::now(),
            crossings,
            between: HashMap::new(),
            until: VecDeque::new(),
            greet: VecDeque::new(),
            held: VecDeque::new(),
            coming: HashSet::new(),
            handover: None,
            replies: HashMap::new(),
            response_information: None,
            again: false,
            later: Vec::new(),
            reports: Reports::default(),
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
            self.reports.settle(&mut self.client);
            self.greet.clear();
            if lived.was_up {
                backoff.reset();
                self.shared.metrics.mtp_down("mqtt", &self.name, &lived.why);
            }
            if self.stop.is_cancelled() {
                return;
            }
            if std::mem::take(&mut self.again) {
                self.note(|state| {
                    state.phase = Phase::Connecting;
                    state.since = None;
                });
                backoff = self.backoff();
                let later = std::mem::take(&mut self.later);
                later.into_iter().for_each(|command| self.obey(command));
                continue;
            }
            self.traffic.count_error();
            self.note(|state| {
                state.phase = lived.phase;
                state.since = None;
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
            let room = self.client.pending() + self.held.len() < QUEUE_AHEAD;
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
        let tls = tls_of(config.tls.as_ref(), self.owner.as_ref());
        let stream = tokio::select! {
            stream = Stream::connect(&config.host, config.port, tls.as_ref(), CONNECT) => stream,
            () = self.stop.cancelled() => return stopped(false),
        };
        let stream = match stream {
            Ok(stream) => stream,
            Err(error) => {
                return Lived { was_up: false, phase: Phase::Unreachable, why: error.to_string() };
            }
        };
        let codec = Codec { version: config.version, max_packet: MAX_PACKET };
        let mut wire = Wire::new(stream, codec, self.traffic.clone());
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
        let settled_at = self.settle_some(now);
        wire.fill(&mut self.client, now)?;
        self.reports.settle(&mut self.client);
        if wire.is_flushed() {
            *stuck_since = None;
        }
        let since = *stuck_since.get_or_insert(now);
        let stuck_at = if wire.is_flushed() { u64::MAX } else { since + STUCK_MS };
        let deadline = self.client.next_deadline().unwrap_or(u64::MAX).min(stuck_at).min(settled_at);
        let sleep = Duration::from_millis(deadline.saturating_sub(now).min(DAY_MS));
        let room = QUEUE_AHEAD.saturating_sub(self.client.pending() + self.held.len());
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
                    // The last handle is gone: it ends as if it were stopped.
                    self.stop.cancel();
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
                if !self.shared.stop.is_cancelled() {
                    let hearing = tokio::time::timeout(GOODBYE, self.hear_out(wire)).await;
                    hearing.unwrap_or(Ok(()))?;
                }
                self.say_goodbye();
                let now = self.now();
                wire.fill(&mut self.client, now)?;
                return Ok(false);
            }
        }
        for event in events {
            self.happened(event, wire, was_up)?;
        }
        Ok(true)
    }

    /// Waits until all is said, then takes back all subscriptions of a connection that does not come back, as what
    /// the broker would keep for it would be kept for nobody, and takes in what was on its way before: nobody else
    /// may have heard it. What a broker has queued may come after its UNSUBACK.
    async fn hear_out(&mut self, wire: &mut Wire) -> Result<(), String> {
        let mut said = false;
        loop {
            let (now, mut events) = (self.now(), Vec::new());
            if !said && self.client.pending() == 0 {
                said = true;
                self.handover = None;
                self.client.unsubscribe();
            }
            wire.fill(&mut self.client, now)?;
            let patience = if !said || self.client.is_unsubscribing() { GOODBYE } else { LAST_WORDS };
            match tokio::time::timeout(patience, wire.round()).await {
                Err(_) => return Ok(()),
                Ok(Round::Over(why)) => return Err(why),
                Ok(Round::Written) => {}
                Ok(Round::Read) => wire.drain(&mut self.client, now, &mut events)?,
            }
            for event in events {
                self.happened(event, wire, &mut true)?;
            }
        }
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
        self.greet_first();
        self.coming.clear();
        for (agent, controller, record) in std::mem::take(&mut self.held) {
            self.say(&agent, &controller, record);
        }
        self.note(|state| {
            state.phase = Phase::Up;
            state.since = Some(SystemTime::now().into());
            state.retries = 0;
            state.named.clone_from(&self.response_information);
            state.subscribed = up.subscribed;
            if up.assigned_client_id.is_some() {
                state.client_id = up.assigned_client_id;
            }
        });
    }
}

/// How a connection ended.
struct Lived {
    was_up: bool,
    phase: Phase,
    why: String,
}

/// Spreads reconnections of many clients: differs by name and by moment.
fn fastrand(name: &str, started: Instant) -> u32 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    (name, started.elapsed().as_nanos()).hash(&mut hasher);
    u32::try_from(hasher.finish() >> 32).unwrap_or(0)
}

/// Largest packet taken: a record and its topic.
pub(super) const MAX_PACKET: usize = MAX_RECORD + (64 << 10);
/// Records that may wait on an agent's own connection.
pub(super) const OWN_WAITING: usize = 128;
/// Records that may wait on a shared connection.
pub(super) const SHARED_WAITING: usize = 8_192;
/// Messages handed to the client ahead of the broker's acknowledgements.
const QUEUE_AHEAD: usize = 64;
const CONNECT: Duration = Duration::from_secs(10);
/// Time for the broker to confirm that nothing is subscribed to any more.
const GOODBYE: Duration = Duration::from_secs(2);
/// How long nothing may come after that before all has come.
const LAST_WORDS: Duration = Duration::from_millis(100);
/// How long the broker may not read before the connection is given up.
const STUCK_MS: u64 = 30_000;
const DAY_MS: u64 = 86_400_000;
