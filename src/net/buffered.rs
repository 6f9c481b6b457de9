//! A stream with the bytes that are read and not understood yet, and those that are still to be written: what
//! a protocol without I/O needs of the world.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::stream::Stream;

/// A connection and its two buffers.
pub struct Buffered {
    stream: Stream,
    pub incoming: BytesMut,
    pub outgoing: BytesMut,
    /// Written, and perhaps still held back by TLS.
    unflushed: bool,
}

/// What one round brought.
pub enum Round {
    Read,
    Written,
    /// The connection is over, for this reason.
    Over(String),
}

impl Buffered {
    pub fn new(stream: Stream) -> Self {
        Self { stream, incoming: BytesMut::new(), outgoing: BytesMut::new(), unflushed: false }
    }

    /// Bytes that may be added to `outgoing` before some of it is out.
    pub fn room(&self) -> usize {
        OUTGOING.saturating_sub(self.outgoing.len())
    }

    /// Whether everything said so far is with the operating system.
    pub fn is_flushed(&self) -> bool {
        self.outgoing.is_empty() && !self.unflushed
    }

    /// Reads or writes something. Cancelling it loses nothing.
    pub async fn round(&mut self) -> Round {
        self.incoming.reserve(READ);
        let busy = !self.is_flushed();
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
