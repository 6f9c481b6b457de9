//! HTTP/1.1 on a stream, to the byte: header lines in their order and as they were written.

use std::io::Write as _;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::capture::Play;
use crate::net::Stream;
use crate::transport::http::decode_body;

/// One connection.
pub(super) struct Wire {
    stream: Stream,
    received: Vec<u8>,
}

/// What came.
pub(super) struct Message {
    /// The request line or status line.
    pub start: String,
    pub headers: Vec<(String, String)>,
    /// In identity coding.
    pub body: Bytes,
    /// The peer closes after it.
    pub closes: bool,
}

impl Message {
    pub fn status(&self) -> u16 {
        self.start.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    /// The values of all lines of that name.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let lines = self.headers.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name));
        lines.map(|(_, value)| value.as_str())
    }

    fn says(&self, name: &str, word: &str) -> bool {
        self.all(name).flat_map(|value| value.split(',')).any(|it| it.trim().eq_ignore_ascii_case(word))
    }
}

impl Wire {
    pub fn new(stream: Stream) -> Self {
        Self { stream, received: Vec::new() }
    }

    /// Reads a request; `None` where the peer has closed.
    pub async fn request(&mut self) -> Result<Option<Message>, String> {
        let Some(mut message) = self.head().await? else { return Ok(None) };
        self.body(&mut message, false).await?;
        Ok(Some(message))
    }

    /// Reads an answer.
    pub async fn answer(&mut self) -> Result<Message, String> {
        let read = async {
            loop {
                let message = self.head().await?;
                let mut message = message.ok_or_else(|| "the connection was closed".to_owned())?;
                // 100 Continue and its like announce the answer.
                if !(100..200).contains(&message.status()) {
                    self.body(&mut message, true).await?;
                    return Ok(message);
                }
            }
        };
        let late = |_| format!("nothing came within {} s", PATIENCE.as_secs());
        tokio::time::timeout(PATIENCE, read).await.map_err(late)?
    }

    /// Sends a message, framed as its lines say, or by its length.
    pub async fn send(&mut self, start: &str, lines: &[(String, Bytes)], body: &[u8]) -> Result<(), String> {
        let mut out = format!("{start}\r\n").into_bytes();
        let mut framed = false;
        let is_chunked = |(name, value): &&(String, Bytes)| {
            name.eq_ignore_ascii_case("transfer-encoding") && value.eq_ignore_ascii_case(b"chunked")
        };
        let chunked = lines.iter().any(|line| is_chunked(&line));
        for (name, value) in lines {
            let length = name.eq_ignore_ascii_case("content-length");
            if (name.eq_ignore_ascii_case("transfer-encoding") && !chunked) || (length && (framed || chunked))
            {
                continue;
            }
            framed |= length;
            let length = length.then(|| body.len().to_string());
            let value = length.as_ref().map_or(&value[..], |length| length.as_bytes());
            out.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        if !(framed || chunked || start.contains(" 204")) {
            out.extend(format!("Content-Length: {}\r\n", body.len()).into_bytes());
        }
        out.extend(b"\r\n");
        if chunked && !body.is_empty() {
            out.extend(format!("{:x}\r\n", body.len()).into_bytes());
            out.extend_from_slice(body);
            out.extend(b"\r\n0\r\n\r\n");
        } else if chunked {
            out.extend(b"0\r\n\r\n");
        } else {
            out.extend_from_slice(body);
        }
        let sending = async {
            self.stream.write_all(&out).await?;
            self.stream.flush().await
        };
        match tokio::time::timeout(PATIENCE, sending).await {
            Ok(sent) => sent.map_err(|error| error.to_string()),
            Err(_) => Err("the peer takes nothing".to_owned()),
        }
    }

    async fn head(&mut self) -> Result<Option<Message>, String> {
        let end = loop {
            // Empty lines before a message are borne (RFC 9112 2.2).
            while self.received.starts_with(b"\r\n") {
                self.received.drain(..2);
            }
            if let Some(at) = self.received.windows(4).position(|window| window == b"\r\n\r\n") {
                break at;
            }
            if self.received.len() > MAX_HEAD {
                return Err(format!("a head of more than {MAX_HEAD} bytes"));
            }
            if !self.more().await? {
                let cut = "the connection was closed within a message's head".to_owned();
                return if self.received.is_empty() { Ok(None) } else { Err(cut) };
            }
        };
        let head = String::from_utf8_lossy(&self.received[..end]).into_owned();
        self.received.drain(..end + 4);
        let mut lines = head.split("\r\n");
        let start = lines.next().unwrap_or_default().to_owned();
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers = headers.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
        let mut message = Message { start, headers, body: Bytes::new(), closes: false };
        message.closes = message.says("connection", "close");
        Ok(Some(message))
    }

    async fn body(&mut self, message: &mut Message, is_answer: bool) -> Result<(), String> {
        let length = message.all("content-length").next().and_then(|length| length.parse::<usize>().ok());
        let body = if is_answer && matches!(message.status(), 204 | 304) {
            Vec::new()
        } else if message.says("transfer-encoding", "chunked") {
            self.chunks().await?
        } else if let Some(length) = length {
            self.take(length).await?
        } else if is_answer {
            message.closes = true;
            while self.more().await? {}
            std::mem::take(&mut self.received)
        } else {
            Vec::new()
        };
        let (body, coding) = (Bytes::from(body), message.all("content-encoding").next());
        let decoded = decode_body(coding, &body, MAX_BODY).map_err(|error| error.to_string())?;
        message.body = decoded.unwrap_or(body);
        Ok(())
    }

    async fn chunks(&mut self) -> Result<Vec<u8>, String> {
        let mut body = Vec::new();
        loop {
            let line = self.line().await?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).map_err(|_| format!("a chunk of size {size:?}"))?;
            if size == 0 {
                while !self.line().await?.is_empty() {}
                return Ok(body);
            }
            body.extend(self.take(size).await?);
            self.line().await?;
            if body.len() > MAX_BODY {
                return Err(format!("a body of more than {MAX_BODY} bytes"));
            }
        }
    }

