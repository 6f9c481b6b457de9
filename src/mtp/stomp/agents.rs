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

use super::connection::{Command, Connection};

/// One broker.
#[derive(Clone)]
pub struct StompConfig {
    pub host: String,
    pub port: u16,
    pub tls: Option<TlsClient>,
    pub login: Option<(String, String)>,
    /// The virtual host on the broker (R-STOMP.5).
    pub virtual_host: Option<String>,
    /// Destinations of agents begin with this; empty where the broker names them (R-STOMP.6).
    pub destination_prefix: String,
    /// Controllers at this broker and the destinations they listen on.
    pub controllers: Vec<(EndpointId, String)>,
    /// How often we say something and how often the broker should, in milliseconds; 0 is never (R-STOMP.10).
    pub heart_beat_ms: (u64, u64),
    /// Waits between tries to connect, in milliseconds: the first and the longest (R-STOMP.7).
    pub retry_ms: (u64, u64),
    /// By how much waits grow, in thousandths.
    pub retry_multiplier: u64,
    /// The destination that the agent's objects say, where it does not follow from the prefix; may be empty.
    pub own_destination: Option<String>,
}

/// The agents at one broker.
pub struct Stomp {
    shared: Arc<Shared>,
    config: Arc<StompConfig>,
    connections: DashMap<EndpointId, StompLink>,
}

/// What all connections have in common.
pub(super) struct Shared {
    pub side: Arc<dyn AgentSide>,
    pub metrics: Arc<Metrics>,
    /// The gateway stops.
    pub stop: CancellationToken,
}

/// The connection of one agent, as those see it who use it; cloning shares.
#[derive(Clone)]
pub struct StompLink {
    commands: mpsc::Sender<Command>,
    stop: CancellationToken,
    status: LinkStatus,
}

impl StompLink {
    pub fn start(
        agent: &EndpointId,
        config: Arc<StompConfig>,
        side: Arc<dyn AgentSide>,
        metrics: Arc<Metrics>,
        stop: &CancellationToken,
    ) -> Self {
        Connection::start(&Arc::new(Shared { side, metrics, stop: stop.clone() }), config, agent)
    }

    pub(super) fn new(commands: mpsc::Sender<Command>, stop: CancellationToken, status: LinkStatus) -> Self {
        Self { commands, stop, status }
    }

    /// Sends a record. Whether there was room for it.
    #[must_use]
    pub fn send(&self, controller: &EndpointId, record: Bytes) -> bool {
        self.tell(Command::Send { controller: controller.clone(), record })
    }

    /// Goes on by another configuration: at once as far as a connection can, else over a new connection.
    #[must_use]
    pub fn adapt(&self, config: Arc<StompConfig>) -> bool {
        self.tell(Command::Adapt(config))
    }

    /// The agent has restarted: it connects anew before it says anything more.
    #[must_use]
    pub fn restart(&self) -> bool {
        self.tell(Command::Restart)
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

impl Stomp {
    pub fn new(
        config: StompConfig,
        side: Arc<dyn AgentSide>,
        metrics: Arc<Metrics>,
        stop: CancellationToken,
    ) -> Self {
        let shared = Arc::new(Shared { side, metrics, stop });
        Self { shared, config: Arc::new(config), connections: DashMap::new() }
    }

    /// This agent exists: controllers can reach it from now on.
    pub fn attach(&self, agent: &EndpointId) {
        self.link(agent);
    }

    /// This agent goes its own ways from now on: its connection is given away to be adapted.
    pub fn release(&self, agent: &EndpointId) -> Option<StompLink> {
        self.connections.remove(agent).map(|(_, link)| link)
    }

    /// Takes a connection back that was given away.
    pub fn adopt(&self, agent: &EndpointId, link: StompLink) {
        if link.adapt(Arc::clone(&self.config)) {
            self.connections.insert(agent.clone(), link);
        } else {
            link.stop();
        }
    }

    /// Sends a record. It is dropped, with a line in the log, where too much waits for the broker.
    pub fn send(&self, agent: &EndpointId, controller: &EndpointId, record: Bytes) {
        if !self.link(agent).send(controller, record) {
            self.shared.metrics.usp_dropped(agent.as_str(), "too much waits for the broker");
        }
    }

    /// This agent has restarted: it connects anew before it says anything more.
    pub fn restart(&self, agent: &EndpointId) {
        if !self.link(agent).restart() {
            self.shared.metrics.usp_dropped(agent.as_str(), "too much waits for the broker");
        }
    }

    /// What is known of the agent's connection.
    pub fn state(&self, agent: &EndpointId) -> Option<LinkState> {
        self.connections.get(agent).map(|link| link.state())
    }

    fn link(&self, agent: &EndpointId) -> StompLink {
        let slot = self.connections.entry(agent.clone());
        slot.or_insert_with(|| Connection::start(&self.shared, Arc::clone(&self.config), agent)).clone()
    }
}
