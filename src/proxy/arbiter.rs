//! Whose turn it is: relays while the ACS speaks, then lets USP work go, then ends the session.

use bytes::Bytes;
use compact_str::CompactString;

use crate::agent::{self, Agent, Env};
use crate::cwmp::rpc::{
    Array, AutonomousDUStateChangeCompleteResponse, AutonomousTransferCompleteResponse,
    DUStateChangeCompleteResponse, Fault, GetRPCMethodsResponse, Inform, InformResponse, Request,
    RequestDownloadResponse, Response, TransferCompleteResponse,
};
use crate::cwmp::soap::{self, Envelope, Header, Message};
use crate::durable::{Change, Kind, Token};
use crate::relay::{AcsSaid, CpeSaid, Turn};
use crate::transport::http::Headers;

use super::answering;
use super::device::{Device, decoded, name_of};
use super::io::{AcsId, AcsReply, Output, Post, Reply, SessionId};
use super::outcome::Outcome;
use super::own_transfers::{Own, is_transfer_end};
use super::reach::management;
use super::session::{
    Asked, Held, HeldInform, InformedBy, Lingers, Ours, Phase, Session, empty, is_late, is_like_ours, refuse,
};
use super::virtualised::{Restated, attributes_for_acs, has_change, spare_bodies};
use super::wake::Call;

impl Device {
    /// A POST of the CPE. A new session id is a new session: an older one is over (quirk S13).
    pub(super) fn post(&mut self, env: &Env, post: Post, out: &mut Vec<Output>) {
        if self.session.as_ref().is_none_or(|session| session.id != post.session) {
            self.reply(refuse(503), out);
            let lingers = self.session.as_ref().and_then(Session::lingers);
            self.end_session(env, lingers.map_or(Outcome::Superseded, Lingers::outcome), out);
            // A session for the ACS's call is the ACS's, whoever called the CPE for it.
            let call = if self.calls.waiting.is_some() { Call::None } else { self.wake.call(env.now) };
            self.session = Some(Session::open(&post, env, self.config.acs, call));
            self.wake.opened();
            self.calls_are_served(out);
        }
        // A second POST while one waits: the CPE gave the first up.
        self.reply(refuse(503), out);
        let Some(session) = &mut self.session else { return };
        session.last_at = env.now;
        session.waiting = Some(post.exchange);
        match &session.phase {
            Phase::Relayed(_) => self.relay_from_cpe(env, post, out),
            Phase::Ours(_) => self.ours_from_cpe(env, &post, out),
        }
    }

    fn relay_from_cpe(&mut self, env: &Env, mut post: Post, out: &mut Vec<Output>) {
        let (watched, again) = self.session.as_mut().map(Session::take_asked).unwrap_or_default();
        let mut restated = Restated::default();
        let keyed = watched.as_ref().is_some_and(|request| agent::key_of(request).is_some());
        let reads_attributes = matches!(watched, Some(Request::GetParameterAttributes(_)));
        let mut own = Own::Nothing;
        let said = if is_blank(&post.body) {
            Some(CpeSaid::Empty)
        } else {
            let body = post.body.clone();
            let heard = decoded(&body, post.content_type(), |envelope| {
                if self.has_own_reach() {
                    restated = Restated::of(&envelope.message, |name, value| self.reach_for_acs(name, value));
                }
                own = self.own_of(envelope);
                // What is said once more, to a challenge, has had its effect here.
                let watched = watched.as_ref().filter(|_| !again);
                self.is_for_acs(envelope).map(|()| self.heard_cpe(env, envelope, watched, again, out))
            });
            match heard {
                Some(Err(Misplaced::Inform)) => return self.refuse_body(env, OF_ANOTHER, out),
                Some(Err(Misplaced::Answer)) => return self.refuse_late(watched, out),
                None if self.config.refuse_opaque => {
                    return self.refuse_body(env, "the CPE sent what is no CWMP envelope", out);
                }
                heard => heard.and_then(Result::ok),
            }
        };
        if keyed && said != Some(CpeSaid::Response) {
            self.tell(env, agent::Input::AcsUnanswered, out);
        }
        let own = match own {
            Own::Transfer(transferred, id) if self.is_informed() => {
                return self.own_transfer(env, transferred, id, out);
            }
            Own::Items(items) => Some(items),
            Own::Transfer(..) | Own::Nothing => None,
        };
        let splices = self.splices();
        if said == Some(CpeSaid::Inform) {
            self.bypass.unspliced = !splices;
        }
        let Some(session) = &mut self.session else { return };
        if said != Some(CpeSaid::Empty) {
            session.bodies.count(said.is_some());
        }
        let said = said.unwrap_or(CpeSaid::Opaque);
        if said == CpeSaid::Inform && self.answer_alone(env, out) {
            return;
        }
        let Some(Session { id, acs, phase: Phase::Relayed(relayed), .. }) = &mut self.session else { return };
        relayed.leg.from_cpe(said);
        relayed.lingers = None;
        relayed.acs_request = watched;
        let to = (*id, *acs);
        if splices {
            if let (Some(items), Some(held)) = (&own, &mut relayed.inform) {
                held.events = items.left;
            }
            let held = relayed.inform.as_mut();
            post.edit(spliced(&self.agent, &post, held, (said, reads_attributes), &restated));
            // Last, since it looks for its places itself.
            own.into_iter().for_each(|items| items.cut(&mut post, out));
        }
        forward(to, post, out);
    }

