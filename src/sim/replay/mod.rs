//! Captures played back: `cpe` says what the CPEs of a capture had said, `acs` answers what the ACS had answered, and
//! both compare what comes with what had come.
//!
//! Over HTTP of their own (`wire`), so that each header line is written as it was.

mod acs;
mod cookies;
mod cpe;
mod report;
mod wire;

pub use acs::{ReplayAcs, ReplayAcsConfig};
pub use cpe::{ReplayCpeConfig, play};
pub use report::{Report, Row};
