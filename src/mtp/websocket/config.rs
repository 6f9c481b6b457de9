//! A controller and how agents keep in touch with it.

use std::time::Duration;

use bytes::Bytes;

use crate::identity::EndpointId;
use crate::net::{HttpUrl, TlsClient};

/// A controller that takes WebSocket connections.
#[derive(Clone)]
pub struct WebSocketConfig {
    pub controller: EndpointId,
    /// Its resource; the agent's endpoint id is added to the query (R-WS.10b).
    pub url: HttpUrl,
    pub tls: Option<TlsClient>,
    /// How often a Ping goes out (R-WS.18); a connection that stays silent for twice as long is dropped.
    pub ping: Duration,
    /// Waits between tries to connect, in milliseconds: the first and the longest (R-WS.19).
    pub retry_ms: (u64, u64),
    /// By how much waits grow, in thousandths.
    pub retry_multiplier: u64,
    /// Over TLS: the certificates, in DER, of which the controller must show one. `None`: any of its host.
    pub must_show: Option<Vec<Bytes>>,
}
