//! Simulated CPEs, thousands in one process.
//!
//! `core` is one device without I/O: it answers RPCs and says why it would call. `fleet` gives all of them
//! a clock and timers, `session` carries a session over HTTP, `wake` takes connection requests.

mod attributes;
mod core;
mod data;
mod demands;
mod diagnostics;
mod dress;
mod fleet;
mod image;
mod inform;
mod loading;
mod model;
mod names;
mod objects;
mod quirks;
mod session;
mod timers;
mod transfers;
mod values;
mod wake;

pub use demands::{Every, FaultRule, Happening};
pub use fleet::{Fleet, FleetConfig, Statistics};
pub use image::image;
pub use model::{Model, ModelError, Node};
pub use quirks::{Quirk, Quirks};

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use bench::Bench;
#[cfg(test)]
mod bench;
