//! The stub ACS over HTTP, and the handle by which tests and the command line steer it.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, COOKIE, HeaderMap, HeaderValue, SET_COOKIE,
    WWW_AUTHENTICATE,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::sync::{broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::cwmp::rpc::Request;
use crate::identity::EndpointId;
use crate::net::{HttpClient, HttpLimits, HttpReply, HttpRequest, HttpUrl, Incoming, Opening, TlsServer};
use crate::sim::digest::{self, Nonces};
use crate::transport::http::decode_body;

use super::hub::{Hub, Post, SessionId};
use super::seen::{Exchange, Seen};

/// Where the stub ACS listens, and what it asks of CPEs.
#[derive(Clone)]
pub struct AcsConfig {
    /// Port 0 for any.
    pub listen: SocketAddr,
    /// User name and password for HTTP digest; `None` to let anybody in.
    pub credentials: Option<(String, String)>,
    /// The server's half where CPEs and gateways come by https.
    pub tls: Option<TlsServer>,
}

impl Default for AcsConfig {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 0)), credentials: None, tls: None }
    }
}

/// A running stub ACS; a clone is the same one. CPEs are told apart by OUI, product class and serial number, as
/// the endpoint that stands for these.
#[derive(Clone)]
pub struct Acs(Arc<Shared>);

struct Shared {
    address: SocketAddr,
    /// Of its URL.
    scheme: &'static str,
    credentials: Option<(String, String)>,
    nonces: Nonces,
    hub: Mutex<Hub>,
    /// Counts POSTs, for those who wait for one.
    posts: watch::Sender<u64>,
    /// Log entries of all CPEs as they are made.
    log: broadcast::Sender<(EndpointId, Seen)>,
    stop: CancellationToken,
}

impl Acs {
    /// Listens. Fails if the address cannot be bound.
    pub async fn start(config: AcsConfig) -> io::Result<Self> {
        let scheme = if config.tls.is_some() { "https" } else { "http" };
        let (address, incoming) =
            crate::net::listen(config.listen, Opening { tls: config.tls, ..Opening::default() }).await?;
        let shared = Arc::new(Shared {
            address,
            scheme,
            credentials: config.credentials,
            nonces: Nonces::new(),
            hub: Mutex::new(Hub::default()),
            posts: watch::Sender::new(0),
            log: broadcast::Sender::new(MAX_UNREAD),
            stop: CancellationToken::new(),
        });
        tokio::spawn(serve(Arc::clone(&shared), incoming));
        Ok(Self(shared))
    }

    /// What CPEs and gateways are to call.
    pub fn url(&self) -> String {
        format!("{}://{}/", self.0.scheme, self.0.address)
    }

    /// Sends the RPC to the CPE in its next session, or in the one that is open; in order. An RPC that was
    /// sent is not sent again, whatever became of it. Returns `false` if too many wait already.
    pub fn enqueue(&self, cpe: &EndpointId, rpc: Request<'static>) -> bool {
        self.hub().enqueue(cpe, rpc)
    }

    /// Sends these RPCs first in every session that opens from now on.
    pub fn on_every_session(&self, rpcs: Vec<Request<'static>>) {
        self.hub().every_session = rpcs;
    }

    /// The log of a CPE, the newest entries at the end; it is bounded.
    pub fn seen(&self, cpe: &EndpointId) -> Vec<Seen> {
        self.hub().seen(cpe)
    }

    /// All CPEs that called or have RPCs waiting.
    pub fn cpes(&self) -> Vec<EndpointId> {
        self.hub().cpes()
    }

    /// Log entries of all CPEs from now on, with who said it; who reads too slowly misses some.
    pub fn log(&self) -> broadcast::Receiver<(EndpointId, Seen)> {
        self.0.log.subscribe()
    }

    /// Waits until the log of a CPE is as wanted; `false` if it did not come to that in time.
    pub async fn until(
        &self,
        cpe: &EndpointId,
        patience: Duration,
        mut wanted: impl FnMut(&[Seen]) -> bool,
    ) -> bool {
        let mut posts = self.0.posts.subscribe();
        let waiting = async {
            loop {
                posts.borrow_and_update();
                if wanted(&self.seen(cpe)) {
                    return;
                }
                if posts.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::time::timeout(patience, waiting).await.is_ok()
    }

    /// Keeps the bodies of all POSTs and answers from now on, or no more.
    pub fn bodies(&self, on: bool) {
        self.hub().record = on;
    }

    /// The bodies that were kept of a CPE, the newest at the end.
    pub fn exchanges(&self, cpe: &EndpointId) -> Vec<Exchange> {
        self.hub().exchanges(cpe)
    }

    /// An outage: answers this status to everything, until told otherwise.
    pub fn refuse(&self, status: Option<u16>) {
        self.hub().refuse = status;
    }

    /// Holds up the requests of CPEs by HoldRequests in answers to them; an RPC lets them go on.
    pub fn hold(&self, on: bool) {
        self.hub().hold = on;
    }

    /// Sends a connection request to the address in the CPE's last Inform and returns the HTTP status.
    /// The error says why there is none.
    pub async fn connection_request(
        &self,
        cpe: &EndpointId,
        credentials: Option<(&str, &str)>,
    ) -> Result<u16, String> {
        let url = self.hub().connection_request_url(cpe);
        let url = url.ok_or_else(|| format!("{cpe} has not said where it takes connection requests"))?;
        let url = HttpUrl::parse(&url).map_err(|error| error.to_string())?;
        let reply = get(&url, None).await?;
        let challenge = reply.header("www-authenticate").filter(|_| reply.status == 401);
        let proof = challenge
            .zip(credentials)
            .and_then(|(challenge, who)| digest::authorization(challenge, "GET", &url.target, who));
        match proof {
            Some(proof) => get(&url, Some(proof)).await.map(|reply| reply.status),
            None => Ok(reply.status),
        }
    }

    /// Ends all connections and stops listening. The port may be taken a moment longer; for an outage that
    /// ends again there is `refuse`.
    pub async fn stop(self) {
        self.0.stop.cancel();
        tokio::task::yield_now().await;
    }

    fn hub(&self) -> MutexGuard<'_, Hub> {
        self.0.hub()
    }
}

impl Shared {
    fn hub(&self) -> MutexGuard<'_, Hub> {
        self.hub.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this POST may come in: in a session that is open the CPE has shown who it is.
    fn lets_in(&self, headers: &HeaderMap, session: Option<SessionId>) -> bool {
        let Some((username, password)) = &self.credentials else { return true };
        let authorization = headers.get(AUTHORIZATION).and_then(|it| it.to_str().ok());
        self.hub().knows(session)
            || digest::is_authorized(&self.nonces, "POST", authorization, (username, password))
    }

