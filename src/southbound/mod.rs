//! The CWMP door: HTTP/1.1 from CPEs, as far as it is HTTP. Which session and device a POST belongs to is
//! its handler's matter.
//!
//! Layer 4.

mod auth;
mod binding;
mod contract;
mod front;
mod guesses;
mod headers;
mod server;
mod tap;
mod watched;

pub use auth::{DoorAuth, DoorScheme};
pub use binding::Binding;
pub use contract::{ConnectionId, CpeHandler, CpeReply, CpeRequest};
pub use front::Front;
pub use server::{Door, DoorConfig, DoorLimits};

#[cfg(test)]
mod tests;
