//! The CPEs of a capture: what each had sent is sent again, one after the other, and the answers are compared.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;

use crate::capture::{Exchange, LegName, Script, Sitting, difference, normal, with_id};
use crate::net::{HttpUrl, Stream, TlsClient};
use crate::transport::http::{Challenge, Credentials, basic_answer};

use super::cookies::Cookies;
use super::report::{Report, Row};
use super::wire::{Message, Wire, is_of_connection, to_send};

/// How a capture's CPEs call.
#[derive(Clone)]
pub struct ReplayCpeConfig {
    /// The gateway, or an ACS. Its path is used if it has one, else that of the capture.
    pub url: HttpUrl,
    pub tls: Option<TlsClient>,
    /// What a challenge is answered with.
    pub credentials: Option<(String, String)>,
    /// In the pace of the capture; else as fast as answers come.
    pub timed: bool,
}

/// Plays all sessions of the CPEs' leg: those of a device in their order, devices at the same time.
pub async fn play(script: &Script, config: &ReplayCpeConfig) -> Report {
    let mut devices = BTreeMap::<String, Vec<Sitting>>::new();
    for sitting in script.on(LegName::Cpe) {
        devices.entry(sitting.device.clone()).or_default().push(sitting.clone());
    }
    let config = Arc::new(config.clone());
    let began = tokio::time::Instant::now();
    let mut playing = JoinSet::new();
    for sittings in devices.into_values() {
        let player = Player::new(Arc::clone(&config), began);
        playing.spawn(player.play(sittings));
    }
    let mut report = Report::default();
    while let Some(rows) = playing.join_next().await {
        report.rows.extend(rows.map(|played| played.rows).unwrap_or_default());
    }
    report.rows.sort_by_key(|row| row.line);
    report
}

/// One CPE.
struct Player {
    config: Arc<ReplayCpeConfig>,
    began: tokio::time::Instant,
    /// By the capture's numbers.
    connections: HashMap<u64, Wire>,
    cookies: Cookies,
    challenge: Option<(Scheme, u32)>,
    /// The ID of the RPC that is to be answered, in the capture and now.
    asked: Option<(String, String)>,
    report: Report,
}

enum Scheme {
    Basic,
    Digest(Challenge),
}

impl Player {
    fn new(config: Arc<ReplayCpeConfig>, began: tokio::time::Instant) -> Self {
        Self {
            config,
            began,
            connections: HashMap::new(),
            cookies: Cookies::default(),
            challenge: None,
            asked: None,
            report: Report::default(),
        }
    }

    async fn play(mut self, sittings: Vec<Sitting>) -> Report {
        for sitting in &sittings {
            // A session goes over connections of its own.
            self.connections.clear();
            self.asked = None;
            for (index, exchange) in sitting.exchanges.iter().enumerate() {
                if self.config.timed {
                    tokio::time::sleep_until(self.began + Duration::from_millis(exchange.at)).await;
                }
                if let Err(why) = self.exchange(sitting, exchange).await {
                    self.report.left_out(sitting, index, &why);
                    break;
                }
            }
        }
        self.report
    }

    async fn exchange(&mut self, sitting: &Sitting, exchange: &Exchange) -> Result<(), String> {
        let Some(body) = self.body(exchange) else {
            return Err("the capture does not hold the request's body".to_owned());
        };
        let mut came = self.send(exchange, &body, false).await?;
        let recorded = exchange.answer.as_ref().map_or(0, |(status, _)| *status);
        if came.status() == CHALLENGE && self.take_challenge(&came) && recorded != CHALLENGE {
            came = self.send(exchange, &body, true).await?;
        }
        let different = match &exchange.answer {
            None => None,
            Some((status, _)) if *status != came.status() => Some("another status".to_owned()),
            Some((_, play)) => difference(play, &came.body),
        };
        if let Some((_, play)) = &exchange.answer {
            let lines = play.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
            let lines: Vec<_> = lines.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect();
            let now: Vec<&str> = came.all("set-cookie").collect();
            self.cookies.learn(lines.iter().map(String::as_str), now.into_iter());
            self.asked = play.content().and_then(|body| normal(body).id).zip(normal(&came.body).id);
        }
        self.report.rows.push(Row {
            device: sitting.device.clone(),
            session: sitting.session,
            line: exchange.line,
            request: exchange.request.name.clone(),
            recorded,
            came: came.status(),
            difference: different,
        });
        Ok(())
    }

