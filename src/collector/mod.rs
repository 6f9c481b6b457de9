//! Uploads bulk data reports to collectors over HTTP(S) (TR-369 A.2).
//!
//! Layer 4: a shell. What is sent, and when again, is decided by the agent.

mod upload;

pub use upload::{Collector, CollectorError};
