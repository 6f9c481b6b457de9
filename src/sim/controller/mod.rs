//! A USP controller for tests and for people: reaches agents over MQTT or STOMP or takes their
//! WebSocket connections, matches responses to requests, hands out notifications and answers them.

mod context_end;
mod frames;
mod handle;
mod hub;
mod mqtt;
pub mod requests;
mod returning;
mod sessions;
mod stomp;
mod topics;
mod websocket;

#[cfg(test)]
mod stomp_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod websocket_tests;

pub use context_end::ContextEnd;
pub use frames::{Frame, Sign};
pub use handle::{Controller, ControllerConfig, ControllerMtp};
pub use hub::{Arrival, Disconnect, Envelope, Notification, Overheard, RequestError};
pub use sessions::{SessionConfig, SessionStatistics};
