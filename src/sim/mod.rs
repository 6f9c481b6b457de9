//! Simulated CPEs and a stub ACS, to try the gateway without devices: for tests, demonstrations and load.
//!
//! Stands beside the layers: uses the protocols and the base of the shells, and nothing that decides.

pub mod acs;
pub mod cpe;
mod digest;
mod soap;
mod time;

#[cfg(test)]
mod tests;
