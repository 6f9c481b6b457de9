//! The stage: firmware images for CPEs that speak only CWMP. They are fetched from where controllers say, once
//! however many devices want them, kept in a directory as long as a device needs them, and served to CPEs by
//! links that are signed and expire.
//!
//! Layer 4: a shell. Which image goes to which device, and when, is decided by agents.

mod fetch;
mod links;
mod pace;
mod range;
mod server;
mod stage;

pub use server::{FileServer, ServerConfig};
pub use stage::{Stage, StageConfig, StageError};

#[cfg(test)]
mod tests;
