//! What subscriptions ask of the CPE's notification attributes, and what the ACS is owed for what USP wrote
//! (TR-069 A.3.2.4). What the ACS set is read, and journalled, before anything of it is changed.

use std::collections::BTreeSet;

use compact_str::CompactString;

use crate::cwmp::rpc::{ParameterValueStruct, Request, Response};
use crate::durable::{Change, Entry, Kind, Token};
use crate::policy::{Attributes, Owed, Urgency};
use crate::translation::{Attend, Attended, watched_params};

use super::core::Agent;
use super::io::{Env, Output, Shadow};
use super::queue::Work;
use super::silence::Silence;

/// The attributes of one CPE and what is to be done about them.
#[derive(Default)]
pub(super) struct Attention {
    pub attributes: Attributes,
    /// Nothing was left to do when this was looked at last in this session.
    settled: bool,
    /// Something is to be done that is worth a session.
    urgent: bool,
    /// The journal of what is about to be set.
    journal: Option<Token>,
    /// The store would not keep it.
    unwritten: bool,
    /// The newest commit of what the ACS is owed.
    owed: Option<Token>,
}

impl Attention {
    pub fn restore(entries: &[Entry]) -> Self {
        let entry = entries.iter().find(|entry| entry.kind == Kind::Attributes);
        let attributes = entry.map(|entry| Attributes::decode(&entry.value)).unwrap_or_default();
        Self { attributes, ..Self::default() }
    }

    /// A session has begun.
    pub fn begin(&mut self) {
        self.settled = false;
    }

    /// Whether this is worth calling the CPE.
    pub fn is_urgent(&self) -> bool {
        self.urgent || self.attributes.owes_now()
    }

    /// Whether nothing of the CPE is otherwise than the ACS had it.
    pub fn has_given_back(&self) -> bool {
        self.attributes.is_given_back()
    }

    /// A commit has come to its end. Returns whether attributes can be set now.
    pub fn committed(&mut self, token: Token, stored: bool) -> bool {
        if self.journal != Some(token) {
            return false;
        }
        (self.urgent, self.settled, self.journal, self.unwritten) = (stored, false, None, !stored);
        stored
    }
}

impl Agent {
    /// Subscriptions that came may ask more of the CPE than it tells: it is called, so that it tells from now on.
    pub(super) fn judge_attributes(&mut self, shadow: &Shadow, out: &mut Vec<Output>) {
        if self.local.take_resubscribed() && self.config.notification_attributes {
            self.reconsider_attributes(shadow, out);
        }
    }

    /// What is wanted of the CPE may be another now: it is called where it has to tell of more.
    pub(super) fn reconsider_attributes(&mut self, shadow: &Shadow, out: &mut Vec<Output>) {
        self.attention.settled = false;
        let wanted = self.watched(shadow);
        let attributes = &self.attention.attributes;
        let lacks = |name| !attributes.unknown([name]).is_empty();
        if wanted.iter().any(lacks) || attributes.due(&wanted).iter().any(|(name, _)| wanted.contains(name)) {
            self.attention.urgent = true;
            out.push(Output::WantSession);
        }
    }

    /// Puts the next step in the queue: reading what the ACS set, else setting what is needed.
    pub(super) fn plan_attributes(&mut self, env: &Env, shadow: &Shadow, out: &mut Vec<Output>) {
        let asked = self.queue.has(Work::Attributes);
        let total = self.silence == Silence::Total;
        let off = !self.config.notification_attributes && !self.is_silent();
        if total || self.attention.settled || asked || off || self.booting {
            return;
        }
        let wanted = self.watched(shadow);
        let written = self.attention.attributes.unjudged();
        let mut unknown = self.attention.attributes.unknown(wanted.iter().chain(written));
        unknown.extend(self.attention.attributes.doubtful().cloned());
        if !unknown.is_empty() {
            return self.push_own(env, Box::new(Attend::read(unknown)), Work::Attributes);
        }
        let due = self.attention.attributes.due(&wanted);
        // What is in the journal, and known to be on disk, may be set; the rest goes into it first.
        let written_down = self.attention.journal.is_none_or(|token| token.0 <= self.settled);
        let begun = |(name, _): &(CompactString, u8)| self.attention.attributes.has_begun(name);
        let ready: Vec<(CompactString, u8)> = due.iter().filter(|it| begun(it)).cloned().collect();
        if written_down && !self.attention.unwritten && !ready.is_empty() {
            return self.push_own(env, Box::new(Attend::set(ready)), Work::Attributes);
        }
        if written_down {
            self.journal(&due, out);
        }
        (self.attention.settled, self.attention.urgent) = (true, false);
    }

