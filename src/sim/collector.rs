//! A collector of bulk data over HTTP (TR-369 Annex A): reports arrive at places of their own, and are answered as
//! whoever opened the place says.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming as Body;
use hyper::header::CONTENT_ENCODING;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use percent_encoding::percent_decode_str;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::net::{Incoming, Opening, TlsServer};
use crate::transport::http::decode_body;

/// Where a collector listens, and how agents see it.
#[derive(Clone)]
pub struct CollectorConfig {
    /// Port 0 for any.
    pub listen: SocketAddr,
    /// For https.
    pub tls: Option<TlsServer>,
    /// What agents call, if that is not the address itself: reports come to it with a name appended.
    pub url: Option<String>,
}

/// A running collector; a clone is the same one.
#[derive(Clone)]
pub struct Collector(Arc<Shared>);

struct Shared {
    url: String,
    tls: bool,
    places: Mutex<HashMap<String, Door>>,
    opened: AtomicU64,
    stop: CancellationToken,
}

/// The collector's side of a place.
struct Door {
    deliveries: mpsc::Sender<Delivery>,
    status: Arc<AtomicU16>,
}

/// Where the reports of one profile arrive; it is closed when this is dropped.
pub struct Place {
    collector: Arc<Shared>,
    name: String,
    deliveries: mpsc::Receiver<Delivery>,
    status: Arc<AtomicU16>,
}

/// A request with a report.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub at: Instant,
    pub tls: bool,
    pub method: String,
    /// Names and values, decoded.
    pub query: Vec<(String, String)>,
    pub headers: Vec<(String, String)>,
    /// Without transfer and content codings.
    pub body: Bytes,
    /// The status that it was answered with.
    pub answered: u16,
}

impl Delivery {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

impl Collector {
    /// Listens. Fails if the address cannot be bound.
    pub async fn start(config: CollectorConfig) -> io::Result<Self> {
        let tls = config.tls.is_some();
        let opening = Opening { tls: config.tls, connections: MAX_CONNECTIONS, ..Opening::default() };
        let (address, incoming) = crate::net::listen(config.listen, opening).await?;
        let url = config.url.unwrap_or_else(|| format!("http{}://{address}/", if tls { "s" } else { "" }));
        let url = format!("{}/", url.trim_end_matches('/'));
        let (places, stop) = (Mutex::default(), CancellationToken::new());
        let shared = Arc::new(Shared { url, tls, places, opened: AtomicU64::new(0), stop });
        tokio::spawn(serve(Arc::clone(&shared), incoming));
        Ok(Self(shared))
    }

    /// What agents call, before the name of a place.
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// Opens a place whose name begins so; a number follows, so that no two are the same.
    pub fn open(&self, name: &str) -> Place {
        let name = format!("{name}-{}", self.0.opened.fetch_add(1, Ordering::Relaxed));
        let (sender, deliveries) = mpsc::channel(MAX_UNREAD);
        let status = Arc::new(AtomicU16::new(200));
        let door = Door { deliveries: sender, status: Arc::clone(&status) };
        self.0.places().insert(name.clone(), door);
        Place { collector: Arc::clone(&self.0), name, deliveries, status }
    }

    /// Ends it, with all its connections.
    pub fn stop(&self) {
        self.0.stop.cancel();
    }
}

impl std::fmt::Debug for Collector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Collector({})", self.0.url)
    }
}

impl Place {
    pub fn url(&self) -> String {
        format!("{}{}", self.collector.url, self.name)
    }

