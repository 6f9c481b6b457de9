//! The ACS's side of one CPE session: requests one after the other over one connection.

use std::sync::Arc;

use tracing::debug;

use crate::net::{HttpClient, HttpError, HttpReply, HttpRequest, decode_body};

use super::acs::{Acs, AcsReply, AcsRequest};
use super::cookies::Cookies;

/// One session's connection. It is opened by the first request and closed when this is dropped.
pub struct Connection {
    acs: Arc<Acs>,
    client: Option<HttpClient>,
    cookies: Cookies,
}

impl Connection {
    pub fn new(acs: Arc<Acs>) -> Self {
        Self { acs, client: None, cookies: Cookies::default() }
    }

    /// Sends one POST and awaits the answer.
    ///
    /// A connection that the ACS has closed between two requests is opened again. Once a request may have
    /// been heard it is not repeated: the CPE retries its session (TR-069 3.2.1.1).
    pub async fn send(&mut self, request: AcsRequest) -> Result<AcsReply, HttpError> {
        let request = self.rewrite(request);
        if self.client.as_ref().is_some_and(|client| !client.is_open()) {
            self.client = None;
        }
        if self.client.is_none() {
            let acs = &self.acs;
            self.client = Some(HttpClient::connect(&acs.url, acs.tls.as_ref(), acs.limits.clone()).await?);
        }
        let Some(client) = &mut self.client else { return Err(HttpError::Broken("no connection".into())) };
        let reply = client.send(request).await;
        if reply.as_ref().map_or(true, |reply| reply.close) {
            self.client = None;
        }
        Ok(self.take_in(reply?))
    }

    fn rewrite(&self, request: AcsRequest) -> HttpRequest {
        let target = if self.acs.keep_target { request.target } else { self.acs.url.target.clone() };
        let mut headers = request.headers;
        if let Some(cookie) = self.cookies.header() {
            headers.push(("Cookie".into(), cookie));
        }
        HttpRequest { method: "POST", target, headers, body: request.body }
    }

    fn take_in(&mut self, reply: HttpReply) -> AcsReply {
        let coding = reply.header("content-encoding").map(str::to_owned);
        let decoded_body = decode_body(coding.as_deref(), &reply.body, self.acs.limits.body)
            .inspect_err(|error| debug!(%error, "the ACS's answer is relayed as it is"))
            .unwrap_or_default();
        let mut headers = Vec::with_capacity(reply.headers.len());
        for (name, value) in reply.headers {
            if name.eq_ignore_ascii_case("set-cookie") {
                self.cookies.set(&value);
            } else if !is_hop_by_hop(&name) {
                headers.push((name, value));
            }
        }
        AcsReply { status: reply.status, headers, body: reply.body, decoded_body }
    }
}

/// Headers that concern one connection only (RFC 9110 7.6.1), and the framing that each side does itself.
fn is_hop_by_hop(name: &str) -> bool {
    HOP_BY_HOP.iter().any(|known| name.eq_ignore_ascii_case(known))
}

const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "content-length",
];
