//! What the two sides of one session will say: all of it is settled beforehand by a seed.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

use super::envelopes::{Dialect, Shape};
use super::random::Random;
use super::wire::{Framing, Header};

/// One session.
#[derive(Debug, Clone)]
pub struct Script {
    pub seed: u64,
    pub connections: Connections,
    pub steps: Vec<Step>,
    /// Where the ACS asks for digest, it takes these.
    pub nonce: Option<String>,
}

/// How the CPE uses connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connections {
    One,
    OnePerPost,
    /// HTTP/1.0, and whether it asks to keep the connection.
    Old {
        keep: bool,
    },
}

/// One POST and its answer.
#[derive(Debug, Clone)]
pub struct Step {
    pub post: Part,
    pub expects_continue: bool,
    /// The CPE answers the ACS's challenge in this POST.
    pub authorized: bool,
    pub status: u16,
    pub reason: &'static str,
    pub answer: Part,
    /// The ACS closes its connection after the answer.
    pub closes: bool,
}

/// Headers and body of a message.
#[derive(Debug, Clone)]
pub struct Part {
    pub headers: Vec<Header>,
    pub body: Vec<u8>,
    pub framing: Framing,
}

/// Who the CPE is to the ACS.
pub const USER: &str = "00256D-cpe";
pub const PASSWORD: &str = "s3cret";

impl Script {
    pub fn of(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let writer = Writer::new(seed, &mut random);
        writer.script(&mut random)
    }

    pub fn target(&self) -> String {
        format!("/acs/{}?seed={0}", self.seed)
    }
}

struct Writer {
    seed: u64,
    dialect: Dialect,
    connections: Connections,
    /// The headers that this CPE sends with all it posts.
    manners: Vec<Header>,
    case: Case,
    acs_case: Case,
    coding: Option<&'static str>,
}

impl Writer {
    fn new(seed: u64, random: &mut Random) -> Self {
        let connections = random.pick(&[
            Connections::One,
            Connections::One,
            Connections::One,
            Connections::OnePerPost,
            Connections::Old { keep: true },
            Connections::Old { keep: false },
        ]);
        let dialect = Dialect::of(seed, random);
        let coding = random.pick(&[None, None, None, Some("gzip"), Some("x-gzip"), Some("deflate")]);
        let (case, acs_case) = (Case::of(random), Case::of(random));
        let manners = manners(random, &dialect);
        Self { seed, dialect, connections, manners, case, acs_case, coding }
    }

    fn script(self, random: &mut Random) -> Script {
        let mut steps = Vec::new();
        let inform = self.dialect.envelope(Shape::Inform, random);
        let nonce = random.chance(25).then(|| format!("n{:016x}", random.next()));
        if let Some(nonce) = &nonce {
            let mut step = self.step(inform.clone(), 401, Vec::new(), random);
            let qop = random.pick(&["", ", qop=\"auth\"", ", qop=\"auth,auth-int\""]);
            let name = self.acs_case.of_name("WWW-Authenticate");
            let digest = format!("Digest realm=\"acs\", nonce=\"{nonce}\"{qop}, algorithm=MD5");
            step.answer.headers.push((name, digest.into_bytes()));
            steps.push(step);
        }
        let ends = random.chance(12).then(|| random.below(6));
        for (post, answer) in self.talk(inform, random) {
            let refused = ends == Some(steps.len());
            let (status, answer) = match answer {
                _ if refused => (random.pick(&ERRORS), b"<html>no</html>".to_vec()),
                None => {
                    let status = random.pick(&[204, 204, 204, 200, 200, 202]);
                    let blank = status == 200 && random.chance(20);
                    (status, if blank { b"\r\n".to_vec() } else { Vec::new() })
                }
                Some(answer) => (200, answer),
            };
            let mut step = self.step(post, status, answer, random);
            step.authorized = nonce.is_some();
            if status == 503 {
                let name = self.acs_case.of_name("Retry-After");
                step.answer.headers.push((name, b"120".to_vec()));
            }
            steps.push(step);
            if refused {
                break;
            }
        }
        Script { seed: self.seed, connections: self.connections, steps, nonce }
    }

