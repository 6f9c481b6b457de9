//! Which agent speaks over which connection.

use std::sync::Arc;

use bytes::Bytes;
use dashmap::DashMap;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::identity::EndpointId;
use crate::mtp::AgentSide;
use crate::net::TlsClient;
use crate::observe::Metrics;

use super::connection::{Connection, Outgoing};

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
}

/// The agents at one broker.
pub struct Stomp {
    shared: Arc<Shared>,
    connections: DashMap<EndpointId, mpsc::Sender<Outgoing>>,
}

/// What all connections to one broker have in common.
pub(super) struct Shared {
    pub config: StompConfig,
    pub side: Arc<dyn AgentSide>,
    pub metrics: Arc<Metrics>,
    pub stop: CancellationToken,
}

impl Stomp {
    pub fn new(
        config: StompConfig,
        side: Arc<dyn AgentSide>,
        metrics: Arc<Metrics>,
        stop: CancellationToken,
    ) -> Self {
        Self { shared: Arc::new(Shared { config, side, metrics, stop }), connections: DashMap::new() }
    }

    /// This agent exists: controllers can reach it from now on.
    pub fn attach(&self, agent: &EndpointId) {
        self.sender(agent);
    }

    /// Sends a record. It is dropped, with a line in the log, where too much waits for the broker.
    pub fn send(&self, agent: &EndpointId, controller: &EndpointId, record: Bytes) {
        self.tell(agent, Outgoing::Record { controller: controller.clone(), record });
    }

    /// This agent has restarted: it connects anew before it says anything more.
    pub fn restart(&self, agent: &EndpointId) {
        self.tell(agent, Outgoing::Restart);
    }

    fn tell(&self, agent: &EndpointId, outgoing: Outgoing) {
        if self.sender(agent).try_send(outgoing).is_err() {
            self.shared.metrics.usp_dropped(agent.as_str(), "too much waits for the broker");
        }
    }

    fn sender(&self, agent: &EndpointId) -> mpsc::Sender<Outgoing> {
        let slot = self.connections.entry(agent.clone());
        slot.or_insert_with(|| Connection::start(&self.shared, agent)).clone()
    }
}
