//! From bytes to frames and back, with bounds on what a peer may send.

use bytes::{Buf, BufMut, BytesMut};
use thiserror::Error;

use super::frame::{Command, Frame};

/// What is wrong with a peer's bytes. The connection cannot be used any more.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StompError {
    #[error("malformed frame: {0}")]
    Malformed(&'static str),
    #[error("frame with {what} over the limit of {limit}")]
    TooLarge { what: &'static str, limit: usize },
}

/// One direction's decoder for one connection. It keeps a frame's beginning until the rest is there, so that
/// no byte is looked at twice.
#[derive(Debug)]
pub struct Codec {
    max_body: usize,
    state: State,
    /// Bytes at the buffer's front that hold no end of what is awaited.
    scanned: usize,
    last_length: Option<usize>,
}

#[derive(Debug)]
enum State {
    /// Between frames, where the peer's heart-beats are.
    Idle,
    Headers(Head),
    Body(Head),
}

#[derive(Debug)]
struct Head {
    frame: Frame,
    length: Option<usize>,
}

impl Codec {
    /// `max_body` is the largest body taken, in bytes.
    pub fn new(max_body: usize) -> Self {
        Self { max_body, state: State::Idle, scanned: 0, last_length: None }
    }

    /// Takes the next frame off the buffer; `None` until it is whole. Heart-beats are swallowed.
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Frame>, StompError> {
        loop {
            match std::mem::replace(&mut self.state, State::Idle) {
                State::Idle => {
                    let Some(line) = self.line(buffer)? else { return Ok(None) };
                    if line.is_empty() {
                        continue;
                    }
                    let command = Command::parse(&line);
                    let command = command.ok_or(StompError::Malformed("unknown command"))?;
                    self.state = State::Headers(Head { frame: Frame::new(command), length: None });
                }
                State::Headers(mut head) => {
                    let Some(line) = self.line(buffer)? else {
                        self.state = State::Headers(head);
                        return Ok(None);
                    };
                    self.state = if line.is_empty() {
                        State::Body(head)
                    } else {
                        head.take(&line, self.max_body)?;
                        State::Headers(head)
                    };
                }
                State::Body(mut head) => match self.body(buffer, head.length)? {
                    Some(body) => {
                        head.frame.body = body.freeze();
                        self.last_length = head.length;
                        return Ok(Some(head.frame));
                    }
                    None => {
                        self.state = State::Body(head);
                        return Ok(None);
                    }
                },
            }
        }
    }

    /// What the frame that was taken last said in `content-length`.
    pub fn last_length(&self) -> Option<usize> {
        self.last_length
    }

    /// Appends a frame, with `content-length` where there is a body and in each SEND (R-STOMP.19).
    pub fn encode(frame: &Frame, buffer: &mut BytesMut) {
        buffer.put_slice(frame.command.name().as_bytes());
        buffer.put_u8(b'\n');
        for (name, value) in frame.headers.iter().filter(|(name, _)| name != LENGTH) {
            escape(name, buffer);
            buffer.put_u8(b':');
            escape(value, buffer);
            buffer.put_u8(b'\n');
        }
        if frame.command == Command::Send || !frame.body.is_empty() {
            buffer.put_slice(format!("{LENGTH}:{}\n", frame.body.len()).as_bytes());
        }
        buffer.put_u8(b'\n');
        buffer.put_slice(&frame.body);
        buffer.put_u8(0);
    }

    /// The next line without its end.
    fn line(&mut self, buffer: &mut BytesMut) -> Result<Option<String>, StompError> {
        let Some(end) = buffer[self.scanned..].iter().position(|byte| *byte == b'\n') else {
            self.scanned = buffer.len();
            return match self.scanned > MAX_LINE {
                true => Err(StompError::TooLarge { what: "a line", limit: MAX_LINE }),
                false => Ok(None),
            };
        };
        let line = buffer.split_to(self.scanned + end + 1);
        self.scanned = 0;
        if line.len() > MAX_LINE {
            return Err(StompError::TooLarge { what: "a line", limit: MAX_LINE });
        }
        let line = &line[..line.len() - 1];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.contains(&0) {
            return Err(StompError::Malformed("NUL in a header"));
        }
        let text = str::from_utf8(line).map_err(|_| StompError::Malformed("header that is no UTF-8"))?;
        Ok(Some(text.to_owned()))
    }

    /// The body, whose end is its length or else the first NUL.
    fn body(&mut self, buffer: &mut BytesMut, length: Option<usize>) -> Result<Option<BytesMut>, StompError> {
        let end = match length {
            Some(length) => match buffer.get(length) {
                Some(0) => length,
                Some(_) => return Err(StompError::Malformed("no NUL after the body")),
                None => return Ok(None),
            },
            None => match buffer[self.scanned..].iter().position(|byte| *byte == 0) {
                Some(end) => self.scanned + end,
                None => {
                    self.scanned = buffer.len();
                    self.check_length(self.scanned)?;
                    return Ok(None);
                }
            },
        };
        self.check_length(end)?;
        self.scanned = 0;
        let body = buffer.split_to(end);
        buffer.advance(1);
        Ok(Some(body))
    }

    fn check_length(&self, length: usize) -> Result<(), StompError> {
        match length > self.max_body {
            true => Err(StompError::TooLarge { what: "a body", limit: self.max_body }),
            false => Ok(()),
        }
    }
}

impl Head {
    fn take(&mut self, line: &str, max_body: usize) -> Result<(), StompError> {
        let (name, value) = line.split_once(':').ok_or(StompError::Malformed("header without a colon"))?;
        if name.is_empty() {
            return Err(StompError::Malformed("header without a name"));
        }
        if name == LENGTH {
            let length: usize = value.trim().parse().map_err(|_| StompError::Malformed("content-length"))?;
            if length > max_body {
                return Err(StompError::TooLarge { what: "a body", limit: max_body });
            }
            self.length.get_or_insert(length);
            return Ok(());
        }
        if self.frame.headers.len() >= MAX_HEADERS {
            return Err(StompError::TooLarge { what: "headers", limit: MAX_HEADERS });
        }
        let lenient = self.frame.command.is_handshake();
        self.frame.headers.push((unescape(name, lenient)?, unescape(value, lenient)?));
        Ok(())
    }
}

fn escape(text: &str, buffer: &mut BytesMut) {
    for byte in text.bytes() {
        match byte {
            b'\\' => buffer.put_slice(b"\\\\"),
            b'\r' => buffer.put_slice(b"\\r"),
            b'\n' => buffer.put_slice(b"\\n"),
            b':' => buffer.put_slice(b"\\c"),
            // It would end the frame, and STOMP has no escape for it.
            0 => {}
            byte => buffer.put_u8(byte),
        }
    }
}

/// An escape that is none is fatal (STOMP 1.2, "Value Encoding"), but for frames that need not be escaped.
fn unescape(text: &str, lenient: bool) -> Result<String, StompError> {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        match (chars.next(), lenient) {
            (Some('\\'), _) => plain.push('\\'),
            (Some('r'), _) => plain.push('\r'),
            (Some('n'), _) => plain.push('\n'),
            (Some('c'), _) => plain.push(':'),
            (other, true) => {
                plain.push('\\');
                plain.extend(other);
            }
            (_, false) => return Err(StompError::Malformed("unknown escape in a header")),
        }
    }
    Ok(plain)
}

/// What either side sends to show that it lives.
pub const HEART_BEAT: &[u8] = b"\n";
const LENGTH: &str = "content-length";
/// Longest line of a head, in bytes: a header's name, colon and value.
const MAX_LINE: usize = 8 << 10;
/// Headers of one frame.
const MAX_HEADERS: usize = 64;
