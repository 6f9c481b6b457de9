//! A door with a handler that does as the request's path says, and a client that writes bytes as they are.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::identity::{DeviceId, EndpointId};
use crate::observe::{Metrics, Recorder};
use crate::southbound::{
    Binding, ConnectionId, CpeHandler, CpeReply, CpeRequest, Door, DoorConfig, DoorLimits, Front,
};

/// What the handler was told.
#[derive(Debug)]
pub enum Told {
    Request(Box<CpeRequest>),
    HalfClosed(ConnectionId),
    Gone(ConnectionId),
}

struct Script {
    told: mpsc::UnboundedSender<Told>,
    release: Arc<Notify>,
    recorder: Recorder,
}

impl CpeHandler for Script {
    /// Answers with what was posted. `/held` waits for [`Rig::release`], `/cookie` sets ours, `/close` ends
    /// the connection, `/large` answers with more than any socket buffers.
    async fn request(&self, request: CpeRequest) -> CpeReply {
        let body = request.body.clone();
        let target = request.target.clone();
        self.told.send(Told::Request(Box::new(request))).unwrap();
        let mut reply =
            CpeReply { status: 200, headers: Default::default(), body, close: false, cookie: None };
        match target.as_str() {
            "/held" => self.release.notified().await,
            "/cookie" => reply.cookie = Some("c00kie".into()),
            "/close" => reply.close = true,
            "/large" => reply.body = vec![b'x'; LARGE].into(),
            _ => {}
        }
        reply
    }

    fn whose(&self, _: Option<&str>, _: ConnectionId) -> Option<EndpointId> {
        None
    }

    fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    fn knows(&self, cookie: &str) -> bool {
        cookie == "c00kie"
    }

    /// An Inform says `inform`, and behind a blank its sender's serial number.
    fn informs(&self, body: &Bytes) -> Option<DeviceId> {
        let serial = std::str::from_utf8(body).ok()?.strip_prefix("inform")?.trim();
        Some(DeviceId { oui: "00256D".into(), serial_number: serial.into(), ..DeviceId::default() })
    }

    fn half_closed(&self, connection: ConnectionId) {
        self.told.send(Told::HalfClosed(connection)).unwrap();
    }

    fn gone(&self, connection: ConnectionId) {
        // The door outlives the test that has stopped listening.
        let _ = self.told.send(Told::Gone(connection));
    }
}

/// An open door; it closes when this is dropped.
pub struct Rig {
    pub address: SocketAddr,
    pub metrics: Arc<Metrics>,
    told: mpsc::UnboundedReceiver<Told>,
    release: Arc<Notify>,
    stop: CancellationToken,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Rig {
    pub async fn open() -> Self {
        Self::with(|_| {}).await
    }

    /// A door with this configuration; limits are small unless it says otherwise.
    pub async fn with(configure: impl FnOnce(&mut DoorConfig)) -> Self {
        let limits = DoorLimits {
            body: BODY,
            connections: 50,
            idle: PATIENCE,
            body_time: PATIENCE,
            ..DoorLimits::default()
        };
        let mut config = DoorConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)).into(),
            tls: None,
            auth: None,
            front: Front::default(),
            binding: Binding::default(),
            require_certificate: false,
            limits,
        };
        configure(&mut config);
        let (told, inbox) = mpsc::unbounded_channel();
        let release = Arc::new(Notify::new());
        let script = Arc::new(Script { told, release: Arc::clone(&release), recorder: Recorder::default() });
        let stop = CancellationToken::new();
        let metrics = Arc::new(Metrics::default());
        let door = Door::open(config, script, Arc::clone(&metrics), stop.clone()).await.unwrap();
        Self { address: door.address, metrics, told: inbox, release, stop }
    }

    pub async fn connect(&self) -> Client<TcpStream> {
        Client::new(TcpStream::connect(self.address).await.unwrap())
    }

    /// Lets one request to `/held` be answered.
    pub fn release(&self) {
        self.release.notify_one();
    }

    /// Closes the door.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// The next thing the handler is told.
    pub async fn told(&mut self) -> Told {
        within(self.told.recv()).await.unwrap()
    }

    pub async fn request(&mut self) -> CpeRequest {
        match self.told().await {
            Told::Request(request) => *request,
            other => panic!("no request but {other:?}"),
        }
    }

    /// The next request, whatever connections end before it.
    pub async fn next_request(&mut self) -> CpeRequest {
        loop {
            if let Told::Request(request) = self.told().await {
                return *request;
            }
        }
    }

    /// All requests that reached the handler until the connection has ended.
    pub async fn requests_until_gone(&mut self) -> Vec<CpeRequest> {
        let mut requests = Vec::new();
        loop {
            match self.told().await {
                Told::Request(request) => requests.push(*request),
                Told::HalfClosed(_) => {}
                Told::Gone(_) => return requests,
            }
        }
    }

    /// Sends all of this on a connection of its own and closes the sending side: the answers, and what
    /// reached the handler.
    pub async fn send_all(&mut self, bytes: impl AsRef<[u8]>) -> (Vec<Answer>, Vec<CpeRequest>) {
        let mut client = self.connect().await;
        client.write(bytes).await;
        // The door may have closed the connection already.
        let _ = client.stream.shutdown().await;
        let answers = client.answers().await;
        drop(client);
        (answers, self.requests_until_gone().await)
    }
}

