//! A controller's end of its session contexts with one agent, with TLS where it has a certificate.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::time::Instant;

use crate::identity::EndpointId;
use crate::payload_security::{Keyring, TlsSessions};
use crate::usp::record::session::{Env, Input, Output, Policy, Role, Session};

/// The end; signing and judging of records are for whoever holds it.
pub struct ContextEnd {
    agent: EndpointId,
    session: Session,
    tls: TlsSessions,
    policy: Policy,
    started: Instant,
}

impl ContextEnd {
    /// `keyring` is what it proves itself with within TLS.
    pub fn new(own: &EndpointId, agent: &EndpointId, policy: Policy, keyring: Option<Arc<Keyring>>) -> Self {
        Self {
            agent: agent.clone(),
            session: Session::new(own.clone(), agent.clone(), Role::Controller),
            tls: TlsSessions::new(own, keyring),
            policy,
            started: Instant::now(),
        }
    }

    /// What an input brings: records to send, messages, ends of contexts. What is asked of TLS is answered here.
    pub fn handle(&mut self, input: Input) -> Vec<Output> {
        let mut inputs = VecDeque::from([input]);
        let mut brought = Vec::new();
        while let Some(input) = inputs.pop_front() {
            let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
            let seed = RandomState::new().build_hasher().finish();
            let mut out = Vec::new();
            self.session.handle(&Env { now, seed, policy: &self.policy }, input, &mut out);
            for output in out {
                match output {
                    Output::Secure { session_id, request } => {
                        let answer = self.tls.answer(&self.agent, session_id, request);
                        inputs.extend(answer.map(|secured| Input::Secured { session_id, secured }));
                    }
                    other => brought.push(other),
                }
            }
        }
        brought
    }
}
