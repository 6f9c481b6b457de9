//! One CPE's dealings with the existing ACS: whose turn it is, when the ACS's leg has ended.
//!
//! Layer 3: no I/O, clock, randomness or async.

mod leg;
mod outage;

pub use leg::{AcsSaid, CpeSaid, Leg, Refusal, Turn};
pub use outage::{Acknowledged, Owed, owed};