    async fn line(&mut self) -> Result<String, String> {
        loop {
            if let Some(at) = self.received.windows(2).position(|window| window == b"\r\n") {
                let line = self.received.drain(..at + 2).take(at).collect();
                return String::from_utf8(line).map_err(|error| error.to_string());
            }
            if self.received.len() > MAX_HEAD || !self.more().await? {
                return Err("a body is cut off".to_owned());
            }
        }
    }

    async fn take(&mut self, length: usize) -> Result<Vec<u8>, String> {
        if length > MAX_BODY {
            return Err(format!("a body of more than {MAX_BODY} bytes"));
        }
        while self.received.len() < length {
            if !self.more().await? {
                return Err("a body is cut off".to_owned());
            }
        }
        Ok(self.received.drain(..length).collect())
    }

    /// Reads something; false at the end.
    async fn more(&mut self) -> Result<bool, String> {
        if self.received.len() > MAX_BODY + MAX_HEAD {
            return Err(format!("a body of more than {MAX_BODY} bytes"));
        }
        let read = self.stream.read_buf(&mut self.received).await.map_err(|error| error.to_string())?;
        Ok(read > 0)
    }
}

/// A body as it is to be sent: as it came, or coded anew where the capture has it in identity coding, or it has
/// changed. `None` where the capture does not hold it.
pub(super) fn to_send(play: &Play, changed: Option<Bytes>) -> Option<Bytes> {
    let Some((coding, content)) = &play.coded else { return changed.or_else(|| play.body.clone()) };
    // Whoever edits a capture edits what can be read.
    let is_it = |wire: &&Bytes| {
        decode_body(Some(coding), wire, MAX_BODY).is_ok_and(|it| it.as_ref() == Some(content))
    };
    match (play.body.as_ref().filter(is_it), changed) {
        (Some(wire), None) => Some(wire.clone()),
        (_, changed) => encoded(coding, &changed.unwrap_or_else(|| content.clone())),
    }
}

fn encoded(coding: &str, content: &[u8]) -> Option<Bytes> {
    let coded = match coding.trim().to_ascii_lowercase().as_str() {
        "gzip" | "x-gzip" => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(content).and_then(|()| encoder.finish())
        }
        "deflate" => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(content).and_then(|()| encoder.finish())
        }
        _ => return None,
    };
    coded.ok().map(Bytes::from)
}

/// Header lines that concern one connection only; how a body is framed is said again.
pub(super) fn is_of_connection(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade", "expect"]
        .contains(&name.as_str())
}

/// How long the peer may take for an answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of a head, and of a body as sent and inflated.
const MAX_HEAD: usize = 128 << 10;
const MAX_BODY: usize = 16 << 20;
