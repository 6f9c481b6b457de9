//! The link between the two processes: what one says, and questions with their answers.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio_util::codec::{Framed, LengthDelimitedCodec};

use super::wire::{MAX_MESSAGE, Message, Post, Reply};

/// Messages in frames.
pub(super) type Wire = Framed<UnixStream, LengthDelimitedCodec>;

/// One end of the link.
pub struct Link {
    outgoing: mpsc::Sender<Message>,
    asked: Asked,
    next: AtomicU64,
}

type Asked = Arc<Mutex<HashMap<u64, oneshot::Sender<Option<Reply>>>>>;

impl Link {
    /// Carries messages until either end is dropped. What comes is handed out, save for answers; it ends when the other
    /// process is gone.
    pub(super) fn start(wire: Wire) -> (Arc<Self>, mpsc::Receiver<Message>) {
        let (sink, stream) = wire.split();
        let (outgoing, to_say) = mpsc::channel(WAITING);
        let (incoming, heard) = mpsc::channel(WAITING);
        let asked = Asked::default();
        tokio::spawn(say(sink, to_say));
        tokio::spawn(hear(stream, incoming, Arc::clone(&asked)));
        (Arc::new(Self { outgoing, asked, next: AtomicU64::new(0) }), heard)
    }

    /// Says something. Whether it is on its way, or the other process is gone.
    pub async fn say(&self, message: Message) -> bool {
        self.outgoing.send(message).await.is_ok()
    }

    /// As [`Link::say`], for those who cannot wait: whether there was room for it.
    pub fn try_say(&self, message: Message) -> bool {
        self.outgoing.try_send(message).is_ok()
    }

    /// Has the other process answer a POST; `None`: it has no answer, or is gone.
    pub async fn ask(&self, post: Post) -> Option<Reply> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(id, sender);
        if !self.say(Message::Post { id, post: Box::new(post) }).await {
            self.asked.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        }
        answer.await.ok().flatten()
    }
}

async fn say(mut sink: SplitSink<Wire, Bytes>, mut to_say: mpsc::Receiver<Message>) {
    while let Some(message) = to_say.recv().await {
        let Ok(frame) = serde_json::to_vec(&message) else { continue };
        if let Err(error) = sink.send(frame.into()).await {
            tracing::debug!(%error, "the other process hears nothing more");
            return;
        }
    }
    let _ = sink.close().await;
}

async fn hear(mut stream: SplitStream<Wire>, incoming: mpsc::Sender<Message>, asked: Asked) {
    while let Some(frame) = stream.next().await {
        let message = match frame.and_then(|frame| serde_json::from_slice(&frame).map_err(io::Error::other)) {
            Ok(Message::Reply { id, reply }) => {
                let waiting = asked.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
                // Whoever has hung up does not want to know.
                let _ = waiting.map(|waiting| waiting.send(reply));
                continue;
            }
            Ok(message) => message,
            Err(error) => {
                tracing::warn!(%error, "the other process is not understood");
                break;
            }
        };
        if incoming.send(message).await.is_err() {
            break;
        }
    }
    asked.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

pub(super) fn wire(stream: UnixStream) -> Wire {
    LengthDelimitedCodec::builder().max_frame_length(MAX_MESSAGE).new_framed(stream)
}

/// Messages that may wait, in either direction. Whoever has more to say waits; records of USP are dropped.
const WAITING: usize = 8_192;
