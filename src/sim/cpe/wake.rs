//! Connection requests (TR-069 3.2.2): one listener for the whole fleet, the serial number is the path.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;

use crate::net::Incoming;
use crate::sim::digest::{self, Nonces};

use super::fleet::{Shared, Woken};

/// Takes connection requests until the fleet is stopped.
pub(super) async fn serve(fleet: Arc<Shared>, mut incoming: mpsc::Receiver<Incoming>) {
    let nonces = Arc::new(Nonces::new());
    loop {
        let accepted = tokio::select! {
            accepted = incoming.recv() => accepted,
            () = fleet.stop().cancelled() => None,
        };
        let Some(accepted) = accepted else { return };
        tokio::spawn(serve_one(Arc::clone(&fleet), Arc::clone(&nonces), accepted));
    }
}

async fn serve_one(fleet: Arc<Shared>, nonces: Arc<Nonces>, accepted: Incoming) {
    let service = service_fn(|request: Request<hyper::body::Incoming>| {
        let answer = answer(&fleet, &nonces, &request);
        async { Ok::<_, Infallible>(answer) }
    });
    let connection =
        http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(accepted.stream), service);
    // Who cuts the connection finds out by himself.
    let _ = tokio::time::timeout(PATIENCE, connection).await;
}

fn answer<B>(fleet: &Arc<Shared>, nonces: &Nonces, request: &Request<B>) -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    if request.method() != Method::GET {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        return response;
    }
    let authorization = request.headers().get(AUTHORIZATION).and_then(|it| it.to_str().ok());
    let serial = request.uri().path().trim_start_matches('/');
    let woken = fleet.wake(serial, |credentials| {
        credentials.is_none_or(|it| digest::is_authorized(nonces, "GET", authorization, it))
    });
    *response.status_mut() = match woken {
        Woken::Yes => StatusCode::OK,
        Woken::Unknown => StatusCode::NOT_FOUND,
        Woken::Busy => StatusCode::SERVICE_UNAVAILABLE,
        Woken::Unauthorized => StatusCode::UNAUTHORIZED,
    };
    if matches!(woken, Woken::Unauthorized)
        && let Ok(challenge) = digest::challenge(nonces).parse()
    {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}

/// Time for a connection request.
const PATIENCE: Duration = Duration::from_secs(10);
