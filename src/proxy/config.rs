//! What the operator decides about one device's proxy.

use std::sync::Arc;

use crate::policy::{KnownDevices, Takeover};

/// Settings of the proxy core; times in milliseconds.
#[derive(Debug, Clone)]
pub struct ProxyConfig {
    /// Whether an ACS is configured; without one the gateway answers the CPE itself.
    pub acs: bool,
    /// What the operator calls the ACSs, by their [`AcsId`](super::AcsId), where there are several; else empty.
    pub acs_names: Vec<Arc<str>>,
    /// The URL below which the ACS's connection requests come to the gateway, its last `/` included; `None`: they
    /// go to the CPEs directly.
    pub acs_calls: Option<String>,
    /// CPEs come since their `ManagementServer.URL` is the gateway's; `None`: by other ways, such as DNS.
    pub takeover: Option<Takeover>,
    /// Devices whose `0 BOOTSTRAP` at their first contact with the gateway is no matter of the ACS's.
    pub hide_bootstrap: Option<Arc<KnownDevices>>,
    /// Whether a session that only USP has called for is answered by the gateway, without the ACS; needs
    /// `acs_calls`, and CPEs that the door authenticates.
    pub answer_alone: bool,
    /// Whether the gateway answers CPEs in the ACS's place while that is down, where nothing is the ACS's.
    pub answer_when_down: bool,
    /// Whether what cannot be decoded is refused rather than relayed: where a CPE may only be the device that its
    /// credentials are for, it must not tell the ACS what the gateway cannot read.
    pub refuse_opaque: bool,
    /// How long a session is held open after USP work for more of it (at most 25 s). 0 is never.
    pub park_ms: u64,
    /// How long the InformResponse waits for durable notifications to be committed.
    pub commit_wait_ms: u64,
    /// How long an open session may stay without a POST or an answer before it is given up.
    pub session_idle_ms: u64,
    /// Waits before each try of a connection request; their number is the number of tries.
    pub wake_ms: Vec<u64>,
    /// Credentials for connection requests where none are known for the device.
    pub wake_credentials: Option<(String, String)>,
}

impl Default for ProxyConfig {
    fn default() -> Self {
        Self {
            acs: true,
            acs_names: Vec::new(),
            acs_calls: None,
            takeover: None,
            hide_bootstrap: None,
            answer_alone: true,
            answer_when_down: false,
            refuse_opaque: false,
            park_ms: 2_000,
            commit_wait_ms: 250,
            session_idle_ms: 60_000,
            wake_ms: vec![0, 2_000, 5_000, 15_000],
            wake_credentials: None,
        }
    }
}
