//! Serves images to CPEs over HTTP/1.1: GET and HEAD, with ranges. Only links of the stage's lead to anything.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, StreamBody};
use hyper::body::{Frame, Incoming as Body};
use hyper::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_RANGE,
    RANGE, RETRY_AFTER,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::datamodel::WallTime;
use crate::net::{At, HttpUrl, Incoming, Opening, TlsServer};

use super::pace::Pace;
use super::range::{Wanted, wanted};
use super::stage::Stage;

/// Where CPEs load from, and how much at a time.
#[derive(Clone)]
pub struct ServerConfig {
    pub listen: At,
    pub tls: Option<TlsServer>,
    /// Images that are loaded at a time; further CPEs are told to come again.
    pub downloads: usize,
    /// For all of them together.
    pub bytes_per_second: Option<u64>,
    /// For one connection, from its first request to its end.
    pub connection_time: Duration,
}

/// A running server.
pub struct FileServer {
    pub address: SocketAddr,
}

struct Shared {
    stage: Stage,
    /// What the paths of links begin with.
    prefix: String,
    downloads: Arc<Semaphore>,
    pace: Arc<Pace>,
    connection_time: Duration,
}

type Answer = Response<UnsyncBoxBody<Bytes, io::Error>>;

impl FileServer {
    /// Listens until it is stopped. Fails if the address cannot be bound.
    pub async fn open(config: ServerConfig, stage: Stage, stop: CancellationToken) -> io::Result<Self> {
        let connections = config.downloads.saturating_mul(2).saturating_add(SPARE);
        let opening = Opening { tls: config.tls, connections, ..Opening::default() };
        let (address, incoming) = crate::net::listen(config.listen, opening).await?;
        let target = HttpUrl::parse(&stage.config().url).map(|url| url.target).unwrap_or_default();
        let shared = Shared {
            prefix: format!("{}/", target.trim_end_matches('/')),
            stage,
            downloads: Arc::new(Semaphore::new(config.downloads)),
            pace: Arc::new(Pace::new(config.bytes_per_second)),
            connection_time: config.connection_time,
        };
        tokio::spawn(serve(Arc::new(shared), incoming, stop));
        Ok(Self { address })
    }
}

async fn serve(shared: Arc<Shared>, mut incoming: mpsc::Receiver<Incoming>, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            accepted = incoming.recv() => accepted,
            () = stop.cancelled() => None,
        };
        let Some(Incoming { stream, place, .. }) = accepted else { return };
        let (shared, stop) = (Arc::clone(&shared), stop.clone());
        tokio::spawn(async move {
            // Its place among the open connections is held to its end.
            let _place = place;
            let service = service_fn(|request| async { Ok::<_, Infallible>(shared.answer(request).await) });
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(HEADER).max_buf_size(BUFFER);
            let serving = builder.serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                _ = tokio::time::timeout(shared.connection_time, serving) => {}
                () = stop.cancelled() => {}
            }
        });
    }
}

impl Shared {
    async fn answer(&self, request: Request<Body>) -> Answer {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return status(StatusCode::METHOD_NOT_ALLOWED);
        }
        let path = request.uri().path().strip_prefix(&self.prefix);
        let Some((image, file, size)) = path.and_then(|path| self.stage.find(path, now())) else {
            return status(StatusCode::NOT_FOUND);
        };
        let tag = format!("\"{image}\"");
        let header = |name| request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        // RFC 9110 13.1.5: the rest of another file would make no whole.
        let range = header(RANGE).filter(|_| header(IF_RANGE).is_none_or(|wanted| wanted == tag));
        let (code, first, length) = match wanted(range, size) {
            Wanted::Whole => (StatusCode::OK, 0, size),
            Wanted::Part(first, last) => (StatusCode::PARTIAL_CONTENT, first, last - first + 1),
            Wanted::Nothing => {
                let mut answer = status(StatusCode::RANGE_NOT_SATISFIABLE);
                put(&mut answer, CONTENT_RANGE, &format!("bytes */{size}"));
                return answer;
            }
        };
        let mut answer = match *request.method() == Method::HEAD {
            true => status(code),
            false => match self.body(file, first, length).await {
                Ok(answer) => answer,
                Err(answer) => return answer,
            },
        };
        *answer.status_mut() = code;
        put(&mut answer, CONTENT_LENGTH, &length.to_string());
        put(&mut answer, CONTENT_TYPE, "application/octet-stream");
        put(&mut answer, ACCEPT_RANGES, "bytes");
        put(&mut answer, ETAG, &tag);
        if code == StatusCode::PARTIAL_CONTENT {
            put(&mut answer, CONTENT_RANGE, &format!("bytes {first}-{}/{size}", first + length - 1));
        }
        answer
    }

    async fn body(&self, file: PathBuf, first: u64, length: u64) -> Result<Answer, Answer> {
        let Ok(turn) = Arc::clone(&self.downloads).try_acquire_owned() else {
            let mut answer = status(StatusCode::SERVICE_UNAVAILABLE);
            put(&mut answer, RETRY_AFTER, AGAIN_SECONDS);
            return Err(answer);
        };
        let opened = async {
            let mut file = File::open(file).await?;
            file.seek(io::SeekFrom::Start(first)).await?;
            Ok::<_, io::Error>(file)
        };
        let file = opened.await.map_err(|_| status(StatusCode::NOT_FOUND))?;
        let sending = Sending { file, left: length, pace: Arc::clone(&self.pace), _turn: turn };
        let pieces = stream::unfold(sending, |mut sending| async {
            let piece = sending.piece().await.transpose()?;
            Some((piece.map(Frame::data), sending))
        });
        Ok(Response::new(StreamBody::new(pieces).boxed_unsync()))
    }
}

/// A file on its way to a CPE.
struct Sending {
    file: File,
    left: u64,
    pace: Arc<Pace>,
    _turn: OwnedSemaphorePermit,
}

impl Sending {
    async fn piece(&mut self) -> io::Result<Option<Bytes>> {
        let length = usize::try_from(self.left).unwrap_or(PIECE).min(PIECE);
        if length == 0 {
            return Ok(None);
        }
        let mut piece = vec![0; length];
        self.file.read_exact(&mut piece).await?;
        self.left -= length as u64;
        if let Some(at) = self.pace.turn(length, tokio::time::Instant::now()) {
            tokio::time::sleep_until(at).await;
        }
        Ok(Some(piece.into()))
    }
}

fn status(code: StatusCode) -> Answer {
    let body = Empty::new().map_err(|never: Infallible| match never {}).boxed_unsync();
    let mut answer = Response::new(body);
    *answer.status_mut() = code;
    answer
}

fn put(answer: &mut Answer, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
}

fn now() -> WallTime {
    WallTime::from(SystemTime::now())
}

/// Bytes that are read and sent at a time.
const PIECE: usize = 64 << 10;
/// Bytes of a request's head.
const BUFFER: usize = 16 << 10;
/// Time for the head of a request.
const HEADER: Duration = Duration::from_secs(30);
/// Connections beside those that load: such as are told to come again, and when.
const SPARE: usize = 64;
const AGAIN_SECONDS: &str = "30";
