//! The transports of CWMP and USP as plain types and state without I/O.
//!
//! Layer 1.

pub mod client;
pub mod http;
pub mod mqtt;
pub mod proxy_protocol;
pub mod stomp;
