//! `/metrics` in the format of OpenMetrics, `/healthz` and `/readyz`, over plain HTTP.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio_util::sync::CancellationToken;

use super::control::Control;
use crate::net::{At, Opening, listen};
use crate::observe::Metrics;

/// Whether the gateway takes work.
#[derive(Debug, Default)]
pub struct Health {
    ready: AtomicBool,
}

impl Health {
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }
}

/// Serves until `stop`. Returns the address that was bound.
pub async fn serve(
    at: At,
    (metrics, health, control): (Arc<Metrics>, Arc<Health>, Arc<Control>),
    stop: CancellationToken,
) -> io::Result<SocketAddr> {
    let (bound, mut incoming) = listen(at, Opening::default()).await?;
    tokio::spawn(async move {
        loop {
            let accepted = tokio::select! {
                accepted = incoming.recv() => accepted,
                () = stop.cancelled() => return,
            };
            let Some(accepted) = accepted else { return };
            let served = (Arc::clone(&metrics), Arc::clone(&health), Arc::clone(&control));
            tokio::spawn(async move {
                let service = service_fn(|request: Request<hyper::body::Incoming>| {
                    let (metrics, health, control) = &served;
                    async move { Ok::<_, Infallible>(answer(&request, metrics, health, control).await) }
                });
                let serving = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(IDLE)
                    .serve_connection(TokioIo::new(accepted.stream), service);
                // A client that goes away is no news.
                let _ = serving.await;
            });
        }
    });
    Ok(bound)
}

async fn answer<B>(
    request: &Request<B>,
    metrics: &Metrics,
    health: &Health,
    control: &Control,
) -> Response<Full<Bytes>> {
    let (method, uri) = (request.method(), request.uri());
    if Control::knows(uri.path()) {
        let answered = control.answer(method, uri.path(), uri.query(), request.headers()).await;
        return text(answered.0, answered.1);
    }
    if request.method() != Method::GET {
        return text(StatusCode::METHOD_NOT_ALLOWED, "only GET is taken here\n".into());
    }
    match request.uri().path() {
        "/metrics" => {
            let mut response = text(StatusCode::OK, metrics.render());
            let format = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(format));
            response
        }
        "/healthz" => text(StatusCode::OK, "alive\n".into()),
        "/readyz" if health.ready.load(Ordering::Relaxed) => text(StatusCode::OK, "ready\n".into()),
        "/readyz" => text(StatusCode::SERVICE_UNAVAILABLE, "starting or stopping\n".into()),
        _ => {
            text(StatusCode::NOT_FOUND, "there is /metrics, /healthz, /readyz, /bypass and /capture\n".into())
        }
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// How long a monitoring connection may be silent.
const IDLE: Duration = Duration::from_secs(60);
