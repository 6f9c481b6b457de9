//! Which MTP leads to which controller.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::identity::EndpointId;
use crate::mtp::mqtt::Mqtt;
use crate::mtp::stomp::Stomp;
use crate::mtp::websocket::WebSocket;
use crate::observe::Metrics;

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

/// All MTPs. Devices and MTPs need each other, so this one is filled when both are there.
#[derive(Clone)]
pub struct Mtps {
    inner: Arc<Inner>,
}

struct Inner {
    mtps: OnceLock<Vec<Mtp>>,
    /// The index of the MTP that leads to a controller.
    routes: HashMap<EndpointId, usize>,
    metrics: Arc<Metrics>,
}

impl Mtps {
    /// `routes` names the MTP of each controller by its place in what [`Mtps::fill`] will get.
    pub fn new(routes: HashMap<EndpointId, usize>, metrics: Arc<Metrics>) -> Self {
        Self { inner: Arc::new(Inner { mtps: OnceLock::new(), routes, metrics }) }
    }

    /// Puts the MTPs in place; a second call changes nothing.
    pub fn fill(&self, mtps: Vec<Mtp>) {
        let _ = self.inner.mtps.set(mtps);
    }

    /// This agent exists from now on.
    pub fn attach(&self, agent: &EndpointId) {
        for mtp in self.inner.mtps.get().into_iter().flatten() {
            match mtp {
                Mtp::Mqtt(mqtt) => mqtt.attach(agent),
                Mtp::Stomp(stomp) => stomp.attach(agent),
                Mtp::WebSocket(websocket) => websocket.attach(agent),
                Mtp::InProcess(_) => {}
            }
        }
    }

    /// This agent has restarted: its connections are closed and opened anew, before anything that is sent
    /// from now on.
    pub fn restart(&self, agent: &EndpointId) {
        for mtp in self.inner.mtps.get().into_iter().flatten() {
            match mtp {
                // Nothing is open between the two.
                Mtp::InProcess(_) => {}
                Mtp::Mqtt(mqtt) => mqtt.restart(agent),
                Mtp::Stomp(stomp) => stomp.restart(agent),
                Mtp::WebSocket(websocket) => websocket.restart(agent),
            }
        }
    }

    /// Sends a record to a controller, over the MTP that leads there.
    pub fn send(&self, agent: &EndpointId, controller: &EndpointId, record: Bytes) {
        let mtps = self.inner.mtps.get();
        let route = self.inner.routes.get(controller);
        match route.zip(mtps).and_then(|(index, mtps)| mtps.get(*index)) {
            Some(Mtp::Mqtt(mqtt)) => mqtt.send(agent, controller, record),
            Some(Mtp::Stomp(stomp)) => stomp.send(agent, controller, record),
            Some(Mtp::WebSocket(websocket)) => websocket.send(agent, record),
            Some(Mtp::InProcess(hand)) => hand(agent, controller, record),
            None => self.inner.metrics.usp_dropped(agent.as_str(), "no MTP leads to the controller"),
        }
    }
}
