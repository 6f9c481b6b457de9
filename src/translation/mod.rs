//! Turns USP messages into plans of CWMP RPCs and their answers back.
//!
//! Layer 2: the only place where `cwmp` and `usp` meet. A plan is a small state machine: it says the next
//! RPC, takes its answer or fault, and in the end holds the USP response.

mod discovery;
mod fault;
mod get;
mod instances;
mod operate;
mod plan;
mod reading;
mod resolve;
mod seen;
mod set;
mod supported_dm;

pub use discovery::Discovery;
pub use get::Get;
pub use instances::get_instances;
pub use operate::Operate;
pub use plan::{Outcome, Plan, Step, View};
pub use set::Set;
pub use supported_dm::get_supported_dm;
