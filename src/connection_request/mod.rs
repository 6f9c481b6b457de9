//! Connection requests: asks a CPE to open a session (TR-069 3.2.2), and takes those of the ACS.
//!
//! Layer 4.

mod door;
mod http;

pub use door::{CallHandler, DoorConfig, open};
pub use http::{Failure, Limits, send};
