//! What every MTP tells those behind it.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::agent::LinkState;
use crate::identity::EndpointId;
use crate::net::TlsClient;
use crate::usp::{Shown, urn};

/// The agents behind an MTP. No call may block: an MTP serves many agents.
pub trait AgentSide: Send + Sync + 'static {
    /// A record arrived for this agent, from one who has shown this.
    fn record(&self, agent: &EndpointId, record: Bytes, shown: Shown);
    /// The way from this agent to this controller is open: its Connect record has gone out.
    fn connected(&self, agent: &EndpointId, controller: &EndpointId);
    /// Whether there is such an agent.
    fn knows(&self, agent: &EndpointId) -> bool;
    /// What is known of a connection of this agent's has changed.
    fn changed(&self, agent: &EndpointId);
}

/// What is known of one connection, shared between its task and those who ask; cloning shares.
#[derive(Debug, Clone, Default)]
pub struct LinkStatus(Arc<Mutex<LinkState>>);

impl LinkStatus {
    pub fn get(&self) -> LinkState {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn is_up(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_up()
    }

    /// Changes it. Returns whether it is different now.
    pub(super) fn set(&self, change: impl FnOnce(&mut LinkState)) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = state.clone();
        change(&mut state);
        *state != before
    }
}

/// TLS for a connection of this agent's own, or for one that agents share.
pub(super) fn tls_of(tls: Option<&TlsClient>, agent: Option<&EndpointId>) -> Option<TlsClient> {
    tls.map(|tls| match agent {
        Some(agent) => tls.of(&urn(agent.as_str())),
        None => tls.clone(),
    })
}

/// Why a controller hears nothing more from an agent, in its Disconnect record.
pub(super) fn farewell(gateway_stops: bool) -> &'static str {
    if gateway_stops { "the gateway stops" } else { "the agent leaves" }
}

/// ... or nothing for a moment.
pub(super) const RESTARTS: &str = "the agent restarts";
