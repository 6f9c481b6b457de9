//! Which agent speaks over which connection.

use std::sync::Arc;

use bytes::Bytes;
use dashmap::DashMap;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::agent::LinkState;
use crate::identity::EndpointId;
use crate::mtp::{AgentSide, LinkStatus};
use crate::net::TlsClient;
use crate::observe::Metrics;
use crate::transport::mqtt::Version;

use super::connection::{Command, Connection};

/// How agents share connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Each agent has its own, with its own client id: any USP broker takes that.
    PerAgent,
    /// This many connections for all agents, each with a wildcard subscription: for a broker of the
    /// operator's own and for large fleets.
    Shared(usize),
}

/// One broker.
#[derive(Clone)]
pub struct MqttConfig {
    pub host: String,
    pub port: u16,
    pub tls: Option<TlsClient>,
    pub version: Version,
    pub login: Option<(String, String)>,
    pub sharing: Sharing,
    /// Client ids begin with this; the agent's endpoint id or the connection's number follows.
    pub client_id_prefix: String,
    /// Topics of agents begin with this.
    pub topic_prefix: String,
    /// Controllers at this broker and the topics they listen on.
    pub controllers: Vec<(EndpointId, String)>,
    /// In seconds.
    pub keep_alive: u16,
    /// Waits between tries to connect, in milliseconds: the first and the longest.
    pub retry_ms: (u64, u64),
    /// By how much waits grow, in thousandths.
    pub retry_multiplier: u64,
    /// What an agent's objects say, where it does not follow from the above.
    pub own: Option<OwnNames>,
}

/// How one agent is known at a broker by its own objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnNames {
    /// Empty: the broker gives one (R-MQTT.8).
    pub client_id: String,
    pub clean: bool,
    /// In seconds.
    pub session_expiry: u32,
    /// Topic filters and their QoS.
    pub filters: Vec<(String, u8)>,
    /// Where answers shall go, unless the broker says otherwise; may be empty.
    pub reply_topic: String,
    /// Of what is published.
    pub qos: u8,
}

/// The agents at one broker.
pub struct Mqtt {
    shared: Arc<Shared>,
    config: Arc<MqttConfig>,
    own: DashMap<EndpointId, MqttLink>,
    few: Vec<MqttLink>,
}

/// What all connections have in common.
pub(super) struct Shared {
    pub side: Arc<dyn AgentSide>,
    pub metrics: Arc<Metrics>,
    /// The gateway stops.
    pub stop: CancellationToken,
}

/// One connection, as those see it who use it; cloning shares.
#[derive(Clone)]
pub struct MqttLink {
    commands: mpsc::Sender<Command>,
    stop: CancellationToken,
    status: LinkStatus,
}

impl MqttLink {
    /// Starts a connection that is this agent's alone.
    pub fn start(
        agent: &EndpointId,
        config: Arc<MqttConfig>,
        side: Arc<dyn AgentSide>,
        metrics: Arc<Metrics>,
        stop: &CancellationToken,
    ) -> Self {
        let shared = Arc::new(Shared { side, metrics, stop: stop.clone() });
        Connection::own(&shared, config, agent)
    }

    pub(super) fn new(commands: mpsc::Sender<Command>, stop: CancellationToken, status: LinkStatus) -> Self {
        Self { commands, stop, status }
    }

    /// Sends a record. Whether there was room for it.
    #[must_use]
    pub fn send(&self, agent: &EndpointId, controller: &EndpointId, record: Bytes) -> bool {
        self.tell(Command::Send { agent: agent.clone(), controller: controller.clone(), record })
    }

    /// Goes on by another configuration: at once as far as a connection can, else over a new connection.
    #[must_use]
    pub fn adapt(&self, config: Arc<MqttConfig>) -> bool {
        self.tell(Command::Adapt(config))
    }

    /// The agent has restarted: it connects anew before it says anything more.
    #[must_use]
    pub fn restart(&self, agent: &EndpointId) -> bool {
        self.tell(Command::Restart(agent.clone()))
    }

    /// Ends the connection: controllers are told.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    pub fn state(&self) -> LinkState {
        self.status.get()
    }

    pub fn is_up(&self) -> bool {
        self.status.is_up()
    }

    fn tell(&self, command: Command) -> bool {
        self.commands.try_send(command).is_ok()
    }
}

