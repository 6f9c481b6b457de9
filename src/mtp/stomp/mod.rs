//! The STOMP binding (TR-369 4.5), agents on a broker: a connection for each agent.

mod agents;
mod connection;
mod destinations;
#[cfg(test)]
mod tests;

pub use agents::{Stomp, StompConfig, StompLink};
