//! As much HTTP/1.1 as the load and the stub ACS need: whole messages with a Content-Length.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One end of a connection.
pub struct Peer {
    stream: TcpStream,
    received: Vec<u8>,
    /// Bytes of `received` that belong to the message read last.
    taken: usize,
}

/// A message: the head as text, and the body.
pub struct Message<'p> {
    pub head: &'p str,
    pub body: &'p [u8],
}

impl Peer {
    pub fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("a TCP socket");
        Self { stream, received: Vec::with_capacity(16 << 10), taken: 0 }
    }

    pub async fn connect(address: std::net::SocketAddr) -> Self {
        Self::new(TcpStream::connect(address).await.expect("the relay takes connections"))
    }

    /// Sends head and body in one write.
    pub async fn send(&mut self, head: &str, body: &[u8]) -> bool {
        let mut all = Vec::with_capacity(head.len() + body.len());
        all.extend_from_slice(head.as_bytes());
        all.extend_from_slice(body);
        self.stream.write_all(&all).await.is_ok()
    }

    /// The next message; none when the peer has closed the connection.
    pub async fn receive(&mut self) -> Option<Message<'_>> {
        self.received.drain(..self.taken);
        self.taken = 0;
        let head = loop {
            if let Some(at) = self.received.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            self.more().await?;
        };
        let length = {
            let text = std::str::from_utf8(&self.received[..head]).expect("a head");
            assert!(header(text, "transfer-encoding").is_none(), "bodies come with their length: {text}");
            header(text, "content-length").map_or(0, |length| length.parse().expect("a length"))
        };
        while self.received.len() < head + length {
            self.more().await?;
        }
        self.taken = head + length;
        let (text, body) = self.received[..self.taken].split_at(head);
        Some(Message { head: std::str::from_utf8(text).expect("a head"), body })
    }

    async fn more(&mut self) -> Option<()> {
        let count = self.stream.read_buf(&mut self.received).await.ok()?;
        (count > 0).then_some(())
    }
}

/// The value of a header.
pub fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    fields.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}
