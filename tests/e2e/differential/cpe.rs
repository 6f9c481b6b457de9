//! A CPE on raw sockets that says what its script has settled.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;

use super::acs::digest;
use super::script::{Connections, Script, Step, USER};
use super::wire::{Framing, Header, Message, Wire, framed, head};

/// One session of one CPE.
pub struct RawCpe<'s> {
    script: &'s Script,
    to: SocketAddr,
    wire: Option<Wire>,
    /// Cookies in the order in which they were first set (RFC 6265 5.4).
    cookies: Vec<(String, String)>,
    nonce: Option<(String, bool)>,
}

/// What the CPE saw, or why it saw no more.
pub type Seen = Vec<Result<Message, String>>;

impl<'s> RawCpe<'s> {
    pub fn new(script: &'s Script, to: SocketAddr) -> Self {
        Self { script, to, wire: None, cookies: Vec::new(), nonce: None }
    }

    /// Says all of the script and returns the answers.
    pub async fn run(mut self) -> Seen {
        let mut seen = Vec::new();
        for (number, step) in self.script.steps.iter().enumerate() {
            let answer = tokio::time::timeout(PATIENCE, self.step(step, number)).await;
            let answer = answer.unwrap_or_else(|_| Err("no answer in time".to_owned()));
            let failed = answer.is_err();
            seen.push(answer);
            if failed {
                break;
            }
        }
        seen
    }

    /// One POST and its answer, with what the gateway asks of its own before that answer.
    async fn step(&mut self, step: &Step, number: usize) -> Result<Message, String> {
        let mut headers = step.post.headers.clone();
        headers.extend(self.authorization(step, number));
        let mut answer =
            self.post(headers, &step.post.body, &step.post.framing, step.expects_continue).await?;
        for _ in 0..MOST_OF_OURS {
            if !String::from_utf8_lossy(&answer.body).contains("dragoman-") {
                return Ok(answer);
            }
            let headers = vec![("Content-Type".to_owned(), b"text/xml; charset=utf-8".to_vec())];
            answer = self.post(headers, NO.as_bytes(), &Framing::Length, false).await?;
        }
        Err("the gateway asks without end".into())
    }

    async fn post(
        &mut self,
        mut headers: Vec<Header>,
        body: &[u8],
        framing: &Framing,
        expects_continue: bool,
    ) -> Result<Message, String> {
        headers.insert(headers.len() / 2, ("Host".into(), self.to.to_string().into_bytes()));
        if !self.cookies.is_empty() {
            let pairs: Vec<String> =
                self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            headers.push(("Cookie".into(), pairs.join("; ").into_bytes()));
        }
        let version = match self.script.connections {
            Connections::Old { keep } => {
                if keep {
                    headers.push(("Connection".into(), b"Keep-Alive".to_vec()));
                }
                "1.0"
            }
            Connections::OnePerPost => {
                headers.push(("Connection".into(), b"close".to_vec()));
                "1.1"
            }
            Connections::One => "1.1",
        };
        if expects_continue {
            headers.push(("Expect".into(), b"100-continue".to_vec()));
        }
        let start = format!("POST {} HTTP/{version}", self.script.target());
        let head = head(&start, &headers, body.len(), framing);
        let answer = self.exchange(&head, &framed(body, framing), expects_continue).await?;
        self.take_in(&answer);
        Ok(answer)
    }

    async fn exchange(
        &mut self,
        head: &[u8],
        body: &[u8],
        expects_continue: bool,
    ) -> Result<Message, String> {
        let wire = match &mut self.wire {
            Some(wire) => wire,
            none => {
                let stream = TcpStream::connect(self.to).await.map_err(|error| error.to_string())?;
                none.insert(Wire::new(stream))
            }
        };
        wire.send(head).await.map_err(|error| error.to_string())?;
        if !expects_continue {
            wire.send(body).await.map_err(|error| error.to_string())?;
        }
        let mut answer = wire.read_head().await.ok_or("the connection ended before an answer")?;
        if answer.status() == 100 {
            wire.send(body).await.map_err(|error| error.to_string())?;
            answer = wire.read_head().await.ok_or("the connection ended before an answer")?;
        }
        if !wire.read_body(&mut answer).await {
            return Err(format!("an answer was cut off: {answer:?}"));
        }
        let ends = match self.script.connections {
            Connections::One => answer.says("connection", "close"),
            Connections::OnePerPost => true,
            Connections::Old { .. } => !answer.says("connection", "keep-alive"),
        };
        if ends {
            self.wire = None;
        }
        Ok(answer)
    }

    fn take_in(&mut self, answer: &Message) {
        for line in answer.values("set-cookie2").chain(answer.values("set-cookie")) {
            let mut parts = line.split(';').map(str::trim);
            let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { continue };
            let gone = parts.any(|part| part == "Max-Age=0" || part.starts_with("Expires=Thu, 01 Jan 1970"));
            match self.cookies.iter().position(|(known, _)| known == name) {
                Some(at) if gone => drop(self.cookies.remove(at)),
                Some(at) => value.clone_into(&mut self.cookies[at].1),
                None if gone => {}
                None => self.cookies.push((name.to_owned(), value.to_owned())),
            }
        }
        if let Some(challenge) = answer.values("www-authenticate").next() {
            let nonce = challenge.split("nonce=\"").nth(1).and_then(|rest| rest.split('"').next());
            self.nonce = nonce.map(|nonce| (nonce.to_owned(), challenge.contains("qop=\"")));
        }
    }

    fn authorization(&self, step: &Step, number: usize) -> Option<Header> {
        let (nonce, qop) = self.nonce.as_ref().filter(|_| step.authorized)?;
        let target = self.script.target();
        let (count, cnonce) = if *qop { (format!("{number:08x}"), "odd") } else { (String::new(), "") };
        let response = digest(nonce, &target, &count, cnonce);
        let more = if *qop { format!(", qop=auth, nc={count}, cnonce=\"{cnonce}\"") } else { String::new() };
        let value = format!(
            "Digest username=\"{USER}\", realm=\"acs\", nonce=\"{nonce}\", uri=\"{target}\", \
             response=\"{response}\"{more}"
        );
        Some(("Authorization".into(), value.into_bytes()))
    }
}

const PATIENCE: Duration = Duration::from_secs(20);
/// RPCs of the gateway's own between two of the script.
const MOST_OF_OURS: usize = 50;
/// What the CPE says to them.
const NO: &str = "<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/' \
                  xmlns:c='urn:dslforum-org:cwmp-1-0'><e:Body><e:Fault><faultcode>Client</faultcode>\
                  <faultstring>CWMP fault</faultstring><detail><c:Fault><FaultCode>9002</FaultCode>\
                  <FaultString>no</FaultString></c:Fault></detail></e:Fault></e:Body></e:Envelope>";
