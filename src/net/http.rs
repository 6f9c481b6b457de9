//! An HTTP/1.1 client that keeps one connection: requests go one after the other, and who asks decides
//! what happens when the connection is lost.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use thiserror::Error;

use crate::transport::http::Headers;

use super::headers::{put, received};
use super::host::Host;
use super::stream::Stream;
use super::tls::TlsClient;
use super::url::HttpUrl;

/// A request; the framing headers are added, and `Host` where there is none.
#[derive(Debug, Clone)]
pub struct HttpRequest {
    pub method: &'static str,
    pub target: String,
    pub headers: Headers,
    pub body: Bytes,
}

/// An answer with its whole body.
#[derive(Debug, Clone)]
pub struct HttpReply {
    pub status: u16,
    pub headers: Headers,
    pub body: Bytes,
    /// The server ends the connection after this answer.
    pub close: bool,
}

impl HttpReply {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }
}

/// Limits of one exchange.
#[derive(Debug, Clone)]
pub struct HttpLimits {
    pub connect: Duration,
    /// From sending the request to the end of the answer.
    pub answer: Duration,
    /// Bytes of an answer's body.
    pub body: usize,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum HttpError {
    #[error("failed to connect to {authority}: {why}")]
    Connect { authority: String, why: String },
    #[error("no answer within {0:?}")]
    Slow(Duration),
    #[error("answer is over {0} bytes")]
    TooLarge(usize),
    #[error("connection failed: {0}")]
    Broken(String),
    #[error("request cannot be sent: {0}")]
    Request(String),
}

/// The driving half of a connection; gone once it has ended.
type Connection = Option<http1::Connection<TokioIo<Stream>, Full<Bytes>>>;

/// One connection to one server. It is no task of its own: it moves while something is sent over it.
pub struct HttpClient {
    authority: String,
    sender: SendRequest<Full<Bytes>>,
    /// Gone once it has ended, which ends what waits for it too.
    connection: Connection,
    limits: HttpLimits,
}

impl HttpClient {
    /// Connects to the host of a URL.
    pub async fn connect(
        url: &HttpUrl,
        tls: Option<&TlsClient>,
        limits: HttpLimits,
    ) -> Result<Self, HttpError> {
        let tls = tls_of(url, tls)?;
        let stream = Stream::connect(&url.host, url.port, tls, limits.connect).await;
        Self::over(stream, url, limits).await
    }

    /// The same where `host`, the URL's, is known already.
    pub async fn connect_to(
        host: &Host,
        url: &HttpUrl,
        tls: Option<&TlsClient>,
        limits: HttpLimits,
    ) -> Result<Self, HttpError> {
        let stream = host.connect(tls_of(url, tls)?, limits.connect).await;
        Self::over(stream, url, limits).await
    }

    async fn over(stream: io::Result<Stream>, url: &HttpUrl, limits: HttpLimits) -> Result<Self, HttpError> {
        let failed = |why: String| HttpError::Connect { authority: url.authority(), why };
        let stream = stream.map_err(|error| failed(error.to_string()))?;
        let (sender, connection) = http1::Builder::new()
            .title_case_headers(true)
            .preserve_header_case(true)
            .max_buf_size(BUFFER)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| failed(error.to_string()))?;
        Ok(Self { authority: url.authority(), sender, connection: Some(connection), limits })
    }

    /// Whether the connection can take another request: the server may have closed it since the last answer.
    pub fn is_open(&mut self) -> bool {
        // Whoever sends next is woken by it then; now it only looks.
        let mut context = Context::from_waker(Waker::noop());
        let open =
            |connection: &mut http1::Connection<_, _>| Pin::new(connection).poll(&mut context).is_pending();
        self.connection.as_mut().is_some_and(open) && !self.sender.is_closed()
    }

    /// Sends a request and awaits the whole answer.
    pub async fn send(&mut self, request: HttpRequest) -> Result<HttpReply, HttpError> {
        let request = self.build(request)?;
        let (patience, most) = (self.limits.answer, self.limits.body);
        let sender = &mut self.sender;
        let exchange = async {
            sender.ready().await.map_err(broken)?;
            let response = sender.send_request(request).await.map_err(broken)?;
            collect(response, most).await
        };
        let moved = tokio::time::timeout(patience, moving(&mut self.connection, exchange));
        moved.await.map_err(|_| HttpError::Slow(patience))?
    }

