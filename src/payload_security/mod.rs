//! What USP records need of cryptography (TR-369 "Secure Message Exchange", "Validating the Integrity of the USP
//! Record"): signatures of records, and TLS 1.2 within session contexts. Decides nothing of sessions; the cores
//! ask, this answers at once.
//!
//! Layer 4. No sockets: TLS runs over the bytes that records carry.

mod keyring;
mod tls;
mod verifier;

pub use keyring::{Keyring, KeyringError};
pub use tls::TlsSessions;

#[cfg(test)]
mod tests;
