//! The ACS's side of one CPE session: requests one after the other over one connection.

use std::sync::Arc;
use std::time::SystemTime;

use tracing::debug;

use crate::net::{HttpClient, HttpError, HttpReply, HttpRequest, decode_body};
use crate::transport::http::{Challenge, Credentials, basic_answer};

use super::acs::{Acs, AcsReply, AcsRequest};
use super::cookies::Cookies;
use super::watch::Watch;

/// One session's connection. It is opened by the first request and closed when this is dropped.
pub struct Connection {
    acs: Arc<Acs>,
    client: Option<HttpClient>,
    cookies: Cookies,
    /// The ACS's challenge, where the gateway answers it, and how often its nonce was used.
    scheme: Option<Scheme>,
    uses: u32,
    watch: Watch,
}

enum Scheme {
    Basic,
    Digest(Challenge),
}

impl Connection {
    pub fn new(acs: Arc<Acs>, watch: Watch) -> Self {
        Self { acs, client: None, cookies: Cookies::default(), scheme: None, uses: 0, watch }
    }

    /// Sends one POST and awaits the answer.
    ///
    /// A connection that the ACS has closed between two requests is opened again. Once a request may have
    /// been heard it is not repeated: the CPE retries its session (TR-069 3.2.1.1).
    pub async fn send(&mut self, request: AcsRequest) -> Result<AcsReply, HttpError> {
        let mut request = self.rewrite(request);
        if self.acs.credentials.is_none() {
            // A challenge is the CPE's to answer.
            let reply = self.exchange(request).await?;
            return Ok(self.take_in(reply));
        }
        request.headers.extend(self.authorization(&request.target));
        let reply = self.exchange(request.clone()).await?;
        if reply.status != 401 || !self.take_challenge(&reply) {
            return Ok(self.take_in(reply));
        }
        request.headers.remove("authorization");
        request.headers.extend(self.authorization(&request.target));
        let reply = self.exchange(request).await?;
        Ok(self.take_in(reply))
    }

    async fn exchange(&mut self, request: HttpRequest) -> Result<HttpReply, HttpError> {
        if self.client.as_mut().is_some_and(|client| !client.is_open()) {
            self.client = None;
        }
        if self.client.is_none() {
            let acs = &self.acs;
            let connecting =
                HttpClient::connect_to(&acs.host, &acs.url, acs.tls.as_ref(), acs.limits.clone());
            self.watch.connecting();
            let connected = connecting.await;
            self.client = Some(connected.inspect_err(|error| self.watch.failed(&request, error))?);
        }
        let Some(client) = &mut self.client else { return Err(HttpError::Broken("no connection".into())) };
        self.watch.asks(&request);
        let reply = client.send(request).await;
        self.watch.answered(reply.as_ref());
        if reply.as_ref().map_or(true, |reply| reply.close) {
            self.client = None;
        }
        reply
    }

    /// Keeps the ACS's challenge if it is ours to answer; false where it is the CPE's, or is the same again.
    fn take_challenge(&mut self, reply: &HttpReply) -> bool {
        if self.acs.credentials.is_none() {
            return false;
        }
        let offers: Vec<&str> = reply.headers.all("www-authenticate").collect();
        let digest = offers.iter().find_map(|offer| Challenge::parse(offer));
        let basic = offers.iter().any(|offer| offer.trim_start().to_ascii_lowercase().starts_with("basic"));
        let scheme = digest.map(Scheme::Digest).or_else(|| basic.then_some(Scheme::Basic));
        // A first challenge, or a nonce that has become stale; anything else means wrong credentials.
        let stale = matches!(&scheme, Some(Scheme::Digest(challenge)) if challenge.stale);
        let answers = scheme.is_some() && (self.scheme.is_none() || stale);
        if answers {
            (self.scheme, self.uses) = (scheme, 0);
        }
        answers
    }

    fn authorization(&mut self, target: &str) -> Option<(String, String)> {
        let (user, password) = self.acs.credentials.as_ref()?;
        let answer = match self.scheme.as_ref()? {
            Scheme::Basic => basic_answer(user, password),
            Scheme::Digest(challenge) => {
                self.uses += 1;
                let mut random = [0; 8];
                // A nonce of zeros would only cost the protection against chosen challenges.
                let _ = aws_lc_rs::rand::fill(&mut random);
                let cnonce = format!("{:016x}", u64::from_be_bytes(random));
                let who = Credentials { user, password, cnonce: &cnonce, count: self.uses };
                challenge.answer(who, "POST", target)
            }
        };
        Some(("Authorization".into(), answer))
    }

    fn rewrite(&self, request: AcsRequest) -> HttpRequest {
        let target = if self.acs.keep_target { request.target } else { self.acs.url.target.clone() };
        let mut headers = request.headers;
        if let Some(cookie) = self.cookies.header() {
            headers.push("Cookie", cookie);
        }
        HttpRequest { method: "POST", target, headers, body: request.body }
    }

    fn take_in(&mut self, reply: HttpReply) -> AcsReply {
        let coding = reply.header("content-encoding").map(str::to_owned);
        let decoded_body = decode_body(coding.as_deref(), &reply.body, self.acs.limits.body)
            .inspect_err(|error| debug!(%error, "the ACS's answer is relayed as it is"))
            .unwrap_or_default();
        let mut headers = reply.headers;
        headers.leave_hop();
        let now = SystemTime::now();
        for name in SET_COOKIE {
            headers.all(name).for_each(|cookie| self.cookies.set(cookie, now));
            headers.remove(name);
        }
        AcsReply { status: reply.status, headers, body: reply.body, decoded_body }
    }
}

/// The CPE has none of the ACS's cookies; RFC 2965's too, which TR-069 asks of CPEs and old servers send.
const SET_COOKIE: [&str; 2] = ["set-cookie2", "set-cookie"];