    /// An Inform whose sender the door has not seen: its first DeviceId is this device's, and not its last.
    fn is_of_another(&self, message: &Message<'_>) -> bool {
        matches!(message, Message::Request(Request::Inform(it)) if it.device_id.endpoint_id() != self.endpoint)
    }

    /// Whether the ACS is to hear this.
    fn is_for_acs(&self, envelope: &Envelope<'_>) -> Result<(), Misplaced> {
        let Some(Session { phase: Phase::Relayed(relayed), .. }) = &self.session else { return Ok(()) };
        if is_late(envelope, relayed.like_ours.as_deref()) {
            return Err(Misplaced::Answer);
        }
        if self.is_of_another(&envelope.message) { Err(Misplaced::Inform) } else { Ok(()) }
    }

    /// The answer to an RPC of ours comes when the ACS has the word, which has not asked for it. What the ACS has
    /// asked still waits for its answer, though few CPEs go on after this.
    fn refuse_late(&mut self, watched: Option<Request<'static>>, out: &mut Vec<Output>) {
        if let Some(session) = &mut self.session {
            session.bodies.count(true);
            if let Phase::Relayed(relayed) = &mut session.phase {
                (relayed.acs_request, relayed.lingers) = (watched, Some(Lingers::Late));
            }
        }
        out.push(Output::Log(LATE.into()));
        self.reply(Reply { close: false, ..refuse(400) }, out);
    }

    fn refuse_body(&mut self, env: &Env, why: &str, out: &mut Vec<Output>) {
        if let Some(session) = &mut self.session {
            session.bodies.count(false);
        }
        out.push(Output::Log(why.into()));
        self.reply(refuse(400), out);
        self.end_session(env, Outcome::BadMessage, out);
    }

