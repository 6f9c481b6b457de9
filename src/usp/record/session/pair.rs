//! What one endpoint keeps of its session with another: the context in use, those that ended, messages that
//! wait for a context, and when a failed one is tried again.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::identity::EndpointId;
use crate::usp::record::{Integrity, MAX_RECORD, MacKeys, Payload, PayloadSecurity, Record};

use super::context::{Context, Tls};
use super::incoming::Place;
use super::io::{Env, Input, Output, Role, Secure, Secured, Status};
use super::outgoing::LAST_SEQUENCE;

/// One endpoint's half of the session of an agent and a controller. At most one context at a time (R-E2E.5).
pub struct Session {
    own: EndpointId,
    peer: EndpointId,
    role: Role,
    context: Option<Context>,
    /// Identifiers of contexts that have ended: what comes late for them begins nothing (R-E2E.25).
    ended: VecDeque<u64>,
    /// Our context that was given up for one that the peer began at the same time. It may not know yet.
    yielded: Option<u64>,
    /// A context of the peer's that gave way to ours; when it comes again it does not.
    refused: Option<u64>,
    /// Messages that have not been sent, with their numbers.
    waiting: VecDeque<(u64, Bytes)>,
    waiting_bytes: usize,
    /// Messages that were ever to be sent.
    count: u64,
    /// Contexts that failed since a message last came (R-E2E.12).
    retries: u32,
    failing_since: u64,
    /// When the next context is begun after a failure.
    start_at: Option<u64>,
}

impl Session {
    pub fn new(own: EndpointId, peer: EndpointId, role: Role) -> Self {
        Self {
            own,
            peer,
            role,
            context: None,
            ended: VecDeque::new(),
            yielded: None,
            refused: None,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            count: 0,
            retries: 0,
            failing_since: 0,
            start_at: None,
        }
    }