    /// The request's body. What answers an RPC bears the ID that the RPC has now.
    fn body(&self, exchange: &Exchange) -> Option<Bytes> {
        let play = &exchange.request;
        let answers = play.name.ends_with("Response") || play.name == "Fault";
        let asked = self.asked.as_ref().filter(|(then, now)| answers && then != now);
        let changed = asked.zip(play.content()).and_then(|((then, now), body)| {
            let is_it = normal(body).id.as_ref() == Some(then);
            is_it.then(|| with_id(body, now))
        });
        to_send(play, changed)
    }

    /// `prove`: also where the capture has no proof.
    async fn send(&mut self, exchange: &Exchange, body: &[u8], prove: bool) -> Result<Message, String> {
        let own = self.config.url.target.clone();
        let target = if own == "/" { exchange.target.clone() } else { own };
        let lines = self.lines(exchange, &target, prove);
        let start = format!("POST {target} HTTP/1.1");
        let kept = self.connections.remove(&exchange.connection);
        let reused = kept.is_some();
        let mut wire = match kept {
            Some(wire) => wire,
            None => self.connect().await?,
        };
        let sent = wire.send(&start, &lines, body).await;
        let mut came = match sent {
            Ok(()) => wire.answer().await,
            Err(why) => Err(why),
        };
        if came.is_err() && reused {
            // It was closed between two requests, which the peer may do.
            wire = self.connect().await?;
            wire.send(&start, &lines, body).await?;
            came = wire.answer().await;
        }
        let came = came?;
        if !came.closes {
            self.connections.insert(exchange.connection, wire);
        }
        Ok(came)
    }

    async fn connect(&self) -> Result<Wire, String> {
        let url = &self.config.url;
        let tls = self.config.tls.as_ref().filter(|_| url.tls);
        let stream = Stream::connect(&url.host, url.port, tls, CONNECT).await;
        stream.map(Wire::new).map_err(|error| format!("{}: {error}", url.authority()))
    }

    /// The recorded lines, with what must be of today.
    fn lines(&mut self, exchange: &Exchange, target: &str, prove: bool) -> Vec<(String, Bytes)> {
        let mut lines = Vec::new();
        let mut proved = false;
        for (name, value) in exchange.request.headers.iter().filter(|(name, _)| !is_of_connection(name)) {
            let value = match name.to_ascii_lowercase().as_str() {
                "host" => self.config.url.authority().into(),
                "cookie" => self.cookies.translated(&String::from_utf8_lossy(value)).into(),
                "authorization" => {
                    proved = true;
                    self.proof(target).map_or_else(|| value.clone(), Bytes::from)
                }
                _ => value.clone(),
            };
            lines.push((name.clone(), value));
        }
        if prove
            && !proved
            && let Some(proof) = self.proof(target)
        {
            lines.push(("Authorization".to_owned(), proof.into()));
        }
        lines
    }

    fn take_challenge(&mut self, came: &Message) -> bool {
        let digest = came.all("www-authenticate").find_map(Challenge::parse).map(Scheme::Digest);
        let is_basic = |offer: &str| offer.trim_start().to_ascii_lowercase().starts_with("basic");
        let basic = came.all("www-authenticate").any(is_basic).then_some(Scheme::Basic);
        let first = self.challenge.is_none();
        self.challenge = digest.or(basic).map(|scheme| (scheme, 0));
        first && self.challenge.is_some() && self.config.credentials.is_some()
    }

    fn proof(&mut self, target: &str) -> Option<String> {
        let (user, password) = self.config.credentials.as_ref()?;
        match self.challenge.as_mut()? {
            (Scheme::Basic, _) => Some(basic_answer(user, password)),
            (Scheme::Digest(challenge), count) => {
                *count += 1;
                let who = Credentials { user, password, cnonce: "0a4f113b", count: *count };
                Some(challenge.answer(who, "POST", target))
            }
        }
    }
}

const CHALLENGE: u16 = 401;
const CONNECT: Duration = Duration::from_secs(5);
