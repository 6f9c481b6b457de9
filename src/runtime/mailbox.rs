//! What device tasks are told, and the bound on how much of it may wait.

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::proxy::{Input, Reply, SessionId};
use crate::usp::Shown;

/// One letter to a device's task.
#[derive(Debug)]
pub enum Letter {
    /// Something happened to the device.
    Input(Input),
    /// A USP record for the device's agent, and what its sender has shown where it came in.
    Record(Bytes, Shown),
    /// A POST with the place where its answer is awaited. If that place is gone, the CPE is.
    Post {
        post: crate::proxy::Post,
        reply: oneshot::Sender<Reply>,
        /// The session that the CPE had on this connection until now.
        cuts: Option<SessionId>,
    },
    /// A connection request of the ACS's, and where its answer is awaited.
    AcsCall { call: crate::proxy::AcsCall, reply: oneshot::Sender<crate::proxy::CallAnswer> },
    /// Go to rest as soon as the open session has ended and requests are answered: another process goes on.
    Leave,
    /// End the open session, settle what can be settled, and go to rest.
    Shutdown,
}

/// Letters that may wait for one device. A full mailbox refuses: the CPE gets a 503, a record is dropped
/// with a line in the log, since USP requests are repeated by their controllers.
pub(super) const MAILBOX: usize = 256;