    /// Takes in what happened and appends what the world must do.
    pub fn handle(&mut self, env: &Env<'_>, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Received { record, integrity } => self.received(env, record, integrity, out),
            Input::Send(message) => self.enqueue(message, out),
            Input::Secured { session_id, secured } => self.secured(env, session_id, secured, out),
            Input::Restart => self.restart(env, "a new context was asked for", out),
            Input::Disconnected => {
                self.start_at = None;
                self.end("the peer has disconnected", out);
            }
            Input::Tick => self.tick(env, out),
        }
        self.drain(env, out);
        self.flush(env, out);
    }

    pub fn next_deadline(&self, env: &Env<'_>) -> Option<u64> {
        let context = self.context.as_ref().map(|context| context.next_deadline(env.policy.lifetime()));
        [context, self.start_at].into_iter().flatten().min()
    }

    /// Whether nothing would be missed if this were forgotten.
    pub fn is_idle(&self) -> bool {
        self.context.is_none() && self.start_at.is_none() && self.waiting.is_empty()
    }

    pub fn status(&self) -> Status {
        match &self.context {
            Some(Context { tls: Tls::Handshake { .. }, .. }) => Status::Negotiating,
            Some(_) => Status::Up,
            None if self.start_at.is_some() => Status::Negotiating,
            None => Status::Down,
        }
    }

    /// `E2ESession.CurrentRetryCount`: the retry of R-E2E.10 that is due, or under way.
    pub fn retry_count(&self) -> u32 {
        self.retries.saturating_sub(1)
    }

    fn enqueue(&mut self, message: Bytes, out: &mut Vec<Output>) {
        let number = self.count;
        self.count += 1;
        self.waiting_bytes += message.len();
        self.waiting.push_back((number, message));
        let mut lost = Vec::new();
        while self.waiting.len() > MAX_WAITING || self.waiting_bytes > MAX_WAITING_BYTES {
            let Some((number, old)) = self.waiting.pop_front() else { break };
            self.waiting_bytes -= old.len();
            lost.push(number);
        }
        if !lost.is_empty() {
            out.push(Output::Ended { why: "too many messages wait for a session context", lost });
        }
    }

    fn received(&mut self, env: &Env<'_>, record: Record, integrity: Integrity, out: &mut Vec<Output>) {
        let Payload::Session(fields) = &record.payload else { return };
        let (id, sequence) = (fields.session_id, fields.sequence_id);
        if self.context.as_ref().is_none_or(|context| context.id != id)
            && !self.adopt(env, &record, id, integrity, out)
        {
            return;
        }
        let Some(context) = &mut self.context else { return };
        if context.security != record.payload_security {
            // R-E2E.19.
            return self.fail(env, "the payload security changed within a session context", out);
        }
        match context.incoming.place(sequence, &record) {
            // R-E2E.20 2, R-E2E.25.
            Place::Known => {}
            Place::TooFar => self.fail(env, "a record is too far ahead of its turn", out),
            Place::Next => context.incoming.keep(env.now, sequence, record, integrity),
            Place::Early => self.early(env, sequence, record, integrity, out),
        }
    }

    /// A record that came before its turn. What it asks for is sent at once: where both sides miss a record,
    /// each would otherwise wait for the other.
    fn early(
        &mut self,
        env: &Env<'_>,
        sequence: u64,
        mut record: Record,
        integrity: Integrity,
        out: &mut Vec<Output>,
    ) {
        let Some(context) = &mut self.context else { return };
        if !context.is_genuine(&record, integrity) {
            if matches!(context.tls, Tls::Handshake { .. }) {
                // Its sender has keys already that we will have when its turn comes.
                return context.incoming.keep(env.now, sequence, record, integrity);
            }
            return self.fail(env, NOT_GENUINE, out);
        }
        let Payload::Session(fields) = &mut record.payload else { return };
        let wanted = std::mem::take(&mut fields.retransmit_id);
        // It has been checked, and is different now from what a MAC covers.
        context.incoming.keep(env.now, sequence, record, Integrity::Signed);
        if wanted > 0
            && let Err(why) = context.resend(env, wanted, out)
        {
            self.fail(env, why, out);
        }
    }

    /// A record of a context that is not ours: whether the session goes over to it (R-E2E.4, R-E2E.6).
    fn adopt(
        &mut self,
        env: &Env<'_>,
        record: &Record,
        id: u64,
        integrity: Integrity,
        out: &mut Vec<Output>,
    ) -> bool {
        if self.ended.contains(&id) {
            return false;
        }
        if integrity == Integrity::Unproven {
            // R-E2E.23.
            if self.context.is_some() {
                self.fail(env, NOT_GENUINE, out);
            }
            return false;
        }
        if self.yielded.take_if(|yielded| *yielded == id).is_some() {
            // Each went over to the other's context: a third one is everybody's.
            self.note_ended(id);
            self.restart(env, "both endpoints had begun a session context", out);
            return false;
        }
        if env.policy.security == PayloadSecurity::Tls12 && record.payload_security != PayloadSecurity::Tls12
        {
            self.fail(env, "the peer began a session context without the security that is required", out);
            return false;
        }
        let unanswered = self.context.as_ref().filter(|context| context.initiated && !context.confirmed);
        let yielded = unanswered.map(|context| context.id);
        let gives_way = self.role == Role::Controller && self.refused != Some(id);
        if let Some(ours) = unanswered.filter(|_| gives_way) {
            self.refused = Some(id);
            out.extend(ours.outgoing.records().cloned().map(Output::Send));
            return false;
        }
        self.end("the peer began a new session context", out);
        if let Some(id) = yielded {
            self.ended.retain(|ended| *ended != id);
            self.yielded = Some(id);
        }
        self.start_at = None;
        self.open(env, id, record.payload_security, false, out);
        true
    }

    fn open(
        &mut self,
        env: &Env<'_>,
        id: u64,
        security: PayloadSecurity,
        initiated: bool,
        out: &mut Vec<Output>,
    ) {
        let mut context = Context::new(env.now, id, security, initiated);
        if security == PayloadSecurity::Tls12 {
            // Who begins the context is the client of TLS ("Session Handshake").
            context.busy = true;
            out.push(Output::Secure { session_id: id, request: Secure::Start { client: initiated } });
        }
        self.context = Some(context);
    }

    /// Takes the records whose turn it is.
    fn drain(&mut self, env: &Env<'_>, out: &mut Vec<Output>) {
        while let Some(context) = self.context.as_mut().filter(|context| !context.busy) {
            let Some((record, integrity)) = context.incoming.next() else { return };
            if let Err(why) = self.process(env, &record, integrity, out) {
                // R-E2E.21, R-E2E.23.
                return self.fail(env, why, out);
            }
        }
    }

    fn process(
        &mut self,
        env: &Env<'_>,
        record: &Record,
        integrity: Integrity,
        out: &mut Vec<Output>,
    ) -> Result<(), &'static str> {
        let (Some(context), Payload::Session(fields)) = (&mut self.context, &record.payload) else {
            return Ok(());
        };
        if !context.is_genuine(record, integrity) {
            return Err(NOT_GENUINE);
        }
        context.incoming.advance(env.now);
        context.confirmed = true;
        context.active_at = env.now;
        let mut acknowledged = fields.expected_id;
        if fields.retransmit_id > 0 {
            context.resend(env, fields.retransmit_id, out)?;
            // A peer that counts it as received already may yet ask for it once more.
            acknowledged = acknowledged.min(fields.retransmit_id);
        }
        context.outgoing.acknowledged(acknowledged);
        if let Some(payload) = context.reassembly.take(env.now, fields)? {
            if context.security == PayloadSecurity::Plaintext {
                out.push(Output::Message(payload));
            } else {
                context.busy = true;
                out.push(Output::Secure { session_id: context.id, request: Secure::Take(payload) });
            }
        }
        if context.security == PayloadSecurity::Plaintext {
            // R-E2E.12. With TLS a handshake that fails each time brings records as well.
            self.retries = 0;
        }
        if fields.sequence_id > LAST_SEQUENCE {
            self.restart(env, "sequence identifiers come to their end", out);
        }
        Ok(())
    }

    /// The shell has done what it was asked for.
    fn secured(&mut self, env: &Env<'_>, session_id: u64, secured: Secured, out: &mut Vec<Output>) {
        let Some(context) = self.context.as_mut().filter(|context| context.id == session_id) else {
            return;
        };
        context.busy = false;
        if !secured.send.is_empty() {
            let message = context.protecting.take();
            // The last flight of a handshake still goes without a MAC: its receiver has no keys before it.
            context.send(env, (&self.own, &self.peer), secured.send, message, out);
        }
        if let Some(why) = secured.failed {
            return self.fail(env, why, out);
        }
        if let Some(keys) = secured.up {
            self.secure_with(keys);
        }
        if !secured.plain.is_empty() {
            self.retries = 0;
            out.push(Output::Message(secured.plain));
        }
    }

    fn secure_with(&mut self, keys: MacKeys) {
        if let Some(context) = &mut self.context {
            context.tls = Tls::Up(keys);
        }
    }

    /// Sends what waits, in a new context if there is none.
    fn flush(&mut self, env: &Env<'_>, out: &mut Vec<Output>) {
        loop {
            let Some(context) = &mut self.context else {
                let due = self.start_at.map_or(!self.waiting.is_empty(), |at| at <= env.now);
                if !due {
                    return;
                }
                self.begin(env, out);
                continue;
            };
            if !context.is_open() || self.waiting.is_empty() {
                return;
            }
            if context.outgoing.is_exhausted() {
                // R-E2E.9.
                self.restart(env, "sequence identifiers come to their end", out);
                continue;
            }
            let Some((number, message)) = self.waiting.pop_front() else { return };
            self.waiting_bytes -= message.len();
            if context.security == PayloadSecurity::Plaintext {
                context.send(env, (&self.own, &self.peer), vec![message], Some(number), out);
            } else {
                context.busy = true;
                context.protecting = Some(number);
                out.push(Output::Secure { session_id: context.id, request: Secure::Protect(message) });
            }
        }
    }

    /// Begins a context. A record without payload does it where there is nothing to say.
    fn begin(&mut self, env: &Env<'_>, out: &mut Vec<Output>) {
        self.start_at = None;
        // R-E2E.3. Numbers of 32 bits are enough, and every peer can hold them.
        let mut id = 2 + ((env.seed ^ (env.seed >> 32)) & u64::from(u32::MAX));
        while self.ended.contains(&id) || self.yielded == Some(id) {
            id += 1;
        }
        self.open(env, id, env.policy.security, true, out);
        if self.waiting.is_empty()
            && let Some(context) = self.context.as_mut().filter(|context| context.is_open())
        {
            context.send_empty(env, (&self.own, &self.peer), 0, out);
        }
    }

    /// Ends the context and begins another.
    fn restart(&mut self, env: &Env<'_>, why: &'static str, out: &mut Vec<Output>) {
        self.end(why, out);
        self.start_at = Some(env.now);
    }

    /// A record could not be taken (R-E2E.21): a new context, at once for the first failure of one that was up,
    /// with growing waits for those that follow and for handshakes (R-E2E.10), until it is given up (R-E2E.11).
    fn fail(&mut self, env: &Env<'_>, why: &'static str, out: &mut Vec<Output>) {
        let was_up =
            self.context.as_ref().is_none_or(|context| !matches!(context.tls, Tls::Handshake { .. }));
        self.end(why, out);
        if self.retries == 0 {
            self.failing_since = env.now;
            // A handshake that failed was the first try already.
            self.retries = u32::from(!was_up);
        }
        if self.retries == 0 {
            self.start_at = Some(env.now);
        } else if env.now - self.failing_since < env.policy.lifetime() {
            self.start_at = Some(env.now + env.policy.retry.wait_ms(self.retries, env.seed));
        } else {
            self.start_at = None;
            self.retries = 0;
            self.waiting_bytes = 0;
            let lost = self.waiting.drain(..).map(|(number, _)| number).collect();
            return out.push(Output::Ended { why: "no session context came about", lost });
        }
        self.retries = self.retries.saturating_add(1);
    }

    /// Forgets the context. What was sent and not acknowledged may have arrived or not: it is told, and not
    /// sent again, for the peer may have begun anew because it had it.
    fn end(&mut self, why: &'static str, out: &mut Vec<Output>) {
        let Some(context) = self.context.take() else { return };
        if context.security == PayloadSecurity::Tls12 {
            out.push(Output::Secure { session_id: context.id, request: Secure::End });
        }
        let lost = context.outgoing.messages().chain(context.protecting).collect();
        self.note_ended(context.id);
        out.push(Output::Ended { why, lost });
    }

    fn note_ended(&mut self, id: u64) {
        self.ended.push_back(id);
        if self.ended.len() > MAX_ENDED {
            self.ended.pop_front();
        }
    }

    fn tick(&mut self, env: &Env<'_>, out: &mut Vec<Output>) {
        let Some(context) = &mut self.context else { return };
        if env.now >= context.active_at.saturating_add(env.policy.lifetime()) {
            // R-E2E.7: the next message begins another.
            return self.end("the session context has expired", out);
        }
        if matches!(context.tls, Tls::Handshake { until } if until <= env.now) {
            return self.fail(env, "the TLS handshake took too long", out);
        }
        if context.reassembly.next_deadline().is_some_and(|until| until <= env.now) {
            return self.fail(env, "a segmented message did not become whole", out);
        }
        match context.incoming.missing(env.now) {
            Ok(None) => {}
            Ok(Some(sequence)) => context.send_empty(env, (&self.own, &self.peer), sequence, out),
            Err(why) => self.fail(env, why, out),
        }
    }

    /// Makes the next record that is sent the last before the identifiers come to their end.
    #[cfg(test)]
    pub(super) fn jump_to(&mut self, sequence: u64) {
        if let Some(context) = &mut self.context {
            context.outgoing.jump_to(sequence);
        }
    }
}

const NOT_GENUINE: &str = "a record did not pass its integrity check";
/// Messages that wait for a context.
const MAX_WAITING: usize = 256;
/// Their bytes.
const MAX_WAITING_BYTES: usize = 2 * MAX_RECORD;
/// Identifiers of ended contexts that are remembered.
const MAX_ENDED: usize = 16;