    /// The bodies in turn; `None` is an empty answer.
    fn talk(&self, inform: Vec<u8>, random: &mut Random) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let say = |shape, random: &mut Random| self.dialect.envelope(shape, random);
        let acs = |shape, random: &mut Random| Some(self.dialect.of_acs(random).envelope(shape, random));
        let holds = random.chance(15);
        let mut talk = Vec::new();
        if random.chance(5) {
            talk.push((inform.clone(), acs(Shape::RetryRequest, random)));
        }
        talk.push((inform, acs(Shape::InformResponse { hold: holds }, random)));
        if !holds {
            self.asks(&mut talk, random);
        }
        let mut post = random.pick(&[Vec::new(), Vec::new(), Vec::new(), b"\r\n".to_vec()]);
        if holds && random.chance(50) {
            talk.push((std::mem::take(&mut post), None));
            if random.chance(50) {
                return talk;
            }
        }
        for _ in 0..random.below(4) {
            let shape = random.pick(&[Shape::Get, Shape::Set, Shape::Names, Shape::Vendor, Shape::Download]);
            let odd = random.chance(4).then(|| b"{\"what\": \"is no envelope\"}".to_vec());
            talk.push((post, odd.or_else(|| acs(shape.clone(), random))));
            post = match random.below(8) {
                0 => say(Shape::Fault, random),
                1 if random.chance(30) => b"what is no envelope".to_vec(),
                _ => say(Shape::Answer(Box::new(shape_of_answer(&shape))), random),
            };
        }
        talk.push((post, None));
        if holds {
            // It was held up, and now may say what it has to.
            let asked = talk.len();
            self.asks(&mut talk, random);
            if talk.len() > asked {
                talk.push((Vec::new(), None));
            }
        }
        talk
    }

    /// Requests of the CPE's own.
    fn asks(&self, talk: &mut Vec<(Vec<u8>, Option<Vec<u8>>)>, random: &mut Random) {
        for _ in 0..random.below(3) {
            let shape = random.pick(&[Shape::TransferComplete, Shape::GetRPCMethods, Shape::RequestDownload]);
            let post = self.dialect.envelope(shape, random);
            let answer = if random.chance(15) { Shape::Fault } else { Shape::AnswerToCpe };
            talk.push((post, Some(self.dialect.of_acs(random).envelope(answer, random))));
        }
    }

    fn step(&self, post: Vec<u8>, status: u16, answer: Vec<u8>, random: &mut Random) -> Step {
        let old = matches!(self.connections, Connections::Old { .. });
        let (mut headers, mut body) = (self.manners.clone(), post);
        if let Some(coding) = self.coding.filter(|_| !body.is_empty() || random.chance(20)) {
            if !body.is_empty() {
                body = coded(coding, &body);
            }
            headers.push(("Content-Encoding".into(), coding.into()));
        }
        random.shuffle(&mut headers);
        let headers = headers.into_iter().map(|(name, value)| (self.case.of_name(&name), value)).collect();
        let framing = match random.below(4) {
            0 if !old => chunked(&body, 30, random),
            1 if body.is_empty() => Framing::Silent,
            _ => Framing::Length,
        };
        let expects_continue = !old && !body.is_empty() && random.chance(10);
        let post = Part { headers, body, framing };
        let answer = self.answer(status, answer, random);
        let closes = answer.framing == Framing::Close || random.chance(10);
        let reason = random.pick(&["OK", "Fine", "No Content", ""]);
        Step { post, expects_continue, authorized: false, status, reason, answer, closes }
    }

    fn answer(&self, status: u16, mut body: Vec<u8>, random: &mut Random) -> Part {
        let mut headers: Vec<Header> = Vec::new();
        let mut add = |name: &str, value: &[u8]| headers.push((self.acs_case.of_name(name), value.to_vec()));
        if !body.is_empty() {
            add("Content-Type", self.dialect.content_type.unwrap_or("text/xml").as_bytes());
        }
        for (name, value) in ACS_MANNERS {
            if random.chance(30) {
                add(name, value);
            }
        }
        for cookie in COOKIES {
            if random.chance(20) {
                add("Set-Cookie", cookie.replace('%', &random.below(50).to_string()).as_bytes());
            }
        }
        if !body.is_empty() && random.chance(20) {
            let coding = random.pick(&["gzip", "deflate"]);
            add("Content-Encoding", coding.as_bytes());
            body = coded(coding, &body);
        }
        random.shuffle(&mut headers);
        let old = matches!(self.connections, Connections::Old { .. });
        let framing = match random.below(5) {
            _ if status == 204 => random.pick(&[Framing::Silent, Framing::Length]),
            0 | 1 if !old => chunked(&body, 20, random),
            2 => Framing::Close,
            _ => Framing::Length,
        };
        Part { headers, body, framing }
    }
}

