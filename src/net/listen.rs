//! Accepts TCP connections and opens them: the PROXY protocol's header of a front, then TLS, as told. A slow
//! opening holds up nobody else, and how many there are at a time is bounded.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::transport::proxy_protocol::{self, Header, Progress, ProxyError};

use super::networks::Networks;
use super::sockets::{At, OpenSocket};
use super::stream::Stream;
use super::tls::TlsServer;

/// An accepted connection.
pub struct Incoming {
    pub peer: SocketAddr,
    /// The address of ours that it called.
    pub local: Option<SocketAddr>,
    pub stream: Stream,
    /// What a trusted front has said of it.
    pub header: Option<Header>,
    /// Its place among the open connections, given back when this is dropped.
    pub place: Place,
}

/// A place among the connections that may be open.
pub struct Place {
    _permit: Option<OwnedSemaphorePermit>,
    _busy: Arc<()>,
}

/// Who is told of a connection that could not be opened.
pub type Failed = dyn Fn(SocketAddr, &OpenError) + Send + Sync;

/// How connections are opened, and how many.
#[derive(Clone)]
pub struct Opening {
    pub tls: Option<TlsServer>,
    /// Peers whose connections begin with the PROXY protocol's header.
    pub proxies: Networks,
    /// Open connections, those that are being opened among them; more wait in the kernel's queue.
    pub connections: usize,
    /// Connections that are being opened; more wait in the kernel's queue.
    pub openings: usize,
    /// Time for header and handshake.
    pub patience: Duration,
    /// Told of each connection that could not be opened.
    pub failed: Arc<Failed>,
}

impl Default for Opening {
    fn default() -> Self {
        Self {
            tls: None,
            proxies: Networks::default(),
            connections: 100_000,
            openings: 1_024,
            patience: Duration::from_secs(10),
            failed: Arc::new(|peer, error| debug!(%peer, %error, "a connection was not opened")),
        }
    }
}

/// Why a connection was closed before its first request.
#[derive(Debug, Error)]
pub enum OpenError {
    #[error("{0}")]
    Proxy(#[from] ProxyError),
    #[error("TLS handshake failed: {0}")]
    Tls(io::Error),
    #[error("it was closed during its opening: {0}")]
    Closed(io::Error),
    #[error("{0} took longer than {1:?}")]
    Slow(&'static str, Duration),
}

/// Binds, where that is still to be done, and accepts until the returned receiver is dropped, or until another process
/// accepts there: what has been accepted is still handed out then. The address is the one really bound.
pub async fn listen(
    at: impl Into<At>,
    opening: Opening,
) -> io::Result<(SocketAddr, mpsc::Receiver<Incoming>)> {
    let at = at.into();
    let (listener, closing, busy) = match at.open {
        Some(OpenSocket { listener, closing, busy }) => {
            listener.set_nonblocking(true)?;
            (TcpListener::from_std(listener.try_clone()?)?, closing, busy)
        }
        None => (TcpListener::bind(at.address()).await?, CancellationToken::new(), Arc::default()),
    };
    let bound = listener.local_addr()?;
    let (sender, receiver) = mpsc::channel(ACCEPTED);
    tokio::spawn(accept_all(listener, closing, busy, opening, sender));
    Ok((bound, receiver))
}

async fn accept_all(
    listener: TcpListener,
    closing: CancellationToken,
    busy: Arc<()>,
    opening: Opening,
    sender: mpsc::Sender<Incoming>,
) {
    let mut places = Gate::new("open connections", opening.connections);
    let mut openings = Gate::new("connections being opened", opening.openings);
    let opening = Arc::new(opening);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &mut places, &mut openings) => accepted,
            () = sender.closed() => return,
            () = closing.cancelled() => return,
        };
        let Some((socket, peer, permit, turn)) = accepted else { continue };
        let place = Place { _permit: Some(permit), _busy: Arc::clone(&busy) };
        let _ = socket.set_nodelay(true);
        let (proxied, local) = (opening.proxies.contain(peer.ip()), socket.local_addr().ok());
        if !proxied && opening.tls.is_none() {
            drop(turn);
            let incoming = Incoming { peer, local, stream: Stream::Plain(socket), header: None, place };
            let _ = sender.send(incoming).await;
            continue;
        }
        let (sender, opening) = (sender.clone(), Arc::clone(&opening));
        tokio::spawn(async move {
            let opened = open(socket, &opening, proxied).await;
            drop(turn);
            match opened {
                Ok((stream, header)) => {
                    let _ = sender.send(Incoming { peer, local, stream, header, place }).await;
                }
                Err(error) => (opening.failed)(peer, &error),
            }
        });
    }
}

