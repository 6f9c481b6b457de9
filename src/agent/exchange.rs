//! Between messages and records: the one place where a message becomes records, and where records become
//! messages. Messages wait here for the commits they name, before they have a place in a session.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::durable::Token;
use crate::identity::EndpointId;
use crate::usp::message::Message;
use crate::usp::record::session::{self, Policy, Role as SessionRole, Secured, Session, SessionMode, Status};
use crate::usp::record::{FaultyRequest, Integrity, Payload, PayloadSecurity, Record, RecordFault};
use crate::usp::{ErrorCode, Shown};

use super::core::Agent;
use super::gate::Gate;
use super::io::{Env, Output, Shadow};

/// What is under way between an agent and its controllers.
#[derive(Default)]
pub(super) struct Exchange {
    sessions: BTreeMap<EndpointId, Session>,
    said: VecDeque<Said>,
    gate: Gate<Said>,
    /// What controllers have shown in the handshakes of their contexts with TLS.
    secured: BTreeMap<EndpointId, Shown>,
    /// Messages that came out of sessions.
    heard: VecDeque<(EndpointId, Bytes)>,
    /// Whether the message that is being handled came in a session context: its answer goes there too.
    in_session: bool,
    /// Since when, and how often since, controllers were greeted because they had said goodbye.
    greeted: BTreeMap<EndpointId, (u64, u32)>,
}

/// A message for a controller.
#[derive(Debug)]
struct Said {
    controller: EndpointId,
    message: Bytes,
    way: Way,
}

/// How a message travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// As the request did that it answers.
    Session,
    NoSession,
    /// As the controller last wanted it: in a session if there is one or must be.
    Either,
}

impl Exchange {
    pub fn is_idle(&self) -> bool {
        self.is_said() && self.sessions.values().all(Session::is_idle)
    }

    /// Whether all that was heard is answered, as far as it goes out at once.
    pub fn is_said(&self) -> bool {
        self.said.is_empty() && self.gate.is_empty() && self.heard.is_empty()
    }

    /// The way for answers to the message that is being handled.
    pub fn way(&self) -> Way {
        if self.in_session { Way::Session } else { Way::NoSession }
    }
}

impl Agent {
    /// Sends a message, once what it tells is durable.
    pub(super) fn say(&mut self, controller: &EndpointId, message: Bytes, way: Way, after: Option<Token>) {
        let said = Said { controller: controller.clone(), message, way };
        match after {
            Some(token) => self.exchange.gate.hold(token, said),
            None => self.exchange.said.push_back(said),
        }
    }

    pub(super) fn persisted(&mut self, token: Token, out: &mut Vec<Output>) {
        if self.attention.committed(token, true) || self.noted == Some(token) {
            out.push(Output::WantSession);
        }
        self.settled = self.settled.max(token.0);
        self.exchange.said.extend(self.exchange.gate.release(token));
    }

    /// What could not be stored is not told.
    pub(super) fn store_failed(&mut self, token: Token, out: &mut Vec<Output>) {
        self.settled = self.settled.max(token.0);
        self.local.reroute();
        self.attention.committed(token, false);
        self.unnoted(token);
        self.credentials_unkept(token);
        let withheld = self.exchange.gate.release(token).len();
        out.push(Output::Log(format!("state could not be stored; {withheld} answer(s) withheld")));
    }

    /// A record from somebody.
    pub(super) fn record(
        &mut self,
        env: &Env,
        shadow: &mut Shadow,
        bytes: Bytes,
        (integrity, shown): (Integrity, &Shown),
        out: &mut Vec<Output>,
    ) {
        let record = match Record::decode(bytes) {
            Ok(record) => record,
            Err(fault) => return self.faulty(fault, out),
        };
        // R-E2E.1, R-MTP.5: a record for somebody else is ignored, and so is one from nobody we know.
        if record.to_id != self.endpoint.as_str() {
            return out.push(Output::Log(format!("dropped a USP record for {}", record.to_id)));
        }
        let Some((controller, row)) = self.local.controller(&record.from_id) else {
            let line = format!("dropped a USP record from {}, which is no controller here", record.from_id);
            return out.push(Output::Log(line));
        };
        // R-E2E.30: a signature or MAC that is there must be right, whoever else protects the record.
        let signed = !record.mac_signature.is_empty();
        let integrity =
            if signed && integrity == Integrity::Trusted { Integrity::Unproven } else { integrity };
        if !self.is_admitted(&record, (&controller, &row), integrity, shown, out) {
            return;
        }
        match &record.payload {
            Payload::NoSession(_) if integrity == Integrity::Unproven => {
                out.push(Output::Log("dropped a USP record without proof of its integrity".into()));
            }
            Payload::NoSession(payload) => {
                let payload = payload.clone();
                if let Some(code) = self.requires_session(&controller) {
                    let fault = RecordFault::because(&record, code);
                    return self.faulty(fault, out);
                }
                self.exchange.in_session = false;
                self.message(env, shadow, &controller, payload, out);
            }
            Payload::Session(_) => {
                if let Some(code) = self.refuses_session(&controller, record.payload_security) {
                    return self.disconnect(&controller, code, out);
                }
                self.drive(env, &controller, session::Input::Received { record, integrity }, out);
            }
            // R-MTP.7.
            Payload::Disconnect { .. } if integrity == Integrity::Unproven => {}
            Payload::Disconnect { .. } => {
                if self.exchange.sessions.contains_key(&controller) {
                    self.drive(env, &controller, session::Input::Disconnected, out);
                }
                // The session is over, and what is said next must not begin another.
                if let Some(session) = self.exchange.sessions.remove(&controller) {
                    self.local.set_session(&controller, "Down", session.retry_count());
                }
                self.greet_anew(env, controller, out);
            }
            // Connect records concern the transport.
            _ => {}
        }
    }

