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
}

/// The agents at one broker.
pub struct Mqtt {
    shared: Arc<Shared>,
    own: DashMap<EndpointId, mpsc::Sender<Command>>,
    few: Vec<mpsc::Sender<Command>>,
}

/// What all connections to one broker have in common.
pub(super) struct Shared {
    pub config: MqttConfig,
    pub side: Arc<dyn AgentSide>,
    pub metrics: Arc<Metrics>,
    pub stop: CancellationToken,
}

impl Mqtt {
    /// Starts the shared connections, if there are any; those of single agents start with them.
    pub fn start(
        config: MqttConfig,
        side: Arc<dyn AgentSide>,
        metrics: Arc<Metrics>,
        stop: CancellationToken,
    ) -> Self {
        let shared = Arc::new(Shared { config, side, metrics, stop });
        let few = match shared.config.sharing {
            Sharing::PerAgent => Vec::new(),
            Sharing::Shared(count) => {
                (0..count.max(1)).map(|number| Connection::shared(&shared, number)).collect()
            }
        };
        Self { shared, own: DashMap::new(), few }
    }

    /// This agent exists: controllers can reach it from now on.
    pub fn attach(&self, agent: &EndpointId) {
        let mut known = true;
        let sender = self.sender(agent, &mut known);
        if !known || !self.few.is_empty() {
            self.tell(agent, &sender, Command::Attach(agent.clone()));
        }
    }

    /// Sends a record. It is dropped, with a line in the log, where too much waits for the broker.
    pub fn send(&self, agent: &EndpointId, controller: &EndpointId, record: Bytes) {
        let mut known = true;
        let sender = self.sender(agent, &mut known);
        let command = Command::Send { agent: agent.clone(), controller: controller.clone(), record };
        self.tell(agent, &sender, command);
    }

    /// This agent has restarted: it connects anew before it says anything more. On a shared connection only
    /// its Disconnect and Connect records say so.
    pub fn restart(&self, agent: &EndpointId) {
        let mut known = true;
        let sender = self.sender(agent, &mut known);
        if known {
            self.tell(agent, &sender, Command::Restart(agent.clone()));
        }
    }

    fn tell(&self, agent: &EndpointId, sender: &mpsc::Sender<Command>, command: Command) {
        if sender.try_send(command).is_err() {
            self.shared.metrics.usp_dropped(agent.as_str(), "too much waits for the broker");
        }
    }

    fn sender(&self, agent: &EndpointId, known: &mut bool) -> mpsc::Sender<Command> {
        if self.few.is_empty() {
            let slot = self.own.entry(agent.clone());
            return slot
                .or_insert_with(|| {
                    *known = false;
                    Connection::own(&self.shared, agent)
                })
                .clone();
        }
        let index = share_of(agent, self.few.len());
        self.few[index].clone()
    }
}

/// The shared connection of an agent: FNV-1a of its endpoint id, 64 bits, modulo the number of connections.
/// It is part of the agent's topic, so it must be the same in every release.
fn share_of(agent: &EndpointId, count: usize) -> usize {
    let hash = agent.as_str().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let count = u64::try_from(count.max(1)).unwrap_or(1);
    usize::try_from(hash % count).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_an_agent_never_moves() {
        let share = |id: &str| share_of(&EndpointId::parse(id).unwrap(), 4);
        let shares = ["ops::00256D-A-1", "ops::00256D-A-2", "ops::00256D-A-3", "ops::00256D-A-4"].map(share);
        assert_eq!(shares, SHARES);
    }

    /// Computed by another implementation of FNV-1a.
    const SHARES: [usize; 4] = [0, 1, 2, 3];
}
