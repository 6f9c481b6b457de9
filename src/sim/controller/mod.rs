//! A USP controller for tests and for people: reaches agents over MQTT or takes their WebSocket
//! connections, matches responses to requests, hands out notifications and answers them.

mod handle;
mod hub;
mod mqtt;
pub mod requests;
mod topics;
mod websocket;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod websocket_tests;

pub use handle::{Controller, ControllerConfig, ControllerMtp};
pub use hub::{Disconnect, Notification, RequestError};
