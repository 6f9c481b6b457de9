//! Simulated CPEs, thousands in one process.
//!
//! `core` is one device without I/O: it answers RPCs and says why it would call. `fleet` gives all of them
//! a clock and timers, `session` carries a session over HTTP, `wake` takes connection requests.

mod attributes;
mod core;
mod data;
mod diagnostics;
mod inform;
mod model;
mod names;
mod objects;
mod quirks;
mod transfers;
mod values;

pub use model::{Model, ModelError, Node};
pub use quirks::Quirks;

#[cfg(test)]
mod tests;
