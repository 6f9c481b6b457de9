//! MQTT 5.0 and 3.1.1: packets as plain types, their bytes, and a client without I/O.
//!
//! The bytes are rumqttc's codec; its types do not leave this module.

mod client;
mod codec;
mod outgoing;
mod packet;
mod v3;
mod v5;

pub use client::{Client, ClientConfig, Event, Refused, Up};
pub use codec::{Codec, MqttError};
pub use outgoing::{Ended, Undelivered};
pub use packet::{ConnAck, Connect, Packet, Properties, Publish, Version};