    /// Looks at what the CPE says to the ACS: what it is, and what it tells us about the device.
    fn heard_cpe(
        &mut self,
        env: &Env,
        envelope: &Envelope<'_>,
        watched: Option<&Request<'static>>,
        again: bool,
        out: &mut Vec<Output>,
    ) -> CpeSaid {
        if let Some(session) = &mut self.session {
            session.note(&name_of(&envelope.message));
        }
        match &envelope.message {
            Message::Request(request @ Request::Inform(inform)) => {
                self.cpe_called(inform.event.iter().any(|event| event.event_code.starts_with("6 ")));
                if let Some(session) = &mut self.session {
                    session.namespace = envelope.namespace.to_string();
                    if let Phase::Relayed(relayed) = &mut session.phase {
                        relayed.inform = HeldInform::of(request, envelope.header.id.as_deref());
                    }
                }
                CpeSaid::Inform
            }
            Message::Request(request) => {
                if self.is_informed() && is_transfer_end(request) && !again {
                    self.tell(env, agent::Input::AcsTransferred, out);
                }
                CpeSaid::Request
            }
            Message::Response(response) => {
                if let (Some(Request::SetParameterValues(set)), Response::SetParameterValuesResponse(_)) =
                    (watched, response)
                {
                    self.acs_has_set(env, set, response, out);
                } else if let Some(request) = watched {
                    self.tell(env, agent::Input::Observed { request, response }, out);
                }
                CpeSaid::Response
            }
            Message::Fault(fault) => {
                if let Some(request) = &watched {
                    let mut said = Vec::new();
                    self.agent.acs_is_refused(request, &mut said);
                    self.pass_on(env, &mut said, out);
                    if self.agent.compares() {
                        self.tell(env, agent::Input::Refused { request, fault }, out);
                    }
                }
                CpeSaid::Response
            }
        }
    }

    /// The ACS's answer: it passes as it came, or, where it ends the ACS's leg, waits until ours is done.
    pub(super) fn relay_from_acs(&mut self, env: &Env, mut reply: AcsReply, out: &mut Vec<Output>) {
        let AcsSays { said, name, watched, like_ours } = read_acs(&reply, self.agent.compares());
        let kept = self.keep_from_cpe(&mut reply, watched.as_ref(), out);
        let bodies_change = self.has_own_reach() || !self.agent.attributes().is_empty();
        let Some(session) = &mut self.session else { return };
        let understood = said != AcsSaid::Other || name.is_some();
        // An HTTP error is no envelope: there is nothing to understand.
        if said != AcsSaid::Empty && (understood || reply.status == 200) {
            session.bodies.count(understood);
        }
        if let Some(name) = name {
            session.note(&name);
        }
        let Phase::Relayed(relayed) = &mut session.phase else { return };
        let turn = relayed.leg.from_acs(said);
        if said != AcsSaid::Challenge {
            (relayed.acs_request, relayed.kept, relayed.like_ours) = (watched, kept, like_ours);
        }
        let inform = if relayed.leg.is_informed() { relayed.inform.take() } else { None };
        let last = matches!(said, AcsSaid::Empty);
        if turn == Turn::Acs && relayed.leg.wants_inform() {
            out.push(Output::InformAgain(session.id));
        }
        let text = inform.as_ref().map(|_| answering::text_of(&reply));
        let mut headers = reply.headers;
        if reply.status == 401 && bodies_change {
            spare_bodies(&mut headers);
        }
        let passed = Reply { status: reply.status, headers, body: reply.body, close: false };
        if let (Some(HeldInform { inform, told, .. }), Some(text)) = (inform, text) {
            self.learn_acs(out);
            self.remember_acknowledged(&inform, &text, out);
            self.acs_was_told(env, &inform, &told, out);
            let after = self.inform_accepted(env, &inform, out);
            self.pass_when_durable(env, passed, after, out);
        } else if turn == Turn::Ours {
            self.begin_ours(env, passed, out);
        } else if let Turn::Refused(refusal) = turn {
            self.reply(passed, out);
            self.end_session(env, Outcome::Refused(refusal), out);
        } else {
            relayed.lingers = match turn {
                Turn::Failed(status) => Some(Lingers::Failed(status)),
                _ => (last && relayed.leg.may_ask_yet()).then_some(Lingers::HeldUp),
            };
            let lingers = relayed.lingers.is_some();
            self.pass_when_durable_what_it_asks(env, passed, out);
            if last && !lingers {
                self.end_session(env, Outcome::Complete, out);
            }
        }
    }

