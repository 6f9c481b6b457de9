//! The ACS's side of one CPE session: requests one after the other over one connection.

use std::sync::Arc;
use std::time::SystemTime;

use tracing::debug;

use crate::net::{Host, HttpClient, HttpError, HttpReply, HttpRequest, HttpUrl};
use crate::observe::Metrics;
use crate::transport::http::{Challenge, Credentials, Headers, basic_answer, decode_body};

use super::acs::{Acs, AcsError, AcsReply, AcsRequest};
use super::cookies::Cookies;
use super::redirects::{self, Unfollowed, is_redirect};
use super::watch::Watch;

/// One session's connection. It is opened by the first request and closed when this is dropped.
pub struct Connection {
    acs: Arc<Acs>,
    metrics: Arc<Metrics>,
    /// Where the ACS has sent the session, for the rest of it.
    place: Option<Place>,
    client: Option<HttpClient>,
    cookies: Cookies,
    /// The ACS's challenge, where the gateway answers it, and how often its nonce was used.
    scheme: Option<Scheme>,
    uses: u32,
    watch: Watch,
}

struct Place {
    url: HttpUrl,
    host: Host,
    /// Whether it is another origin than the URL's own.
    foreign: bool,
    /// It has asked the CPE who it is: only then the CPE's answer may go there.
    asks: bool,
}

enum Scheme {
    Basic,
    Digest(Challenge),
}

impl Connection {
    pub fn new(acs: Arc<Acs>, watch: Watch, metrics: Arc<Metrics>) -> Self {
        let (place, client, cookies) = (None, None, Cookies::default());
        Self { acs, watch, metrics, place, client, cookies, scheme: None, uses: 0 }
    }

    /// The connection for another session; `None` where it would not be the one that this session had with the ACS.
    pub fn for_next_session(mut self) -> Option<Self> {
        self.cookies = Cookies::default();
        let stands = self.client.as_mut().is_some_and(HttpClient::is_open);
        (stands && self.place.is_none()).then_some(self)
    }

    /// Sends one POST and awaits the answer, wherever the ACS sends the session for it.
    ///
    /// A connection that the ACS has closed between two requests is opened again. Once a request may have
    /// been heard it is not repeated: the CPE retries its session (TR-069 3.2.1.1).
    pub async fn send(&mut self, request: AcsRequest) -> Result<AcsReply, AcsError> {
        let request = self.rewrite(request);
        let reply = self.authorized(request.clone()).await?;
        if !is_redirect(reply.status) {
            return Ok(self.take_in(reply));
        }
        // However many places there are, the CPE waits no longer than for one more answer.
        let patience = self.acs.limits.connect + self.acs.limits.answer;
        let followed = tokio::time::timeout(patience, self.follow(request, reply)).await;
        let followed = followed.unwrap_or(Err(AcsError::Http(HttpError::Slow(patience))));
        if followed.is_err() {
            // What it was at is not known.
            self.client = None;
        }
        self.metrics.acs_redirect(followed.is_ok());
        followed
    }

    /// Repeats a POST where the ACS wants it, until somebody answers it (TR-069 3.4).
    async fn follow(&mut self, mut request: HttpRequest, mut reply: HttpReply) -> Result<AcsReply, AcsError> {
        let mut been = Vec::new();
        while is_redirect(reply.status) {
            let at = HttpUrl { target: request.target.clone(), ..self.url().clone() };
            let to = self.judge(&request, &at, &reply)?;
            been.push((at, self.cookies.header()));
            self.take_cookies(&mut reply.headers);
            // To the same place with other cookies is no circle: that is how a session is given to one server.
            let next = (to, self.cookies.header());
            if been.contains(&next) {
                return Err(Unfollowed::Loop(redirects::origin(&next.0)).into());
            }
            if been.len() > redirects::MOST {
                return Err(Unfollowed::TooMany.into());
            }
            self.go(next.0)?;
            request.target = self.url().target.clone();
            self.restate(&mut request.headers);
            reply = self.authorized(request.clone()).await?;
        }
        Ok(self.take_in(reply))
    }

    fn judge(&self, request: &HttpRequest, at: &HttpUrl, reply: &HttpReply) -> Result<HttpUrl, Unfollowed> {
        let known_as = request.headers.get("host");
        let own = redirects::Own { url: &self.acs.url, known_as };
        self.acs.redirects.judge(own, at, reply.status, reply.header("location"))
    }

