//! The ACS of a capture: each session of a device is answered as it had been, and what comes is compared.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::capture::{Exchange, Head, LegName, Play, Script, Sitting, difference, normal, with_id};
use crate::cwmp::soap::sniff_device_id;
use crate::net::{Incoming, Opening, TlsServer, listen};

use super::cookies;
use super::report::{Report, Row};
use super::wire::{Message, Wire, is_of_connection, to_send};

/// Where a capture's ACS listens.
pub struct ReplayAcsConfig {
    /// Port 0 for any.
    pub listen: SocketAddr,
    pub tls: Option<TlsServer>,
    /// Answers after as long as the recorded ones; else at once.
    pub timed: bool,
}

/// A running one.
pub struct ReplayAcs {
    address: SocketAddr,
    scheme: &'static str,
    stage: Arc<Stage>,
    stop: CancellationToken,
}

struct Stage {
    timed: bool,
    playing: Mutex<Playing>,
    /// Whether everything has been played.
    done: watch::Sender<bool>,
}

/// What is played, and how far.
#[derive(Default)]
struct Playing {
    /// The sessions that are still to come, by device.
    waiting: HashMap<String, VecDeque<Sitting>>,
    /// Those that have begun, with how many exchanges are over.
    begun: Vec<(Sitting, usize)>,
    /// Which of them a cookie of the capture belongs to.
    cookies: HashMap<String, usize>,
    report: Report,
}

/// What becomes of a request.
struct Answer {
    /// The place of its session among those that have begun.
    session: Option<usize>,
    /// `None`: the connection is cut, as it was.
    say: Option<(u16, Head, Bytes)>,
    after: Duration,
}

impl ReplayAcs {
    /// Listens. Fails if the address cannot be bound.
    pub async fn start(script: &Script, config: ReplayAcsConfig) -> io::Result<Self> {
        let mut playing = Playing::default();
        for sitting in script.on(LegName::Acs) {
            playing.waiting.entry(sitting.device.clone()).or_default().push_back(sitting.clone());
        }
        let done = watch::Sender::new(playing.is_over());
        let stage = Arc::new(Stage { timed: config.timed, playing: Mutex::new(playing), done });
        let scheme = if config.tls.is_some() { "https" } else { "http" };
        let opening = Opening { tls: config.tls, ..Opening::default() };
        let (address, incoming) = listen(config.listen, opening).await?;
        let stop = CancellationToken::new();
        tokio::spawn(serve(Arc::clone(&stage), incoming, stop.clone()));
        Ok(Self { address, scheme, stage, stop })
    }

    /// What the gateway is to call.
    pub fn url(&self) -> String {
        format!("{}://{}/", self.scheme, self.address)
    }

    /// Waits until all sessions of the capture have been played.
    pub async fn finished(&self) {
        let mut done = self.stage.done.subscribe();
        // The sender is ours: it does not go.
        let _ = done.wait_for(|done| *done).await;
    }

    /// Ends, and tells what differed; what was not asked for counts as that.
    pub fn stop(self) -> Report {
        self.stop.cancel();
        let mut playing = self.stage.playing();
        let mut report = std::mem::take(&mut playing.report);
        for (sitting, over) in &playing.begun {
            report.left_out(sitting, *over, "was not asked");
        }
        for sitting in playing.waiting.values().flatten() {
            report.left_out(sitting, 0, "the session was not opened");
        }
        report
    }
}

async fn serve(stage: Arc<Stage>, mut incoming: mpsc::Receiver<Incoming>, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            accepted = incoming.recv() => accepted,
            () = stop.cancelled() => None,
        };
        let Some(accepted) = accepted else { return };
        let (stage, stop) = (Arc::clone(&stage), stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = converse(&stage, Wire::new(accepted.stream)) => {}
                () = stop.cancelled() => {}
            }
        });
    }
}

/// One connection, for as long as it goes well.
async fn converse(stage: &Stage, mut wire: Wire) {
    let mut session = None;
    while let Ok(Some(request)) = wire.request().await {
        let answer = stage.playing().answer(&request, session);
        session = answer.session;
        if stage.timed {
            tokio::time::sleep(answer.after).await;
        }
        let Some((status, lines, body)) = answer.say else { return };
        let sent = wire.send(&format!("HTTP/1.1 {status} {}", reason(status)), &lines, &body).await;
        // Told only now: who waits for the end must not stop what is still on its way.
        let over = stage.playing().is_over();
        stage.done.send_if_modified(|done| std::mem::replace(done, over) != over);
        if sent.is_err() || request.closes {
            return;
        }
    }
}

