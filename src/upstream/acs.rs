//! The configured ACS and the words of one exchange with it.

use bytes::Bytes;

use crate::net::{HttpLimits, HttpUrl, TlsClient};

/// Where the ACS is and how it is spoken to.
pub struct Acs {
    pub url: HttpUrl,
    pub tls: Option<TlsClient>,
    /// Whether path and query are the CPE's, so that its digest answer stays true, or the URL's own.
    pub keep_target: bool,
    /// Answers the ACS's challenge with these, in place of the CPE.
    pub credentials: Option<(String, String)>,
    pub limits: HttpLimits,
}

/// One POST on its way to the ACS.
#[derive(Debug, Clone)]
pub struct AcsRequest {
    /// Path and query as the CPE asked for them.
    pub target: String,
    /// End-to-end headers as the CPE sent them.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

/// The ACS's answer.
#[derive(Debug, Clone)]
pub struct AcsReply {
    pub status: u16,
    /// End-to-end headers, without the ACS's cookies, which the session keeps.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    /// The body in identity coding where it came compressed.
    pub decoded_body: Option<Bytes>,
}