    /// An RPC of the ACS's passes when it is on disk that it may have been carried out, where that counts.
    fn pass_when_durable_what_it_asks(&mut self, env: &Env, passed: Reply, out: &mut Vec<Output>) {
        let mut said = Vec::new();
        if let Some(Session { phase: Phase::Relayed(relayed), .. }) = &self.session
            && let Some(request) = &relayed.acs_request
        {
            self.agent.acs_asks(request, &mut said);
        }
        let from = out.len();
        self.pass_on(env, &mut said, out);
        let after = last_commit(&out[from..], |_| true);
        self.pass_when_durable(env, passed, after, out);
    }

    fn acs_was_told(
        &mut self,
        env: &Env,
        inform: &Inform<'_>,
        told: &[CompactString],
        out: &mut Vec<Output>,
    ) {
        let parameters = inform.parameter_list.iter().map(|it| (&*it.name, &*it.value));
        let mut said = Vec::new();
        self.agent.acs_was_told(parameters, has_change(inform), told, &mut said);
        self.pass_on(env, &mut said, out);
    }

    /// The ACS has acknowledged the Inform: its sender is who it says, and it takes effect with us.
    /// Returns the commit of the durable notifications that came of it.
    fn inform_accepted(&mut self, env: &Env, inform: &Inform<'_>, out: &mut Vec<Output>) -> Option<Token> {
        let from = out.len();
        self.informed(env, inform, out);
        self.note_passed(env, out);
        last_commit(&out[from..], is_outbox)
    }

    pub(super) fn informed(&mut self, env: &Env, inform: &Inform<'_>, out: &mut Vec<Output>) {
        let parameters = &mut inform.parameter_list.iter();
        let url = parameters.find(|it| management(&it.name) == Some("ConnectionRequestURL"));
        self.learn_url(url.map(|parameter| parameter.value.as_ref()), out);
        let first_contact = std::mem::take(&mut self.first_contact);
        self.tell(env, agent::Input::Informed { inform, first_contact }, out);
        if !self.config.acs {
            self.note_passed(env, out);
        }
    }

    /// What lets the CPE forget something waits for it to be on disk, but not for long.
    pub(super) fn pass_when_durable(
        &mut self,
        env: &Env,
        reply: Reply,
        after: Option<Token>,
        out: &mut Vec<Output>,
    ) {
        let until = env.now + self.config.commit_wait_ms;
        match (&mut self.session, after) {
            (Some(Session { phase: Phase::Relayed(relayed), .. }), Some(after)) => {
                relayed.held = Some(Held { reply, after, until });
            }
            _ => self.reply(reply, out),
        }
    }

    fn begin_ours(&mut self, env: &Env, last: Reply, out: &mut Vec<Output>) {
        if let Some(session) = &mut self.session {
            let before = std::mem::replace(&mut session.phase, Phase::Ours(Ours::new(last, InformedBy::Acs)));
            if let (Phase::Relayed(relayed), Phase::Ours(ours)) = (before, &mut session.phase) {
                ours.resume = Some(relayed).filter(|relayed| relayed.leg.may_ask_yet());
            }
        }
        self.drive(env, out);
    }

    /// Sends the next RPC of ours, parks the session, or ends it.
    pub(super) fn drive(&mut self, env: &Env, out: &mut Vec<Output>) {
        let Some(Session { phase: Phase::Ours(ours), .. }) = &self.session else { return };
        let closing = ours.closing;
        let mut said = Vec::new();
        let rpc = if closing || self.stopping || self.calls.waiting.is_some() {
            self.agent.conclude(env, &mut self.shadow, &mut said);
            None
        } else {
            self.agent.next_rpc(env, &mut self.shadow, &mut said)
        };
        self.pass_on(env, &mut said, out);
        match rpc {
            Some(rpc) => self.send_rpc(rpc, out),
            None => self.park_or_finish(env, out),
        }
    }

    fn send_rpc(&mut self, rpc: agent::Rpc, out: &mut Vec<Output>) {
        let Some(session) = &mut self.session else { return };
        session.note(rpc.request.name());
        let id = session.next_soap_id();
        if let Phase::Ours(ours) = &mut session.phase {
            ours.outstanding = Some(Asked { rpc: rpc.id, soap_id: id.clone() });
            ours.used |= rpc.asked;
            ours.closing = rpc.ends_session;
        }
        let header = Header { id: Some(id.into()), ..Header::default() };
        let reply = self.soap_reply(header, Message::Request(rpc.request));
        self.reply(reply, out);
    }

