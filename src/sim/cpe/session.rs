//! One CWMP session of a simulated CPE over HTTP (TR-069 3.7): Inform, its own requests, an empty POST,
//! then the RPCs of the ACS until it has no more.

use std::time::Duration;

use bytes::Bytes;

use crate::cwmp::rpc::{Inform, Request, Response};
use crate::net::{HttpClient, HttpLimits, HttpReply, HttpRequest, HttpUrl};
use crate::sim::digest;
use crate::sim::soap::{self, Owned, Received};
use crate::sim::time;

use super::dress::dress;
use super::fleet::Shared;
use super::quirks::Quirk;

/// Carries a session of one CPE from its Inform to the end. An error says why it failed, for people.
pub(super) async fn run(fleet: &Shared, index: usize) -> Result<(), String> {
    let (url, inform) = fleet.with(index, |slot| {
        let inform = slot.cpe.open(time::now());
        (slot.cpe.acs_url().to_owned(), inform)
    });
    let url = HttpUrl::parse(&url).map_err(|error| error.to_string())?;
    let quirks = &fleet.config.quirks;
    let mut first = Talk::new(fleet, index, url.clone());
    if quirks.has(Quirk::RepeatSession) {
        first.inform(inform.clone()).await?;
        // It stays open until the second one has ended.
        let mut second = Talk::new(fleet, index, url);
        second.inform(inform).await?;
        fleet.with(index, |slot| slot.cpe.informed());
        return second.serve().await;
    }
    first.inform(inform).await?;
    fleet.with(index, |slot| slot.cpe.informed());
    if quirks.has(Quirk::Vanish) && fleet.first_time(index) {
        return Err("gone in the middle of the session".into());
    }
    first.serve().await
}

struct Talk<'f> {
    fleet: &'f Shared,
    index: usize,
    url: HttpUrl,
    client: Option<HttpClient>,
    cookies: Vec<(String, String)>,
    next_id: u32,
    /// The ACS wants no requests of the CPE for now (HoldRequests).
    held: bool,
}

impl<'f> Talk<'f> {
    fn new(fleet: &'f Shared, index: usize, url: HttpUrl) -> Self {
        Self { fleet, index, url, client: None, cookies: Vec::new(), next_id: 1, held: false }
    }

    async fn inform(&mut self, inform: Inform<'static>) -> Result<(), String> {
        match self.ask(Request::Inform(inform)).await? {
            Owned::Response(Response::InformResponse(_)) => Ok(()),
            Owned::Fault(fault) => Err(format!("Inform was refused: {}", fault.fault_code)),
            _ => Err("Inform was answered by something else".into()),
        }
    }

    /// The session after the Inform: whoever has something to ask asks, until nobody has.
    async fn serve(&mut self) -> Result<(), String> {
        loop {
            self.ask_own().await?;
            let mut reply = self.post(Bytes::new()).await?;
            let mut served = 0_u64;
            while !soap::is_empty(&reply.body) {
                let answer = self.carry_out(read(&reply)?)?;
                served += 1;
                reply = self.post(answer).await?;
            }
            self.held = false;
            // After its empty POST a CPE may ask again only if it was held up before (TR-069 3.7.1.4).
            if served == 0 || self.fleet.with(self.index, |slot| slot.cpe.next_request()).is_none() {
                return Ok(());
            }
        }
    }

    /// Sends the CPE's own requests, unless the ACS holds them up.
    async fn ask_own(&mut self) -> Result<(), String> {
        let quirks = &self.fleet.config.quirks;
        while !self.held || quirks.has(Quirk::IgnoreHold) {
            let Some(request) = self.fleet.with(self.index, |slot| slot.cpe.next_request()) else { break };
            self.ask(request).await?;
            self.fleet.with(self.index, |slot| slot.cpe.answered());
        }
        Ok(())
    }

    /// Sends a request of the CPE and reads the answer.
    async fn ask(&mut self, request: Request<'static>) -> Result<Owned, String> {
        let name = request.name().to_owned();
        let id = self.next_id.to_string();
        self.next_id += 1;
        let namespace = &self.fleet.config.quirks.namespace;
        let informs = matches!(request, Request::Inform(_));
        let mut body = soap::write(namespace, Some(&id), Owned::Request(request));
        if informs && self.fleet.config.quirks.has(Quirk::Oversize) && self.fleet.first_time(self.index) {
            body = [&body[..], b"<!--", &vec![b' '; OVERSIZE], b"-->"].concat().into();
        }
        let reply = self.post(body).await?;
        if soap::is_empty(&reply.body) {
            return Err(format!("{name} was answered by nothing"));
        }
        let received = read(&reply)?;
        self.held = received.hold_requests;
        match received.message {
            Owned::Request(other) => Err(format!("{name} was answered by the request {}", other.name())),
            answer => Ok(answer),
        }
    }