    /// Answers with this status from now on.
    pub fn answer(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    /// The next report within this time.
    pub async fn next(&mut self, within: Duration) -> Option<Delivery> {
        tokio::time::timeout(within, self.deliveries.recv()).await.ok().flatten()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.collector.places().remove(&self.name);
    }
}

impl Shared {
    fn places(&self) -> MutexGuard<'_, HashMap<String, Door>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a report, and says with which status it is answered.
    async fn take(&self, request: Request<Body>) -> StatusCode {
        let at = Instant::now();
        let (head, body) = request.into_parts();
        let name = head.uri.path().rsplit('/').next().unwrap_or("").to_owned();
        // Who has no place here is not read at all.
        if !self.places().contains_key(&name) {
            return StatusCode::NOT_FOUND;
        }
        let reading = tokio::time::timeout(BODY, Limited::new(body, MAX_BODY).collect());
        let Ok(Ok(body)) = reading.await else { return StatusCode::PAYLOAD_TOO_LARGE };
        let body = body.to_bytes();
        let coding = head.headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok());
        let Ok(decoded) = decode_body(coding, &body, MAX_BODY) else {
            return StatusCode::UNSUPPORTED_MEDIA_TYPE;
        };
        let headers = head.headers.iter().map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        });
        let places = self.places();
        let Some(door) = places.get(&name) else { return StatusCode::NOT_FOUND };
        let answered = door.status.load(Ordering::Relaxed);
        let delivery = Delivery {
            at,
            tls: self.tls,
            method: head.method.as_str().to_owned(),
            query: query(head.uri.query().unwrap_or("")),
            headers: headers.collect(),
            body: decoded.unwrap_or(body),
            answered,
        };
        match door.deliveries.try_send(delivery) {
            Ok(()) => StatusCode::from_u16(answered).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            Err(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

fn query(text: &str) -> Vec<(String, String)> {
    let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

async fn serve(shared: Arc<Shared>, mut incoming: mpsc::Receiver<Incoming>) {
    loop {
        let accepted = tokio::select! {
            accepted = incoming.recv() => accepted,
            () = shared.stop.cancelled() => None,
        };
        let Some(accepted) = accepted else { return };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            // Its place among the open connections is held to its end.
            let Incoming { stream, place: _place, .. } = accepted;
            let service = service_fn(|request| async {
                let mut response = Response::new(Full::new(Bytes::new()));
                *response.status_mut() = shared.take(request).await;
                Ok::<_, Infallible>(response)
            });
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(HEADER);
            tokio::select! {
                _ = builder.serve_connection(TokioIo::new(stream), service) => {}
                () = shared.stop.cancelled() => {}
            }
        });
    }
}

/// Connections that may be open.
const MAX_CONNECTIONS: usize = 256;
/// Reports that may wait at a place; further ones are answered with 503.
const MAX_UNREAD: usize = 64;
/// Bytes of a report, compressed or not.
const MAX_BODY: usize = 16 << 20;
/// Time for the head of a request, and for its body.
const HEADER: Duration = Duration::from_secs(30);
const BODY: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{HttpClient, HttpLimits, HttpRequest, HttpUrl};

    async fn post(url: &str, headers: &[(&str, &str)]) -> u16 {
        let limits = HttpLimits { connect: BODY, answer: BODY, body: 1 << 10 };
        let url = HttpUrl::parse(url).unwrap();
        let mut client = HttpClient::connect(&url, None, limits).await.unwrap();
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let body = Bytes::from_static(b"report");
        client
            .send(HttpRequest { method: "POST", target: url.target.clone(), headers, body })
            .await
            .unwrap()
            .status
    }

    #[tokio::test]
    async fn reports_come_to_their_place_and_to_no_other_and_are_answered_as_told() {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let collector = Collector::start(CollectorConfig { listen, tls: None, url: None }).await.unwrap();
        let mut place = collector.open("mine");
        let url = place.url();
        assert_eq!(post(&format!("{url}?a=b%20c&eid=os%3A%3Ax+y"), &[("X-Y", "z")]).await, 200);
        place.answer(503);
        assert_eq!(post(&url, &[]).await, 503);
        assert_eq!(post(&format!("{}other", collector.url()), &[]).await, 404);
        assert_eq!(post(&url, &[("Content-Encoding", "br")]).await, 415);
        let first = place.next(BODY).await.unwrap();
        assert_eq!(first.query, [("a".into(), "b c".into()), ("eid".into(), "os::x y".into())]);
        assert_eq!((first.header("x-y"), &first.body[..], first.answered), (Some("z"), &b"report"[..], 200));
        assert_eq!(place.next(BODY).await.unwrap().answered, 503);
        assert!(place.next(Duration::ZERO).await.is_none(), "a report that was refused is told");
        drop(place);
        assert_eq!(post(&url, &[]).await, 404);
        collector.stop();
    }
}