    fn park_or_finish(&mut self, env: &Env, out: &mut Vec<Output>) {
        let gives_way = self.stopping || self.calls.waiting.is_some();
        let park = if gives_way { 0 } else { self.config.park_ms };
        match &mut self.session {
            Some(Session { phase: Phase::Ours(ours), waiting: Some(_), .. })
                if ours.used && !ours.closing && park > 0 =>
            {
                ours.parked_until = Some(env.now + park);
            }
            _ => self.finish(env, out),
        }
    }

    /// Gives the CPE the answer that ends its session.
    pub(super) fn finish(&mut self, env: &Env, out: &mut Vec<Output>) {
        let (last, resume) = match &mut self.session {
            Some(Session { phase: Phase::Ours(ours), .. }) => {
                let resume = ours.resume.take().filter(|_| !ours.closing);
                (std::mem::replace(&mut ours.last, empty()), resume)
            }
            _ => (empty(), None),
        };
        self.reply(last, out);
        match (resume, &mut self.session) {
            (Some(mut relayed), Some(session)) => {
                relayed.lingers = Some(Lingers::HeldUp);
                session.phase = Phase::Relayed(relayed);
            }
            _ => self.end_session(env, Outcome::Complete, out),
        }
    }

    /// A POST of the CPE while we speak with it.
    fn ours_from_cpe(&mut self, env: &Env, post: &Post, out: &mut Vec<Output>) {
        let Some(Session { phase: Phase::Ours(ours), .. }) = &mut self.session else { return };
        let outstanding = ours.outstanding.take();
        if is_blank(&post.body) {
            self.lose(env, outstanding, out);
            return self.drive(env, out);
        }
        let mut unheard = outstanding;
        let known = decoded(&post.body, post.content_type(), |envelope| {
            if let Some(session) = &mut self.session {
                session.bodies.count(true);
            }
            self.heard_ours(env, envelope, unheard.take(), out);
        });
        if known.is_none() {
            self.lose(env, unheard, out);
            self.refuse_body(env, "the CPE sent what is no CWMP envelope", out);
        }
    }

    fn heard_ours(
        &mut self,
        env: &Env,
        envelope: &Envelope<'_>,
        outstanding: Option<Asked>,
        out: &mut Vec<Output>,
    ) {
        match (&envelope.message, outstanding) {
            (message, outstanding) if self.is_of_another(message) => {
                self.lose(env, outstanding, out);
                self.refuse_body(env, OF_ANOTHER, out);
            }
            // By now nobody knows which of the two RPCs the CPE is at.
            (_, Some(asked)) if is_late(envelope, Some(&asked.soap_id)) => {
                self.lose(env, Some(asked), out);
                self.refuse_body(env, LATE, out);
            }
            (Message::Response(response), Some(Asked { rpc, .. })) => {
                self.tell(env, agent::Input::Answer { rpc, response }, out);
                self.drive(env, out);
            }
            (Message::Fault(fault), Some(Asked { rpc, .. })) => {
                self.tell(env, agent::Input::Faulted { rpc, fault }, out);
                self.drive(env, out);
            }
            (Message::Request(request), outstanding) => {
                self.lose(env, outstanding, out);
                self.cpe_request(env, envelope, request, out);
            }
            // An answer that nobody asked for (quirk S18, H27): nothing of it is believed.
            (_, None) => self.drive(env, out),
        }
    }

    /// The RPC that was under way gets no answer that could be believed.
    fn lose(&mut self, env: &Env, outstanding: Option<Asked>, out: &mut Vec<Output>) {
        if let Some(Asked { rpc, .. }) = outstanding {
            self.tell(env, agent::Input::Lost { rpc }, out);
        }
    }

