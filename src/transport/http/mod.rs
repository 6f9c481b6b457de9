//! HTTP authentication: basic (RFC 7617) and digest (RFC 7616, RFC 2617), client's and server's half; what
//! intermediaries say of a client: `Forwarded` and `Client-Cert`; the header lines that pass through; the codings of
//! bodies.

mod basic;
mod client_cert;
mod coding;
mod digest;
mod forwarded;
mod headers;
mod nonces;
mod params;

pub use basic::{basic_answer, parse_basic};
pub use client_cert::{client_cert, parse_client_cert};
pub use coding::{CodingError, decode_body, encode_body};
pub use digest::{Algorithm, Authorization, Challenge, Credentials, without_auth_int};
pub use forwarded::{Hop, Malformed, Node, forwarded, parse_forwarded};
pub use headers::{Headers, Spelling};
pub use nonces::{NONCE_SECONDS, Nonces, Use};
