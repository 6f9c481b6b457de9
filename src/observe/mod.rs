//! What the gateway tells of itself: Prometheus metrics and the log; captures of what passes through it.
//!
//! Layer 4. The log line and the count of one event stand together, so that they cannot disagree.

mod log;
mod metrics;
mod models;
mod recorder;
mod recording;

pub use log::{LogFormat, start_log};
pub use metrics::{Metrics, SessionEnd};
pub use recorder::{CaptureError, CaptureOrder, CaptureState, Recorder, RecorderConfig, Tap, Wanted};