    /// A request of the CPE's own. Where the gateway is the ACS it answers; where an ACS's leg has
    /// ended the request is the ACS's, and the CPE repeats it in its next session.
    fn cpe_request(
        &mut self,
        env: &Env,
        envelope: &Envelope<'_>,
        request: &Request<'_>,
        out: &mut Vec<Output>,
    ) {
        let own = self.own_of(envelope);
        let Some(session) = &mut self.session else { return };
        session.note(request.name());
        if let Own::Transfer(transferred, id) = own {
            return self.own_transfer(env, transferred, id, out);
        }
        let ours = matches!(&session.phase, Phase::Ours(ours) if ours.informed_by == InformedBy::Gateway);
        if !ours {
            self.reply(refuse(503), out);
            return self.end_session(env, Outcome::CpeRequestAfterLeg, out);
        }
        let response = match request {
            Request::Inform(inform) => {
                session.namespace = envelope.namespace.to_string();
                self.informed(env, inform, out);
                Message::Response(Response::InformResponse(InformResponse { max_envelopes: 1 }))
            }
            request => own_answer(request),
        };
        let header = Header { id: envelope.header.id.clone(), ..Header::default() };
        let reply = self.soap_reply(header, response);
        self.reply(reply, out);
    }

    /// A SOAP envelope of ours in the words of this session.
    pub(super) fn soap_reply(&self, header: Header<'_>, message: Message<'_>) -> Reply {
        let namespace = self.session.as_ref().map_or("", |session| session.namespace.as_str());
        let mut body = Vec::with_capacity(1_024);
        soap::encode(&mut body, &Envelope::of(namespace, header, message));
        let mut headers = Headers::default();
        headers.push("Content-Type", "text/xml; charset=\"utf-8\"");
        Reply { status: 200, headers, body: Bytes::from(body), close: false }
    }
}

/// A POST goes to the ACS, as received where nothing was spliced.
/// What the ACS is shown of a body of the CPE's; `None`: as it is.
fn spliced(
    agent: &Agent,
    post: &Post,
    inform: Option<&mut HeldInform>,
    (said, reads_attributes): (CpeSaid, bool),
    restated: &Restated,
) -> Option<Bytes> {
    match said {
        CpeSaid::Inform => inform?.for_acs(agent, post, restated),
        CpeSaid::Response if reads_attributes => attributes_for_acs(agent.attributes(), post),
        _ => restated.replaced(post),
    }
}

fn forward((session, acs): (SessionId, AcsId), post: Post, out: &mut Vec<Output>) {
    let Post { target, headers, body, original_body, .. } = post;
    out.push(Output::ToAcs { session, acs, target, headers, body: original_body.unwrap_or(body) });
}

/// A message of the CPE's that goes to nobody.
enum Misplaced {
    /// An Inform of another device.
    Inform,
    /// The answer to an RPC of ours.
    Answer,
}

/// An answer of the ACS's as far as it is looked at.
struct AcsSays {
    said: AcsSaid,
    /// The RPC's name.
    name: Option<String>,
    /// The RPC itself where its outcome changes what we know, or is compared.
    watched: Option<Request<'static>>,
    /// Its SOAP ID, where that could be one of ours.
    like_ours: Option<String>,
}

impl From<AcsSaid> for AcsSays {
    fn from(said: AcsSaid) -> Self {
        Self { said, name: None, watched: None, like_ours: None }
    }
}

