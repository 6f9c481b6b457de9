//! The MQTT binding (TR-369 4.4): a connection for each agent, or many agents over a few connections.

mod agents;
mod config;
mod connection;
mod crossing;
mod reports;
#[cfg(test)]
mod tests;
mod topics;
mod wire;

use super::link::Link;

pub use agents::Mqtt;
pub use config::{MqttConfig, OwnNames, SESSION_EXPIRY, Sharing};
pub use crossing::Crossing;
pub use reports::Delivery;

pub type MqttLink = Link<connection::Command>;
