//! Which MTP leads to which controller: those of the configuration, which agents share, and those that an
//! agent's own objects ask for.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use dashmap::{DashMap, DashSet};

use crate::agent::{LinkKey, LinkState, Publication, Ways};
use crate::identity::EndpointId;
use crate::mtp::mqtt::{Crossing, Delivery, Mqtt};
use crate::mtp::stomp::Stomp;
use crate::mtp::websocket::{Listener, WebSocket};
use crate::observe::Metrics;

use super::own_ways::{Link, OwnWays, Workshop};

/// Takes a record from an agent to a controller of the same process.
pub type InProcess = Box<dyn Fn(&EndpointId, &EndpointId, Bytes) + Send + Sync>;

/// One MTP with the agents on it.
pub enum Mtp {
    Mqtt(Mqtt),
    Stomp(Stomp),
    WebSocket(WebSocket),
    /// Records for controllers in this process, by agent and controller: what measures has no network.
    InProcess(InProcess),
}

/// What is there as soon as the gateway runs.
#[derive(Default)]
pub struct Fittings {
    /// The MTPs of the configuration, with the rows that show them.
    pub mtps: Vec<(LinkKey, Mtp)>,
    /// Where controllers come by WebSocket.
    pub listener: Option<Listener>,
    /// Without one, all agents meet their controllers as the configuration says.
    pub workshop: Option<Workshop>,
}

/// All MTPs. Devices and MTPs need each other, so this one is filled when both are there.
#[derive(Clone)]
pub struct Mtps {
    inner: Arc<Inner>,
}

struct Inner {
    fittings: OnceLock<Fittings>,
    /// The index of the MTP that leads to a controller.
    routes: HashMap<EndpointId, usize>,
    agents: DashSet<EndpointId>,
    /// Agents that meet their controllers otherwise than the configuration says.
    own: DashMap<EndpointId, OwnWays>,
    metrics: Arc<Metrics>,
}

impl Mtps {
    /// `routes` names the MTP of each controller by its place in what [`Mtps::fill`] will get.
    pub fn new(routes: HashMap<EndpointId, usize>, metrics: Arc<Metrics>) -> Self {
        let (agents, own) = (DashSet::new(), DashMap::new());
        Self { inner: Arc::new(Inner { fittings: OnceLock::new(), routes, agents, own, metrics }) }
    }

    /// Puts the MTPs in place; a second call changes nothing.
    pub fn fill(&self, fittings: Fittings) {
        let _ = self.inner.fittings.set(fittings);
    }

    fn configured(&self) -> &[(LinkKey, Mtp)] {
        self.inner.fittings.get().map_or(&[], |fittings| &fittings.mtps)
    }

    /// This agent exists from now on.
    pub fn attach(&self, agent: &EndpointId) {
        self.inner.agents.insert(agent.clone());
        if !self.inner.own.contains_key(agent) {
            self.configured().iter().for_each(|(_, mtp)| mtp.attach(agent));
        }
    }

    pub fn knows(&self, agent: &EndpointId) -> bool {
        self.inner.agents.contains(agent)
    }

    /// From now on the agent meets its controllers so; without ways of its own, as the configuration says.
    pub fn meet(&self, agent: &EndpointId, ways: Option<Ways>) {
        let workshop = self.inner.fittings.get().and_then(|fittings| fittings.workshop.as_ref());
        let Some(workshop) = workshop else { return };
        self.inner.agents.insert(agent.clone());
        let Some(ways) = ways else { return self.meet_as_configured(agent) };
        {
            let mut own = self.inner.own.entry(agent.clone()).or_insert_with(|| {
                let mtps = self.configured().iter();
                let crossings = mtps.clone().filter_map(|(key, mtp)| Some((*key, mtp.crossing(agent)?)));
                let released = mtps.filter_map(|(key, mtp)| Some((*key, mtp.release(agent)?)));
                OwnWays::new(released.collect(), crossings.collect())
            });
            own.follow(agent, ways, workshop);
        }
        self.hand_over(agent);
    }

    /// Leaves the connections that agents share, each as soon as that of the agent's own is up that takes its
    /// place: what comes meanwhile is not lost, and what comes over both is heard once.
    pub fn hand_over(&self, agent: &EndpointId) {
        let Some(mut own) = self.inner.own.get_mut(agent) else { return };
        for (key, host, port, met) in own.take_handed_over() {
            for (_, mtp) in self.configured().iter().filter(|(known, _)| *known == key) {
                if let Mtp::Mqtt(mqtt) = mtp {
                    mqtt.detach(agent, &host, port, &met);
                }
            }
        }
    }

    fn meet_as_configured(&self, agent: &EndpointId) {
        let Some((_, own)) = self.inner.own.remove(agent) else { return self.attach(agent) };
        let mut links = own.into_links();
        for (key, mtp) in self.configured() {
            if let Some(link) = links.remove(key) {
                mtp.adopt(agent, link);
            }
        }
        links.values().for_each(Link::stop);
        self.attach(agent);
    }

