//! A web server with a few files in memory, such as firmware images, that counts who loads them.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, HeaderValue, LOCATION, WWW_AUTHENTICATE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio_util::sync::CancellationToken;

use crate::net::{Incoming, Opening};

/// A running server; a clone is the same one. It ends when the last is dropped.
#[derive(Clone)]
pub struct Files(Arc<Shared>);

struct Shared {
    address: SocketAddr,
    files: Mutex<HashMap<String, File>>,
    stop: CancellationToken,
}

#[derive(Default, Clone)]
struct File {
    content: Bytes,
    /// It is somewhere else.
    location: Option<String>,
    asks_login: bool,
    loads: usize,
}

impl Files {
    /// Listens on any port of the loopback. Fails if there is none.
    pub async fn start() -> io::Result<Self> {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (address, mut incoming) = crate::net::listen(any, Opening::default()).await?;
        let stop = CancellationToken::new();
        let files = Self(Arc::new(Shared { address, files: Mutex::default(), stop: stop.clone() }));
        let weak = Arc::downgrade(&files.0);
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = incoming.recv() => accepted,
                    () = stop.cancelled() => None,
                };
                let (Some(Incoming { stream, .. }), weak) = (accepted, weak.clone()) else { return };
                tokio::spawn(async move {
                    let service = service_fn(|request: Request<hyper::body::Incoming>| {
                        let answer = match weak.upgrade() {
                            Some(shared) => shared.answer(&request),
                            None => plain(StatusCode::GONE, Bytes::new()),
                        };
                        async { Ok::<_, Infallible>(answer) }
                    });
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Ok(files)
    }

    /// What files are called at.
    pub fn url(&self, name: &str) -> String {
        format!("http://{}/{name}", self.0.address)
    }

    /// Puts a file there, and gives its URL.
    pub fn put(&self, name: &str, content: impl Into<Bytes>) -> String {
        let file = File { content: content.into(), ..File::default() };
        self.0.files().insert(name.to_owned(), file);
        self.url(name)
    }

    /// Sends whoever asks for a file elsewhere.
    pub fn lead_on(&self, name: &str, location: &str) -> String {
        let file = File { location: Some(location.to_owned()), ..File::default() };
        self.0.files().insert(name.to_owned(), file);
        self.url(name)
    }

    /// Gives a file only to those who answer a challenge.
    pub fn ask_login(&self, name: &str) {
        if let Some(file) = self.0.files().get_mut(name) {
            file.asks_login = true;
        }
    }

    /// How often a file was given.
    pub fn loads(&self, name: &str) -> usize {
        self.0.files().get(name).map_or(0, |file| file.loads)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Shared {
    fn files(&self) -> MutexGuard<'_, HashMap<String, File>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let name = request.uri().path().trim_start_matches('/');
        let mut files = self.files();
        let Some(file) = files.get_mut(name) else { return plain(StatusCode::NOT_FOUND, Bytes::new()) };
        if let Some(location) = file.location.as_deref().and_then(|it| HeaderValue::from_str(it).ok()) {
            let mut answer = plain(StatusCode::FOUND, Bytes::new());
            answer.headers_mut().insert(LOCATION, location);
            return answer;
        }
        if file.asks_login && !request.headers().contains_key(AUTHORIZATION) {
            let mut answer = plain(StatusCode::UNAUTHORIZED, Bytes::new());
            let challenge = "Digest realm=\"files\", nonce=\"1\", qop=\"auth\"";
            answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
            return answer;
        }
        file.loads += 1;
        plain(StatusCode::OK, file.content.clone())
    }
}

fn plain(status: StatusCode, content: Bytes) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(content));
    *answer.status_mut() = status;
    answer
}