    /// Sends a request and awaits the head of the answer, whose body is taken piece by piece. The limits' time is
    /// that for the head, and for each piece.
    pub async fn receive(&mut self, request: HttpRequest) -> Result<HttpDownload<'_>, HttpError> {
        let request = self.build(request)?;
        let patience = self.limits.answer;
        let sender = &mut self.sender;
        let exchange = async {
            sender.ready().await.map_err(broken)?;
            sender.send_request(request).await.map_err(broken)
        };
        let moved = tokio::time::timeout(patience, moving(&mut self.connection, exchange));
        let (head, body) = moved.await.map_err(|_| HttpError::Slow(patience))??.into_parts();
        let (status, headers) = (head.status.as_u16(), received(&head.headers, head.extensions));
        Ok(HttpDownload { status, headers, body, connection: &mut self.connection, patience })
    }

    fn build(&self, request: HttpRequest) -> Result<Request<Full<Bytes>>, HttpError> {
        let invalid = |error: &dyn std::fmt::Display| HttpError::Request(error.to_string());
        let mut built = Request::builder().method(request.method).uri(&request.target);
        if !request.headers.has("host") {
            built = built.header(hyper::header::HOST, &self.authority);
        }
        if request.method == "POST" {
            // An empty POST says its length too: servers ask for it, and sniffers of CWMP look at it.
            built = built.header(hyper::header::CONTENT_LENGTH, request.body.len());
        }
        let built = built.body(Full::new(request.body)).map_err(|error| invalid(&error))?;
        let (mut head, body) = built.into_parts();
        put(request.headers, &mut head.headers, &mut head.extensions).map_err(|error| invalid(&error))?;
        Ok(Request::from_parts(head, body))
    }
}

/// TLS as the URL wants it.
fn tls_of<'t>(url: &HttpUrl, tls: Option<&'t TlsClient>) -> Result<Option<&'t TlsClient>, HttpError> {
    if url.tls && tls.is_none() {
        let why = "https needs a CA file to trust".into();
        return Err(HttpError::Connect { authority: url.authority(), why });
    }
    Ok(tls.filter(|_| url.tls))
}

/// An answer whose body is taken piece by piece.
pub struct HttpDownload<'c> {
    pub status: u16,
    pub headers: Headers,
    body: Incoming,
    connection: &'c mut Connection,
    patience: Duration,
}

impl HttpDownload<'_> {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// The next piece of the body; `None` at its end.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, HttpError> {
        loop {
            let frame = moving(self.connection, self.body.frame());
            let frame = tokio::time::timeout(self.patience, frame).await;
            match frame.map_err(|_| HttpError::Slow(self.patience))? {
                Some(frame) => match frame.map_err(broken)?.into_data() {
                    Ok(data) => return Ok(Some(data)),
                    // Trailers are of no use.
                    Err(_) => continue,
                },
                None => return Ok(None),
            }
        }
    }
}

/// Moves the connection on while something is awaited from it.
async fn moving<T>(connection: &mut Connection, awaited: impl Future<Output = T>) -> T {
    tokio::pin!(awaited);
    loop {
        tokio::select! {
            biased;
            result = &mut awaited => return result,
            // How it ends is told to who waits for the answer.
            () = ended(connection) => *connection = None,
        }
    }
}

/// Resolves when the connection has ended; never, when it is gone.
async fn ended(connection: &mut Connection) {
    match connection {
        Some(connection) => drop(connection.await),
        None => std::future::pending().await,
    }
}

async fn collect(response: Response<Incoming>, most: usize) -> Result<HttpReply, HttpError> {
    let (head, body) = response.into_parts();
    let headers = received(&head.headers, head.extensions);
    let is_close = |option: &str| option.trim().eq_ignore_ascii_case("close");
    let close = headers.all("connection").any(|value| value.split(',').any(is_close));
    let body = Limited::new(body, most).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            HttpError::TooLarge(most)
        } else {
            HttpError::Broken(error.to_string())
        }
    })?;
    Ok(HttpReply { status: head.status.as_u16(), headers, body: body.to_bytes(), close })
}

fn broken(error: hyper::Error) -> HttpError {
    HttpError::Broken(error.to_string())
}

/// Bytes buffered for a peer's head: enough for any header, and small for a thousand connections.
const BUFFER: usize = 64 << 10;