    /// R-MTP.8, where the way to the controller stays. What the record has to say of that way the MTP knows, which
    /// puts its own in this one's place. A controller that says goodbye to each greeting is not greeted for ever.
    fn greet_anew(&mut self, env: &Env, controller: EndpointId, out: &mut Vec<Output>) {
        let (since, count) = self.exchange.greeted.entry(controller.clone()).or_insert((env.now, 0));
        if env.now.saturating_sub(*since) >= GREETINGS_MS {
            (*since, *count) = (env.now, 0);
        }
        *count += 1;
        if *count > GREETINGS {
            return out.push(Output::Log(format!("{controller} says goodbye again and again: not greeted")));
        }
        let record = Record::of(&self.endpoint, &controller, Payload::WebSocketConnect).encode();
        out.push(Output::Send { controller, record });
    }

    /// Whether the sender of a record has shown what it must. Of a context with TLS the handshake tells.
    fn is_admitted(
        &mut self,
        record: &Record,
        (controller, row): (&EndpointId, &str),
        integrity: Integrity,
        shown: &Shown,
        out: &mut Vec<Output>,
    ) -> bool {
        let in_tls = record.payload_security == PayloadSecurity::Tls12
            && matches!(record.payload, Payload::Session(_));
        if in_tls || integrity == Integrity::Unproven {
            return true;
        }
        if let Err(why) = self.local.admits(row, shown) {
            out.push(Output::Log(format!("dropped a USP record from {controller}: {why}")));
            return false;
        }
        // Records about the transport ask for nothing.
        if matches!(record.payload, Payload::NoSession(_) | Payload::Session(_)) {
            self.local.has_shown(controller, row, shown);
        }
        if matches!(record.payload, Payload::Session(_)) {
            self.exchange.secured.remove(controller);
        }
        true
    }

    /// R-MTP.5: who asked something in an erroneous record is told, if it can be.
    fn faulty(&mut self, fault: RecordFault, out: &mut Vec<Output>) {
        out.push(Output::Log(format!("dropped a USP record: {fault}")));
        let Some(FaultyRequest { from_id, to_id, msg_id }) = fault.request else { return };
        let known = self.local.controller(&from_id);
        if let Some((controller, _)) = known.filter(|_| to_id == self.endpoint.as_str()) {
            let message = Message::error(msg_id, fault.error.code(), fault.error.to_string());
            self.say(&controller, message.encode(), Way::NoSession, None);
        }
    }

    /// Why this controller's messages must come in a session context, if they must.
    fn requires_session(&self, controller: &EndpointId) -> Option<ErrorCode> {
        let policy = self.session_policy(controller);
        (policy.mode == SessionMode::Require).then_some(match policy.security {
            PayloadSecurity::Tls12 => ErrorCode::SECURE_SESSION_REQUIRED,
            PayloadSecurity::Plaintext => ErrorCode::INVALID_RECORD_VALUE,
        })
    }

    /// Why this controller may have no such session context, if it may not.
    fn refuses_session(&self, controller: &EndpointId, security: PayloadSecurity) -> Option<ErrorCode> {
        if self.session_policy(controller).mode == SessionMode::Forbid {
            return Some(ErrorCode::SESSION_CONTEXT_NOT_ALLOWED);
        }
        let secure = security == PayloadSecurity::Tls12;
        (secure && !self.config.payload_security).then_some(ErrorCode::SECURE_SESSION_NOT_SUPPORTED)
    }

    /// R-E2E.6a, R-E2E.6b, R-MTP.9.
    fn disconnect(&self, controller: &EndpointId, code: ErrorCode, out: &mut Vec<Output>) {
        let payload = Payload::Disconnect { reason: code.name().into(), reason_code: code.0 };
        let record = Record::of(&self.endpoint, controller, payload).encode();
        out.push(Output::Send { controller: controller.clone(), record });
    }

