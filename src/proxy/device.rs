//! One device: its session, its agent, its wake-up. The only door is [`Device::handle`].

use std::sync::Arc;

use bytes::Bytes;

use crate::agent::{self, Agent, AgentConfig, Env, RestoreError, Shadow};
use crate::cwmp::rpc::Request;
use crate::cwmp::soap::{self, Message};
use crate::datamodel::WallTime;
use crate::durable::{Change, Entry, Kind, Token};
use crate::identity::{DeviceId, EndpointId};
use crate::relay::Acknowledged;

use super::acs_of;
use super::bypass::Bypassing;
use super::calls::{CallAnswer, Calls};
use super::config::ProxyConfig;
use super::io::{AcsFailure, AcsReply, Input, Output, Reply, SessionId};
use super::outcome::Outcome;
use super::reach::Reach;
use super::session::{Lingers, Ours, Phase, Session, refuse};
use super::wake::{Call, Wake};

/// The proxy core of one CPE. It is rebuilt from its durable entries and dropped when it is idle.
pub struct Device {
    pub(super) config: Arc<ProxyConfig>,
    pub(super) endpoint: EndpointId,
    pub(super) agent: Agent,
    pub(super) shadow: Shadow,
    pub(super) session: Option<Session>,
    pub(super) wake: Wake,
    pub(super) calls: Calls,
    pub(super) bypass: Bypassing,
    pub(super) reach: Reach,
    /// The connection request URL of the newest Inform (quirk D08).
    url: Option<String>,
    /// What the ACS has acknowledged last, where that may be needed in an outage.
    pub(super) acknowledged: Option<Acknowledged>,
    /// What the ACS whose the device is is called, where there are several.
    pub(super) acs: Option<Arc<str>>,
    /// Whether this device has never been heard of before this activation.
    pub(super) first_contact: bool,
    /// The gateway stops: nothing new is begun.
    pub(super) stopping: bool,
    next_token: u64,
    said: Vec<agent::Output>,
}

impl Device {
    /// Rebuilds a device from what the store has of it; nothing, for one never seen before.
    pub fn restore(
        device: &DeviceId,
        agent: Arc<AgentConfig>,
        config: Arc<ProxyConfig>,
        entries: &[Entry],
    ) -> Result<Self, RestoreError> {
        let url = entries
            .iter()
            .find(|entry| entry.kind == Kind::Reach && entry.key.is_empty())
            .and_then(|entry| decode_text(&entry.value));
        let acknowledged = entries.iter().find(|entry| entry.kind == Kind::Acknowledged);
        let acknowledged = acknowledged.and_then(|entry| Acknowledged::decode(&entry.value));
        let (agent, shadow) = Agent::restore(device, agent, entries)?;
        let mut it = Self {
            config,
            endpoint: device.endpoint_id(),
            agent,
            shadow,
            session: None,
            wake: Wake::default(),
            calls: Calls::restore(entries),
            bypass: Bypassing::restore(entries),
            reach: Reach::restore(entries),
            url,
            acknowledged,
            acs: acs_of::restore(entries),
            first_contact: entries.is_empty(),
            stopping: false,
            next_token: 0,
            said: Vec::new(),
        };
        it.tell_credentials();
        Ok(it)
    }

