//! HTTP/1.1 over a raw socket, of this test's own: nothing here is shared with the product, so that what both get
//! wrong in the same way cannot stay hidden.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A header line, as it stands on the wire but for the blanks around its value.
pub type Header = (String, Vec<u8>);

/// How a body is delimited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Framing {
    /// `Content-Length`.
    Length,
    /// Nothing is said: an empty body of a request, or none at all of an answer.
    Silent,
    /// Chunks of this size, with extensions and a trailer where `extras`.
    Chunked { size: usize, extras: bool },
    /// The end of the connection ends an answer.
    Close,
}

/// One message as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The request line or status line.
    pub start: String,
    pub headers: Vec<Header>,
    /// Without its framing, and otherwise as it came.
    pub body: Vec<u8>,
}

impl Message {
    pub fn values(&self, name: &str) -> impl Iterator<Item = String> {
        let found = self.headers.iter().filter(move |(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.iter().map(|byte| char::from(*byte)).collect())
    }

    pub fn says(&self, name: &str, token: &str) -> bool {
        self.values(name).any(|value| value.split(',').any(|it| it.trim().eq_ignore_ascii_case(token)))
    }

    pub fn status(&self) -> u16 {
        self.start.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }
}

/// A message to write.
pub fn written(start: &str, headers: &[Header], body: &[u8], framing: &Framing) -> Vec<u8> {
    let mut head = head(start, headers, body.len(), framing);
    head.extend(framed(body, framing));
    head
}

/// Its head with the empty line.
pub fn head(start: &str, headers: &[Header], length: usize, framing: &Framing) -> Vec<u8> {
    let mut out = format!("{start}\r\n").into_bytes();
    for (name, value) in headers {
        out.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    match framing {
        Framing::Length => out.extend(format!("Content-Length: {length}\r\n").into_bytes()),
        Framing::Chunked { .. } => out.extend(b"Transfer-Encoding: chunked\r\n"),
        Framing::Silent | Framing::Close => {}
    }
    out.extend(b"\r\n");
    out
}

/// Its body on the wire.
pub fn framed(body: &[u8], framing: &Framing) -> Vec<u8> {
    let Framing::Chunked { size, extras } = framing else { return body.to_vec() };
    let mut out = Vec::new();
    for chunk in body.chunks(*size) {
        let extension = if *extras { ";note=\"odd\"" } else { "" };
        out.extend(format!("{:x}{extension}\r\n", chunk.len()).into_bytes());
        out.extend([chunk, b"\r\n"].concat());
    }
    out.extend_from_slice(if *extras { b"0\r\nX-Trailer: 1\r\n\r\n" } else { b"0\r\n\r\n" });
    out
}

/// One connection with what was read of it and not yet used.
pub struct Wire {
    stream: TcpStream,
    ahead: Vec<u8>,
}

impl Wire {
    pub fn new(stream: TcpStream) -> Self {
        let _ = stream.set_nodelay(true);
        Self { stream, ahead: Vec::new() }
    }

    pub async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// The next message without its body; `None` where the connection has ended before it.
    pub async fn read_head(&mut self) -> Option<Message> {
        let end = loop {
            if let Some(end) = self.ahead.windows(4).position(|four| four == b"\r\n\r\n") {
                break end;
            }
            self.more().await?;
        };
        let head: Vec<u8> = self.ahead.drain(..end + 4).collect();
        let mut lines = head[..end].split(|byte| *byte == b'\n').map(|line| line.trim_ascii_end());
        let start = String::from_utf8_lossy(lines.next()?).into_owned();
        let header = |line: &[u8]| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let name = String::from_utf8_lossy(&line[..colon]).into_owned();
            Some((name, line[colon + 1..].trim_ascii().to_vec()))
        };
        Some(Message { start, headers: lines.filter_map(header).collect(), body: Vec::new() })
    }

    /// Reads the body that belongs to a head; false where it is cut off.
    pub async fn read_body(&mut self, message: &mut Message) -> bool {
        let body = if message.says("transfer-encoding", "chunked") {
            self.chunks().await
        } else if let Some(length) = message.values("content-length").next() {
            self.exactly(length.parse().unwrap_or(0)).await
        } else if message.start.starts_with("HTTP/") && !matches!(message.status(), 204 | 304) {
            while self.more().await.is_some() {}
            Some(std::mem::take(&mut self.ahead))
        } else {
            Some(Vec::new())
        };
        let whole = body.is_some();
        message.body = body.unwrap_or_default();
        whole
    }

    async fn chunks(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line().await?;
            let size = line.split(';').next()?.trim();
            let size = usize::from_str_radix(size, 16).ok()?;
            if size == 0 {
                while !self.line().await?.is_empty() {}
                return Some(body);
            }
            body.extend(self.exactly(size).await?);
            self.line().await?;
        }
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.ahead.windows(2).position(|two| two == b"\r\n") {
                let line: Vec<u8> = self.ahead.drain(..end + 2).collect();
                return Some(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            self.more().await?;
        }
    }

    async fn exactly(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.ahead.len() < count {
            self.more().await?;
        }
        Some(self.ahead.drain(..count).collect())
    }

    async fn more(&mut self) -> Option<()> {
        match self.stream.read_buf(&mut self.ahead).await {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(()),
        }
    }
}
