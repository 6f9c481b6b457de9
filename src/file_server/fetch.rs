//! One image from its origin to a file: a GET, followed where it is redirected to as far as the operator's egress
//! policy goes, with basic or digest authentication where the origin asks for it.

use std::path::Path;

use sha2::{Digest as _, Sha256};
use thiserror::Error;
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;

use crate::agent::Fetch;
use crate::net::{
    HttpClient, HttpDownload, HttpError, HttpLimits, HttpRequest, HttpUrl, TlsClient, UrlError, authorization,
};
use crate::policy::Egress;

use super::stage::Stage;

/// Why there is no image; the text is for the controller.
#[derive(Debug, Error)]
pub(super) enum FetchError {
    #[error(transparent)]
    Url(#[from] UrlError),
    #[error("the operator's egress policy does not allow {0}")]
    Forbidden(String),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("the server of the image answered with HTTP status {0}")]
    Status(u16),
    #[error("the server of the image led on more than {MAX_REDIRECTS} times")]
    Redirects,
    #[error("the image is larger than {0} bytes, which is the most that the gateway takes")]
    TooLarge(u64),
    #[error("there is no room for the image: {0} bytes are kept already")]
    Full(u64),
    #[error("the server of the image ended it too early")]
    Short,
    #[error("the image could not be kept: {0}")]
    Disk(#[from] std::io::Error),
}

/// What was fetched.
pub(super) struct Fetched {
    /// What an image of this content is called.
    pub name: String,
    pub size: u64,
}

/// Whom to ask, and where it may go.
pub(super) struct Origin<'o> {
    pub egress: &'o Egress,
    pub tls: Option<&'o TlsClient>,
}

impl Origin<'_> {
    /// Fetches an image into a file, which is whole and on disk when this returns well.
    pub async fn fetch(&self, fetch: &Fetch, file: &Path, stage: &Stage) -> Result<Fetched, FetchError> {
        let mut url = self.place(&fetch.url)?;
        let origin = url.authority();
        let mut answer = None;
        for _ in 0..=MAX_REDIRECTS {
            let limits = HttpLimits { connect: stage.config().connect, answer: stage.config().idle, body: 0 };
            let mut client = HttpClient::connect(&url, self.tls, limits).await?;
            let headers = answer.take().map(|answer| ("Authorization".to_owned(), answer));
            let tried = headers.is_some();
            let headers = headers.into_iter().collect();
            let request =
                HttpRequest { method: "GET", target: url.target.clone(), headers, body: bytes::Bytes::new() };
            let mut download = client.receive(request).await?;
            match download.status {
                200 => return receive(&mut download, file, stage).await,
                // Credentials are for the place that the controller named, and for no other.
                401 if !tried && url.authority() == origin => {
                    let credentials = fetch.credentials.as_ref();
                    answer = credentials.and_then(|(user, password)| {
                        authorization(&download.headers, &url, "GET", (user, password))
                    });
                    if answer.is_none() {
                        return Err(FetchError::Status(401));
                    }
                }
                301 | 302 | 303 | 307 | 308 => {
                    let location = download.header("location").unwrap_or("");
                    url = self.place(&resolved(&url, location))?;
                }
                status => return Err(FetchError::Status(status)),
            }
        }
        Err(FetchError::Redirects)
    }

    /// The URL, if the gateway may go there.
    fn place(&self, url: &str) -> Result<HttpUrl, FetchError> {
        let url = HttpUrl::parse(url)?;
        let scheme = if url.tls { "https" } else { "http" };
        match self.egress.allows(scheme, &url.host, url.port, &url.target) {
            true => Ok(url),
            false => Err(FetchError::Forbidden(url.authority())),
        }
    }
}

/// A `Location`, which may be a path only.
fn resolved(url: &HttpUrl, location: &str) -> String {
    match location.starts_with('/') {
        true => format!("http{}://{}{location}", if url.tls { "s" } else { "" }, url.authority()),
        false => location.to_owned(),
    }
}

async fn receive(download: &mut HttpDownload<'_>, file: &Path, stage: &Stage) -> Result<Fetched, FetchError> {
    let most = stage.config().max_bytes;
    let told = download.header("content-length").and_then(|text| text.parse::<u64>().ok());
    if told.is_some_and(|told| told > most) {
        return Err(FetchError::TooLarge(most));
    }
    let mut room = stage.room(told.unwrap_or(0))?;
    let mut out = File::create(file).await?;
    let (mut hash, mut size) = (Sha256::new(), 0_u64);
    while let Some(piece) = download.piece().await? {
        size += piece.len() as u64;
        if size > most {
            return Err(FetchError::TooLarge(most));
        }
        room.grow(size)?;
        hash.update(&piece);
        out.write_all(&piece).await?;
    }
    if told.is_some_and(|told| told != size) {
        return Err(FetchError::Short);
    }
    out.sync_all().await?;
    let name: String = hash.finalize().iter().take(NAME).map(|byte| format!("{byte:02x}")).collect();
    Ok(Fetched { name, size })
}

const MAX_REDIRECTS: usize = 4;
/// Bytes of the hash that an image is called by.
const NAME: usize = 20;
