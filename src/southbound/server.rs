//! The HTTP/1.1 server for CPEs.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming as Body};
use hyper::header::{HeaderMap, HeaderValue};
use hyper::http::Extensions;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio_util::sync::CancellationToken;

use crate::identity::DeviceId;
use crate::net::{At, Incoming, OpenError, Opening, TlsServer, listen, put};
use crate::observe::Metrics;
use crate::transport::client::Client;
use crate::transport::http::{CodingError, Headers, decode_body};

use super::auth::{Denied, DoorAuth, Judge, Why, outcome};
use super::binding::Binding;
use super::contract::{ConnectionId, CpeHandler, CpeReply, CpeRequest};
use super::front::Front;
use super::headers;
use super::tap::Seen;
use super::watched::{Exchange, Watched};

/// Where the door is and whom it lets in.
pub struct DoorConfig {
    pub listen: At,
    pub tls: Option<TlsServer>,
    pub auth: Option<DoorAuth>,
    pub front: Front,
    /// Which device a CPE may say to be.
    pub binding: Binding,
    /// Whether a POST without a verified client certificate is answered with 403.
    pub require_certificate: bool,
    pub limits: DoorLimits,
}

/// Limits of the door.
#[derive(Debug, Clone)]
pub struct DoorLimits {
    /// Bytes of a body, as received and inflated; more is answered with 413.
    pub body: usize,
    /// Open connections, TLS handshakes among them; more wait in the kernel's queue.
    pub connections: usize,
    /// TLS handshakes and PROXY protocol headers under way; more wait in the kernel's queue.
    pub openings: usize,
    /// How long such a beginning may take; a slower connection is closed.
    pub opening_time: Duration,
    /// How long a connection may be silent, and how long a request's head may take.
    pub idle: Duration,
    /// How long a body may take; a slower one is answered with 408.
    pub body_time: Duration,
}

impl Default for DoorLimits {
    fn default() -> Self {
        Self {
            body: 16 << 20,
            connections: 100_000,
            openings: 1_024,
            opening_time: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            body_time: Duration::from_secs(60),
        }
    }
}

/// An open door.
pub struct Door {
    pub address: SocketAddr,
}

struct Shared<H> {
    handler: Arc<H>,
    judge: Option<Judge>,
    front: Front,
    binding: Binding,
    require_certificate: bool,
    limits: DoorLimits,
    metrics: Arc<Metrics>,
    started: Instant,
    next: AtomicU64,
}

/// One connection, and who is behind it.
struct Caller {
    connection: ConnectionId,
    peer: SocketAddr,
    client: Client,
}

impl Door {
    /// Opens the door. It closes when `stop` is cancelled; exchanges under way are finished.
    pub async fn open<H: CpeHandler>(
        config: DoorConfig,
        handler: Arc<H>,
        metrics: Arc<Metrics>,
        stop: CancellationToken,
    ) -> io::Result<Self> {
        let failures = Arc::clone(&metrics);
        let opening = Opening {
            tls: config.tls,
            proxies: config.front.proxies(),
            connections: config.limits.connections,
            openings: config.limits.openings,
            patience: config.limits.opening_time,
            failed: Arc::new(move |peer, error| report(&failures, peer, error)),
        };
        let (address, mut incoming) = listen(config.listen, opening).await?;
        let shared = Arc::new(Shared {
            handler,
            judge: config.auth.map(Judge::new),
            front: config.front,
            binding: config.binding,
            require_certificate: config.require_certificate,
            limits: config.limits,
            metrics,
            started: Instant::now(),
            next: AtomicU64::new(1),
        });
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = incoming.recv() => accepted,
                    () = stop.cancelled() => return,
                };
                let Some(accepted) = accepted else { return };
                tokio::spawn(serve(Arc::clone(&shared), accepted, stop.clone()));
            }
        });
        Ok(Self { address })
    }
}

