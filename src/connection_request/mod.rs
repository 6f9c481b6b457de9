//! Connection requests: asks a CPE to open a session (TR-069 3.2.2).
//!
//! Layer 4.

mod http;

pub use http::{Failure, Limits, send};
