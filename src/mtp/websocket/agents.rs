//! Which agent speaks over which connection.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dashmap::DashMap;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::identity::EndpointId;
use crate::mtp::AgentSide;
use crate::net::{HttpUrl, TlsClient};
use crate::observe::Metrics;

use super::connection;

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
}

/// What a connection is told.
pub(super) enum Command {
    Send(Bytes),
    /// Close it, and come back.
    Restart,
}

/// The agents of one controller.
pub struct WebSocket {
    shared: Arc<Shared>,
    connections: DashMap<EndpointId, mpsc::Sender<Command>>,
}

/// What all connections to one controller have in common.
pub(super) struct Shared {
    pub config: WebSocketConfig,
    pub side: Arc<dyn AgentSide>,
    pub metrics: Arc<Metrics>,
    pub stop: CancellationToken,
}

impl WebSocket {
    pub fn new(
        config: WebSocketConfig,
        side: Arc<dyn AgentSide>,
        metrics: Arc<Metrics>,
        stop: CancellationToken,
    ) -> Self {
        Self { shared: Arc::new(Shared { config, side, metrics, stop }), connections: DashMap::new() }
    }

    /// This agent exists: it connects to the controller from now on.
    pub fn attach(&self, agent: &EndpointId) {
        self.sender(agent);
    }

    /// Sends a record. It is dropped, with a line in the log, where too much waits for the controller.
    pub fn send(&self, agent: &EndpointId, record: Bytes) {
        self.tell(agent, Command::Send(record));
    }

    /// This agent has restarted: it connects anew before it says anything more.
    pub fn restart(&self, agent: &EndpointId) {
        self.tell(agent, Command::Restart);
    }

    fn tell(&self, agent: &EndpointId, command: Command) {
        if self.sender(agent).try_send(command).is_err() {
            self.shared.metrics.usp_dropped(agent.as_str(), "too much waits for the controller");
        }
    }

    fn sender(&self, agent: &EndpointId) -> mpsc::Sender<Command> {
        let slot = self.connections.entry(agent.clone());
        slot.or_insert_with(|| {
            let (sender, commands) = mpsc::channel(WAITING);
            tokio::spawn(connection::run(Arc::clone(&self.shared), agent.clone(), commands));
            sender
        })
        .clone()
    }
}

/// Records that may wait for one connection.
const WAITING: usize = 128;