async fn serve<H: CpeHandler>(shared: Arc<Shared<H>>, accepted: Incoming, stop: CancellationToken) {
    let connection = ConnectionId(shared.next.fetch_add(1, Ordering::Relaxed));
    let Incoming { peer, local, stream, header, place } = accepted;
    let client = shared.front.of_connection(peer, local, header.as_ref(), &stream);
    let caller = Arc::new(Caller { connection, peer, client });
    let exchange = Arc::new(Exchange::default());
    let stream = Watched::new(stream, Arc::clone(&exchange));
    let service = service_fn(|request: Request<Body>| {
        // Before anything more is read: the peer's end must find the request under way.
        exchange.asked();
        let (shared, caller, exchange) = (Arc::clone(&shared), Arc::clone(&caller), Arc::clone(&exchange));
        async move {
            let response = shared.exchange(&caller, request, &exchange).await;
            exchange.answered();
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(shared.limits.idle)
        .title_case_headers(true)
        .preserve_header_case(true)
        .auto_date_header(false)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    let mut serving = std::pin::pin!(serving);
    let (mut stopping, mut half_closed) = (false, false);
    loop {
        tokio::select! {
            result = serving.as_mut() => {
                if let Err(error) = result {
                    tracing::debug!(%peer, %error, "a CPE's connection broke");
                }
                break;
            }
            () = exchange.ended.cancelled(), if !half_closed => {
                half_closed = true;
                shared.handler.half_closed(connection);
            }
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                serving.as_mut().graceful_shutdown();
            }
        }
    }
    drop(place);
    shared.handler.gone(connection);
}

impl<H: CpeHandler> Shared<H> {
    async fn exchange(
        &self,
        caller: &Caller,
        request: Request<Body>,
        exchange: &Exchange,
    ) -> Response<Full<Bytes>> {
        let mut seen = Seen::of(self.handler.recorder(), &request);
        let taken = self.take_in(caller, request, exchange, &mut seen).await;
        let noted =
            seen.and_then(|seen| seen.note(self.handler.as_ref(), caller.connection, self.limits.body));
        let response = match taken {
            Ok(request) => respond(self.handler.request(request).await),
            Err(refusal) => {
                self.metrics.cwmp_refused(&caller.client, refusal.reason);
                respond(refusal.into_reply())
            }
        };
        if let Some(noted) = noted {
            let Ok(body) = response.body().clone().collect().await;
            noted.answered(&response, body.to_bytes());
        }
        response
    }

    /// From HTTP to what the handler takes, or the answer that refuses it.
    async fn take_in(
        &self,
        caller: &Caller,
        request: Request<Body>,
        exchange: &Exchange,
        seen: &mut Option<Seen>,
    ) -> Result<CpeRequest, Refusal> {
        let (head, body) = request.into_parts();
        if head.method != Method::POST {
            let allow = Some(("Allow", "POST".to_owned()));
            return Err(Refusal { header: allow, ..Refusal::new(405, "only POST is taken here") });
        }
        let named = head.uri.authority().map(|authority| authority.as_str());
        let client = self.front.of_request(caller.peer.ip(), &caller.client, named, &head.headers);
        let client = client.map_err(|reason| Refusal::new(400, reason))?;
        if self.require_certificate && client.certificate.is_none() {
            return Err(Refusal::new(403, "a client certificate is required"));
        }
        let target = head.uri.path_and_query().map_or("/", |it| it.as_str()).to_owned();
        let verdict = self.judge(&client, &head.headers, &target);
        // The body is read first: many CPEs cannot bear an answer before they have sent all.
        let received = self.collect(body, exchange).await?;
        if let Some(seen) = seen {
            seen.body = received.clone();
        }
        let cookie = headers::cookie(&head.headers, COOKIE);
        let in_session = || cookie.as_deref().is_some_and(|cookie| self.handler.knows(cookie));
        // Kept until it is clear that the request goes on with a session that is open already.
        let (user, denied) = match verdict {
            Err(denied) if denied.may_go_on() && in_session() => (None, Some(denied)),
            verdict => (verdict?, None),
        };
        let coding = headers::content_coding(&head.headers);
        let decoded = decode_body(coding.as_deref(), &received, self.limits.body).map_err(Refusal::from)?;
        let device = self.handler.informs(decoded.as_ref().unwrap_or(&received));
        if let Some(device) = &device {
            denied.map_or(Ok(()), |denied| Err(Refusal::from(denied)))?;
            self.identify(device, user.as_deref(), &client)?;
        }
        let headers = headers::end_to_end(head, self.judge.is_some());
        let (body, original_body) = match decoded {
            Some(decoded) => (decoded, Some(received)),
            None => (received, None),
        };
        let authenticated = self.judge.is_some() || client.certificate.is_some();
        let (connection, client) = (caller.connection, Arc::new(client));
        Ok(CpeRequest {
            connection,
            client,
            authenticated,
            cookie,
            device,
            target,
            headers,
            body,
            original_body,
        })
    }

    /// Whether who has come in may be this device, told to the operator if not.
    fn identify(&self, device: &DeviceId, user: Option<&str>, client: &Client) -> Result<(), Refusal> {
        if self.binding.admits(device, user, client) {
            return Ok(());
        }
        self.metrics.cwmp_impersonation(client, user, device.endpoint_id().as_str());
        Err(Refusal::new(403, "the device is another than the credentials are for"))
    }

    /// Whether the client may come in, told to the operator; as which user, where it is asked.
    fn judge(
        &self,
        client: &Client,
        headers: &hyper::HeaderMap,
        target: &str,
    ) -> Result<Option<String>, Denied> {
        let Some(judge) = &self.judge else { return Ok(None) };
        let verdict = judge.judge(client, headers, "POST", target, self.started.elapsed().as_secs());
        self.metrics.cwmp_judged(outcome(&verdict));
        match &verdict {
            Err(Denied::Challenge(_, Why::Wrong { first: true })) => {
                self.metrics.cwmp_wrong_credentials(client)
            }
            Err(Denied::Later { begun: Some(user), .. }) => self.metrics.cwmp_guessing(client, user),
            _ => {}
        }
        verdict.map(Some)
    }

    async fn collect(&self, body: Body, exchange: &Exchange) -> Result<Bytes, Refusal> {
        let most = self.limits.body;
        if body.size_hint().lower() > u64::try_from(most).unwrap_or(u64::MAX) {
            return Err(Refusal::new(413, "body is too large"));
        }
        let collecting = Limited::new(body, most).collect();
        let cut_off = async {
            exchange.ended.cancelled().await;
            // All that the peer has sent is in the server's hands: only what is on its way to us is missing.
            tokio::time::sleep(LAST_BYTES).await;
        };
        tokio::select! {
            biased;
            collected = collecting => match collected {
                Ok(collected) => Ok(collected.to_bytes()),
                Err(error) if error.is::<LengthLimitError>() => Err(Refusal::new(413, "body is too large")),
                Err(_) => Err(Refusal::new(400, "body is broken")),
            },
            () = cut_off => Err(Refusal::new(400, "body is cut off")),
            () = tokio::time::sleep(self.limits.body_time) => Err(Refusal::new(408, "body came too slowly")),
        }
    }
}

/// Tells the operator of a connection that was closed before its first request.
fn report(metrics: &Metrics, peer: SocketAddr, error: &OpenError) {
    match error {
        OpenError::Proxy(why) => metrics.cwmp_front_failed(peer, &why.to_string()),
        OpenError::Tls(_) => metrics.cwmp_not_opened(peer, "tls", error),
        OpenError::Closed(_) => metrics.cwmp_not_opened(peer, "closed", error),
        OpenError::Slow(..) => metrics.cwmp_not_opened(peer, "slow", error),
    }
}

/// An answer of the door's own.
struct Refusal {
    status: u16,
    reason: &'static str,
    header: Option<(&'static str, String)>,
    close: bool,
}

impl Refusal {
    fn new(status: u16, reason: &'static str) -> Self {
        Self { status, reason, header: None, close: true }
    }

    fn into_reply(self) -> CpeReply {
        let text = vec![("Content-Type".to_owned(), "text/plain; charset=utf-8".to_owned())];
        let mut headers = Headers::from(text);
        headers.extend(self.header.map(|(name, value)| (name.to_owned(), value)));
        let body = Bytes::from_static(self.reason.as_bytes());
        CpeReply { status: self.status, headers, body, close: self.close, cookie: None }
    }
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Challenge(challenge, _) => {
                let header = Some(("WWW-Authenticate", challenge));
                Self { header, close: false, ..Self::new(401, "unauthenticated") }
            }
            Denied::Later { seconds, .. } => {
                let header = Some(("Retry-After", seconds.to_string()));
                Self { header, ..Self::new(503, "too many wrong credentials") }
            }
        }
    }
}

impl From<CodingError> for Refusal {
    fn from(error: CodingError) -> Self {
        match error {
            CodingError::Unknown(_) => Self::new(415, "content coding is not known here"),
            CodingError::Damaged(_) => Self::new(400, "compressed body is damaged"),
            CodingError::TooLarge(_) => Self::new(413, "body is too large"),
        }
    }
}

fn respond(reply: CpeReply) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let (mut lines, mut extensions) = (HeaderMap::new(), Extensions::new());
    // What the ACS's connection has let through is valid; anything else is left out.
    let _ = put(reply.headers, &mut lines, &mut extensions);
    *response.headers_mut() = lines;
    *response.extensions_mut() = extensions;
    let headers = response.headers_mut();
    if let Some(cookie) = reply.cookie
        && let Ok(value) = HeaderValue::from_str(&format!("{COOKIE}={cookie}; Path=/; HttpOnly"))
    {
        headers.append(hyper::header::SET_COOKIE, value);
    }
    if reply.close {
        headers.insert(hyper::header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The name of our session cookie.
pub(super) const COOKIE: &str = "dragoman";
/// Bytes buffered for a request's head. One read may go beyond it, so a head of up to twice that may pass.
const BUFFER: usize = 64 << 10;
/// How long the rest of a body may be on its way within the door once the peer has sent all.
const LAST_BYTES: Duration = Duration::from_millis(500);
