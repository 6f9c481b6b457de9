//! A connection request over HTTP: one GET, with digest or basic authentication where the CPE asks for it.

use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;

use crate::net::{HttpClient, HttpError, HttpLimits, HttpReply, HttpRequest, HttpUrl, UrlError};
use crate::transport::http::{Challenge, Credentials, basic_answer};

/// How long a connection request may take.
#[derive(Debug, Clone)]
pub struct Limits {
    pub connect: Duration,
    pub answer: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), answer: Duration::from_secs(10) }
    }
}

/// Why a CPE was not reached; the text is for the operator.
#[derive(Debug, Error)]
pub enum Failure {
    #[error(transparent)]
    Url(#[from] UrlError),
    #[error("the ConnectionRequestURL asks for TLS, which TR-069 does not know for connection requests")]
    Tls,
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("the CPE asks for credentials, and none are known for it")]
    NoCredentials,
    #[error("the CPE refuses the credentials")]
    Refused,
    #[error("the CPE asks for an authentication that is neither digest nor basic")]
    Scheme,
    #[error("the CPE is in a session or limits connection requests (503)")]
    Busy,
    #[error("the CPE answered with HTTP status {0}")]
    Status(u16),
}

/// Sends one and says whether the CPE took it: 200 or 204. A session is to follow.
pub async fn send(
    url: &str,
    credentials: Option<(&str, &str)>,
    cnonce: &str,
    limits: &Limits,
) -> Result<(), Failure> {
    let url = HttpUrl::parse(url)?;
    if url.tls {
        return Err(Failure::Tls);
    }
    let reply = get(&url, None, limits).await?;
    let reply = match reply.status {
        401 => {
            let (user, password) = credentials.ok_or(Failure::NoCredentials)?;
            let answer = answer(&reply, &url, Credentials { user, password, cnonce, count: 1 })?;
            // CPEs close the connection with their challenge more often than not: a fresh one each time.
            get(&url, Some(answer), limits).await?
        }
        _ => reply,
    };
    match reply.status {
        200 | 204 => Ok(()),
        401 | 403 => Err(Failure::Refused),
        503 => Err(Failure::Busy),
        status => Err(Failure::Status(status)),
    }
}

async fn get(url: &HttpUrl, authorization: Option<String>, limits: &Limits) -> Result<HttpReply, Failure> {
    let http = HttpLimits { connect: limits.connect, answer: limits.answer, body: MAX_BODY };
    let mut client = HttpClient::connect(url, None, http).await?;
    let headers = authorization.map(|answer| ("Authorization".to_owned(), answer)).into_iter().collect();
    let request = HttpRequest { method: "GET", target: url.target.clone(), headers, body: Bytes::new() };
    Ok(client.send(request).await?)
}

/// Digest if it is offered, else basic.
fn answer(reply: &HttpReply, url: &HttpUrl, who: Credentials<'_>) -> Result<String, Failure> {
    let offers: Vec<&str> = reply.headers.all("www-authenticate").collect();
    if let Some(challenge) = offers.iter().find_map(|offer| Challenge::parse(offer)) {
        return Ok(challenge.answer(who, "GET", &url.target));
    }
    let basic = |offer: &&str| offer.trim_start().get(..5).is_some_and(|it| it.eq_ignore_ascii_case("basic"));
    if offers.iter().any(basic) {
        return Ok(basic_answer(who.user, who.password));
    }
    Err(Failure::Scheme)
}

/// Bytes of an answer that nobody reads.
const MAX_BODY: usize = 64 << 10;
