//! The configured ACS and the words of one exchange with it.

use bytes::Bytes;
use thiserror::Error;

use crate::net::{Host, HttpError, HttpLimits, HttpUrl, TlsClient};
use crate::transport::client::Client;
use crate::transport::http::{Headers, client_cert, forwarded};

use super::redirects::{Redirects, Unfollowed};

/// Where the ACS is and how it is spoken to.
pub struct Acs {
    /// How the operator calls it.
    pub name: String,
    pub url: HttpUrl,
    /// The URL's host.
    pub host: Host,
    pub tls: Option<TlsClient>,
    /// Whether path and query are the CPE's, so that its digest answer stays true, or the URL's own.
    pub keep_target: bool,
    /// Whether `Host` is what the CPE calls the gateway, or the URL's own.
    pub keep_host: bool,
    /// Answers the ACS's challenge with these, in place of the CPE.
    pub credentials: Option<(String, String)>,
    /// Where it may send a session, beside its own host.
    pub redirects: Redirects,
    /// Whether the credentials are for those places too, or for the URL's own alone.
    pub redirect_credentials: bool,
    /// Tells it by `Forwarded` (RFC 7239) where each CPE calls from.
    pub forwarded: bool,
    /// Tells it by `Client-Cert` (RFC 9440) which certificate a CPE has proved to own.
    pub client_cert: bool,
    pub limits: HttpLimits,
}

impl Acs {
    /// The headers that tell the ACS of a CPE what it has asked to be told.
    pub fn about(&self, client: &Client) -> Vec<(String, String)> {
        let forwarded = forwarded(client).filter(|_| self.forwarded);
        let certificate = client.certificate.as_ref().and_then(|it| it.der.as_deref());
        let certificate = certificate.filter(|_| self.client_cert).map(client_cert);
        let named = |name: &str, value: Option<String>| value.map(|value| (name.to_owned(), value));
        named("Forwarded", forwarded).into_iter().chain(named("Client-Cert", certificate)).collect()
    }
}

/// One POST on its way to the ACS.
#[derive(Debug, Clone)]
pub struct AcsRequest {
    /// Path and query as the CPE asked for them.
    pub target: String,
    /// End-to-end headers as the CPE sent them; `Host` among them only where the ACS is to see the CPE's.
    pub headers: Headers,
    pub body: Bytes,
}

/// The ACS's answer.
#[derive(Debug, Clone)]
pub struct AcsReply {
    pub status: u16,
    /// End-to-end headers, without the ACS's cookies, which the session keeps.
    pub headers: Headers,
    pub body: Bytes,
    /// The body in identity coding where it came compressed.
    pub decoded_body: Option<Bytes>,
}

/// Why there is no answer that the CPE could be given; the text is for the operator.
#[derive(Debug, Error)]
pub enum AcsError {
    #[error(transparent)]
    Http(#[from] HttpError),
    /// It sends the session elsewhere, and that is not followed.
    #[error(transparent)]
    Redirect(#[from] Unfollowed),
}
