//! What the connections of all MTPs have in common: a task each, which is told what to do, and those of single
//! agents by their agent.

use std::sync::Arc;

use bytes::Bytes;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio_util::sync::CancellationToken;

use crate::agent::LinkState;
use crate::identity::EndpointId;
use crate::observe::Metrics;

use super::contract::{AgentSide, LinkStatus};

/// What all connections of an MTP are made with.
pub struct Shared {
    pub(super) side: Arc<dyn AgentSide>,
    pub(super) metrics: Arc<Metrics>,
    /// The gateway stops.
    pub(super) stop: CancellationToken,
}

/// What the task of a connection can be told, whatever its MTP.
pub trait Command: Sized + Send + 'static {
    type Config: Send + Sync + 'static;
    /// Why a record is dropped that finds no room.
    const NO_ROOM: &'static str;

    /// Starts a connection that is one agent's alone.
    fn connect(shared: &Arc<Shared>, config: Arc<Self::Config>, agent: &EndpointId) -> Link<Self>;
    fn send(agent: &EndpointId, controller: &EndpointId, record: Bytes) -> Self;
    /// Go on by another configuration: at once as far as a connection can, else over a new one.
    fn adapt(config: Arc<Self::Config>) -> Self;
    /// The agent has restarted: connect anew before anything more is said.
    fn restart(agent: &EndpointId) -> Self;
}

/// One connection, as those see it who use it; cloning shares.
pub struct Link<C> {
    commands: mpsc::Sender<C>,
    pub(super) stop: CancellationToken,
    pub(super) status: LinkStatus,
}

impl<C> Clone for Link<C> {
    fn clone(&self) -> Self {
        let Self { commands, stop, status } = self;
        Self { commands: commands.clone(), stop: stop.clone(), status: status.clone() }
    }
}

impl<C: Command> Link<C> {
    /// Starts the connection of an agent that has its own ways.
    pub fn start(
        agent: &EndpointId,
        config: Arc<C::Config>,
        side: Arc<dyn AgentSide>,
        metrics: Arc<Metrics>,
        stop: &CancellationToken,
    ) -> Self {
        C::connect(&Arc::new(Shared { side, metrics, stop: stop.clone() }), config, agent)
    }

    /// A connection that has still to be made, and what it will be told; so many commands may wait.
    pub(super) fn new(shared: &Shared, waiting: usize) -> (Self, mpsc::Receiver<C>) {
        let (commands, receiver) = mpsc::channel(waiting);
        (Self { commands, stop: shared.stop.child_token(), status: LinkStatus::default() }, receiver)
    }

    /// Sends a record. Whether there was room for it.
    #[must_use]
    pub fn send(&self, agent: &EndpointId, controller: &EndpointId, record: Bytes) -> bool {
        self.tell(C::send(agent, controller, record))
    }

    /// Goes on by another configuration.
    #[must_use]
    pub fn adapt(&self, config: Arc<C::Config>) -> bool {
        self.tell(C::adapt(config))
    }

    /// The agent has restarted: it connects anew before it says anything more.
    #[must_use]
    pub fn restart(&self, agent: &EndpointId) -> bool {
        self.tell(C::restart(agent))
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

    pub(super) fn tell(&self, command: C) -> bool {
        self.commands.try_send(command).is_ok()
    }

    /// Tells it something that must not get lost: waits for room beside whoever tells it.
    pub(super) fn insist(&self, command: C) {
        let (Err(TrySendError::Full(command)), Ok(runtime)) =
            (self.commands.try_send(command), Handle::try_current())
        else {
            return;
        };
        let commands = self.commands.clone();
        runtime.spawn(async move { commands.send(command).await.is_ok() });
    }
}

/// The connections that agents have each for itself at one place of the configuration.
pub struct Own<C: Command> {
    shared: Arc<Shared>,
    config: Arc<C::Config>,
    links: DashMap<EndpointId, Link<C>>,
}

impl<C: Command> Own<C> {
    pub fn new(
        config: C::Config,
        side: Arc<dyn AgentSide>,
        metrics: Arc<Metrics>,
        stop: CancellationToken,
    ) -> Self {
        Self::of(Arc::new(Shared { side, metrics, stop }), Arc::new(config))
    }

    pub(super) fn of(shared: Arc<Shared>, config: Arc<C::Config>) -> Self {
        Self { shared, config, links: DashMap::new() }
    }

    /// This agent exists: it can be reached from now on.
    pub fn attach(&self, agent: &EndpointId) {
        self.link(agent);
    }

    /// This agent goes its own ways from now on: its connection is given away to be adapted.
    pub fn release(&self, agent: &EndpointId) -> Option<Link<C>> {
        self.links.remove(agent).map(|(_, link)| link)
    }

    /// Takes a connection back that was given away.
    pub fn adopt(&self, agent: &EndpointId, link: Link<C>) {
        if link.adapt(Arc::clone(&self.config)) {
            self.links.insert(agent.clone(), link);
        } else {
            link.stop();
        }
    }

    /// Sends a record. It is dropped, with a line in the log, where too much waits.
    pub fn send(&self, agent: &EndpointId, controller: &EndpointId, record: Bytes) {
        if !self.link(agent).send(agent, controller, record) {
            self.shared.metrics.usp_dropped(agent.as_str(), C::NO_ROOM);
        }
    }

    /// This agent has restarted: it connects anew before it says anything more.
    pub fn restart(&self, agent: &EndpointId) {
        let known = match self.links.entry(agent.clone()) {
            Entry::Occupied(slot) => slot.get().clone(),
            // It connects for the first time.
            Entry::Vacant(slot) => {
                slot.insert(C::connect(&self.shared, Arc::clone(&self.config), agent));
                return;
            }
        };
        if !known.restart(agent) {
            self.shared.metrics.usp_dropped(agent.as_str(), C::NO_ROOM);
        }
    }

    /// What is known of the agent's connection.
    pub fn state(&self, agent: &EndpointId) -> Option<LinkState> {
        self.links.get(agent).map(|link| link.state())
    }

    pub(super) fn link(&self, agent: &EndpointId) -> Link<C> {
        let slot = self.links.entry(agent.clone());
        slot.or_insert_with(|| C::connect(&self.shared, Arc::clone(&self.config), agent)).clone()
    }
}
