//! One CPE's dealings with the existing ACS: whose turn it is, when the ACS's leg has ended, what of an
//! Inform it is entitled to.
//!
//! Layer 3: no I/O, clock, randomness or async.

mod entitled;
mod leg;

pub use entitled::{Acknowledged, Owed, Shown, owed};
pub use leg::{AcsSaid, CpeSaid, Leg, Refusal, Turn};
