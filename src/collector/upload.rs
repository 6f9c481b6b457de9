//! One upload: a POST or PUT of a report, with basic or digest authentication where the collector asks for it.

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use thiserror::Error;
use tokio::sync::Semaphore;

use crate::agent::{HttpUpload, Undelivered};
use crate::net::{
    HttpClient, HttpError, HttpLimits, HttpReply, HttpRequest, HttpUrl, TlsClient, UrlError, authorization,
};
use crate::policy::Egress;

/// Why a report was not taken; the text is for the operator.
#[derive(Debug, Error)]
pub enum CollectorError {
    #[error(transparent)]
    Url(#[from] UrlError),
    #[error("the operator's egress policy does not allow {0}")]
    Forbidden(String),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("the collector asks for credentials, and the profile has none that it takes")]
    Unauthorized,
    #[error("the collector answered with HTTP status {0}")]
    Status(u16),
    #[error("{0} uploads wait already")]
    Busy(usize),
}

impl From<CollectorError> for Undelivered {
    fn from(error: CollectorError) -> Self {
        match error {
            // RFC 9110 15.5.14.
            CollectorError::Status(413) => Self::TooLarge(error.to_string()),
            _ => Self::Failed(error.to_string()),
        }
    }
}

/// Sends uploads; cloning shares its limits.
#[derive(Clone)]
pub struct Collector {
    egress: Arc<Egress>,
    tls: Option<TlsClient>,
    places: Arc<Semaphore>,
}

impl Collector {
    /// `tls` trusts the CAs of collectors with https.
    pub fn new(egress: Arc<Egress>, tls: Option<TlsClient>) -> Self {
        Self { egress, tls, places: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// The URL, if the gateway may go there.
    fn place(&self, url: &str) -> Result<HttpUrl, CollectorError> {
        let url = HttpUrl::parse(url)?;
        let scheme = if url.tls { "https" } else { "http" };
        match self.egress.allows(scheme, &url.host, url.port, &url.target) {
            true => Ok(url),
            false => Err(CollectorError::Forbidden(url.authority())),
        }
    }

    /// Sends a report; done when the collector has said that it has it (a status of 200 to 299).
    pub async fn send(&self, upload: &HttpUpload, body: &Bytes) -> Result<(), CollectorError> {
        let url = self.place(&upload.url)?;
        let Ok(_place) = self.places.acquire().await else { return Err(CollectorError::Busy(AT_ONCE)) };
        let reply = self.exchange(&url, upload, body, None).await?;
        let reply = match reply.status {
            401 => {
                let answer = upload.credentials.as_ref().and_then(|(user, password)| {
                    authorization(&reply.headers, &url, upload.method, (user, password))
                });
                let answer = answer.ok_or(CollectorError::Unauthorized)?;
                self.exchange(&url, upload, body, Some(answer)).await?
            }
            _ => reply,
        };
        match reply.status {
            200..=299 => Ok(()),
            401 => Err(CollectorError::Unauthorized),
            status => Err(CollectorError::Status(status)),
        }
    }

    async fn exchange(
        &self,
        url: &HttpUrl,
        upload: &HttpUpload,
        body: &Bytes,
        authorization: Option<String>,
    ) -> Result<HttpReply, CollectorError> {
        let limits = HttpLimits { connect: CONNECT, answer: ANSWER, body: MAX_ANSWER };
        let mut client = HttpClient::connect(url, self.tls.as_ref(), limits).await?;
        let mut headers = vec![
            ("Content-Type".to_owned(), upload.media_type.to_owned()),
            ("BBF-Report-Format".to_owned(), upload.layout.to_owned()),
        ];
        if upload.date {
            headers.push(("Date".into(), httpdate::fmt_http_date(SystemTime::now())));
        }
        if let Some(authorization) = authorization {
            headers.push(("Authorization".into(), authorization));
        }
        let body = match upload.gzip {
            true => {
                headers.push(("Content-Encoding".into(), "gzip".into()));
                gzip(body)
            }
            false => body.clone(),
        };
        if upload.method != "POST" {
            headers.push(("Content-Length".into(), body.len().to_string()));
        }
        let request =
            HttpRequest { method: upload.method, target: url.target.clone(), headers: headers.into(), body };
        Ok(client.send(request).await?)
    }
}

fn gzip(body: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory does not fail.
    let _ = encoder.write_all(body);
    encoder.finish().unwrap_or_default().into()
}

const CONNECT: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(60);
/// Bytes of an answer that nobody reads.
const MAX_ANSWER: usize = 64 << 10;
/// Uploads under way at once; more wait their turn.
const AT_ONCE: usize = 64;
