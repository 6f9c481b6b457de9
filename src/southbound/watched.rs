//! A stream that keeps the end of the peer's sending side to itself until the answer is written.
//!
//! An HTTP server that sees its peer's end of file drops the request it is working on, and one that was
//! told to bear it does not look for it any more. CPEs do both: some close their sending side after each
//! POST and still read the answer, and many just vanish while a session is parked.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

use crate::net::Stream;

pub(super) struct Watched {
    stream: Stream,
    ended: bool,
    answered: bool,
    /// Told once, when the peer's sending side has ended.
    on_end: Arc<Notify>,
}

impl Watched {
    pub fn new(stream: Stream, on_end: Arc<Notify>) -> Self {
        Self { stream, ended: false, answered: true, on_end }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.ended {
            return if this.answered { Poll::Ready(Ok(())) } else { Poll::Pending };
        }
        let before = into.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(context, into);
        if !matches!(polled, Poll::Ready(Ok(()))) {
            return polled;
        }
        if into.filled().len() > before {
            this.answered = false;
            return polled;
        }
        this.ended = true;
        this.on_end.notify_one();
        if this.answered { polled } else { Poll::Pending }
    }
}

impl AsyncWrite for Watched {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.answered = true;
        Pin::new(&mut this.stream).poll_write(context, from)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