impl Stage {
    fn playing(&self) -> MutexGuard<'_, Playing> {
        self.playing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Playing {
    fn is_over(&self) -> bool {
        let begun = self.begun.iter().all(|(sitting, over)| *over >= sitting.exchanges.len());
        begun && self.waiting.values().all(VecDeque::is_empty)
    }

    fn answer(&mut self, request: &Message, connection: Option<usize>) -> Answer {
        let cookie =
            request.all("cookie").flat_map(cookies::values).find_map(|value| self.cookies.get(value));
        let current = cookie.copied().or(connection);
        let session = match sniff_device_id(&request.body) {
            Some(device) => self.open(device.endpoint_id().as_str(), current),
            None => current,
        };
        let Some(at) = session else { return self.stray(request) };
        let (sitting, over) = &mut self.begun[at];
        let Some(exchange) = sitting.exchanges.get(*over).cloned() else { return self.stray(request) };
        let (device, number) = (sitting.device.clone(), sitting.session);
        *over += 1;
        let mut different = difference(&exchange.request, &request.body);
        let say = match &exchange.answer {
            Some((status, play)) => match answer_of(&exchange, play, request) {
                Some(body) => Some((*status, lines_of(play), body)),
                None => {
                    different = different.or(Some("the capture does not hold the answer's body".to_owned()));
                    Some((*status, Vec::new(), Bytes::new()))
                }
            },
            None => None,
        };
        if let Some((_, play)) = &exchange.answer {
            let set =
                play.headers.iter().filter(|(name, _)| name.to_ascii_lowercase().starts_with("set-cookie"));
            for (_, line) in set {
                let line = String::from_utf8_lossy(line).into_owned();
                if let Some((_, value)) = cookies::set_cookie(&line) {
                    self.cookies.insert(value.to_owned(), at);
                }
            }
        }
        let recorded = exchange.answer.as_ref().map_or(0, |(status, _)| *status);
        self.report.rows.push(Row {
            device,
            session: number,
            line: exchange.line,
            request: exchange.request.name.clone(),
            recorded,
            came: recorded,
            difference: different,
        });
        let after = exchange.answered.unwrap_or(exchange.at).saturating_sub(exchange.at);
        Answer { session: Some(at), say, after: Duration::from_millis(after) }
    }

    /// The session that an Inform belongs to: its device's next one, or the one that is open, where the recorded one
    /// goes on with an Inform too.
    fn open(&mut self, device: &str, current: Option<usize>) -> Option<usize> {
        let goes_on = current.filter(|at| {
            let (sitting, over) = &self.begun[*at];
            let again = sitting.exchanges.get(*over).is_some_and(|next| next.request.name == "Inform");
            sitting.device == device && again
        });
        if goes_on.is_some() {
            return goes_on;
        }
        let sitting = self.waiting.get_mut(device)?.pop_front()?;
        self.begun.push((sitting, 0));
        Some(self.begun.len() - 1)
    }

    /// What the capture has no answer for.
    fn stray(&mut self, request: &Message) -> Answer {
        if self.report.rows.len() < MAX_ROWS {
            let device =
                sniff_device_id(&request.body).map(|device| device.endpoint_id().as_str().to_owned());
            self.report.rows.push(Row {
                device: device.unwrap_or_else(|| "?".to_owned()),
                session: 0,
                line: 0,
                request: crate::cwmp::soap::message_name(&String::from_utf8_lossy(&request.body))
                    .unwrap_or_else(|| "empty".to_owned()),
                recorded: 0,
                came: UNAVAILABLE,
                difference: Some("the capture has no such request".to_owned()),
            });
        }
        Answer { session: None, say: Some((UNAVAILABLE, Vec::new(), Bytes::new())), after: Duration::ZERO }
    }
}

/// The recorded answer's body. What answers a request of the CPE bears the ID that this has now.
fn answer_of(exchange: &Exchange, play: &Play, request: &Message) -> Option<Bytes> {
    let then = exchange.request.content().and_then(|body| normal(body).id);
    let content = play.content();
    let answers = then.is_some() && content.and_then(|body| normal(body).id) == then;
    let now = normal(&request.body).id.filter(|now| answers && Some(now) != then.as_ref());
    to_send(play, content.zip(now).map(|(body, now)| with_id(body, &now)))
}

fn lines_of(play: &Play) -> Head {
    play.headers.iter().filter(|(name, _)| !is_of_connection(name)).cloned().collect()
}

/// The words after a status say nothing (RFC 9112 4), and some clients want some.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        401 => "Unauthorized",
        _ => "Status",
    }
}

const UNAVAILABLE: u16 = 503;
/// Requests that the capture does not have and that are listed.
const MAX_ROWS: usize = 10_000;