    /// Sends a record to a controller: over the session that it has opened, else over the MTP that leads there.
    pub fn send(&self, agent: &EndpointId, controller: &EndpointId, record: Bytes) {
        let listener = self.inner.fittings.get().and_then(|fittings| fittings.listener.as_ref());
        let record = match listener.map(|listener| listener.send(agent, controller, record.clone())) {
            Some(Ok(())) => return,
            Some(Err(record)) => record,
            None => record,
        };
        if let Some(own) = self.inner.own.get(agent) {
            if let Err(why) = own.send(agent, controller, record) {
                self.inner.metrics.usp_dropped(agent.as_str(), why);
            }
            return;
        }
        let route = self.inner.routes.get(controller);
        match route.and_then(|index| self.configured().get(*index)) {
            Some((_, Mtp::Mqtt(mqtt))) => mqtt.send(agent, controller, record),
            Some((_, Mtp::Stomp(stomp))) => stomp.send(agent, controller, record),
            Some((_, Mtp::WebSocket(websocket))) => websocket.send(agent, controller, record),
            Some((_, Mtp::InProcess(hand))) => hand(agent, controller, record),
            None => self.inner.metrics.usp_dropped(agent.as_str(), "no MTP leads to the controller"),
        }
    }

    /// By which kind of MTP an agent and a controller meet, as the way from the one to the other says.
    pub fn kind(&self, agent: &EndpointId, controller: Option<&EndpointId>) -> &'static str {
        if self.inner.own.contains_key(agent) {
            return "own";
        }
        let route = controller.and_then(|controller| self.inner.routes.get(controller));
        match route.and_then(|index| self.configured().get(*index)) {
            Some((_, Mtp::Mqtt(_))) => "mqtt",
            Some((_, Mtp::Stomp(_))) => "stomp",
            Some((_, Mtp::WebSocket(_))) => "websocket",
            Some((_, Mtp::InProcess(_))) => "process",
            None => "websocket",
        }
    }

    /// Publishes a bulk data report over one of the agent's connections, or one that it shares; `None` where
    /// there is no such connection.
    pub fn report(&self, agent: &EndpointId, publication: Publication, body: Bytes) -> Option<Delivery> {
        if let Some(own) = self.inner.own.get(agent) {
            return own.report(publication, body);
        }
        match self.configured().iter().find(|(key, _)| *key == publication.link) {
            Some((_, Mtp::Mqtt(mqtt))) => Some(mqtt.report(agent, publication, body)),
            _ => None,
        }
    }

    /// This agent has restarted: its connections are closed and opened anew, before anything that is sent
    /// from now on.
    pub fn restart(&self, agent: &EndpointId) {
        match self.inner.own.get(agent) {
            Some(own) => own.restart(agent),
            None => self.configured().iter().for_each(|(_, mtp)| mtp.restart(agent)),
        }
    }

    /// One connection of an agent is closed and opened anew; of connections that agents share only the agent's
    /// records say so.
    pub fn reconnect(&self, agent: &EndpointId, key: LinkKey) {
        match self.inner.own.get(agent) {
            Some(own) => own.reconnect(agent, key),
            None => {
                let wanted = self.configured().iter().filter(|(known, _)| *known == key);
                wanted.for_each(|(_, mtp)| mtp.restart(agent));
            }
        }
    }

    /// What is known of the agent's connections.
    pub fn states(&self, agent: &EndpointId) -> BTreeMap<LinkKey, LinkState> {
        if let Some(own) = self.inner.own.get(agent) {
            return own.states();
        }
        self.configured().iter().filter_map(|(key, mtp)| Some((*key, mtp.state(agent)?))).collect()
    }
}

impl Mtp {
    fn attach(&self, agent: &EndpointId) {
        match self {
            Self::Mqtt(mqtt) => mqtt.attach(agent),
            Self::Stomp(stomp) => stomp.attach(agent),
            Self::WebSocket(websocket) => websocket.attach(agent),
            Self::InProcess(_) => {}
        }
    }

    /// What is heard both on the connection that agents share here and on one of this agent's own.
    fn crossing(&self, agent: &EndpointId) -> Option<Crossing> {
        match self {
            Self::Mqtt(mqtt) => mqtt.crossing(agent),
            _ => None,
        }
    }

    fn release(&self, agent: &EndpointId) -> Option<Link> {
        match self {
            Self::Mqtt(mqtt) => mqtt.release(agent).map(Link::Mqtt),
            Self::Stomp(stomp) => stomp.release(agent).map(Link::Stomp),
            Self::WebSocket(websocket) => websocket.release(agent).map(Link::WebSocket),
            Self::InProcess(_) => None,
        }
    }

    fn adopt(&self, agent: &EndpointId, link: Link) {
        match (self, link) {
            (Self::Mqtt(mqtt), Link::Mqtt(link)) => mqtt.adopt(agent, link),
            (Self::Stomp(stomp), Link::Stomp(link)) => stomp.adopt(agent, link),
            (Self::WebSocket(websocket), Link::WebSocket(link)) => websocket.adopt(agent, link),
            (_, link) => link.stop(),
        }
    }

    fn restart(&self, agent: &EndpointId) {
        match self {
            Self::Mqtt(mqtt) => mqtt.restart(agent),
            Self::Stomp(stomp) => stomp.restart(agent),
            Self::WebSocket(websocket) => websocket.restart(agent),
            // Nothing is open between the two.
            Self::InProcess(_) => {}
        }
    }

    fn state(&self, agent: &EndpointId) -> Option<LinkState> {
        match self {
            Self::Mqtt(mqtt) => mqtt.state(agent),
            Self::Stomp(stomp) => stomp.state(agent),
            Self::WebSocket(websocket) => websocket.state(agent),
            Self::InProcess(_) => None,
        }
    }
}
