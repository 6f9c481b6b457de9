//! USP (TR-369): records, messages, paths with search expressions, errors.
//!
//! Layer 1. Never imports `cwmp`. Only this module encodes and decodes protobuf.

mod certificate;
mod errors;
pub mod message;
pub mod path;
pub mod record;
mod retry;
mod shown;
mod values;

pub use certificate::{
    Certificate, CertificateError, FINGERPRINTS, MAX_DER, is_of_an_endpoint, is_of_endpoint, urn,
};
pub use errors::ErrorCode;
pub use retry::Retry;
pub use shown::Shown;
pub use values::each_value;

/// The protocol versions this implementation speaks, as GetSupportedProtocol states them.
pub const SUPPORTED_VERSIONS: &str = "1.0,1.1,1.2,1.3,1.4";
/// The version that records of ours carry.
pub const VERSION: &str = "1.4";
