//! One type for a TCP connection with or without TLS.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::tls::TlsClient;

/// A byte stream to a peer.
pub enum Stream {
    Plain(TcpStream),
    TlsClient(Box<tokio_rustls::client::TlsStream<TcpStream>>),
    TlsServer(Box<tokio_rustls::server::TlsStream<TcpStream>>),
}

impl Stream {
    /// Connects, with TLS if told to, all of it within `patience`.
    pub async fn connect(
        host: &str,
        port: u16,
        tls: Option<&TlsClient>,
        patience: Duration,
    ) -> io::Result<Self> {
        let connecting = async { Self::over(TcpStream::connect((host, port)).await?, host, tls).await };
        match tokio::time::timeout(patience, connecting).await {
            Ok(result) => result,
            Err(_) => {
                let why = format!("no connection to {host}:{port} within {} s", patience.as_secs());
                Err(io::Error::new(io::ErrorKind::TimedOut, why))
            }
        }
    }

    /// Connects to one address of `host`.
    pub(super) async fn open(address: SocketAddr, host: &str, tls: Option<&TlsClient>) -> io::Result<Self> {
        Self::over(TcpStream::connect(address).await?, host, tls).await
    }

    async fn over(socket: TcpStream, host: &str, tls: Option<&TlsClient>) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        match tls {
            Some(tls) => Ok(Self::TlsClient(Box::new(tls.connect(host, socket).await?))),
            None => Ok(Self::Plain(socket)),
        }
    }

    pub fn is_tls(&self) -> bool {
        !matches!(self, Self::Plain(_))
    }

    /// The certificate that the peer has proved to own, in DER.
    pub fn peer_certificate(&self) -> Option<Vec<u8>> {
        self.peer_chain().first().map(|first| first.to_vec())
    }

    /// That and those which the peer sent along.
    pub fn peer_chain(&self) -> &[CertificateDer<'static>] {
        let certificates = match self {
            Self::Plain(_) => None,
            Self::TlsClient(stream) => stream.get_ref().1.peer_certificates(),
            Self::TlsServer(stream) => stream.get_ref().1.peer_certificates(),
        };
        certificates.unwrap_or_default()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, into),
            Self::TlsClient(stream) => Pin::new(stream).poll_read(context, into),
            Self::TlsServer(stream) => Pin::new(stream).poll_read(context, into),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, from),
            Self::TlsClient(stream) => Pin::new(stream).poll_write(context, from),
            Self::TlsServer(stream) => Pin::new(stream).poll_write(context, from),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::TlsClient(stream) => Pin::new(stream).poll_flush(context),
            Self::TlsServer(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::TlsClient(stream) => Pin::new(stream).poll_shutdown(context),
            Self::TlsServer(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
