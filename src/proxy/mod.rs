//! One CPE, whole: one `Input`, one `Output`; the arbiter of turns between the ACS and USP, the wake-up
//! by connection request, parking. The session's phases are drawn in `LIFECYCLE.md`.
//!
//! Layer 3: no I/O, clock, randomness or async.

mod acs_of;
mod answering;
mod arbiter;
mod bypass;
mod calls;
mod config;
mod device;
mod io;
mod outcome;
mod own_transfers;
mod reach;
mod session;
mod virtualised;
mod wake;

pub use calls::{AcsCall, CallAnswer};
pub use config::ProxyConfig;
pub use device::Device;
pub use io::{AcsFailure, AcsId, AcsReply, Bodies, ExchangeId, Input, Output, Post, Reply, SessionId};
pub use outcome::Outcome;

#[cfg(test)]
mod tests;
