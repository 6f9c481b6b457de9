//! Where the ACS's connection requests come: one GET for each, with digest authentication (TR-069 3.2.2).

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Empty;
use hyper::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio_util::sync::CancellationToken;

use crate::identity::EndpointId;
use crate::net::{At, Networks, Opening, listen};
use crate::proxy::CallAnswer;
use crate::transport::http::{Algorithm, Authorization, Challenge, Nonces, Use};

/// Where the ACS's connection requests come, and from where they need no proof.
#[derive(Debug, Clone)]
pub struct DoorConfig {
    pub listen: At,
    /// What stands before the agent's endpoint ID in the path of a request, the last `/` included.
    pub prefix: String,
    /// Whence requests are taken without proof for CPEs whose credentials are not known.
    pub trusted: Networks,
    /// Makes nonces unguessable.
    pub secret: [u8; 32],
}

/// Who knows the devices.
pub trait CallHandler: Send + Sync + 'static {
    /// The ACS calls for a device; `None`: there is no such device.
    fn called(
        &self,
        agent: EndpointId,
        claim: Option<Authorization>,
        trusted: bool,
    ) -> impl Future<Output = Option<CallAnswer>> + Send;
}

struct Shared<H> {
    handler: H,
    prefix: String,
    trusted: Networks,
    nonces: Mutex<Nonces>,
    started: Instant,
}

/// Opens the door; it closes when `stop` is cancelled. Returns the address that was bound.
///
/// # Errors
/// If the address cannot be listened on.
pub async fn open(
    config: DoorConfig,
    handler: impl CallHandler,
    stop: CancellationToken,
) -> io::Result<SocketAddr> {
    let (bound, mut incoming) = listen(config.listen, Opening::default()).await?;
    let shared = Arc::new(Shared {
        handler,
        prefix: config.prefix,
        trusted: config.trusted,
        nonces: Mutex::new(Nonces::new(config.secret)),
        started: Instant::now(),
    });
    tokio::spawn(async move {
        loop {
            let accepted = tokio::select! {
                accepted = incoming.recv() => accepted,
                () = stop.cancelled() => return,
            };
            let Some(accepted) = accepted else { return };
            let shared = Arc::clone(&shared);
            tokio::spawn(async move {
                let peer = accepted.peer.ip();
                let service = service_fn(|request: Request<hyper::body::Incoming>| {
                    let shared = Arc::clone(&shared);
                    async move { Ok::<_, Infallible>(shared.answer(&request, peer).await) }
                });
                let serving = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(IDLE)
                    .max_buf_size(BUFFER)
                    .serve_connection(TokioIo::new(accepted.stream), service);
                // A caller that goes away is no news.
                let _ = serving.await;
            });
        }
    });
    Ok(bound)
}

impl<H: CallHandler> Shared<H> {
    async fn answer<B>(&self, request: &Request<B>, peer: IpAddr) -> Response<Empty<Bytes>> {
        if request.method() != Method::GET {
            return status(StatusCode::METHOD_NOT_ALLOWED);
        }
        let target = request.uri().path();
        let name = target.strip_prefix(&self.prefix).map(|rest| rest.replace("%25", "%"));
        let Some(agent) = name.and_then(|name| EndpointId::parse(&name).ok()) else {
            return status(StatusCode::NOT_FOUND);
        };
        let claim = match self.claim(request, target) {
            Ok(claim) => claim,
            // What answers an old nonce, or is repeated, proves nothing.
            Err(()) => return self.challenge(true),
        };
        let trusted = self.trusted.contain(peer);
        match self.handler.called(agent, claim, trusted).await {
            Some(CallAnswer::Accepted) => status(StatusCode::OK),
            Some(CallAnswer::Unproven | CallAnswer::Wrong) => self.challenge(false),
            Some(CallAnswer::Forbidden) => status(StatusCode::FORBIDDEN),
            Some(CallAnswer::InSession | CallAnswer::TooMany | CallAnswer::Unreachable) => {
                let mut response = status(StatusCode::SERVICE_UNAVAILABLE);
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("10"));
                response
            }
            None => status(StatusCode::NOT_FOUND),
        }
    }

    /// The digest of the request, if it has one that answers a challenge of ours for this path.
    fn claim<B>(&self, request: &Request<B>, target: &str) -> Result<Option<Authorization>, ()> {
        let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let Some(claim) = header.and_then(Authorization::parse) else { return Ok(None) };
        if claim.realm != REALM || !claim.uri.ends_with(target) {
            return Ok(None);
        }
        let Ok(count) = claim.count() else { return Ok(None) };
        let used = self.nonces().note(&claim.nonce, count, self.now());
        if used == Use::Fresh { Ok(Some(claim)) } else { Err(()) }
    }

    fn challenge(&self, stale: bool) -> Response<Empty<Bytes>> {
        let nonce = self.nonces().give(self.now());
        let realm = REALM.to_owned();
        let challenge =
            Challenge { realm, nonce, opaque: None, algorithm: Algorithm::Md5, qop_auth: true, stale };
        let mut response = status(StatusCode::UNAUTHORIZED);
        if let Ok(header) = HeaderValue::from_str(&challenge.header()) {
            response.headers_mut().insert(WWW_AUTHENTICATE, header);
        }
        response
    }

    fn nonces(&self) -> std::sync::MutexGuard<'_, Nonces> {
        self.nonces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        self.started.elapsed().as_secs()
    }
}

fn status(status: StatusCode) -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    response
}

/// The realm of the challenges; ACSs do not look at it.
const REALM: &str = "cpe";
/// How long a connection may be silent.
const IDLE: Duration = Duration::from_secs(30);
/// Bytes of a request's head.
const BUFFER: usize = 16 << 10;
