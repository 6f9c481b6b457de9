//! Which agent speaks over which connection.

use std::sync::Arc;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::agent::{LinkState, Publication};
use crate::identity::EndpointId;
use crate::mtp::AgentSide;
use crate::mtp::link::{Command as _, Link, Own, Shared};
use crate::observe::Metrics;

use super::config::{MqttConfig, Sharing};
use super::connection::{Command, Connection};
use super::crossing::{Crossing, Crossings};
use super::reports::Delivery;

/// The agents at one broker.
pub struct Mqtt {
    shared: Arc<Shared>,
    config: Arc<MqttConfig>,
    own: Own<Command>,
    /// Empty where each agent has its own.
    few: Vec<Link<Command>>,
    crossings: Arc<Crossings>,
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
        let crossings = Arc::new(Crossings::default());
        let begin = |number| Connection::shared(&shared, &config, number, &crossings);
        let few = match config.sharing {
            Sharing::PerAgent => Vec::new(),
            Sharing::Shared(count) => (0..count.max(1)).map(begin).collect(),
        };
        let own = Own::of(Arc::clone(&shared), Arc::clone(&config));
        Self { shared, config, own, few, crossings }
    }

    /// This agent exists: controllers can reach it from now on.
    pub fn attach(&self, agent: &EndpointId) {
        match self.share_of(agent) {
            Some(link) => self.tell(link, agent, Command::Attach(agent.clone())),
            None => self.own.attach(agent),
        }
    }

    /// This agent goes its own ways from now on. If it has a connection of its own here, that is given away
    /// to be adapted.
    pub fn release(&self, agent: &EndpointId) -> Option<Link<Command>> {
        self.own.release(agent)
    }

    /// Whether agents share connections here.
    pub fn is_shared(&self) -> bool {
        !self.few.is_empty()
    }

    /// What an agent hears on the shared connection from now on, and on its own as soon as that has this; to be
    /// had before the agent's own begins.
    pub fn crossing(&self, agent: &EndpointId) -> Option<Crossing> {
        self.is_shared().then(|| self.crossings.of(agent))
    }

    /// This agent is not met over a shared connection any more, whose last words are still heard. Those of its
    /// controllers are told that it leaves that do not meet it at this broker otherwise.
    pub fn detach(&self, agent: &EndpointId, host: &str, port: u16, met: &[EndpointId]) {
        let Some(link) = self.share_of(agent) else { return };
        let stays =
            if (host, port) == (&self.config.host, self.config.port) { met.to_vec() } else { Vec::new() };
        let _ = link.tell(Command::Detach(agent.clone(), stays));
    }

    /// Takes a connection back that was given away, if agents have connections of their own here.
    pub fn adopt(&self, agent: &EndpointId, link: Link<Command>) {
        match self.share_of(agent) {
            Some(shared) if shared.tell(Command::Adopt(agent.clone(), link.clone(), shared.clone())) => {}
            Some(_) => {
                self.shared.metrics.usp_dropped(agent.as_str(), Command::NO_ROOM);
                link.stop();
            }
            None => self.own.adopt(agent, link),
        }
    }

    /// Sends a record. It is dropped, with a line in the log, where too much waits for the broker.
    pub fn send(&self, agent: &EndpointId, controller: &EndpointId, record: Bytes) {
        match self.share_of(agent) {
            Some(link) => self.tell(link, agent, Command::send(agent, controller, record)),
            None => self.own.send(agent, controller, record),
        }
    }

    /// Publishes a bulk data report; what becomes of it comes later.
    pub fn report(&self, agent: &EndpointId, publication: Publication, body: Bytes) -> Delivery {
        let shared = self.share_of(agent).map(|link| link.report(publication.clone(), body.clone()));
        shared.unwrap_or_else(|| self.own.link(agent).report(publication, body))
    }

    /// This agent has restarted: it connects anew before it says anything more. On a shared connection only
    /// its Disconnect and Connect records say so.
    pub fn restart(&self, agent: &EndpointId) {
        match self.share_of(agent) {
            Some(link) => self.tell(link, agent, Command::restart(agent)),
            None => self.own.restart(agent),
        }
    }

    /// What is known of the agent's connection.
    pub fn state(&self, agent: &EndpointId) -> Option<LinkState> {
        let Some(link) = self.share_of(agent) else { return self.own.state(agent) };
        // Client id and granted topics of a shared connection are no single agent's.
        let subscribed = vec![super::topics::agent_filter(&self.config, agent)];
        Some(LinkState { subscribed, client_id: None, named: None, ..link.state() })
    }

    /// The shared connection that the agent is on.
    fn share_of(&self, agent: &EndpointId) -> Option<&Link<Command>> {
        self.few.get(agent.share_of(self.few.len().max(1)))
    }

    fn tell(&self, link: &Link<Command>, agent: &EndpointId, command: Command) {
        if !link.tell(command) {
            self.shared.metrics.usp_dropped(agent.as_str(), Command::NO_ROOM);
        }
    }
}
