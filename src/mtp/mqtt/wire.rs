//! One MQTT connection at work: bytes in and out, the client's state in between.

use crate::agent::Traffic;
use crate::net::{Buffered, Round, Stream};
use crate::transport::mqtt::{Client, Codec, Event};

/// A connection with what is read and not understood yet, and what is to be written.
pub(super) struct Wire {
    io: Buffered,
    codec: Codec,
    /// Largest packet that the broker takes.
    pub limit: usize,
    traffic: Traffic,
}

impl Wire {
    pub fn new(stream: Stream, codec: Codec, traffic: Traffic) -> Self {
        Self { io: Buffered::new(stream), codec, limit: usize::MAX, traffic }
    }

    /// Turns what the client wants to say into bytes, up to a bound: the rest waits until these are out.
    pub fn fill(&mut self, client: &mut Client, now: u64) -> Result<(), String> {
        while self.io.room() > 0 {
            let Some(packet) = client.transmit(now) else { return Ok(()) };
            match self.codec.encode(packet, self.limit, &mut self.io.outgoing) {
                Ok(()) => self.traffic.count_sent(),
                Err(error) => {
                    // A message that the broker cannot take is dropped; the connection lives on.
                    tracing::warn!(%error, "a message is not sent");
                    client.unsent(error.to_string());
                }
            }
        }
        Ok(())
    }

    /// Whether everything said so far is with the operating system.
    pub fn is_flushed(&self) -> bool {
        self.io.is_flushed()
    }

    /// Reads or writes something. Cancelling it loses nothing.
    pub async fn round(&mut self) -> Round {
        self.io.round().await
    }

    /// Hands every whole packet to the client.
    pub fn drain(&mut self, client: &mut Client, now: u64, events: &mut Vec<Event>) -> Result<(), String> {
        loop {
            match self.codec.decode(&mut self.io.incoming) {
                Ok(Some(packet)) => {
                    self.traffic.count_received();
                    client.handle(now, packet, events);
                }
                Ok(None) => return Ok(()),
                Err(error) => return Err(format!("the broker sent what is no MQTT: {error}")),
            }
        }
    }

    /// Writes what is left, for a while, and closes.
    pub async fn close(self) {
        self.io.close().await;
    }
}
