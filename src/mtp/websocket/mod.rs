//! The WebSocket binding (TR-369 4.3), agents as clients: a connection for each pair of agent and
//! controller (R-WS.4).

mod agents;
mod connection;

pub use agents::{WebSocket, WebSocketConfig};
