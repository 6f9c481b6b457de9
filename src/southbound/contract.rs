//! What passes between the door and who stands behind it.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;

use crate::identity::{DeviceId, EndpointId};
use crate::observe::Recorder;
use crate::transport::client::Client;
use crate::transport::http::Headers;

/// One TCP connection of a CPE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnectionId(pub u64);

/// One POST.
#[derive(Debug, Clone)]
pub struct CpeRequest {
    pub connection: ConnectionId,
    /// Who sent it, as far as is known for true.
    pub client: Arc<Client>,
    /// Whether the door has authenticated the CPE: by credentials or by a client certificate.
    pub authenticated: bool,
    /// The value of our session cookie, if it came.
    pub cookie: Option<String>,
    /// The device that its Inform is from, if it is one.
    pub device: Option<DeviceId>,
    /// Path and query as asked for.
    pub target: String,
    /// End-to-end headers, without cookies, and without credentials that were meant for this door.
    pub headers: Headers,
    /// The body in identity coding.
    pub body: Bytes,
    /// The body as received, where it came compressed.
    pub original_body: Option<Bytes>,
}

/// The answer.
#[derive(Debug, Clone)]
pub struct CpeReply {
    pub status: u16,
    pub headers: Headers,
    pub body: Bytes,
    /// Ends the connection after the answer.
    pub close: bool,
    /// Sets our session cookie to this value.
    pub cookie: Option<String>,
}

/// Who answers CPEs.
pub trait CpeHandler: Send + Sync + 'static {
    /// Answers a POST. Dropped when the connection ends before.
    fn request(&self, request: CpeRequest) -> impl Future<Output = CpeReply> + Send;
    /// Whether our cookie names a session that is open: who has it was let in before.
    fn knows(&self, cookie: &str) -> bool;
    /// The device that a body's Inform is from; `None` if it is none. An Inform opens a session, for which its
    /// sender must say anew who it is.
    fn informs(&self, body: &Bytes) -> Option<DeviceId>;
    /// The device whose session a POST without an Inform goes on with, by our cookie or the connection.
    fn whose(&self, cookie: Option<&str>, connection: ConnectionId) -> Option<EndpointId>;
    /// Who takes notes of what passes here.
    fn recorder(&self) -> &Recorder;
    /// The CPE has closed its sending side while it waits for an answer: it is gone, or will send nothing
    /// more but still reads.
    fn half_closed(&self, connection: ConnectionId);
    /// The connection has ended.
    fn gone(&self, connection: ConnectionId);
}