    /// Takes in what happened and appends what the world must do.
    pub fn handle(&mut self, env: &Env, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Post(post) => self.post(env, post, out),
            Input::Acs { session, reply } => self.acs(env, session, reply, out),
            Input::CpeGone { session, roams } => self.cpe_gone(env, session, roams, out),
            Input::CpeHalfClosed { session } => self.cpe_half_closed(env, session, out),
            Input::Record(bytes, integrity, shown) => {
                self.tell(env, agent::Input::Record { bytes, integrity, shown }, out);
            }
            Input::Uploaded { id, result } => self.tell(env, agent::Input::Uploaded { id, result }, out),
            Input::Staged { id, answer } => self.tell(env, agent::Input::Staged { id, answer }, out),
            Input::Secured { controller, session_id, secured } => {
                self.tell(env, agent::Input::Secured { controller, session_id, secured }, out);
            }
            Input::ControllerConnected(controller) => {
                self.tell(env, agent::Input::ControllerConnected { controller }, out);
            }
            Input::Links(links) => self.tell(env, agent::Input::Links { links }, out),
            Input::Bypass(order) => self.set_bypass(env, order, out),
            Input::AcsCall(call) => self.acs_call(env, &call, out),
            Input::Woken(result) => self.woken(env, result, out),
            Input::Firmware { id, model } => self.tell(env, agent::Input::Firmware { id, model }, out),
            Input::Persisted(token) => self.persisted(env, token, out),
            Input::StoreFailed(token) => self.store_failed(env, token, out),
            Input::Tick => self.tick(env, out),
            Input::Shutdown => return self.shut_down(env, out),
        }
        self.wake_if_due(env, out);
    }

    /// When [`Input::Tick`] is next needed, in monotonic milliseconds.
    pub fn next_deadline(&self) -> Option<u64> {
        let session = self.session.as_ref().map(|session| self.session_deadline(session));
        let wake = self.wake.next_deadline().filter(|_| !self.stopping);
        [self.agent.next_deadline(), wake, session, self.call_deadline()].into_iter().flatten().min()
    }

    /// When its agent has something to do by itself; it is durable.
    pub fn next_own_time(&self) -> Option<WallTime> {
        self.agent.next_own_time()
    }

    /// Whether the device can be dropped and rebuilt from the store without anything being lost.
    pub fn is_idle(&self) -> bool {
        self.session.is_none() && self.agent.is_idle() && self.calls.waiting.is_none()
    }

    /// Whether another process may go on from the store.
    pub fn may_move(&self) -> bool {
        self.session.is_none() && self.agent.may_move() && self.calls.waiting.is_none()
    }

    pub fn is_in_session(&self) -> bool {
        self.session.is_some()
    }

    /// Whether the ACS is in the midst of a session with the CPE.
    pub fn is_acs_turn(&self) -> bool {
        let session = self.session.as_ref();
        session.is_some_and(|it| matches!(it.phase, Phase::Relayed(_)) && it.lingers().is_none())
    }

    fn session_deadline(&self, session: &Session) -> u64 {
        let patience = match session.lingers() {
            Some(Lingers::Failed(_) | Lingers::Late) => FAILED_MS,
            _ if session.is_only_challenged() => CHALLENGED_MS,
            Some(Lingers::HeldUp) | None => u64::MAX,
        };
        let idle = session.last_at + patience.min(self.config.session_idle_ms);
        match &session.phase {
            Phase::Relayed(relayed) => relayed.held.as_ref().map_or(idle, |held| held.until),
            Phase::Ours(ours) => ours.parked_until.unwrap_or(idle),
        }
    }

    fn acs(&mut self, env: &Env, id: SessionId, reply: Result<AcsReply, AcsFailure>, out: &mut Vec<Output>) {
        let Some(session) = self.session.as_mut().filter(|session| session.id == id) else {
            return;
        };
        session.last_at = env.now;
        match reply {
            Ok(reply) => self.relay_from_acs(env, reply, out),
            Err(AcsFailure::NoAnswer(reason)) => {
                out.push(Output::Log(format!("{} did not answer: {reason}", self.the_acs())));
                self.acs_failed(env, out);
            }
            Err(AcsFailure::Redirect(why)) => {
                // No outage: the ACS is there and wants the session.
                out.push(Output::Log(format!("a redirect of {} is not followed: {why}", self.the_acs())));
                self.reply(refuse(503), out);
                self.end_session(env, Outcome::AcsRedirect, out);
            }
        }
    }

    /// The CPE's connection is gone. A session may go on over another one, so only what hung on the
    /// connection is settled: a POST that awaits its answer, a parked one above all.
    fn cpe_gone(&mut self, env: &Env, id: SessionId, roams: bool, out: &mut Vec<Output>) {
        let Some(session) = self.session.as_mut().filter(|session| session.id == id) else {
            return;
        };
        if session.waiting.take().is_some() {
            self.end_session(env, Outcome::CpeGone, out);
        } else if let Some(lingers) = session.lingers().filter(|_| !roams) {
            // It had nothing more to say. One that makes a connection for each POST may have.
            self.end_session(env, lingers.outcome(), out);
        }
    }

    fn shut_down(&mut self, env: &Env, out: &mut Vec<Output>) {
        self.stopping = true;
        self.answer_calls(CallAnswer::Unreachable, out);
        if let Some(Session { phase: Phase::Ours(Ours { parked_until: Some(_), .. }), .. }) = &self.session {
            self.finish(env, out);
        }
    }

    /// A CPE that sends nothing more cannot do what we would ask of it: a parked session ends. The answer
    /// to a POST under way is still read by those that only close early.
    fn cpe_half_closed(&mut self, env: &Env, id: SessionId, out: &mut Vec<Output>) {
        if let Some(Session { id: open, phase: Phase::Ours(ours), .. }) = &self.session
            && *open == id
            && ours.parked_until.is_some()
        {
            self.finish(env, out);
        }
    }

    fn woken(&mut self, env: &Env, result: Result<(), String>, out: &mut Vec<Output>) {
        let taken = result.is_ok();
        self.wake.done(env.now, taken, &self.config.wake_ms);
        self.answer_calls(if taken { CallAnswer::Accepted } else { CallAnswer::Unreachable }, out);
        let Some(session) = self.session.as_mut().filter(|session| session.call == Call::UnderWay) else {
            return;
        };
        session.call = if taken { Call::Taken } else { Call::Tried };
        if let Phase::Relayed(relayed) = &mut session.phase
            && std::mem::take(&mut relayed.undecided)
        {
            self.acs_failed(env, out);
        }
    }

    fn persisted(&mut self, env: &Env, token: Token, out: &mut Vec<Output>) {
        if token.0 < OWN_TOKENS {
            self.tell(env, agent::Input::Persisted(token), out);
        }
        self.release_held(Some(token), out);
    }

    fn store_failed(&mut self, env: &Env, token: Token, out: &mut Vec<Output>) {
        if token.0 < OWN_TOKENS {
            self.tell(env, agent::Input::StoreFailed(token), out);
        }
        self.release_held(Some(token), out);
    }

    fn tick(&mut self, env: &Env, out: &mut Vec<Output>) {
        self.forget_calls(env.now, out);
        self.tell(env, agent::Input::Tick, out);
        let Some(session) = &self.session else { return };
        if self.session_deadline(session) > env.now {
            return;
        }
        match &session.phase {
            Phase::Relayed(relayed) if relayed.held.is_some() => {
                out.push(Output::Log("a commit took too long; the ACS's answer goes without it".into()));
                self.release_held(None, out);
            }
            Phase::Ours(Ours { parked_until: Some(_), .. }) => self.finish(env, out),
            _ => {
                let outcome = session.lingers().map_or(Outcome::TimedOut, Lingers::outcome);
                if session.waiting.is_some() {
                    self.reply(refuse(503), out);
                }
                self.end_session(env, outcome, out);
            }
        }
    }

    /// Passes an input to the agent and its outputs on.
    pub(super) fn tell(&mut self, env: &Env, input: agent::Input<'_>, out: &mut Vec<Output>) {
        let mut said = std::mem::take(&mut self.said);
        self.agent.handle(env, &mut self.shadow, input, &mut said);
        self.pass_on(env, &mut said, out);
        self.said = said;
    }

    /// Turns the agent's outputs into ours. Returns whether durable notifications are being committed.
    pub(super) fn pass_on(&mut self, env: &Env, said: &mut Vec<agent::Output>, out: &mut Vec<Output>) {
        let mut wanted = false;
        for output in said.drain(..) {
            match output {
                agent::Output::Send { controller, record } => out.push(Output::Send { controller, record }),
                agent::Output::Secure { controller, session_id, request } => {
                    out.push(Output::Secure { controller, session_id, request });
                }
                agent::Output::Meet(ways) => out.push(Output::Meet(ways)),
                agent::Output::Reconnect(key) => out.push(Output::Reconnect(key)),
                agent::Output::Persist { token, changes } => out.push(Output::Persist { token, changes }),
                agent::Output::LoadFirmware(id) => out.push(Output::LoadFirmware(id)),
                agent::Output::Learnt { id, firmware } => out.push(Output::Learnt { id, firmware }),
                agent::Output::WantSession => wanted = true,
                agent::Output::Onboarded => out.push(Output::Onboarded),
                agent::Output::Restarted => out.push(Output::AgentRestarted),
                agent::Output::Upload(upload) => out.push(Output::Upload(upload)),
                agent::Output::Stage { id, request } => out.push(Output::Stage { id, request }),
                agent::Output::Conflict { action, line } => out.push(Output::Conflict { action, line }),
                agent::Output::Compared { model, tally } => out.push(Output::Compared { model, tally }),
                agent::Output::Log(line) => out.push(Output::Log(line)),
            }
        }
        if wanted {
            self.want_session(env, out);
        }
    }

    fn want_session(&mut self, env: &Env, out: &mut Vec<Output>) {
        match &mut self.session {
            None => self.wake.want(env.now, &self.config.wake_ms),
            Some(Session { phase: Phase::Ours(ours), .. }) if ours.parked_until.is_some() => {
                let until = ours.parked_until.take();
                self.drive(env, out);
                // What cannot be done in this session does not hold it open any longer.
                if let Some(Session { phase: Phase::Ours(ours), .. }) = &mut self.session
                    && ours.parked_until.is_some()
                {
                    ours.parked_until = until;
                }
            }
            // The open session comes to it by itself.
            Some(_) => {}
        }
    }

    fn wake_if_due(&mut self, env: &Env, out: &mut Vec<Output>) {
        if self.stopping || !self.wake.take_due(env.now) {
            return;
        }
        let credentials = self.wake_credentials();
        match &self.url {
            Some(url) => out.push(Output::Wake { url: url.clone(), credentials }),
            None => {
                self.wake.settle();
                out.push(Output::Log(
                    "no connection request URL is known: waiting for the next Inform".into(),
                ));
            }
        }
    }

    pub(super) fn is_reachable(&self) -> bool {
        self.url.is_some()
    }

    /// Learns how the CPE is reached from its Inform.
    pub(super) fn learn_url(&mut self, url: Option<&str>, out: &mut Vec<Output>) {
        let Some(url) = url.filter(|url| !url.is_empty() && Some(*url) != self.url.as_deref()) else {
            return;
        };
        self.url = Some(url.to_owned());
        self.persist_own(vec![Change::put(Kind::Reach, "", encode_text(url))], out);
    }

    /// Makes durable what is the proxy's own.
    pub(super) fn persist_own(&mut self, changes: Vec<Change>, out: &mut Vec<Output>) {
        self.next_token += 1;
        let token = Token(OWN_TOKENS + self.next_token);
        out.push(Output::Persist { token, changes });
    }

    /// Answers the POST that waits; what came without one has nobody to hear it.
    pub(super) fn reply(&mut self, reply: Reply, out: &mut Vec<Output>) {
        if let Some(exchange) = self.session.as_mut().and_then(|session| session.waiting.take()) {
            out.push(Output::Reply { exchange, reply });
        }
    }

    /// Forgets the session and tells everybody. Work that is left wakes the device again.
    pub(super) fn end_session(&mut self, env: &Env, outcome: Outcome, out: &mut Vec<Output>) {
        let Some(mut session) = self.session.take() else { return };
        out.push(Output::EndSession(session.id));
        let relayed = session.is_relayed();
        let acs = self.config.acs_names.get(usize::from(session.acs.0)).cloned();
        let milliseconds = env.now.saturating_sub(session.opened_at);
        let rpcs = session.take_noted();
        let (client, bodies) = (session.client, session.bodies);
        out.push(Output::SessionEnded { client, acs, outcome, relayed, rpcs, bodies, milliseconds });
        if let Phase::Ours(Ours { outstanding: Some(asked), .. }) = session.phase {
            self.tell(env, agent::Input::Lost { rpc: asked.rpc }, out);
        }
        self.tell(env, agent::Input::SessionEnded, out);
        self.wake.settle();
        if self.calls.waiting.is_some() {
            self.wake.want(env.now, &self.config.wake_ms);
        } else if self.agent.has_work() {
            let wait = if outcome.is_acs_trouble() { ACS_TROUBLE_MS } else { AGAIN_MS };
            self.wake.want(env.now + wait, &self.config.wake_ms);
        }
    }

    /// The answer that waits for this commit goes; `None`: whatever it waits for.
    fn release_held(&mut self, token: Option<Token>, out: &mut Vec<Output>) {
        if let Some(Session { phase: Phase::Relayed(relayed), .. }) = &mut self.session
            && let Some(held) = relayed.held.take_if(|held| token.is_none_or(|token| held.after == token))
        {
            self.reply(held.reply, out);
        }
    }
}

