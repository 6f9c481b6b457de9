//! A controller's end of session contexts, with payload security or without, driven record by record, so that a
//! check can change what goes out and look at what comes in.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::payload_security::{Keyring, KeyringError};
use crate::sim::controller::{Arrival, ContextEnd};
use crate::usp::message::{Message, Request};
use crate::usp::record::session::{Input, Output, Policy};
use crate::usp::record::{Integrity, Payload, PayloadSecurity, Record};

use super::check::Stop;
use super::session::Session;

/// What this controller proves itself with in session contexts, and what it pretends to be.
#[derive(Clone)]
pub struct Secrets {
    pub(super) own: Arc<Keyring>,
    /// Takes what is not signed: an agent may trust its transports.
    judge: Arc<Keyring>,
    /// Names another endpoint.
    pub(super) stranger: Option<Arc<Keyring>>,
    /// Names this controller, and is out of date.
    pub(super) expired: Option<Arc<Keyring>>,
}

impl Secrets {
    /// Each file holds a certificate chain and its key; `ca` signed those of the agents.
    pub fn load(
        ca: &Path,
        own: &Path,
        stranger: Option<&PathBuf>,
        expired: Option<&PathBuf>,
    ) -> Result<Self, KeyringError> {
        let load = |file: &Path| Keyring::load(ca, file, file, true).map(Arc::new);
        let load_if = |file: Option<&PathBuf>| file.map(|file| load(file)).transpose();
        let judge = Arc::new(Keyring::load(ca, own, own, false)?);
        Ok(Self { own: load(own)?, judge, stranger: load_if(stranger)?, expired: load_if(expired)? })
    }
}

/// One end of a context.
pub(super) struct Peer {
    end: ContextEnd,
    /// None without payload security.
    keyring: Option<Arc<Keyring>>,
    judge: Option<Arc<Keyring>>,
    /// Messages that came, each with its context.
    pub got: Vec<(u64, Bytes)>,
    /// Why contexts ended.
    pub ended: Vec<&'static str>,
    /// Records of contexts that came, as they were.
    pub records: Vec<Record>,
}

impl Peer {
    /// Proves itself with this keyring within TLS; its records are signed by who they say they are from.
    pub fn new(session: &Session, secrets: &Secrets, keyring: &Arc<Keyring>) -> Self {
        let policy = Policy { security: PayloadSecurity::Tls12, ..Policy::default() };
        Self {
            keyring: Some(Arc::clone(&secrets.own)),
            judge: Some(Arc::clone(&secrets.judge)),
            ..Self::of(session, policy, Some(Arc::clone(keyring)))
        }
    }

    /// Without payload security.
    pub fn plain(session: &Session) -> Self {
        Self::of(session, Policy::default(), None)
    }

    fn of(session: &Session, policy: Policy, keyring: Option<Arc<Keyring>>) -> Self {
        let own = &session.setup.config.endpoint_id;
        Self {
            end: ContextEnd::new(own, session.agent(), policy, keyring),
            keyring: None,
            judge: None,
            got: Vec::new(),
            ended: Vec::new(),
            records: Vec::new(),
        }
    }

    /// The records by which a request goes out, or a context for it begins.
    pub fn ask(&mut self, msg_id: &str, request: Request) -> Vec<Record> {
        self.handle(Input::Send(Message::request(msg_id, request).encode()))
    }

    fn handle(&mut self, input: Input) -> Vec<Record> {
        let context = match &input {
            Input::Received { record: Record { payload: Payload::Session(context), .. }, .. } => {
                context.session_id
            }
            _ => 0,
        };
        let mut sent = Vec::new();
        for output in self.end.handle(input) {
            match output {
                Output::Send(record) => sent.extend(self.signed(&record)),
                Output::Message(message) => self.got.push((context, message)),
                Output::Ended { why, .. } => self.ended.push(why),
                // It has been answered.
                Output::Secure { .. } => {}
            }
        }
        sent
    }

    fn signed(&self, record: &Record) -> Option<Record> {
        match &self.keyring {
            Some(keyring) => Record::decode(keyring.sign(record.clone().encode())).ok(),
            None => Some(record.clone()),
        }
    }

    /// Sends these records and what follows from the agent's, until something is so or the time is over.
    pub async fn talk(
        &mut self,
        session: &mut Session,
        records: Vec<Record>,
        within: Duration,
        enough: impl Fn(&Self) -> bool,
    ) {
        let mut due = records;
        let end = Instant::now() + within;
        loop {
            for record in due.drain(..) {
                session.send_record(record).await;
            }
            let left = end.saturating_duration_since(Instant::now());
            if enough(self) || left.is_zero() {
                return;
            }
            let of_context = |it: &Arrival| matches!(it.record.payload, Payload::Session(_));
            let arrival = session.arrived(left.min(TICK), of_context).await;
            due = match arrival {
                Ok(arrival) => {
                    session.exchange.received(&arrival.record);
                    self.records.push(arrival.record.clone());
                    let integrity = match &self.judge {
                        Some(judge) => judge.integrity(&arrival.record.clone().encode()),
                        None => Integrity::Trusted,
                    };
                    self.handle(Input::Received { record: arrival.record, integrity })
                }
                Err(_) => self.handle(Input::Tick),
            };
        }
    }

    /// Says goodbye, so that no context of this check is left.
    pub async fn leave(self, session: &mut Session) {
        let payload = Payload::Disconnect { reason: String::new(), reason_code: 0 };
        let record = Record::of(&session.setup.config.endpoint_id, session.agent(), payload);
        if let Some(record) = self.signed(&record) {
            session.send_record(record).await;
        }
    }
}

impl Session {
    /// The secrets of this run.
    pub(super) fn secrets(&self) -> Result<Secrets, Stop> {
        let secrets = self.setup.config.secrets.clone();
        secrets.ok_or_else(|| Stop::NotApplicable("it takes a certificate for payload security".to_owned()))
    }
}

/// How often time is told to a context while nothing comes.
const TICK: Duration = Duration::from_millis(250);