    /// Writes down what is about to be set.
    fn journal(&mut self, due: &[(CompactString, u8)], out: &mut Vec<Output>) {
        if !due.is_empty() {
            self.attention.unwritten = false;
            self.attention.attributes.begin(due);
            self.attention.journal = Some(self.keep_attributes(out));
        }
    }

    /// What the CPE has otherwise than the ACS is to be given back: it is written down now, so that the next session
    /// can do it.
    pub(super) fn prepare_giving_back(&mut self, out: &mut Vec<Output>) {
        let mut due = self.attention.attributes.due(&BTreeSet::new());
        due.retain(|(name, _)| !self.attention.attributes.has_begun(name));
        self.journal(&due, out);
    }

    /// The parameters that ValueChange subscriptions are about, in the CPE's words. Counters change all the time:
    /// they are read once in each session instead.
    fn watched(&self, shadow: &Shadow) -> BTreeSet<CompactString> {
        // Nor is a CPE changed for subscriptions where controllers do not change it.
        if self.is_silent() || !self.stage().writes() {
            return BTreeSet::new();
        }
        let watched = self.local.subscriptions().iter().flat_map(|subscription| subscription.watched());
        let mut names = watched_params(watched, &shadow.cpe, usize::MAX);
        names.retain(|name| !name.contains("Stats."));
        names.truncate(MAX_WATCHED);
        let mapping = self.mapping();
        let words = |name: String| match mapping {
            Some(mapping) => mapping.to_cpe(&name),
            None => Some(name),
        };
        names.into_iter().filter_map(words).map(CompactString::from).collect()
    }

    /// A step is through.
    pub(super) fn attended(&mut self, attended: &[Attended], out: &mut Vec<Output>) {
        let attributes = &mut self.attention.attributes;
        for one in attended {
            match one {
                Attended::Read(name, notification) => {
                    let urgency = attributes.learn(name, *notification);
                    self.attention.urgent |= urgency == Some(Urgency::Now);
                }
                Attended::Set(name, notification) => attributes.set(name, *notification),
                Attended::Refused(name) => attributes.refuse(name),
                Attended::PutOff(_) => {
                    (self.attention.settled, self.attention.urgent) = (true, false);
                }
            }
        }
        if !attended.is_empty() {
            self.keep_attributes(out);
        }
    }

    /// USP has written these, and the CPE has taken them.
    pub(super) fn written(&mut self, written: Vec<ParameterValueStruct<'static>>, out: &mut Vec<Output>) {
        if !self.config.notification_attributes || !self.config.acs {
            return;
        }
        let mut owes = false;
        for parameter in written {
            let owed = Owed { value: parameter.value.into_owned(), value_type: parameter.value_type };
            let urgency = self.attention.attributes.written(&parameter.name, owed);
            self.attention.urgent |= urgency == Some(Urgency::Now);
            self.attention.settled &= urgency != Some(Urgency::Unknown);
            owes |= urgency.is_some();
        }
        if owes {
            self.attention.owed = Some(self.keep_attributes(out));
        }
    }

    /// The commit that a controller's success waits for, so that the ACS's value change is not lost.
    pub(super) fn owed_for(&self) -> Option<Token> {
        self.attention.owed.filter(|token| token.0 > self.settled)
    }

    /// The ACS is about to set attributes: that this may have been done is written down before the CPE is asked.
    pub fn acs_asks(&mut self, request: &Request<'_>, out: &mut Vec<Output>) {
        if let Request::AddObject(_) = request {
            self.acs_adds = self.acs_adds.wrapping_add(1);
        }
        let asked = |attributes: &mut Attributes, name: &str, notification: u8| {
            attributes.asked_by_acs(name, notification)
        };
        self.note_asked(request, asked, out);
    }

