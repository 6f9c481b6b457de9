//! Session contexts (TR-369 "Exchange of USP Records within an E2E Session Context"): one endpoint's half of
//! what two endpoints keep between them, so that records arrive once, in order and whole.
//!
//! No clock, no randomness, no cryptography of TLS: [`Session::handle`] takes the time and a seed, and asks a
//! shell to protect and unprotect payloads. Nothing of it is stored. The standard does not ask for it: a
//! reboot forgets retries (R-E2E.13), and both sides begin anew with the next record (R-E2E.4, R-E2E.6).

mod context;
mod incoming;
mod io;
mod outgoing;
mod pair;
mod segments;

pub use io::{Env, Input, Output, Policy, Role, Secure, Secured, SessionMode, Status};
pub use pair::Session;

#[cfg(test)]
mod tests;
