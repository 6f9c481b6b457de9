//! Accepts TCP connections, with TLS if told to; a slow handshake holds up nobody else.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tracing::debug;

use super::stream::Stream;
use super::tls::TlsServer;

/// An accepted connection.
pub struct Incoming {
    pub peer: SocketAddr,
    pub stream: Stream,
}

/// Binds and accepts until the returned receiver is dropped. The address is the one really bound.
pub async fn listen(
    address: SocketAddr,
    tls: Option<TlsServer>,
) -> io::Result<(SocketAddr, mpsc::Receiver<Incoming>)> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    let (sender, receiver) = mpsc::channel(ACCEPTED);
    tokio::spawn(accept_all(listener, tls, sender));
    Ok((bound, receiver))
}

async fn accept_all(listener: TcpListener, tls: Option<TlsServer>, sender: mpsc::Sender<Incoming>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = sender.closed() => return,
        };
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: those who hold some will give them back.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let _ = socket.set_nodelay(true);
        let (sender, tls) = (sender.clone(), tls.clone());
        match tls {
            None => {
                let _ = sender.send(Incoming { peer, stream: Stream::Plain(socket) }).await;
            }
            Some(tls) => {
                tokio::spawn(async move {
                    match tokio::time::timeout(HANDSHAKE, tls.accept(socket)).await {
                        Ok(Ok(stream)) => {
                            let stream = Stream::TlsServer(Box::new(stream));
                            let _ = sender.send(Incoming { peer, stream }).await;
                        }
                        Ok(Err(error)) => debug!(%peer, %error, "TLS handshake failed"),
                        Err(_) => debug!(%peer, "TLS handshake took too long"),
                    }
                });
            }
        }
    }
}

/// Accepted connections that may wait for their handler.
const ACCEPTED: usize = 128;
/// Time for a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
