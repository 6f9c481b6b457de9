//! What the sender of a record has proved of itself to the place where the record came in.

use std::sync::Arc;

use bytes::Bytes;

/// The proof of a sender.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Shown {
    /// The place does not tell: a broker stands between.
    #[default]
    Untold,
    /// It came here itself, without a certificate.
    Nothing,
    /// Verified certificates in DER: its own, those between, and the CA that is trusted, each signed by the next. Its
    /// own alone where that was verified as a host's: a CA for hosts vouches for no endpoint.
    Path(Arc<[Bytes]>),
}