    /// Carries out an RPC of the ACS and returns what to answer.
    fn carry_out(&mut self, received: Received) -> Result<Bytes, String> {
        let request = match received.message {
            Owned::Request(request) => request,
            Owned::Response(other) => return Err(format!("{} answers nothing", other.name())),
            Owned::Fault(fault) => return Err(format!("the ACS ended with fault {}", fault.fault_code)),
        };
        self.held = received.hold_requests;
        let answer = self.fleet.handle(self.index, &request);
        if self.fleet.cuts_before_answer(self.index, request.name()) {
            self.client = None;
            return Err(format!("cut instead of answering {}", request.name()));
        }
        let message = match answer {
            Ok(response) => Owned::Response(response),
            Err(fault) => Owned::Fault(fault),
        };
        Ok(soap::write(&self.fleet.config.quirks.namespace, received.id.as_deref(), message))
    }

    /// Posts and awaits the answer; shows who the CPE is if the ACS asks for it.
    async fn post(&mut self, body: Bytes) -> Result<HttpReply, String> {
        let quirks = &self.fleet.config.quirks;
        if quirks.pause_ms() > 0 && self.next_id > 2 {
            tokio::time::sleep(Duration::from_millis(quirks.pause_ms())).await;
        }
        let mut reply = self.send(self.request(body.clone(), None)).await?;
        if let Some(proof) = self.authorization(&reply) {
            reply = self.send(self.request(body, Some(proof))).await?;
        }
        match reply.status {
            200 | 204 => Ok(reply),
            status => Err(format!("the ACS answered status {status}")),
        }
    }

    /// One exchange, on the session's connection as long as there is one.
    async fn send(&mut self, request: HttpRequest) -> Result<HttpReply, String> {
        let kept = self.client.take().and_then(|mut client| client.is_open().then_some(client));
        let mut client = match kept {
            Some(client) => client,
            None => HttpClient::connect(&self.url, None, LIMITS).await.map_err(|error| error.to_string())?,
        };
        let reply = client.send(request).await.map_err(|error| error.to_string())?;
        if !(reply.close || self.fleet.config.quirks.has(Quirk::NewConnection)) {
            self.client = Some(client);
        }
        self.take_cookies(&reply);
        Ok(reply)
    }

    /// The answer to a challenge, if the CPE has credentials.
    fn authorization(&self, reply: &HttpReply) -> Option<String> {
        let (username, password) = self.fleet.config.acs_credentials.as_ref()?;
        let challenge = reply.header("www-authenticate").filter(|_| reply.status == 401)?;
        digest::authorization(challenge, "POST", &self.url.target, (username, password))
    }

    fn request(&self, body: Bytes, authorization: Option<String>) -> HttpRequest {
        let quirks = &self.fleet.config.quirks;
        let mut headers = vec![("User-Agent".to_owned(), "dragoman-sim".to_owned())];
        let mut add = |name: &str, value: String| headers.push((name.to_owned(), value));
        let dressed = dress(quirks, &body);
        for (name, value) in dressed.headers {
            add(name, value);
        }
        if !self.cookies.is_empty() && !quirks.has(Quirk::NoCookies) {
            let pairs: Vec<String> =
                self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            add("Cookie", pairs.join("; "));
        }
        if let Some(proof) = authorization {
            add("Authorization", proof);
        }
        if quirks.has(Quirk::NewConnection) {
            add("Connection", "close".into());
        }
        let (target, headers) = (self.url.target.clone(), headers.into());
        HttpRequest { method: "POST", target, headers, body: dressed.body }
    }

    fn take_cookies(&mut self, reply: &HttpReply) {
        for cookie in reply.headers.all("set-cookie") {
            let pair = cookie.split(';').next().unwrap_or("");
            let Some((name, value)) = pair.split_once('=') else { continue };
            let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
            self.cookies.retain(|(known, _)| *known != name);
            if self.cookies.len() < MAX_COOKIES {
                self.cookies.push((name, value));
            }
        }
    }
}

fn read(reply: &HttpReply) -> Result<Received, String> {
    soap::read(&reply.body, reply.header("content-type")).map_err(|error| error.to_string())
}

/// A gateway or an ACS may hold a CPE a while; beyond that the session has failed.
const LIMITS: HttpLimits =
    HttpLimits { connect: Duration::from_secs(5), answer: Duration::from_secs(60), body: 4 << 20 };
/// Bytes that [`Quirk::Oversize`] adds: more than any door takes by default.
const OVERSIZE: usize = 17 << 20;
/// Cookies of a session.
const MAX_COOKIES: usize = 16;
