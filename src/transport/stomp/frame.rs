//! Frames as far as USP needs them. Transactions and acknowledgements are not here, so that none can be sent
//! (R-STOMP.26, R-STOMP.27).

use bytes::Bytes;

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// A client's first frame as older clients say it; `Stomp` means the same.
    Connect,
    Stomp,
    Connected,
    Send,
    Subscribe,
    Unsubscribe,
    Disconnect,
    Message,
    Receipt,
    Error,
}

/// One frame. `content-length` is not among the headers: the codec adds and takes it away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub command: Command,
    /// In the order of the wire.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

impl Frame {
    pub fn new(command: Command) -> Self {
        Self { command, headers: Vec::new(), body: Bytes::new() }
    }

    /// With one more header.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A header's value; of repeated ones the first counts (STOMP 1.2, "Repeated Header Entries").
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl Command {
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(command, _)| *command == self).map_or("", |(_, name)| name)
    }

    pub fn parse(name: &str) -> Option<Self> {
        NAMES.iter().find(|(_, known)| *known == name).map(|(command, _)| *command)
    }

    /// Frames of the handshake are not escaped in STOMP 1.2, so that a peer of 1.0 understands them; USP
    /// escapes them all the same (R-STOMP.4). So their escapes are undone, and what is none is text.
    pub(super) fn is_handshake(self) -> bool {
        matches!(self, Self::Connect | Self::Stomp | Self::Connected)
    }
}

const NAMES: [(Command, &str); 10] = [
    (Command::Connect, "CONNECT"),
    (Command::Stomp, "STOMP"),
    (Command::Connected, "CONNECTED"),
    (Command::Send, "SEND"),
    (Command::Subscribe, "SUBSCRIBE"),
    (Command::Unsubscribe, "UNSUBSCRIBE"),
    (Command::Disconnect, "DISCONNECT"),
    (Command::Message, "MESSAGE"),
    (Command::Receipt, "RECEIPT"),
    (Command::Error, "ERROR"),
];
