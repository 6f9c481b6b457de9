//! What every MTP tells those behind it.

use bytes::Bytes;

use crate::identity::EndpointId;

/// The agents behind an MTP. Neither call may block: an MTP serves many agents.
pub trait AgentSide: Send + Sync + 'static {
    /// A record arrived for this agent.
    fn record(&self, agent: &EndpointId, record: Bytes);
    /// The way from this agent to this controller is open: its Connect record has gone out.
    fn connected(&self, agent: &EndpointId, controller: &EndpointId);
}
