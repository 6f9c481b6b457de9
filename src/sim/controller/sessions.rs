//! The session contexts of a controller that uses them, with TLS where it has a certificate.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::identity::EndpointId;
use crate::payload_security::{Keyring, TlsSessions};
use crate::usp::record::session::{Env, Input, Output, Policy, Role, Session};
use crate::usp::record::{Integrity, PayloadSecurity, Record};

/// How a controller uses session contexts.
#[derive(Clone, Default)]
pub struct SessionConfig {
    pub policy: Policy,
    /// For TLS and signatures.
    pub keyring: Option<Arc<Keyring>>,
}

/// What came in session contexts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionStatistics {
    pub records: u64,
    /// The largest of them, in bytes.
    pub largest: usize,
    /// How many of them had a payload that TLS protects.
    pub secured: u64,
    /// How many bore a signature or MAC.
    pub sealed: u64,
}

/// What a step brings.
#[derive(Default)]
pub(super) struct Brought {
    pub records: Vec<Bytes>,
    pub messages: Vec<Bytes>,
}

/// The sessions of a controller.
pub(super) struct Sessions {
    own: EndpointId,
    config: SessionConfig,
    started: Instant,
    peers: HashMap<EndpointId, Peer>,
    pub seen: SessionStatistics,
}

struct Peer {
    session: Session,
    tls: TlsSessions,
}

impl Sessions {
    pub fn new(own: EndpointId, config: SessionConfig) -> Self {
        let seen = SessionStatistics::default();
        Self { own, config, started: Instant::now(), peers: HashMap::new(), seen }
    }

    pub fn send(&mut self, agent: &EndpointId, message: Bytes) -> Brought {
        self.handle(agent, Input::Send(message))
    }

    /// Takes a record of a session context; `bytes` are all of it.
    pub fn receive(&mut self, agent: &EndpointId, record: Record, bytes: &Bytes) -> Brought {
        self.seen.records += 1;
        self.seen.largest = self.seen.largest.max(bytes.len());
        self.seen.secured += u64::from(record.payload_security == PayloadSecurity::Tls12);
        self.seen.sealed += u64::from(!record.mac_signature.is_empty());
        let integrity = match &self.config.keyring {
            Some(keyring) => keyring.integrity(bytes),
            None => Integrity::Trusted,
        };
        self.handle(agent, Input::Received { record, integrity })
    }

    pub fn disconnected(&mut self, agent: &EndpointId) {
        if self.peers.contains_key(agent) {
            self.handle(agent, Input::Disconnected);
        }
    }

    /// Time passes; gives the records that it brings.
    pub fn tick(&mut self) -> Vec<(EndpointId, Bytes)> {
        let agents: Vec<EndpointId> = self.peers.keys().cloned().collect();
        let mut records = Vec::new();
        for agent in agents {
            let brought = self.handle(&agent, Input::Tick);
            records.extend(brought.records.into_iter().map(|record| (agent.clone(), record)));
        }
        records
    }

    fn handle(&mut self, agent: &EndpointId, input: Input) -> Brought {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let fresh = || Peer {
            session: Session::new(self.own.clone(), agent.clone(), Role::Controller),
            tls: TlsSessions::new(&self.own, self.config.keyring.clone()),
        };
        let peer = self.peers.entry(agent.clone()).or_insert_with(fresh);
        let mut brought = Brought::default();
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut out = Vec::new();
            let env =
                Env { now, seed: RandomState::new().build_hasher().finish(), policy: &self.config.policy };
            peer.session.handle(&env, input, &mut out);
            for output in out {
                match output {
                    Output::Send(record) => brought.records.push(match &self.config.keyring {
                        Some(keyring) => keyring.sign(record.encode()),
                        None => record.encode(),
                    }),
                    Output::Message(message) => brought.messages.push(message),
                    Output::Secure { session_id, request } => {
                        let answer = peer.tls.answer(agent, session_id, request);
                        inputs.extend(answer.map(|secured| Input::Secured { session_id, secured }));
                    }
                    Output::Ended { why, lost } => tracing::debug!(%agent, why, ?lost, "a session has ended"),
                }
            }
        }
        brought
    }
}