/// What the CPE says to an RPC of the ACS.
fn shape_of_answer(asked: &Shape) -> Shape {
    match asked {
        Shape::Names => Shape::Names,
        Shape::Set => Shape::Set,
        _ => Shape::Get,
    }
}

fn manners(random: &mut Random, dialect: &Dialect) -> Vec<Header> {
    let mut headers = vec![];
    if let Some(content_type) = dialect.content_type {
        headers.push(("Content-Type".to_owned(), content_type.as_bytes().to_vec()));
    }
    if random.chance(75) {
        let action = random.pick(&["", "\"\"", "\"urn:dslforum-org:cwmp-1-0#Inform\"", "cwmp:Inform"]);
        headers.push(("SOAPAction".to_owned(), action.as_bytes().to_vec()));
    }
    for (name, value) in CPE_MANNERS {
        if random.chance(25) {
            headers.push((name.to_owned(), value.to_vec()));
        }
    }
    headers
}

/// Extensions only on so many chunks as a server must bear: it ought to limit them (RFC 9112 7.1.1), and the
/// gateway does so at 16 KiB of a message.
fn chunked(body: &[u8], extras: usize, random: &mut Random) -> Framing {
    let size = random.within(1, 800);
    Framing::Chunked { size, extras: random.chance(extras) && body.len() / size < 1_000 }
}

fn coded(coding: &str, body: &[u8]) -> Vec<u8> {
    if coding != "deflate" {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(body).unwrap();
        return encoder.finish().unwrap();
    }
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// How somebody writes the names of headers.
#[derive(Debug, Clone, Copy)]
enum Case {
    Usual,
    Upper,
    Lower,
    Mixed,
}

impl Case {
    fn of(random: &mut Random) -> Self {
        random.pick(&[Self::Usual, Self::Usual, Self::Usual, Self::Upper, Self::Lower, Self::Mixed])
    }

    fn of_name(self, name: &str) -> String {
        match self {
            Self::Usual => name.to_owned(),
            Self::Upper => name.to_ascii_uppercase(),
            Self::Lower => name.to_ascii_lowercase(),
            Self::Mixed => {
                let odd = |(at, letter): (usize, char)| {
                    if at % 2 == 0 { letter.to_ascii_lowercase() } else { letter.to_ascii_uppercase() }
                };
                name.chars().enumerate().map(odd).collect()
            }
        }
    }
}

/// Redirects are followed by the gateway, and by few CPEs alike.
const ERRORS: [u16; 8] = [400, 401, 403, 404, 500, 502, 503, 503];

const CPE_MANNERS: [(&str, &[u8]); 14] = [
    ("Content-Type", b"text/xml"),
    ("Keep-Alive", b"timeout=5"),
    ("X-Empty", b""),
    ("User-Agent", b"MoonNet_CWMP/1.0 (odd; \"quoted\")"),
    ("Accept", b"*/*"),
    ("Accept-Encoding", b"gzip, deflate"),
    ("X-Vendor", b"first"),
    ("X-Vendor", b"second, third"),
    ("X-Place", b"M\xfcnchen"),
    ("X-Utf8", "Zürich".as_bytes()),
    ("X_under.dot", b"1"),
    ("Cache-Control", b"no-cache"),
    ("From", b""),
    ("X-Forwarded-For", b"192.0.2.1"),
];

const ACS_MANNERS: [(&str, &[u8]); 13] = [
    ("Location", b"/acs/other"),
    ("Set-Cookie2", b"old=1; Version=\"1\""),
    ("Keep-Alive", b"timeout=5"),
    ("Server", b"Apache-Coyote/1.1"),
    ("Date", b"Thu, 01 Jan 2026 00:00:00 GMT"),
    ("SOAPServer", b"odd/1.0"),
    ("SOAPAction", b""),
    ("X-Powered-By", b"Servlet 2.4"),
    ("X-Powered-By", b"JBoss-4.0"),
    ("X_acs.name", b"caf\xe9"),
    ("Cache-Control", b"no-store"),
    ("Expires", b"0"),
    ("ETag", b"W/\"1\""),
];

/// `%` stands for a number.
const COOKIES: [&str; 8] = [
    "JSESSIONID=%ABC; Path=/; HttpOnly",
    "JSESSIONID=\"q%\"; Path=/",
    "lb=node%",
    "lb=gone; Max-Age=0",
    "sticky=a=b=%; Version=1",
    "sticky=x; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
    "empty=",
    "late=1; Expires=Fri, 01 Jan 2100 00:00:00 GMT",
];
