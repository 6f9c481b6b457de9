//! The session contexts of a controller that uses them, with TLS where it has a certificate.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::identity::EndpointId;
use crate::payload_security::Keyring;
use crate::usp::record::session::{Input, Output, Policy};
use crate::usp::record::{Integrity, PayloadSecurity, Record};

use super::context_end::ContextEnd;

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
    ends: HashMap<EndpointId, ContextEnd>,
    pub seen: SessionStatistics,
}

impl Sessions {
    pub fn new(own: EndpointId, config: SessionConfig) -> Self {
        let seen = SessionStatistics::default();
        Self { own, config, ends: HashMap::new(), seen }
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
        if self.ends.contains_key(agent) {
            self.handle(agent, Input::Disconnected);
        }
    }

    /// Time passes; gives the records that it brings.
    pub fn tick(&mut self) -> Vec<(EndpointId, Bytes)> {
        let agents: Vec<EndpointId> = self.ends.keys().cloned().collect();
        let mut records = Vec::new();
        for agent in agents {
            let brought = self.handle(&agent, Input::Tick);
            records.extend(brought.records.into_iter().map(|record| (agent.clone(), record)));
        }
        records
    }

    fn handle(&mut self, agent: &EndpointId, input: Input) -> Brought {
        let SessionConfig { policy, keyring } = &self.config;
        let fresh = || ContextEnd::new(&self.own, agent, policy.clone(), keyring.clone());
        let end = self.ends.entry(agent.clone()).or_insert_with(fresh);
        let mut brought = Brought::default();
        for output in end.handle(input) {
            match output {
                Output::Send(record) => brought.records.push(match keyring {
                    Some(keyring) => keyring.sign(record.encode()),
                    None => record.encode(),
                }),
                Output::Message(message) => brought.messages.push(message),
                Output::Ended { why, lost } => tracing::debug!(%agent, why, ?lost, "a session has ended"),
                // It has been answered.
                Output::Secure { .. } => {}
            }
        }
        brought
    }
}