    /// A shell with TLS has answered.
    pub(super) fn secured(
        &mut self,
        env: &Env,
        controller: &EndpointId,
        session_id: u64,
        mut secured: Secured,
        out: &mut Vec<Output>,
    ) {
        if secured.up.is_some() {
            let row = self.local.row_of(controller).unwrap_or_default();
            match self.local.admits(&row, &secured.shown) {
                Ok(()) => {
                    self.exchange.secured.insert(controller.clone(), secured.shown.clone());
                }
                Err(why) => {
                    out.push(Output::Log(format!("refused TLS of {controller}: {why}")));
                    secured = Secured { failed: Some(why), ..Secured::default() };
                }
            }
        }
        self.drive(env, controller, session::Input::Secured { session_id, secured }, out);
    }

    /// `E2ESession.Reset()`.
    pub(super) fn reset_session(&mut self, env: &Env, controller: &EndpointId, out: &mut Vec<Output>) {
        self.drive(env, controller, session::Input::Restart, out);
    }

    pub(super) fn session_deadline(&self) -> Option<u64> {
        let deadlines = self.exchange.sessions.iter().filter_map(|(controller, session)| {
            let policy = self.session_policy(controller);
            session.next_deadline(&session::Env { now: 0, seed: 0, policy: &policy })
        });
        deadlines.min()
    }

    /// Time passes for the sessions that are due, and those end that are not allowed any more.
    pub(super) fn tick_sessions(&mut self, env: &Env, out: &mut Vec<Output>) {
        let controllers: Vec<EndpointId> = self.exchange.sessions.keys().cloned().collect();
        for controller in controllers {
            if self.session_policy(&controller).mode == SessionMode::Forbid {
                let up = self.exchange.sessions.remove(&controller).is_some_and(|it| !it.is_idle());
                if up {
                    self.disconnect(&controller, ErrorCode::SESSION_CONTEXT_TERMINATED, out);
                }
            } else {
                self.drive(env, &controller, session::Input::Tick, out);
            }
        }
    }

    /// Shows how the sessions stand in the Controller rows.
    pub(super) fn show_sessions(&mut self) {
        for (controller, session) in &self.exchange.sessions {
            let status = match session.status() {
                Status::Up => "Up",
                Status::Negotiating => "Negotiating",
                Status::Down => "Down",
            };
            self.local.set_session(controller, status, session.retry_count());
        }
    }

    /// Sends what was said and handles what came out of sessions, until neither brings more.
    pub(super) fn settle_exchange(&mut self, env: &Env, shadow: &mut Shadow, out: &mut Vec<Output>) {
        loop {
            while let Some(said) = self.exchange.said.pop_front() {
                self.dispatch(env, said, out);
            }
            let Some((controller, message)) = self.exchange.heard.pop_front() else { return };
            if let Some(shown) = self.exchange.secured.get(&controller)
                && let Some(row) = self.local.row_of(&controller)
            {
                self.local.has_shown(&controller, &row, shown);
            }
            self.exchange.in_session = true;
            self.message(env, shadow, &controller, message, out);
            self.exchange.in_session = false;
        }
    }

    /// Makes a message a record, or hands it to the session that makes records of it.
    fn dispatch(&mut self, env: &Env, said: Said, out: &mut Vec<Output>) {
        let Said { controller, message, way } = said;
        let in_session = match (way, self.session_policy(&controller).mode) {
            (_, SessionMode::Forbid) | (Way::NoSession, _) => false,
            (Way::Session, _) | (Way::Either, SessionMode::Require) => true,
            (Way::Either, SessionMode::Allow) => self.exchange.sessions.contains_key(&controller),
        };
        if in_session {
            return self.drive(env, &controller, session::Input::Send(message), out);
        }
        let record = Record::plain(&self.endpoint, &controller, message).encode();
        out.push(Output::Send { controller, record });
    }

    fn drive(&mut self, env: &Env, controller: &EndpointId, input: session::Input, out: &mut Vec<Output>) {
        let policy = self.session_policy(controller);
        // Several contexts may begin within one step.
        self.next += 1;
        let seed = env.seed.wrapping_add(self.next.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let fresh = || Session::new(self.endpoint.clone(), controller.clone(), SessionRole::Agent);
        let session = self.exchange.sessions.entry(controller.clone()).or_insert_with(fresh);
        let mut said = Vec::new();
        session.handle(&session::Env { now: env.now, seed, policy: &policy }, input, &mut said);
        for output in said {
            let controller = controller.clone();
            match output {
                session::Output::Send(record) => {
                    out.push(Output::Send { controller, record: record.encode() });
                }
                session::Output::Message(message) => self.exchange.heard.push_back((controller, message)),
                session::Output::Secure { session_id, request } => {
                    out.push(Output::Secure { controller, session_id, request });
                }
                session::Output::Ended { why, lost } => out.push(Output::Log(format!(
                    "the session context with {controller} has ended: {why}; {} message(s) unacknowledged",
                    lost.len()
                ))),
            }
        }
    }

    fn session_policy(&self, controller: &EndpointId) -> Policy {
        let policy = self.local.session_policy(controller);
        Policy { signature_room: self.config.signature_room, ..policy }
    }
}

/// Goodbyes of one controller that are answered by a greeting within this time, in milliseconds.
const GREETINGS: u32 = 6;
const GREETINGS_MS: u64 = 60_000;
