//! The transports of CWMP and USP as plain types and state without I/O.
//!
//! Layer 1.

pub mod http;
pub mod mqtt;
pub mod stomp;
