//! An ACS on a raw socket that says what the script of each session has settled, and keeps what it has seen.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use md5::{Digest as _, Md5};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::script::{PASSWORD, Script, Step, USER};
use super::wire::{Framing, Message, Wire, written};

/// The server; it ends when it is dropped.
pub struct RawAcs {
    pub address: SocketAddr,
    sessions: Arc<Mutex<HashMap<String, Session>>>,
    task: JoinHandle<()>,
}

struct Session {
    script: Arc<Script>,
    seen: Vec<Message>,
}

impl RawAcs {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let sessions = Arc::<Mutex<HashMap<String, Session>>>::default();
        let known = Arc::clone(&sessions);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(Wire::new(stream), Arc::clone(&known)));
            }
        });
        Self { address, sessions, task }
    }

    pub fn expect(&self, script: &Arc<Script>) {
        let session = Session { script: Arc::clone(script), seen: Vec::new() };
        self.sessions.lock().unwrap().insert(script.target(), session);
    }

    /// What it has seen of a session, which is over.
    pub fn take(&self, script: &Script) -> Vec<Message> {
        self.sessions.lock().unwrap().remove(&script.target()).map(|it| it.seen).unwrap_or_default()
    }
}

impl Drop for RawAcs {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut wire: Wire, sessions: Arc<Mutex<HashMap<String, Session>>>) {
    while let Some(mut request) = wire.read_head().await {
        if request.says("expect", "100-continue")
            && wire.send(b"HTTP/1.1 100 Continue\r\n\r\n").await.is_err()
        {
            return;
        }
        if !wire.read_body(&mut request).await {
            return;
        }
        let old = request.start.ends_with("HTTP/1.0");
        let keeps =
            if old { request.says("connection", "keep-alive") } else { !request.says("connection", "close") };
        let (bytes, closes) = answer(&sessions, request, old, keeps);
        if wire.send(&bytes).await.is_err() || closes {
            return;
        }
    }
}

fn answer(
    sessions: &Mutex<HashMap<String, Session>>,
    request: Message,
    old: bool,
    keeps: bool,
) -> (Vec<u8>, bool) {
    let mut sessions = sessions.lock().unwrap();
    let target = request.start.split(' ').nth(1).unwrap_or_default();
    let Some(session) = sessions.get_mut(target) else {
        return (b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n".to_vec(), false);
    };
    let script = Arc::clone(&session.script);
    let refused =
        script.steps.get(session.seen.len()).is_none_or(|step| !is_authorized(&script, step, &request));
    session.seen.push(request);
    if refused {
        return (b"HTTP/1.1 418 Unscripted\r\nContent-Length: 0\r\n\r\n".to_vec(), false);
    }
    let step = &script.steps[session.seen.len() - 1];
    let closes = step.closes || !keeps;
    let mut headers = step.answer.headers.clone();
    if closes {
        headers.push(("Connection".into(), b"close, X-Hop".to_vec()));
        headers.push(("X-Hop".into(), b"1".to_vec()));
    } else if old {
        headers.push(("Connection".into(), b"Keep-Alive".to_vec()));
    }
    let framing = match &step.answer.framing {
        Framing::Close if !closes => &Framing::Length,
        framing => framing,
    };
    let start = format!("HTTP/1.1 {} {}", step.status, step.reason);
    (written(&start, &headers, &step.answer.body, framing), closes)
}

/// Whether the request proves by digest who sent it, where it must.
fn is_authorized(script: &Script, step: &Step, request: &Message) -> bool {
    let (Some(nonce), true) = (&script.nonce, step.authorized) else { return true };
    let Some(authorization) = request.values("authorization").next() else { return false };
    let part = |name: &str| {
        let found =
            authorization.split(", ").find_map(|part| part.trim_start_matches("Digest ").strip_prefix(name));
        found.map(|value| value.trim_start_matches('=').trim_matches('"').to_owned()).unwrap_or_default()
    };
    let target = request.start.split(' ').nth(1).unwrap_or_default();
    part("uri") == target && part("response") == digest(nonce, target, &part("nc"), &part("cnonce"))
}

/// The response of RFC 2617 for a POST; without `qop` where there is no count.
pub fn digest(nonce: &str, target: &str, count: &str, cnonce: &str) -> String {
    let who = hash(&format!("{USER}:acs:{PASSWORD}"));
    let what = hash(&format!("POST:{target}"));
    if count.is_empty() {
        return hash(&format!("{who}:{nonce}:{what}"));
    }
    hash(&format!("{who}:{nonce}:{count}:{cnonce}:auth:{what}"))
}

fn hash(text: &str) -> String {
    Md5::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
