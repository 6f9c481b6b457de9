//! A stub ACS: it sends what it was told to and keeps what it saw.
//!
//! `hub` decides what to answer, `server` carries it over HTTP. Strict where a real ACS may be lenient: what
//! breaks the rules of a session is logged as such, so that a test of the gateway can look for it.

mod answers;
mod hub;
mod seen;
mod server;

pub use seen::{Exchange, Seen};
pub use server::{Acs, AcsConfig};
