//! A STOMP broker that a test plays, frame by frame: for what a real one cannot be asked to do.

use std::time::Duration;

use tokio::net::TcpListener;

use crate::net::{Buffered, Round, Stream};
use crate::transport::stomp::{Codec, Command, Frame};

pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The broker's end of a connection.
pub(crate) struct Peer {
    pub io: Buffered,
    codec: Codec,
}

impl Peer {
    /// The next connection, with its first frame.
    pub async fn accept(listener: &TcpListener) -> (Self, Frame) {
        let accepting = tokio::time::timeout(PATIENCE, listener.accept());
        let (socket, _) = accepting.await.expect("the client does not come").unwrap();
        let mut peer = Self { io: Buffered::new(Stream::Plain(socket)), codec: Codec::new(1 << 20) };
        let first = peer.frame().await;
        assert_eq!(first.command, Command::Stomp);
        (peer, first)
    }

    /// The next connection, with its subscription.
    pub async fn up(listener: &TcpListener) -> Self {
        let (mut peer, _) = Self::accept(listener).await;
        peer.say(connected()).await;
        assert_eq!(peer.frame().await.command, Command::Subscribe);
        peer.say(receipt("subscribed")).await;
        peer
    }

    pub async fn say(&mut self, frame: Frame) {
        Codec::encode(&frame, &mut self.io.outgoing);
        while !self.io.is_flushed() {
            assert!(!matches!(self.io.round().await, Round::Over(_)), "the client is gone");
        }
    }

    pub async fn frame(&mut self) -> Frame {
        self.next().await.expect("the client hung up")
    }

    /// `None` where the client closes the connection.
    pub async fn next(&mut self) -> Option<Frame> {
        let hearing = async {
            loop {
                if let Some(frame) = self.codec.decode(&mut self.io.incoming).unwrap() {
                    return Some(frame);
                }
                if let Round::Over(_) = self.io.round().await {
                    return None;
                }
            }
        };
        tokio::time::timeout(PATIENCE, hearing).await.expect("the client is silent")
    }

    /// The next message that the client sends, confirmed.
    pub async fn message(&mut self) -> Frame {
        let frame = self.frame().await;
        assert_eq!(frame.command, Command::Send);
        self.say(receipt(frame.header("receipt").unwrap())).await;
        frame
    }
}

pub(crate) fn connected() -> Frame {
    Frame::new(Command::Connected).with("version", "1.2")
}

pub(crate) fn receipt(id: &str) -> Frame {
    Frame::new(Command::Receipt).with("receipt-id", id)
}
