//! The WebSocket binding (TR-369 4.3), a connection for each pair of agent and controller (R-WS.4):
//! agents as clients, and one listener through which controllers reach all agents.

mod config;
mod connection;
mod listener;
#[cfg(test)]
mod tests;
mod wire;

use super::link::{Link, Own};

pub use config::WebSocketConfig;
pub use listener::{Listener, ListenerConfig};

/// The agents of one controller.
pub type WebSocket = Own<connection::Command>;
pub type WebSocketLink = Link<connection::Command>;

/// Records that may wait for one connection.
const WAITING: usize = 128;
