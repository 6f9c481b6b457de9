//! A broker and how agents are known there.

use crate::identity::EndpointId;
use crate::net::TlsClient;

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
    /// By how much waits grow, in thousandths.
    pub retry_multiplier: u64,
    /// The destination that the agent's objects say, where it does not follow from the prefix; may be empty.
    pub own_destination: Option<String>,
}
