//! What the operator decides about virtual agents.

use crate::identity::EndpointId;

/// A controller that agents know from the start.
#[derive(Debug, Clone)]
pub struct ControllerConfig {
    pub endpoint_id: EndpointId,
    pub role: Role,
    /// Whether agents send it an OnBoardRequest until it has acknowledged one.
    pub onboard: bool,
    pub mtp: ControllerMtp,
}

/// How a controller is met, as `Device.LocalAgent.Controller.{i}.MTP.` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControllerMtp {
    Mqtt { topic: String },
    WebSocket { host: String, port: u16, path: String, encrypted: bool },
}

/// What a controller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    FullAccess,
    /// Get, GetInstances, GetSupportedProtocol.
    ReadOnly,
}

/// Settings of the agent core; times in milliseconds.
#[derive(Debug, Clone)]
pub struct AgentConfig {
    pub controllers: Vec<ControllerConfig>,
    /// How long a request may wait for its device before its controller gets an error.
    pub request_timeout_ms: u64,
    /// How old a value may be that a Get is answered with; 0 is live: the CPE is asked each time.
    pub fresh_ms: u64,
    /// Whether the gateway may ask CPEs what they have. Without it agents answer for nothing of theirs.
    pub discovery: bool,
    /// Parameter and object names taken in one session by discovery.
    pub discovery_names_per_session: usize,
    /// Requests that may wait for one device; one more is refused with 7005.
    pub max_queue: usize,
}

impl Default for AgentConfig {
    fn default() -> Self {
        Self {
            controllers: Vec::new(),
            request_timeout_ms: 60_000,
            fresh_ms: 0,
            discovery: true,
            discovery_names_per_session: 20_000,
            max_queue: 64,
        }
    }
}
