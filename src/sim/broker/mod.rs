//! A small MQTT broker for the sandbox, versions 5.0 and 3.1.1: QoS 0 and 1, wildcards, sessions that
//! outlive a connection. It retains nothing, and forgets all when it stops.

mod server;
mod table;
mod topics;
mod visitor;

#[cfg(test)]
mod tests;

pub use server::{Broker, BrokerConfig};
