//! The bytes of one MQTT connection, of a client or of the broker: packets in, packets out.

use crate::net::{Buffered, Round, Stream};
use crate::transport::mqtt::{Codec, MqttError, Packet};

/// A connection with what is read and not understood yet, and what is to be written.
pub(super) struct Wire {
    io: Buffered,
    pub codec: Codec,
    /// Largest packet that the peer takes, in bytes.
    pub limit: usize,
}

impl Wire {
    pub fn new(stream: Stream, codec: Codec) -> Self {
        Self { io: Buffered::new(stream), codec, limit: usize::MAX }
    }

    /// Whether more may be said before some of it is out.
    pub fn has_room(&self) -> bool {
        self.io.room() > 0
    }

    /// Bytes that are still to be written.
    pub fn backlog(&self) -> usize {
        self.io.outgoing.len()
    }

    /// Bytes read and not taken as packets yet.
    pub fn received(&self) -> &[u8] {
        &self.io.incoming
    }

    /// Queues a packet. It is not sent if the peer cannot take it, and the connection lives on.
    pub fn push(&mut self, packet: Packet) -> Result<(), MqttError> {
        self.codec.encode(packet, self.limit, &mut self.io.outgoing)
    }

    /// The next whole packet among what was read.
    pub fn next(&mut self) -> Result<Option<Packet>, MqttError> {
        self.codec.decode(&mut self.io.incoming)
    }

    /// Reads or writes something. Cancelling it loses nothing.
    pub async fn round(&mut self) -> Round {
        self.io.round().await
    }

    /// Writes what is left, for a while, and closes.
    pub async fn close(self) {
        self.io.close().await;
    }
}
