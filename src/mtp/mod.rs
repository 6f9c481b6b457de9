//! Message transfer protocols: how USP records travel between virtual agents and controllers.
//!
//! Layer 4. Each MTP knows endpoints and records, and nothing of what records carry.

mod contract;
mod link;
pub mod mqtt;
pub mod stomp;
pub mod websocket;

pub use contract::{AgentSide, LinkStatus};
