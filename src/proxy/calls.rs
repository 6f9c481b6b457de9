//! Connection requests of the ACS (TR-069 3.2.2) where they come to the gateway: Informs and answers tell the
//! ACS an address here, whoever calls there proves what he would have to prove to the CPE, and the CPE is called
//! in his place. Work of USP gives way: its RPC in flight is finished, then the session ends. Where no session is open
//! the answer is the CPE's own: whether it takes the call is known to nobody else.

use crate::agent::Env;
use crate::cwmp::rpc::SetParameterValues;
use crate::durable::{Change, Entry, Kind};
use crate::transport::http::Authorization;

use super::device::Device;
use super::io::Output;
use super::outcome::Outcome;
use super::session::{Phase, Session};

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
    /// The CPE comes, or has a session that makes way for the ACS's (200).
    Accepted,
    /// It must prove who it is (401).
    Unproven,
    /// The proof is wrong (401).
    Wrong,
    /// No credentials are known, and the address is not one that needs none (403).
    Forbidden,
    /// The ACS has a session with the CPE (503).
    InSession,
    /// There have been too many that no session has come of (503).
    TooMany,
    /// The CPE does not take it, not soon enough, or it is not known where (503).
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
    /// Calls that are answered when the CPE has answered, and until when it has time for that.
    open: Vec<(u64, u64)>,
    /// When those came that no session has come of.
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
        if answer != CallAnswer::Accepted {
            return self.answer_call(call.id, answer, out);
        }
        self.calls.waiting = Some(env.now);
        if let Some(Session { phase: Phase::Ours(ours), .. }) = &self.session {
            // The RPC in flight is answered first; one held open for more of USP's work need not wait.
            let parked = ours.parked_until.is_some();
            self.answer_call(call.id, answer, out);
            if parked {
                self.finish(env, out);
            }
            return;
        }
        // A CPE that the ACS has challenged, and that has not come back.
        self.end_session(env, Outcome::CpeGone, out);
        if self.wake.is_coming(env.now) {
            self.answer_call(call.id, answer, out);
        } else {
            self.calls.open.push((call.id, env.now + ANSWER_MS));
            self.wake.insist(env.now, &self.config.wake_ms);
        }
    }

    fn answer_call(&self, call: u64, answer: CallAnswer, out: &mut Vec<Output>) {
        out.push(Output::AcsCallAnswer { call, acs: self.acs_name(), answer });
    }

    /// The CPE has taken a connection request, or not, or comes anyway: that answers those of the ACS's.
    pub(super) fn answer_calls(&mut self, answer: CallAnswer, out: &mut Vec<Output>) {
        for (call, _) in std::mem::take(&mut self.calls.open) {
            self.answer_call(call, answer, out);
        }
    }

    /// A session opens: what the ACS has called for.
    pub(super) fn calls_are_served(&mut self, out: &mut Vec<Output>) {
        self.calls.recent.clear();
        self.answer_calls(CallAnswer::Accepted, out);
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
        if self.stopping || !self.is_reachable() {
            return CallAnswer::Unreachable;
        }
        if let Some(session @ Session { phase: Phase::Relayed(_), .. }) = &self.session
            && (!session.is_only_challenged() || env.now < session.last_at + REPEAT_MS)
        {
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

    /// Nobody waits for ever: not for an answer, and not for a session, which an ACS has given up long before.
    pub(super) fn forget_calls(&mut self, now: u64, out: &mut Vec<Output>) {
        let due = |(_, until): &mut (u64, u64)| *until <= now;
        let due: Vec<_> = self.calls.open.extract_if(.., due).collect();
        for (call, _) in due {
            self.answer_call(call, CallAnswer::Unreachable, out);
        }
        self.calls.waiting = self.calls.waiting.filter(|since| since + MINUTE_MS > now);
    }

    /// When [`Device::forget_calls`] is due.
    pub(super) fn call_deadline(&self) -> Option<u64> {
        let open = self.calls.open.iter().map(|(_, until)| *until).min();
        let waiting = self.calls.waiting.map(|since| since + MINUTE_MS);
        open.into_iter().chain(waiting).min()
    }

    /// Where the ACS is told that this CPE takes connection requests; `None`: where it does itself.
    pub(super) fn address_for_acs(&self) -> Option<String> {
        let base = self.config.acs_calls.as_ref()?;
        // A percent sign of the endpoint's own is one more to be escaped in a URL.
        Some(format!("{base}{}", self.agent.endpoint().as_str().replace('%', "%25")))
    }
}

const MINUTE_MS: u64 = 60_000;
/// Connection requests that are accepted in a minute without a session that comes of them. An ACS may well call once
/// for each of its tasks; who calls a CPE that does not come is asked to wait.
const MAX_A_MINUTE: usize = 60;
/// How long the CPE has to answer: no ACS waits long, and many wait two seconds.
const ANSWER_MS: u64 = 1_500;
/// How long after the ACS's challenge the CPE's answer may be on its way.
const REPEAT_MS: u64 = 1_000;
/// The key of the credentials' entry.
const CREDENTIALS: &str = "credentials";
/// Version of their stored form.
const FORMAT: u8 = 1;
