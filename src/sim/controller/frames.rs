//! What passes on a WebSocket connection beside records, for those who test agents.

use bytes::Bytes;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame as Raw;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

/// What a controller sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A record, or bytes in its place, in one binary message.
    Record(Bytes),
    /// The same in several frames.
    Fragments(Bytes),
    Ping,
    /// Without having been asked.
    Pong,
    Close,
}

/// What a controller sees of an agent's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    Opened,
    /// The agent wanted to open a connection, and was told that it may not now.
    TurnedAway,
    Pong,
    /// The agent sent Close, with this status code if with any.
    Closed(Option<u16>),
}

impl Frame {
    /// As the messages to send.
    pub(super) fn messages(self) -> Vec<Message> {
        match self {
            Self::Record(record) => vec![Message::Binary(record)],
            Self::Fragments(record) => fragments(&record),
            Self::Ping => vec![Message::Ping(Bytes::from_static(b"conformance"))],
            Self::Pong => vec![Message::Pong(Bytes::new())],
            Self::Close => vec![Message::Close(None)],
        }
    }
}

fn fragments(record: &Bytes) -> Vec<Message> {
    let size = record.len().div_ceil(FRAGMENTS).max(1);
    let pieces = record.len().div_ceil(size);
    let frame = |(at, piece): (usize, &[u8])| {
        let code = if at == 0 { Data::Binary } else { Data::Continue };
        let is_last = at + 1 == pieces;
        Message::Frame(Raw::message(Bytes::copy_from_slice(piece), OpCode::Data(code), is_last))
    };
    record.chunks(size).enumerate().map(frame).collect()
}

/// How many frames a record is cut into.
const FRAGMENTS: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_fragment_is_final_and_all_but_the_first_continue() {
        let frames = Frame::Fragments(Bytes::from_static(b"abcdefg")).messages();
        let told = frames.iter().map(|message| match message {
            Message::Frame(frame) => (frame.header().is_final, frame.header().opcode),
            other => panic!("{other:?}"),
        });
        let (binary, more) = (OpCode::Data(Data::Binary), OpCode::Data(Data::Continue));
        assert_eq!(told.collect::<Vec<_>>(), [(false, binary), (false, more), (true, more)]);
    }
}
