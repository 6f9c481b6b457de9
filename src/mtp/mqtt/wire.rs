//! One MQTT connection at work: bytes in and out, the client's state in between.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::net::Stream;
use crate::transport::mqtt::{Client, Codec, Event};

/// A connection with what is read and not understood yet, and what is to be written.
pub(super) struct Wire {
    stream: Stream,
    codec: Codec,
    incoming: BytesMut,
    outgoing: BytesMut,
    /// Largest packet that the broker takes.
    pub limit: usize,
}

/// What one round brought.
pub(super) enum Round {
    Read,
    Written,
    /// The connection is over.
    Over(String),
}

impl Wire {
    pub fn new(stream: Stream, codec: Codec) -> Self {
        Self { stream, codec, incoming: BytesMut::new(), outgoing: BytesMut::new(), limit: usize::MAX }
    }

    /// Turns what the client wants to say into bytes, up to a bound: the rest waits until these are out.
    pub fn fill(&mut self, client: &mut Client, now: u64) -> Result<(), String> {
        while self.outgoing.len() < OUTGOING {
            let Some(packet) = client.transmit(now) else { return Ok(()) };
            if let Err(error) = self.codec.encode(packet, self.limit, &mut self.outgoing) {
                // A message that the broker cannot take is dropped; the connection lives on.
                tracing::warn!(%error, "a message is not sent");
            }
        }
        Ok(())
    }

    /// Whether everything said so far is with the operating system.
    pub fn is_flushed(&self) -> bool {
        self.outgoing.is_empty()
    }

    /// Reads or writes something. Cancelling it loses nothing.
    pub async fn round(&mut self) -> Round {
        self.incoming.reserve(READ);
        let (mut reader, mut writer) = tokio::io::split(&mut self.stream);
        let moved: io::Result<Round> = tokio::select! {
            read = reader.read_buf(&mut self.incoming) => match read {
                Ok(0) => Ok(Round::Over("the broker closed the connection".into())),
                read => read.map(|_| Round::Read),
            },
            written = writer.write_buf(&mut self.outgoing), if !self.outgoing.is_empty() => {
                // TLS may hold back what the socket did not take.
                match written {
                    Ok(_) if self.outgoing.is_empty() => writer.flush().await.map(|()| Round::Written),
                    written => written.map(|_| Round::Written),
                }
            }
        };
        moved.unwrap_or_else(|error| Round::Over(error.to_string()))
    }

    /// Hands every whole packet to the client.
    pub fn drain(&mut self, client: &mut Client, now: u64, events: &mut Vec<Event>) -> Result<(), String> {
        loop {
            match self.codec.decode(&mut self.incoming) {
                Ok(Some(packet)) => client.handle(now, packet, events),
                Ok(None) => return Ok(()),
                Err(error) => return Err(format!("the broker sent what is no MQTT: {error}")),
            }
        }
    }

    /// Writes what is left, for a while, and closes.
    pub async fn close(mut self) {
        let closing = async {
            let _ = self.stream.write_all(&self.outgoing).await;
            let _ = self.stream.shutdown().await;
        };
        let _ = tokio::time::timeout(Duration::from_secs(2), closing).await;
    }
}

/// Room for what one read may bring.
const READ: usize = 2 << 10;
/// Bytes encoded ahead of the socket.
const OUTGOING: usize = 64 << 10;