impl Mqtt {
    /// Starts the shared connections, if there are any; those of single agents start with them.
    pub fn start(
        config: MqttConfig,
        side: Arc<dyn AgentSide>,
        metrics: Arc<Metrics>,
        stop: CancellationToken,
    ) -> Self {
        let shared = Arc::new(Shared { side, metrics, stop });
        let config = Arc::new(config);
        let few = match config.sharing {
            Sharing::PerAgent => Vec::new(),
            Sharing::Shared(count) => {
                (0..count.max(1)).map(|number| Connection::shared(&shared, &config, number)).collect()
            }
        };
        Self { shared, config, own: DashMap::new(), few }
    }

    /// This agent exists: controllers can reach it from now on.
    pub fn attach(&self, agent: &EndpointId) {
        let mut known = true;
        let link = self.link(agent, &mut known);
        if (!known || !self.few.is_empty()) && !link.tell(Command::Attach(agent.clone())) {
            self.shared.metrics.usp_dropped(agent.as_str(), TOO_MUCH);
        }
    }

    /// This agent goes its own ways from now on. If it has a connection of its own here, that is given away
    /// to be adapted.
    pub fn release(&self, agent: &EndpointId) -> Option<MqttLink> {
        self.own.remove(agent).map(|(_, link)| link)
    }

    /// Whether agents share connections here.
    pub fn is_shared(&self) -> bool {
        !self.few.is_empty()
    }

    /// This agent is not met over a shared connection any more. Those of its controllers are told that it
    /// leaves that do not meet it at this broker otherwise.
    pub fn detach(&self, agent: &EndpointId, host: &str, port: u16, met: &[EndpointId]) {
        if self.few.is_empty() {
            return;
        }
        let stays =
            if (host, port) == (&self.config.host, self.config.port) { met.to_vec() } else { Vec::new() };
        let _ = self.few[agent.share_of(self.few.len())].tell(Command::Detach(agent.clone(), stays));
    }

    /// Takes a connection back that was given away, if agents have connections of their own here.
    pub fn adopt(&self, agent: &EndpointId, link: MqttLink) {
        if self.few.is_empty() && link.adapt(Arc::clone(&self.config)) {
            self.own.insert(agent.clone(), link);
        } else {
            // Its controllers go on to meet it, over a shared connection.
            let _ = link.tell(Command::Retire);
            link.stop();
        }
    }

    /// Sends a record. It is dropped, with a line in the log, where too much waits for the broker.
    pub fn send(&self, agent: &EndpointId, controller: &EndpointId, record: Bytes) {
        if !self.link(agent, &mut true).send(agent, controller, record) {
            self.shared.metrics.usp_dropped(agent.as_str(), TOO_MUCH);
        }
    }

    /// This agent has restarted: it connects anew before it says anything more. On a shared connection only
    /// its Disconnect and Connect records say so.
    pub fn restart(&self, agent: &EndpointId) {
        let mut known = true;
        let link = self.link(agent, &mut known);
        if known && !link.restart(agent) {
            self.shared.metrics.usp_dropped(agent.as_str(), TOO_MUCH);
        }
    }

    /// What is known of the agent's connection.
    pub fn state(&self, agent: &EndpointId) -> Option<LinkState> {
        if self.few.is_empty() {
            return self.own.get(agent).map(|link| link.state());
        }
        // Client id and granted topics of a shared connection are no single agent's.
        let state = self.few[agent.share_of(self.few.len())].state();
        let subscribed = vec![super::topics::agent_filter(&self.config, agent)];
        Some(LinkState { subscribed, client_id: None, named: None, ..state })
    }

    fn link(&self, agent: &EndpointId, known: &mut bool) -> MqttLink {
        if self.few.is_empty() {
            let slot = self.own.entry(agent.clone());
            return slot
                .or_insert_with(|| {
                    *known = false;
                    Connection::own(&self.shared, Arc::clone(&self.config), agent)
                })
                .clone();
        }
        self.few[agent.share_of(self.few.len())].clone()
    }
}

const TOO_MUCH: &str = "too much waits for the broker";
