//! Connection requests of the ACS (TR-069 3.2.2) where they come to the gateway: Informs and answers tell the
//! ACS an address here, whoever calls there proves what he would have to prove to the CPE, and the CPE is called
//! in his place. Work of USP gives way: its RPC in flight is finished, then the session ends.

use crate::agent::Env;
use crate::cwmp::rpc::SetParameterValues;
use crate::durable::{Change, Entry, Kind};
use crate::transport::http::Authorization;

use super::device::Device;
use super::io::Output;
use super::session::{Ours, Phase, Session};

/// One connection request of the ACS's.
#[derive(Debug)]
pub struct AcsCall {
    /// Names it until it is answered.
    pub id: u64,
    /// The digest that came with it, its nonce known to be ours and fresh.
    pub claim: Option<Authorization>,
    /// Whether it comes from an address that needs no proof where no credentials are known.
    pub trusted: bool,
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallAnswer {
    /// The CPE is being called (200).
    Accepted,
    /// It must prove who it is (401).
    Unproven,
    /// The proof is wrong (401).
    Wrong,
    /// No credentials are known, and the address is not one that needs none (403).
    Forbidden,
    /// The ACS has a session with the CPE (503).
    InSession,
    /// There have been too many (503).
    TooMany,
    /// It is not known where the CPE takes connection requests (503).
    Unreachable,
}

impl CallAnswer {
    /// The label of the metric.
    pub fn label(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Unproven => "challenged",
            Self::Wrong => "wrong",
            Self::Forbidden => "forbidden",
            Self::InSession => "in-session",
            Self::TooMany => "too-many",
            Self::Unreachable => "unreachable",
        }
    }
}

/// The ACS's connection requests of one device, and what they are proved with.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// Since when the ACS waits for a session.
    pub waiting: Option<u64>,
    /// When the last ones came.
    recent: Vec<u64>,
    /// ConnectionRequestUsername and -Password as the ACS has set them.
    username: Option<String>,
    password: Option<String>,
}

impl Calls {
    pub fn restore(entries: &[Entry]) -> Self {
        let kept = entries.iter().find(|entry| entry.kind == Kind::Secret && entry.key == CREDENTIALS);
        let read = kept.and_then(|entry| {
            serde_json::from_slice::<(u8, Option<String>, Option<String>)>(&entry.value).ok()
        });
        match read {
            Some((FORMAT, username, password)) => Self { username, password, ..Self::default() },
            _ => Self::default(),
        }
    }

    /// What the CPE is called with, where the ACS has set it.
    pub fn credentials(&self) -> Option<(String, String)> {
        self.username.clone().zip(self.password.clone())
    }

    /// The user name alone.
    pub fn username(&self) -> Option<&str> {
        self.username.as_deref()
    }

    /// Takes in what the ACS has set; gives what is to be stored if anything is new.
    fn learn(&mut self, set: &SetParameterValues<'_>) -> Option<Change> {
        let value = |name: &str| {
            let found = set.parameter_list.iter().rev().find(|it| it.name.ends_with(name));
            found.map(|it| it.value.to_string())
        };
        let user = value(".ManagementServer.ConnectionRequestUsername").or_else(|| self.username.clone());
        let password = value(".ManagementServer.ConnectionRequestPassword").or_else(|| self.password.clone());
        if (&user, &password) == (&self.username, &self.password) {
            return None;
        }
        (self.username, self.password) = (user, password);
        let value = serde_json::to_vec(&(FORMAT, &self.username, &self.password)).ok()?;
        Some(Change::put(Kind::Secret, CREDENTIALS, value))
    }
}

impl Device {
    /// Judges a connection request of the ACS's and calls the CPE for it.
    pub(super) fn acs_call(&mut self, env: &Env, call: &AcsCall, out: &mut Vec<Output>) {
        let answer = self.judge_call(env, call);
        out.push(Output::AcsCallAnswer { call: call.id, acs: self.acs_name(), answer });
        if answer != CallAnswer::Accepted {
            return;
        }
        self.calls.waiting = Some(env.now);
        match &self.session {
            None => self.wake.want(env.now, &self.config.wake_ms),
            // Held open for more of USP's work, which can wait.
            Some(Session { phase: Phase::Ours(Ours { parked_until: Some(_), .. }), .. }) => {
                self.finish(env, out)
            }
            // The RPC in flight is answered first.
            Some(_) => {}
        }
    }

    fn judge_call(&mut self, env: &Env, call: &AcsCall) -> CallAnswer {
        let known = self.calls.credentials().or_else(|| self.config.wake_credentials.clone());
        match (&known, &call.claim) {
            (None, _) if !call.trusted => return CallAnswer::Forbidden,
            (None, _) => {}
            (Some(_), None) => return CallAnswer::Unproven,
            (Some((user, password)), Some(claim)) => {
                if claim.user != *user || !claim.is_right(password, "GET") {
                    return CallAnswer::Wrong;
                }
            }
        }
        if !self.is_reachable() {
            return CallAnswer::Unreachable;
        }
        if matches!(&self.session, Some(Session { phase: Phase::Relayed(_), .. })) {
            return CallAnswer::InSession;
        }
        self.calls.recent.retain(|at| at + MINUTE_MS > env.now);
        if self.calls.recent.len() >= MAX_A_MINUTE {
            return CallAnswer::TooMany;
        }
        self.calls.recent.push(env.now);
        CallAnswer::Accepted
    }

    /// The CPE has called; `called`: because of a connection request, which is what the ACS waits for.
    pub(super) fn cpe_called(&mut self, called: bool) {
        if called {
            self.calls.waiting = None;
        }
    }

    /// The ACS has set parameters of the CPE's, its credentials perhaps among them.
    pub(super) fn learn_credentials(&mut self, set: &SetParameterValues<'_>, out: &mut Vec<Output>) {
        if let Some(change) = self.calls.learn(set) {
            self.persist_own(vec![change], out);
            self.tell_credentials();
        }
    }

    /// What the agent has to know of credentials, so that it gives the CPE no others where none are needed.
    pub(super) fn tell_credentials(&mut self) {
        let by_operator = self.config.wake_credentials.is_some();
        self.agent.know_credentials(self.calls.credentials(), by_operator);
    }

    /// What the CPE is called with.
    pub(super) fn wake_credentials(&self) -> Option<(String, String)> {
        let ours = self.agent.own_credentials();
        ours.or_else(|| self.calls.credentials()).or_else(|| self.config.wake_credentials.clone())
    }

    /// Nobody waits for ever: an ACS has given up long before.
    pub(super) fn forget_call(&mut self, now: u64) {
        self.calls.waiting = self.calls.waiting.filter(|since| since + MINUTE_MS > now);
    }

    /// When [`Device::forget_call`] is due.
    pub(super) fn call_deadline(&self) -> Option<u64> {
        self.calls.waiting.map(|since| since + MINUTE_MS)
    }

    /// Where the ACS is told that this CPE takes connection requests; `None`: where it does itself.
    pub(super) fn address_for_acs(&self) -> Option<String> {
        let base = self.config.acs_calls.as_ref()?;
        // A percent sign of the endpoint's own is one more to be escaped in a URL.
        Some(format!("{base}{}", self.agent.endpoint().as_str().replace('%', "%25")))
    }
}

const MINUTE_MS: u64 = 60_000;
/// Connection requests that are accepted in a minute; a CPE limits them as well (TR-069 3.2.2).
const MAX_A_MINUTE: usize = 10;
/// The key of the credentials' entry.
const CREDENTIALS: &str = "credentials";
/// Version of their stored form.
const FORMAT: u8 = 1;