/// A limit, and when the operator was last told that it is reached.
struct Gate {
    room: Arc<Semaphore>,
    what: &'static str,
    limit: usize,
    told: Option<Instant>,
}

impl Gate {
    fn new(what: &'static str, limit: usize) -> Self {
        let room = Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS)));
        Self { room, what, limit, told: None }
    }

    async fn enter(&mut self) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() {
            return Some(permit);
        }
        if self.told.is_none_or(|told| told.elapsed() > TELL_AGAIN) {
            self.told = Some(Instant::now());
            let (what, limit) = (self.what, self.limit);
            tracing::warn!(limit, "there are as many {what} as may be: further ones wait");
        }
        Arc::clone(&self.room).acquire_owned().await.ok()
    }
}

/// Accepts once there is room for one more connection and one more opening.
async fn accept(
    listener: &TcpListener,
    places: &mut Gate,
    openings: &mut Gate,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit, OwnedSemaphorePermit)> {
    let place = places.enter().await?;
    let turn = openings.enter().await?;
    match listener.accept().await {
        Ok((socket, peer)) => Some((socket, peer, place, turn)),
        Err(error) => {
            // Out of file descriptors, most likely: those who hold some will give them back.
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

/// Header and handshake, one after the other, within the time for both.
async fn open(
    mut socket: TcpStream,
    opening: &Opening,
    proxied: bool,
) -> Result<(Stream, Option<Header>), OpenError> {
    let end = Instant::now() + opening.patience;
    let slow = |what| move |_| OpenError::Slow(what, opening.patience);
    let mut header = None;
    if proxied {
        let reading = tokio::time::timeout_at(end, read_header(&mut socket));
        header = Some(reading.await.map_err(slow("the PROXY protocol header"))??);
    }
    let Some(tls) = &opening.tls else { return Ok((Stream::Plain(socket), header)) };
    let handshake = tokio::time::timeout_at(end, tls.accept(socket)).await;
    let stream = handshake.map_err(slow("the TLS handshake"))?.map_err(OpenError::Tls)?;
    Ok((Stream::TlsServer(Box::new(stream)), header))
}

/// Reads the header and not a byte more: what follows belongs to TLS or HTTP.
async fn read_header(socket: &mut TcpStream) -> Result<Header, OpenError> {
    let mut bytes = Vec::new();
    let mut checked = 0;
    loop {
        match proxy_protocol::decode(&bytes)? {
            Progress::Done(header) => return Ok(header),
            Progress::Needs(more) => bytes.resize(bytes.len() + more, 0),
        }
        while checked < bytes.len() {
            match socket.read(&mut bytes[checked..]).await.map_err(OpenError::Closed)? {
                0 => return Err(OpenError::Closed(io::ErrorKind::UnexpectedEof.into())),
                read => checked += read,
            }
            // What cannot become a header is refused at once, not when enough of it has come.
            proxy_protocol::decode(&bytes[..checked])?;
        }
    }
}

/// Accepted connections that may wait for their handler.
const ACCEPTED: usize = 128;
/// How long the operator is left in peace about a limit.
const TELL_AGAIN: Duration = Duration::from_secs(60);
