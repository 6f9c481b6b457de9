//! The bytes of one MQTT connection, of a client or of the broker: packets in, packets out.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::net::Stream;
use crate::transport::mqtt::{Codec, MqttError, Packet};

/// A connection with what is read and not understood yet, and what is to be written.
pub(super) struct Wire {
    stream: Stream,
    pub codec: Codec,
    /// Largest packet that the peer takes, in bytes.
    pub limit: usize,
    incoming: BytesMut,
    outgoing: BytesMut,
    /// Written, and perhaps still held back by TLS.
    unflushed: bool,
}

/// What one round brought.
pub(super) enum Round {
    Read,
    Written,
    /// The connection is over, for this reason.
    Over(String),
}

impl Wire {
    pub fn new(stream: Stream, codec: Codec) -> Self {
        Self {
            stream,
            codec,
            limit: usize::MAX,
            incoming: BytesMut::new(),
            outgoing: BytesMut::new(),
            unflushed: false,
        }
    }

    /// Whether more may be said before some of it is out.
    pub fn has_room(&self) -> bool {
        self.outgoing.len() < OUTGOING
    }

    /// Bytes that are still to be written.
    pub fn backlog(&self) -> usize {
        self.outgoing.len()
    }

    /// Bytes read and not taken as packets yet.
    pub fn received(&self) -> &[u8] {
        &self.incoming
    }

    /// Queues a packet. It is not sent if the peer cannot take it, and the connection lives on.
    pub fn push(&mut self, packet: Packet) -> Result<(), MqttError> {
        self.codec.encode(packet, self.limit, &mut self.outgoing)
    }

    /// The next whole packet among what was read.
    pub fn next(&mut self) -> Result<Option<Packet>, MqttError> {
        self.codec.decode(&mut self.incoming)
    }

    /// Reads or writes something. Cancelling it loses nothing.
    pub async fn round(&mut self) -> Round {
        self.incoming.reserve(READ);
        let busy = self.unflushed || !self.outgoing.is_empty();
        let (mut reader, mut writer) = tokio::io::split(&mut self.stream);
        let (outgoing, unflushed) = (&mut self.outgoing, &mut self.unflushed);
        let write = async move {
            if outgoing.is_empty() {
                writer.flush().await?;
                *unflushed = false;
                return Ok(());
            }
            *unflushed = true;
            writer.write_buf(outgoing).await.map(|_| ())
        };
        let moved: io::Result<Round> = tokio::select! {
            read = reader.read_buf(&mut self.incoming) => match read {
                Ok(0) => Ok(Round::Over("the peer closed the connection".into())),
                read => read.map(|_| Round::Read),
            },
            written = write, if busy => written.map(|()| Round::Written),
        };
        moved.unwrap_or_else(|error| Round::Over(error.to_string()))
    }

    /// Writes what is left, for a while, and closes.
    pub async fn close(mut self) {
        let closing = async {
            let _ = self.stream.write_all(&self.outgoing).await;
            let _ = self.stream.shutdown().await;
        };
        let _ = tokio::time::timeout(CLOSING, closing).await;
    }
}

/// Bytes encoded ahead of the socket.
const OUTGOING: usize = 64 << 10;
/// Bytes that one read can take at least.
const READ: usize = 2 << 10;
/// Time for the last bytes of a connection.
const CLOSING: Duration = Duration::from_secs(1);
