//! The STOMP binding (TR-369 4.5), agents on a broker: a connection for each agent.

mod config;
mod connection;
mod destinations;
#[cfg(test)]
mod tests;

use super::link::{Link, Own};

pub use config::StompConfig;

/// The agents at one broker.
pub type Stomp = Own<connection::Command>;
pub type StompLink = Link<connection::Command>;
