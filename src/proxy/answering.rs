//! Whether, and how, the gateway answers an Inform itself: where USP alone has called the CPE, and where the ACS is
//! down. It does so only if the operator wants it, the gateway itself has authenticated the CPE, and nothing in the
//! Inform is the ACS's (`relay::owed`). So no event of the ACS's is ever acknowledged here: the CPE keeps them and
//! tells them again.

use std::borrow::Cow;

use bytes::Bytes;

use crate::agent::Env;
use crate::cwmp::rpc::{Inform, InformResponse, Response};
use crate::cwmp::soap::{Header, Message};
use crate::durable::{Change, Kind};
use crate::relay::{Acknowledged, Owed, owed};

use super::device::{Device, decoded};
use super::io::{AcsReply, Output};
use super::outcome::Outcome;
use super::own_transfers::OwnWork;
use super::session::{HeldInform, InformedBy, Ours, Phase, Session, empty, refuse};
use super::wake::Call;

impl Device {
    /// The ACS gave no answer: it is given in its place if that may be, or the session is over. Whether the CPE
    /// has taken a connection request that is under way must be known first.
    pub(super) fn acs_failed(&mut self, env: &Env, out: &mut Vec<Output>) {
        if let Some(Session { phase: Phase::Relayed(relayed), call: Call::UnderWay, .. }) = &mut self.session
            && self.config.answer_when_down
            && relayed.inform.is_some()
        {
            relayed.undecided = true;
            return;
        }
        if !self.answer_in_outage(env, out) {
            self.reply(refuse(503), out);
            self.end_session(env, Outcome::AcsFailed, out);
        }
    }

    /// Answers an Inform that is nobody's but ours, without troubling the ACS. Returns whether it did.
    ///
    /// With the ACS's connection requests coming here it is known who has called the CPE; until the ACS has
    /// acknowledged an Inform with the gateway's address in it, that is not so.
    pub(super) fn answer_alone(&mut self, env: &Env, out: &mut Vec<Output>) -> bool {
        let Some(Session { phase: Phase::Relayed(relayed), authenticated: true, call, .. }) = &self.session
        else {
            return false;
        };
        let wanted = self.config.answer_alone && self.config.acs_calls.is_some() && !self.bypass.is_on();
        let free = self.calls.waiting.is_none() && self.agent.attributes().owed().next().is_none();
        let Some(held) = relayed.inform.as_ref().filter(|_| wanted && free) else { return false };
        // Nobody but the gateway calls the CPE, whether or not it is known that the CPE has taken the call.
        let called = *call != Call::None;
        if self.owed(&held.inform, called).is_some() {
            return false;
        }
        self.answer_inform(env, out);
        true
    }

    /// Answers the Inform that the ACS gave no answer to, if that may be. Returns whether it did.
    fn answer_in_outage(&mut self, env: &Env, out: &mut Vec<Output>) -> bool {
        let Some(Session { phase: Phase::Relayed(relayed), authenticated, call, .. }) = &self.session else {
            return false;
        };
        let may = self.config.answer_when_down && !self.bypass.is_on();
        let Some(held) = relayed.inform.as_ref().filter(|_| may) else {
            return false;
        };
        if !*authenticated {
            out.push(Output::Log("not answered for the ACS: the CPE was not authenticated here".into()));
            return false;
        }
        let called = *call == Call::Taken;
        if let Some(owed) = self.owed(&held.inform, called) {
            out.push(Output::Log(format!("not answered for the ACS: {owed}")));
            return false;
        }
        out.push(Output::Log("the ACS is down: a session that is ours alone goes on without it".into()));
        self.answer_inform(env, out);
        true
    }

    /// What of an Inform the ACS is entitled to.
    fn owed(&self, inform: &Inform<'_>, called: bool) -> Option<Owed> {
        let events = self.agent.own_events();
        let own = OwnWork::of(&inform.event, &events);
        let last = self.acknowledged_here();
        owed(inform, &|name, value| self.shown(name, value), &|event| own.holds(event), called, last)
    }

    /// What the ACS is shown of a parameter of an Inform.
    fn shown<'v>(&self, name: &str, value: &'v str) -> Option<Cow<'v, str>> {
        if !self.splices() {
            return Some(Cow::Borrowed(value));
        }
        if self.agent.attributes().is_for_usp_alone(name) {
            return None;
        }
        Some(self.reach_for_acs(name, value).map_or(Cow::Borrowed(value), Cow::Owned))
    }

    /// The InformResponse is ours, in the words that the ACS chose last, and the session concerns USP alone.
    fn answer_inform(&mut self, env: &Env, out: &mut Vec<Output>) {
        let Some(Session { phase: Phase::Relayed(relayed), .. }) = &mut self.session else { return };
        let Some(HeldInform { inform, id, .. }) = relayed.inform.take() else { return };
        if let Some(session) = &mut self.session {
            session.phase = Phase::Ours(Ours::new(empty(), InformedBy::GatewayAlone));
        }
        self.informed(env, &inform, out);
        let use_cwmp_version = self.acknowledged_here().and_then(|last| last.use_cwmp_version.clone());
        let header = Header {
            id: id.map(Into::into),
            use_cwmp_version: use_cwmp_version.map(Into::into),
            ..Header::default()
        };
        let response = Message::Response(Response::InformResponse(InformResponse { max_envelopes: 1 }));
        let reply = self.soap_reply(header, response);
        self.reply(reply, out);
    }

    /// Remembers what the ACS has acknowledged, so that it is known later what it has not.
    pub(super) fn remember_acknowledged(
        &mut self,
        inform: &Inform<'_>,
        reply: &(Bytes, Option<String>),
        out: &mut Vec<Output>,
    ) {
        let alone = self.config.answer_alone && self.config.acs_calls.is_some();
        if !(self.config.answer_when_down || alone) {
            return;
        }
        let (body, content_type) = reply;
        let version = decoded(body, content_type.as_deref(), |envelope| {
            envelope.header.use_cwmp_version.as_deref().map(str::to_owned)
        });
        let seen =
            Acknowledged::of(inform, &|name, value| self.shown(name, value), version.flatten().as_deref());
        if Some(&seen) == self.acknowledged_here() {
            return;
        }
        let value = seen.encode();
        self.acknowledged = Some(seen);
        self.persist_own(vec![Change::put(Kind::Acknowledged, "", value)], out);
    }
}

/// The answer of an ACS as far as [`Device::remember_acknowledged`] looks at it.
pub(super) fn text_of(reply: &AcsReply) -> (Bytes, Option<String>) {
    (reply.text().clone(), reply.content_type().map(str::to_owned))
}