    /// Answers one HTTP request; `connection` is the session of the connection.
    async fn answer(
        &self,
        request: hyper::Request<hyper::body::Incoming>,
        connection: &Mutex<Option<SessionId>>,
    ) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        if head.method != Method::POST {
            return plain(StatusCode::METHOD_NOT_ALLOWED);
        }
        let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
            return plain(StatusCode::PAYLOAD_TOO_LARGE);
        };
        let of_connection = *connection.lock().unwrap_or_else(PoisonError::into_inner);
        let session = cookie_of(&head.headers).or(of_connection);
        if !self.lets_in(&head.headers, session) {
            let mut response = plain(StatusCode::UNAUTHORIZED);
            if let Ok(challenge) = HeaderValue::try_from(digest::challenge(&self.nonces)) {
                response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            }
            return response;
        }
        let headers = head.headers.iter().map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        });
        let body = body.to_bytes();
        let coding = head.headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok());
        let body = match decode_body(coding, &body, MAX_BODY) {
            Ok(decoded) => decoded.unwrap_or(body),
            Err(_) => return plain(StatusCode::UNSUPPORTED_MEDIA_TYPE),
        };
        let post = Post { body, headers: headers.collect(), session };
        let (answer, fresh) = {
            let mut hub = self.hub();
            (hub.post(post), hub.take_fresh())
        };
        for entry in fresh {
            // Nobody may be looking.
            let _ = self.log.send(entry);
        }
        *connection.lock().unwrap_or_else(PoisonError::into_inner) = answer.session;
        self.posts.send_modify(|posts| *posts += 1);
        let mut response = plain(StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY));
        if !answer.body.is_empty() {
            let xml = HeaderValue::from_static("text/xml; charset=\"utf-8\"");
            response.headers_mut().insert(CONTENT_TYPE, xml);
        }
        if let Some(id) = answer.session.filter(|id| Some(*id) != session)
            && let Ok(cookie) = HeaderValue::try_from(format!("{COOKIE_NAME}={id}; Path=/"))
        {
            response.headers_mut().insert(SET_COOKIE, cookie);
        }
        *response.body_mut() = Full::new(answer.body);
        response
    }
}

async fn serve(shared: Arc<Shared>, mut incoming: mpsc::Receiver<Incoming>) {
    loop {
        let accepted = tokio::select! {
            accepted = incoming.recv() => accepted,
            () = shared.stop.cancelled() => None,
        };
        let Some(accepted) = accepted else { return };
        tokio::spawn(serve_one(Arc::clone(&shared), accepted));
    }
}

async fn serve_one(shared: Arc<Shared>, accepted: Incoming) {
    let connection = Mutex::new(None);
    let service =
        service_fn(|request| async { Ok::<_, Infallible>(shared.answer(request, &connection).await) });
    let serving = http1::Builder::new().serve_connection(TokioIo::new(accepted.stream), service);
    tokio::select! {
        // Who cuts the connection finds out by himself.
        _ = serving => {}
        () = shared.stop.cancelled() => {}
    }
}

fn plain(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = status;
    response
}

fn cookie_of(headers: &HeaderMap) -> Option<SessionId> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|it| it.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split([';', ','])).filter_map(|it| it.split_once('='));
    pairs.find(|(name, _)| name.trim() == COOKIE_NAME).and_then(|(_, id)| id.trim().parse().ok())
}

async fn get(url: &HttpUrl, authorization: Option<String>) -> Result<HttpReply, String> {
    let mut client = HttpClient::connect(url, None, LIMITS).await.map_err(|error| error.to_string())?;
    let headers = authorization.map(|proof| ("Authorization".to_owned(), proof)).into_iter().collect();
    let request = HttpRequest { method: "GET", target: url.target.clone(), headers, body: Bytes::new() };
    client.send(request).await.map_err(|error| error.to_string())
}

const COOKIE_NAME: &str = "acs-session";
/// Log entries that a reader may lag behind.
const MAX_UNREAD: usize = 4_096;
/// Bytes of a body.
const MAX_BODY: usize = 16 << 20;
/// Limits of a connection request.
const LIMITS: HttpLimits =
    HttpLimits { connect: Duration::from_secs(5), answer: Duration::from_secs(10), body: 64 << 10 };
