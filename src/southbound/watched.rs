//! A stream that keeps the end of the peer's sending side to itself until the answer is written.
//!
//! An HTTP server that sees its peer's end of file drops the request it is working on, and one that was
//! told to bear it does not look for it any more. CPEs do both: some close their sending side after each
//! POST and still read the answer, and many just vanish while a session is parked.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;

use crate::net::Stream;

/// Where the exchange of a connection stands: told by the service, asked by the stream.
#[derive(Default)]
pub(super) struct Exchange {
    phase: AtomicU8,
    /// Cancelled when the peer's sending side has ended; all that it sent has been read then.
    pub ended: CancellationToken,
}

impl Exchange {
    /// A request's head is here: an answer is owed.
    pub fn asked(&self) {
        self.phase.store(ASKED, Ordering::Release);
    }

    /// The answer is made, and now on its way through the server's buffer.
    pub fn answered(&self) {
        self.phase.store(ANSWERED, Ordering::Release);
    }

    fn owes_answer(&self) -> bool {
        self.phase.load(Ordering::Acquire) != IDLE
    }

    fn step(&self, from: u8, to: u8) -> bool {
        self.phase.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

pub(super) struct Watched {
    stream: Stream,
    exchange: Arc<Exchange>,
    /// Who waits for the end that is held back.
    reader: Option<Waker>,
}

impl Watched {
    pub fn new(stream: Stream, exchange: Arc<Exchange>) -> Self {
        Self { stream, exchange, reader: None }
    }

    /// Tells the server of the end once it owes no answer.
    fn end(&mut self, context: &Context<'_>) -> Poll<io::Result<()>> {
        if self.exchange.owes_answer() {
            self.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.exchange.ended.is_cancelled() {
            return this.end(context);
        }
        let before = into.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(context, into);
        let at_end = matches!(polled, Poll::Ready(Ok(()))) && into.filled().len() == before;
        if !at_end || into.remaining() == 0 {
            return polled;
        }
        this.exchange.ended.cancel();
        this.end(context)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.exchange.step(ANSWERED, WRITING);
        Pin::new(&mut this.stream).poll_write(context, from)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.stream).poll_flush(context);
        // The server flushes its stream when its own buffer is empty: the whole answer is written.
        if matches!(flushed, Poll::Ready(Ok(())))
            && this.exchange.step(WRITING, IDLE)
            && let Some(reader) = this.reader.take()
        {
            reader.wake();
        }
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

/// No request is under way.
const IDLE: u8 = 0;
const ASKED: u8 = 1;
const ANSWERED: u8 = 2;
/// Some of the answer is written.
const WRITING: u8 = 3;