/// Decodes a body and hands the message to `then`; `None` where it cannot be decoded.
pub(super) fn decoded<T>(
    body: &Bytes,
    content_type: Option<&str>,
    then: impl FnOnce(&soap::Envelope<'_>) -> T,
) -> Option<T> {
    let text = soap::decode_charset(body, content_type).ok()?;
    let envelope = soap::decode(&text, &soap::Limits::default()).ok()?;
    Some(then(&envelope))
}

/// What a message is, for the operator's line; of an Inform, why the CPE calls.
pub(super) fn name_of(message: &Message<'_>) -> String {
    match message {
        Message::Request(Request::Inform(inform)) => {
            let codes: Vec<&str> = inform.event.iter().map(|event| event.event_code.as_ref()).collect();
            format!("Inform({})", codes.join(", "))
        }
        Message::Request(request) => request.name().to_owned(),
        Message::Response(response) => response.name().to_owned(),
        Message::Fault(fault) => format!("Fault({})", fault.fault_code),
    }
}

pub(super) fn encode_text(text: &str) -> Vec<u8> {
    [&[REACH_FORMAT], text.as_bytes()].concat()
}

pub(super) fn decode_text(value: &Bytes) -> Option<String> {
    let (&REACH_FORMAT, text) = value.split_first()? else { return None };
    String::from_utf8(text.to_vec()).ok()
}

/// Tokens from here on are ours, those below are the agent's.
const OWN_TOKENS: u64 = 1 << 63;
/// Wait before a device is woken again when its session ended and work is left.
const AGAIN_MS: u64 = 1_000;
/// The same where the ACS did not take the session: calling at once would only add to its load.
const ACS_TROUBLE_MS: u64 = 10_000;
/// How long a session stays open after an HTTP error, for a CPE that goes on all the same.
const FAILED_MS: u64 = 5_000;
/// How long a session stays open after the ACS's challenge: a CPE that can answer it does so at once.
const CHALLENGED_MS: u64 = 5_000;
/// Version of the stored form of [`Kind::Reach`].
const REACH_FORMAT: u8 = 1;