    /// The rest of the session is spoken there.
    fn go(&mut self, url: HttpUrl) -> Result<(), Unfollowed> {
        if url.tls && self.acs.tls.is_none() {
            return Err(Unfollowed::NoTrust(redirects::origin(&url)));
        }
        debug!(
            from = redirects::origin(self.url()),
            to = redirects::origin(&url),
            "the ACS sends a session on"
        );
        if same_origin(self.url(), &url) {
            let place = self.place.take();
            let (host, foreign, asks) = match place {
                Some(Place { host, foreign, asks, .. }) => (host, foreign, asks),
                None => (self.acs.host.clone(), false, false),
            };
            self.place = Some(Place { url, host, foreign, asks });
            return Ok(());
        }
        (self.client, self.scheme, self.uses) = (None, None, 0);
        let (host, foreign) = (self.acs.redirects.host(&url), !same_origin(&self.acs.url, &url));
        self.place = Some(Place { url, host, foreign, asks: false });
        Ok(())
    }

    fn url(&self) -> &HttpUrl {
        self.place.as_ref().map_or(&self.acs.url, |place| &place.url)
    }

    /// Sends a request, as often as the gateway's own credentials need it.
    async fn authorized(&mut self, mut request: HttpRequest) -> Result<HttpReply, AcsError> {
        if self.own_credentials().is_none() {
            let reply = self.exchange(request).await?;
            if let Some(place) = self.place.as_mut().filter(|_| reply.status == 401) {
                if self.acs.credentials.is_some() {
                    return Err(Unfollowed::NoCredentials(redirects::origin(&place.url)).into());
                }
                // A challenge is the CPE's to answer.
                place.asks = true;
            }
            return Ok(reply);
        }
        request.headers.extend(self.authorization(&request.target));
        let reply = self.exchange(request.clone()).await?;
        if reply.status != 401 || !self.take_challenge(&reply) {
            return Ok(reply);
        }
        request.headers.remove("authorization");
        request.headers.extend(self.authorization(&request.target));
        Ok(self.exchange(request).await?)
    }

    /// The gateway's credentials, where they may be shown.
    fn own_credentials(&self) -> Option<&(String, String)> {
        let foreign = self.place.as_ref().is_some_and(|place| place.foreign);
        self.acs.credentials.as_ref().filter(|_| !foreign || self.acs.redirect_credentials)
    }

    async fn exchange(&mut self, request: HttpRequest) -> Result<HttpReply, HttpError> {
        if self.client.as_mut().is_some_and(|client| !client.is_open()) {
            self.client = None;
        }
        if self.client.is_none() {
            let acs = &self.acs;
            let (host, url) = self.place.as_ref().map_or((&acs.host, &acs.url), |it| (&it.host, &it.url));
            let connecting = HttpClient::connect_to(host, url, acs.tls.as_ref(), acs.limits.clone());
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

    /// Keeps the ACS's challenge if there is something to answer it with that has not been tried.
    fn take_challenge(&mut self, reply: &HttpReply) -> bool {
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
        let target = match &self.place {
            Some(place) => place.url.target.clone(),
            None if self.acs.keep_target => request.target,
            None => self.acs.url.target.clone(),
        };
        let mut headers = request.headers;
        self.restate(&mut headers);
        HttpRequest { method: "POST", target, headers, body: request.body }
    }

    /// What goes to one place and not to another: the session's cookies go wherever the ACS sends it, as a CPE's
    /// would (TR-069 3.4); what the CPE has answered one origin with is shown to no other.
    fn restate(&self, headers: &mut Headers) {
        if let Some(place) = self.place.as_ref().filter(|place| place.foreign) {
            headers.remove("host");
            if !place.asks {
                headers.remove("authorization");
            }
        }
        headers.remove("cookie");
        if let Some(cookie) = self.cookies.header() {
            headers.push("Cookie", cookie);
        }
    }

    fn take_cookies(&mut self, headers: &mut Headers) {
        let now = SystemTime::now();
        for name in SET_COOKIE {
            headers.all(name).for_each(|cookie| self.cookies.set(cookie, now));
            headers.remove(name);
        }
    }

    fn take_in(&mut self, reply: HttpReply) -> AcsReply {
        let coding = reply.header("content-encoding").map(str::to_owned);
        let decoded_body = decode_body(coding.as_deref(), &reply.body, self.acs.limits.body)
            .inspect_err(|error| debug!(%error, "the ACS's answer is relayed as it is"))
            .unwrap_or_default();
        let mut headers = reply.headers;
        headers.leave_hop();
        self.take_cookies(&mut headers);
        AcsReply { status: reply.status, headers, body: reply.body, decoded_body }
    }
}

fn same_origin(one: &HttpUrl, other: &HttpUrl) -> bool {
    one.tls == other.tls && one.port == other.port && one.host.eq_ignore_ascii_case(&other.host)
}

/// The CPE has none of the ACS's cookies; RFC 2965's too, which TR-069 asks of CPEs and old servers send.
const SET_COOKIE: [&str; 2] = ["set-cookie2", "set-cookie"];
