//! The MQTT binding (TR-369 4.4): a connection for each agent, or many agents over a few connections.

mod agents;
mod connection;
mod topics;
mod wire;

pub use agents::{Mqtt, MqttConfig, MqttLink, OwnNames, Sharing};
pub use connection::SESSION_EXPIRY;
