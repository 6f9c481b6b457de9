//! The stub ACS of the measurement: it says the same in every session, as fast as it can, and judges
//! that every body arrived as it was sent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::{TcpListener, TcpStream};

use super::bodies;
use super::http::{Peer, header};

/// A running stub: where it listens and what it has seen.
pub struct Acs {
    pub address: SocketAddr,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    sessions: AtomicUsize,
    connections: AtomicUsize,
}

impl Acs {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let counts = Arc::new(Counts::default());
        let counted = Arc::clone(&counts);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.connections.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(stream, Arc::clone(&counted)));
            }
        });
        Self { address, counts }
    }

    /// Sessions that came to their end.
    pub fn sessions(&self) -> usize {
        self.counts.sessions.load(Ordering::Relaxed)
    }

    pub fn connections(&self) -> usize {
        self.counts.connections.load(Ordering::Relaxed)
    }
}

async fn serve(stream: TcpStream, counts: Arc<Counts>) {
    let (inform_response, request, response) =
        (bodies::inform_response(), bodies::request(), bodies::response());
    let inform = bodies::inform(0);
    let mut peer = Peer::new(stream);
    while let Some(message) = peer.receive().await {
        assert!(header(message.head, "content-type").is_some() || message.body.is_empty());
        let (head, body) = match message.body {
            b"" => (ok(request.len()), request.as_bytes()),
            body if body == response.as_bytes() => {
                counts.sessions.fetch_add(1, Ordering::Relaxed);
                ("HTTP/1.1 204 No Content\r\n\r\n".to_owned(), &b""[..])
            }
            body => {
                assert_eq!(body.len(), inform.len(), "an Inform arrived as it was sent");
                (ok(inform_response.len()), inform_response.as_bytes())
            }
        };
        if !peer.send(&head, body).await {
            return;
        }
    }
}

fn ok(length: usize) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/xml; charset=\"utf-8\"\r\nServer: acs\r\n\
         Set-Cookie: JSESSIONID=1c9f83a5d27e4b60; Path=/; HttpOnly\r\nContent-Length: {length}\r\n\r\n"
    )
}