fn read_acs(reply: &AcsReply, compared: bool) -> AcsSays {
    if is_blank(reply.text()) {
        let said = if matches!(reply.status, 200..=204) { AcsSaid::Empty } else { http_said(reply.status) };
        return said.into();
    }
    if reply.status != 200 {
        return http_said(reply.status).into();
    }
    let read = decoded(reply.text(), reply.content_type(), |envelope| {
        let hold_requests = envelope.header.hold_requests;
        let name = Some(name_of(&envelope.message));
        match &envelope.message {
            Message::Response(Response::InformResponse(_)) => {
                AcsSaid::InformResponse { hold_requests }.into()
            }
            Message::Response(_) => AcsSays { name, ..AcsSaid::Response { hold_requests }.into() },
            Message::Request(request) => {
                let ends_device = matches!(request, Request::Reboot(_) | Request::FactoryReset(_));
                let watched = (compared || is_watched(request)).then(|| request.clone().into_owned());
                let id = envelope.header.id.as_deref().filter(|id| is_like_ours(id));
                let said = AcsSaid::Request { hold_requests, ends_device };
                AcsSays { said, name, watched, like_ours: id.map(str::to_owned) }
            }
            Message::Fault(fault) => AcsSays { name, ..AcsSaid::Fault { code: fault.fault_code }.into() },
        }
    });
    read.unwrap_or(AcsSaid::Other.into())
}

/// What an HTTP status other than success says: a challenge is answered by another POST.
fn http_said(status: u16) -> AcsSaid {
    match status {
        401 | 407 => AcsSaid::Challenge,
        400.. => AcsSaid::Error { status },
        _ => AcsSaid::Other,
    }
}

/// RPCs of the ACS whose success changes, or tells, what the device holds.
fn is_watched(request: &Request<'_>) -> bool {
    matches!(
        request,
        Request::SetParameterValues(_)
            | Request::AddObject(_)
            | Request::DeleteObject(_)
            | Request::GetParameterValues(_)
            | Request::GetParameterNames(_)
            | Request::SetParameterAttributes(_)
            | Request::GetParameterAttributes(_)
            | Request::Download(_)
            | Request::Upload(_)
            | Request::ScheduleDownload(_)
            | Request::Reboot(_)
            | Request::FactoryReset(_)
    )
}

/// The last commit that makes a change of this kind durable.
pub(super) fn last_commit(out: &[Output], is: impl Fn(&Change) -> bool) -> Option<Token> {
    out.iter().rev().find_map(|output| match output {
        Output::Persist { token, changes } if changes.iter().any(&is) => Some(*token),
        _ => None,
    })
}

fn is_outbox(change: &Change) -> bool {
    matches!(change, Change::Put(entry) if entry.kind == Kind::Outbox)
}

/// The answer of the gateway where it is the ACS itself.
fn own_answer<'a>(request: &Request<'a>) -> Message<'a> {
    Message::Response(match request {
        Request::TransferComplete(_) => Response::TransferCompleteResponse(TransferCompleteResponse {}),
        Request::AutonomousTransferComplete(_) => {
            Response::AutonomousTransferCompleteResponse(AutonomousTransferCompleteResponse {})
        }
        Request::DUStateChangeComplete(_) => {
            Response::DUStateChangeCompleteResponse(DUStateChangeCompleteResponse {})
        }
        Request::AutonomousDUStateChangeComplete(_) => {
            Response::AutonomousDUStateChangeCompleteResponse(AutonomousDUStateChangeCompleteResponse {})
        }
        Request::RequestDownload(_) => Response::RequestDownloadResponse(RequestDownloadResponse {}),
        Request::GetRPCMethods(_) => Response::GetRPCMethodsResponse(GetRPCMethodsResponse {
            method_list: Array(ACS_METHODS.iter().map(|name| (*name).into()).collect()),
        }),
        _ => return Message::Fault(Fault::of(8000)),
    })
}

/// The methods that the gateway answers where it is the ACS.
const ACS_METHODS: [&str; 7] = [
    "Inform",
    "GetRPCMethods",
    "TransferComplete",
    "AutonomousTransferComplete",
    "RequestDownload",
    "DUStateChangeComplete",
    "AutonomousDUStateChangeComplete",
];

const OF_ANOTHER: &str = "an Inform of another device came";
const LATE: &str = "an answer to an RPC of ours came that is not open, or no more: it goes to nobody";

/// Empty after trimming is empty (quirk T07); trailing NULs count as blank.
fn is_blank(body: &[u8]) -> bool {
    body.iter().all(|byte| byte.is_ascii_whitespace() || *byte == 0)
}
