//! STOMP 1.2: frames as plain types, their bytes, and a client without I/O.

mod client;
mod codec;
mod frame;
#[cfg(test)]
mod tests;

pub use client::{Client, ClientConfig, Event, Message, Refused, Up};
pub use codec::{Codec, HEART_BEAT, StompError};
pub use frame::{Command, Frame};