/// An answer as it came.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Bytes,
}

impl Answer {
    /// All values of a header.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }
}

/// A client on one connection.
pub struct Client<S> {
    pub stream: S,
    buffer: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// Writes what it can: a door that refuses a request may close before all of it is sent.
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = within(self.stream.write_all(bytes.as_ref())).await;
        let _ = within(self.stream.flush()).await;
    }

    /// The next answer; `None` at the end of the connection.
    pub async fn answer(&mut self) -> Option<Answer> {
        loop {
            if let Some(answer) = self.take_answer() {
                return Some(answer);
            }
            if !self.fill().await {
                assert!(self.buffer.is_empty(), "an answer was cut off after {} bytes", self.buffer.len());
                return None;
            }
        }
    }

    /// All answers until the end of the connection.
    pub async fn answers(&mut self) -> Vec<Answer> {
        let mut answers = Vec::new();
        while let Some(answer) = self.answer().await {
            answers.push(answer);
        }
        answers
    }

    /// Reads to the end of the connection, whatever comes.
    pub async fn ended(&mut self) {
        while self.fill().await {}
    }

    /// Posts and awaits the answer.
    pub async fn post(&mut self, target: &str, body: &str) -> Answer {
        self.write(post(target, "", body)).await;
        self.answer().await.expect("the connection has ended instead")
    }

    async fn fill(&mut self) -> bool {
        let mut chunk = [0; 16 << 10];
        match within(self.stream.read(&mut chunk)).await {
            Ok(read) => {
                self.buffer.extend_from_slice(&chunk[..read]);
                read > 0
            }
            // A reset: the door has closed with bytes of ours unread.
            Err(_) => false,
        }
    }

    fn take_answer(&mut self) -> Option<Answer> {
        let end = self.buffer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
        let head = String::from_utf8(self.buffer[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer { status, head, body: Bytes::new() };
        let length: usize = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        if self.buffer.len() < end + length {
            return None;
        }
        let rest = self.buffer.split_off(end + length);
        answer.body = self.buffer.split_off(end).into();
        self.buffer = rest;
        Some(answer)
    }
}

/// A POST with these further header lines, each with its line end.
pub fn post(target: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let length = body.len();
    let head = format!("POST {target} HTTP/1.1\r\nHost: gw\r\nContent-Length: {length}\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

/// A POST whose body comes in these chunks.
pub fn chunked(headers: &str, chunks: &[&str]) -> Vec<u8> {
    let mut out = format!("POST / HTTP/1.1\r\nHost: gw\r\nTransfer-Encoding: chunked\r\n{headers}\r\n");
    for chunk in chunks {
        out += &format!("{:x}\r\n{chunk}\r\n", chunk.len());
    }
    out += "0\r\n\r\n";
    out.into_bytes()
}

/// Fails the test instead of hanging.
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("nothing happens")
}

/// Bytes of a body that the test's door takes.
pub const BODY: usize = 4_096;
/// More bytes than sockets of this machine buffer.
pub const LARGE: usize = 16 << 20;
/// No test waits longer for anything.
const PATIENCE: Duration = Duration::from_secs(10);
