//! Which agent speaks over which connection.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dashmap::DashMap;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::agent::LinkState;
use crate::identity::EndpointId;
use crate::mtp::{AgentSide, LinkStatus};
use crate::net::{HttpUrl, TlsClient};
use crate::observe::Metrics;

use super::connection::{Command, Connection};

/// A controller that takes WebSocket connections.
#[derive(Clone)]
pub struct WebSocketConfig {
    pub controller: EndpointId,
    /// Its resource; the agent's endpoint id is added to the query (R-WS.10b).
    pub url: HttpUrl,
    pub tls: Option<TlsClient>,
    /// How often a Ping goes out (R-WS.18); a connection that stays silent for twice as long is dropped.
    pub ping: Duration,
    /// Waits between tries to connect, in milliseconds: the first and the longest (R-WS.19).
    pub retry_ms: (u64, u64),
    /// By how much waits grow, in thousandths.
    pub retry_multiplier: u64,
}

/// The agents of one controller.
pub struct WebSocket {
    shared: Arc<Shared>,
    config: Arc<WebSocketConfig>,
    connections: DashMap<EndpointId, WebSocketLink>,
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
pub struct WebSocketLink {
    commands: mpsc::Sender<Command>,
    stop: CancellationToken,
    status: LinkStatus,
}

impl WebSocketLink {
    pub fn start(
        agent: &EndpointId,
        config: Arc<WebSocketConfig>,
        side: Arc<dyn AgentSide>,
        metrics: Arc<Metrics>,
        stop: &CancellationToken,
    ) -> Self {
        Self::new(&Arc::new(Shared { side, metrics, stop: stop.clone() }), config, agent)
    }

    fn new(shared: &Arc<Shared>, config: Arc<WebSocketConfig>, agent: &EndpointId) -> Self {
        let (sender, commands) = mpsc::channel(WAITING);
        let (stop, status) = (shared.stop.child_token(), LinkStatus::default());
        let connection = Connection {
            shared: Arc::clone(shared),
            config,
            agent: agent.clone(),
            commands,
            stop: stop.clone(),
            status: status.clone(),
            next: None,
            waiting: VecDeque::new(),
            again: false,
        };
        tokio::spawn(connection.run());
        Self { commands: sender, stop, status }
    }

    /// Sends a record. Whether there was room for it.
    #[must_use]
    pub fn send(&self, record: Bytes) -> bool {
        self.tell(Command::Send(record))
    }

    /// Goes on by another configuration, over a new connection where it is for another place.
    #[must_use]
    pub fn adapt(&self, config: Arc<WebSocketConfig>) -> bool {
        self.tell(Command::Adapt(config))
    }

    /// The agent has restarted: it connects anew before it says anything more.
    #[must_use]
    pub fn restart(&self) -> bool {
        self.tell(Command::Restart)
    }

    /// Ends the connection: the controller is told.
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

impl WebSocket {
    pub fn new(
        config: WebSocketConfig,
        side: Arc<dyn AgentSide>,
        metrics: Arc<Metrics>,
        stop: CancellationToken,
    ) -> Self {
        let shared = Arc::new(Shared { side, metrics, stop });
        Self { shared, config: Arc::new(config), connections: DashMap::new() }
    }

    /// This agent exists: it connects to the controller from now on.
    pub fn attach(&self, agent: &EndpointId) {
        self.link(agent);
    }

    /// This agent goes its own ways from now on: its connection is given away to be adapted.
    pub fn release(&self, agent: &EndpointId) -> Option<WebSocketLink> {
        self.connections.remove(agent).map(|(_, link)| link)
    }

    /// Takes a connection back that was given away.
    pub fn adopt(&self, agent: &EndpointId, link: WebSocketLink) {
        if link.adapt(Arc::clone(&self.config)) {
            self.connections.insert(agent.clone(), link);
        } else {
            link.stop();
        }
    }

    /// Sends a record. It is dropped, with a line in the log, where too much waits for the controller.
    pub fn send(&self, agent: &EndpointId, record: Bytes) {
        if !self.link(agent).send(record) {
            self.shared.metrics.usp_dropped(agent.as_str(), "too much waits for the controller");
        }
    }

    /// This agent has restarted: it connects anew before it says anything more.
    pub fn restart(&self, agent: &EndpointId) {
        if !self.link(agent).restart() {
            self.shared.metrics.usp_dropped(agent.as_str(), "too much waits for the controller");
        }
    }

    /// What is known of the agent's connection.
    pub fn state(&self, agent: &EndpointId) -> Option<LinkState> {
        self.connections.get(agent).map(|link| link.state())
    }

    fn link(&self, agent: &EndpointId) -> WebSocketLink {
        let slot = self.connections.entry(agent.clone());
        slot.or_insert_with(|| WebSocketLink::new(&self.shared, Arc::clone(&self.config), agent)).clone()
    }
}

/// Records that may wait for one connection.
pub(super) const WAITING: usize = 128;
