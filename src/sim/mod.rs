//! Simulated CPEs, a stub ACS, a USP controller, a collector of bulk data and an MQTT broker, and captures played back,
//! to try the gateway without the world around it: for tests, demonstrations and load.
//!
//! Stands beside the layers: uses the protocols and the base of the shells, and nothing that decides.

pub mod acs;
pub mod broker;
pub mod collector;
pub mod controller;
pub mod cpe;
mod digest;
pub mod files;
pub mod replay;
pub(crate) mod soap;
#[cfg(test)]
pub(crate) mod stomp_peer;
mod time;
mod wire;

#[cfg(test)]
mod tests;
