//! The WebSocket binding (TR-369 4.3), a connection for each pair of agent and controller (R-WS.4):
//! agents as clients, and one listener through which controllers reach all agents.

mod agents;
mod connection;
mod listener;
#[cfg(test)]
mod tests;
mod wire;

pub use agents::{WebSocket, WebSocketConfig, WebSocketLink};
pub use listener::{Listener, ListenerConfig};
