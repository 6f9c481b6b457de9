//! What the gateway tells of itself: Prometheus metrics and the log.
//!
//! Layer 4. The log line and the count of one event stand together, so that they cannot disagree.

mod log;
mod metrics;

pub use log::{LogFormat, start_log};
pub use metrics::Metrics;