    /// The CPE has answered that with a fault.
    pub fn acs_is_refused(&mut self, request: &Request<'_>, out: &mut Vec<Output>) {
        self.note_asked(request, |attributes, name, _| attributes.refused_to_acs(name), out);
    }

    fn note_asked(
        &mut self,
        request: &Request<'_>,
        note: impl Fn(&mut Attributes, &str, u8) -> bool,
        out: &mut Vec<Output>,
    ) {
        let Request::SetParameterAttributes(set) = request else { return };
        let mut meant = false;
        for one in set.parameter_list.iter().filter(|one| one.notification_change) {
            let notification = u8::try_from(one.notification).unwrap_or(0);
            meant |= note(&mut self.attention.attributes, &one.name, notification);
        }
        if meant {
            self.attention.settled = false;
            self.keep_attributes(out);
        }
    }

    /// What the ACS changes of attributes, and of what it is owed.
    pub(super) fn follow_acs(
        &mut self,
        request: &Request<'_>,
        response: &Response<'_>,
        out: &mut Vec<Output>,
    ) {
        if self.attention.attributes.is_empty() {
            return;
        }
        let mut changed = false;
        match (request, response) {
            (Request::SetParameterAttributes(set), Response::SetParameterAttributesResponse(_)) => {
                for one in set.parameter_list.iter().filter(|one| one.notification_change) {
                    let notification = u8::try_from(one.notification).unwrap_or(0);
                    changed |= self.attention.attributes.set_by_acs(&one.name, notification);
                }
                self.attention.settled &= !changed;
            }
            (_, Response::GetParameterAttributesResponse(response)) => {
                // With nothing of ours on the CPE what it says is what the ACS has set, whatever is written here.
                let passes = self.is_silent() && self.attention.has_given_back();
                let attributes = &mut self.attention.attributes;
                for one in response.parameter_list.iter() {
                    let notification = u8::try_from(one.notification).unwrap_or(0);
                    changed |= match passes {
                        true => attributes.set_by_acs(&one.name, notification),
                        false => attributes.overhear(&one.name, notification),
                    };
                }
            }
            (Request::SetParameterValues(set), Response::SetParameterValuesResponse(_)) => {
                for one in set.parameter_list.iter() {
                    changed |= self.attention.attributes.told(&one.name);
                }
            }
            _ => {}
        }
        if changed {
            self.keep_attributes(out);
        }
    }

    /// What a start of the device means for its attributes.
    pub(super) fn restarted(&mut self, reset: bool, new_firmware: bool, out: &mut Vec<Output>) {
        if self.attention.attributes.is_empty() || !(reset || new_firmware) {
            return;
        }
        match reset {
            true => self.attention.attributes.reset(),
            false => self.attention.attributes.doubt(),
        }
        self.keep_attributes(out);
    }

    /// What the ACS set and what it is owed, for who relays to it.
    pub fn attributes(&self) -> &Attributes {
        &self.attention.attributes
    }

    /// The CPE has told what it has to tell.
    pub(super) fn heard_of<'p>(
        &mut self,
        told: impl Iterator<Item = &'p str> + Clone,
        out: &mut Vec<Output>,
    ) {
        if self.attention.attributes.stops_trailing(told) {
            self.keep_attributes(out);
        }
    }

    /// The ACS has acknowledged an Inform: what it was told of is told.
    pub fn acs_was_told<'p>(
        &mut self,
        parameters: impl Iterator<Item = (&'p str, &'p str)>,
        changed: bool,
        told: &[CompactString],
        out: &mut Vec<Output>,
    ) {
        let attributes = &mut self.attention.attributes;
        if attributes.is_empty() {
            return;
        }
        let stated = attributes.stated(parameters, changed);
        let told = told.iter().filter(|name| attributes.told(name)).count();
        if stated || told > 0 {
            self.keep_attributes(out);
        }
    }

    fn keep_attributes(&mut self, out: &mut Vec<Output>) -> Token {
        let value = self.attention.attributes.encode();
        self.persist(vec![Change::put(Kind::Attributes, "", value)], out)
    }
}

/// Parameters of one device whose changes the CPE is asked to tell of at once.
const MAX_WATCHED: usize = 64;
