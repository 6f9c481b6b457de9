//! HTTP authentication: basic (RFC 7617) and digest (RFC 7616, RFC 2617), client's and server's half.

mod basic;
mod digest;
mod params;

pub use basic::{basic_answer, parse_basic};
pub use digest::{Algorithm, Authorization, Challenge, Credentials};
