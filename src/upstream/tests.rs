//! One session's leg against servers on sockets that say what a test has written down.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::identity::EndpointId;
use crate::net::{Host, HttpError, HttpLimits, HttpUrl};
use crate::observe::{Metrics, Recorder};
use crate::policy::Egress;
use crate::transport::http::Headers;

use super::*;

mod endings;
mod redirected;

/// What a server does with a request.
enum Say {
    /// Answers so, and keeps the connection.
    Text(String),
    /// Answers so, and ends the connection.
    Last(String),
    /// Answers so, a little late.
    Late(String),
    /// Says nothing, for as long as the test runs.
    Nothing,
}

/// A server that deals with one request after the other as it is told, over however many connections.
struct Server {
    port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Clone)]
struct Seen {
    /// Which connection it came over, counted from one.
    connection: usize,
    /// The head in lower case, and the body as it is.
    head: String,
    body: String,
}

impl Server {
    async fn start(says: Vec<Say>) -> Self {
        let (server, listener) = Self::bind().await;
        server.says(listener, says)
    }

    /// A server whose address is known before what it says.
    async fn bind() -> (Self, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        (Self { port, seen: Arc::default(), task: tokio::spawn(async {}) }, listener)
    }

    fn says(mut self, listener: TcpListener, says: Vec<Say>) -> Self {
        let (seen, says) = (Arc::clone(&self.seen), Arc::new(Mutex::new(says.into_iter())));
        self.task = tokio::spawn(async move {
            let mut connection = 0;
            while let Ok((stream, _)) = listener.accept().await {
                connection += 1;
                tokio::spawn(serve(stream, connection, Arc::clone(&seen), Arc::clone(&says)));
            }
        });
        self
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: TcpStream,
    connection: usize,
    seen: Arc<Mutex<Vec<Seen>>>,
    says: Arc<Mutex<std::vec::IntoIter<Say>>>,
) {
    let mut bytes = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return;
            }
        };
        let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length = length.map_or(0, |length| length.parse().unwrap());
        while bytes.len() < end + length {
            if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let body = String::from_utf8_lossy(&bytes[end..end + length]).into_owned();
        bytes.drain(..end + length);
        seen.lock().unwrap().push(Seen { connection, head, body });
        let say = says.lock().unwrap().next();
        match say {
            Some(Say::Text(text)) => stream.write_all(text.as_bytes()).await.unwrap(),
            Some(Say::Late(text)) => {
                tokio::time::sleep(LATE).await;
                stream.write_all(text.as_bytes()).await.unwrap();
            }
            Some(Say::Last(text)) => return stream.write_all(text.as_bytes()).await.unwrap(),
            Some(Say::Nothing) => std::future::pending().await,
            None => return,
        }
    }
}

/// An answer with these header lines.
fn answer(status: u16, lines: &[&str], body: &str) -> Say {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    Say::Text(format!("HTTP/1.1 {status} Said\r\n{lines}Content-Length: {}\r\n\r\n{body}", body.len()))
}

/// The ACS at a URL, which may send sessions to these places.
fn acs(url: &str, redirects: &[&str]) -> Acs {
    let url = HttpUrl::parse(url).unwrap();
    Acs {
        name: "default".into(),
        keep_host: false,
        host: Host::new(&url.host, url.port),
        url,
        tls: None,
        keep_target: false,
        credentials: None,
        redirects: Redirects::new(Egress::of(redirects.iter().copied()).unwrap()),
        redirect_credentials: false,
        forwarded: false,
        client_cert: false,
        limits: HttpLimits { connect: PATIENCE, answer: PATIENCE, body: 1_000 },
    }
}

fn leg(acs: Acs) -> Connection {
    let watch = Watch::new(Recorder::new(None), EndpointId::parse("os::00256D-S1").unwrap());
    Connection::new(Arc::new(acs), watch, Arc::new(Metrics::default()))
}

/// A POST of a CPE with these header lines.
fn post(lines: &[(&str, &str)], body: &'static str) -> AcsRequest {
    let mut headers = Headers::default();
    lines.iter().for_each(|(name, value)| headers.push(*name, value.as_bytes().to_vec()));
    AcsRequest { target: "/cpe?its=own".into(), headers, body: Bytes::from_static(body.as_bytes()) }
}

const PATIENCE: Duration = Duration::from_secs(5);
const LATE: Duration = Duration::from_millis(100);
