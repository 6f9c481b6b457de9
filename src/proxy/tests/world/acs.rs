//! The ACS of a world: it works on the CPE now and then, and keeps book of what it set, was told and may expect. Where
//! an answer never came it takes either for possible.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::*;
use crate::cwmp::rpc::{
    AddObject, DeleteObject, Download, GetParameterAttributes, GetParameterValues, Inform,
    ParameterValueStruct, Reboot, SetParameterAttributes, SetParameterAttributesStruct, SetParameterValues,
    TransferCompleteResponse,
};
use crate::datamodel::ValueType;

#[derive(Default)]
pub(super) struct Acs {
    /// What it will ask of the CPE.
    pub plan: VecDeque<Request<'static>>,
    /// The POST that is at it, and of which session.
    at: Option<(SessionId, Bytes)>,
    /// The RPC of its own that the CPE is at.
    asked: Option<Asked>,
    /// What it has done in this session of the CPE's: been asked, answered, failed, asked its own, ended.
    was_asked: bool,
    pub answered_inform: bool,
    pub answered_request: bool,
    pub failed: bool,
    pub is_done: bool,
    /// The events that it was told in this session.
    pub events: Vec<(String, String)>,
    /// It has called the CPE, and is owed an Inform with `6 CONNECTION REQUEST`; since when.
    pub calls: bool,
    called_at: u64,
    /// The notification attributes that the CPE may have by its own doing; others are as devices come.
    attributes: BTreeMap<&'static str, BTreeSet<i32>>,
    /// What it has ever watched.
    has_watched: BTreeSet<String>,
    /// The ParameterKeys that the CPE may have.
    keys: BTreeSet<String>,
    /// What it knows of values.
    seen: BTreeMap<String, String>,
    /// Changes that it watches for and has not been told of.
    awaits: BTreeMap<&'static str, String>,
    /// What USP wrote while it surely watched.
    written: BTreeMap<String, &'static str>,
    /// Transfers that the CPE took on, those that may be under way, and those whose end it was told.
    downloads: BTreeSet<String>,
    ordered: BTreeSet<String>,
    completed: BTreeSet<String>,
    rows: Vec<String>,
    number: u64,
    /// What it set may have been lost by the gateway: it takes its attributes to be anything.
    expects_nothing: bool,
    /// From now on each body must be what the CPE said.
    pub nothing_is_spliced: bool,
}

/// An RPC that is under way, and what was possible before it.
struct Asked {
    request: Request<'static>,
    attributes: BTreeMap<&'static str, BTreeSet<i32>>,
    keys: BTreeSet<String>,
}

impl Acs {
    /// One that has set nothing yet.
    pub fn new() -> Self {
        Self { keys: BTreeSet::from([String::new()]), ..Self::default() }
    }

    pub fn gets(&mut self, session: SessionId, body: Bytes, cpe: &Cpe) {
        let same = self.at.as_ref().is_some_and(|(other, _)| *other == session);
        assert!(!same, "two POSTs of one session at the ACS");
        self.was_asked |= session.0 == cpe.session;
        if self.nothing_is_spliced {
            assert_eq!(body, cpe.last_post, "a body was changed although nothing is virtualised");
        }
        self.at = Some((session, body));
    }

    pub fn is_busy(&self) -> bool {
        self.at.is_some()
    }

    pub fn state(&self) -> &'static str {
        match (&self.at, &self.asked) {
            (Some(_), Some(_)) => "ACS: has a POST, RPC out",
            (Some(_), None) => "ACS: has a POST",
            (None, Some(_)) => "ACS: RPC out",
            (None, None) if self.is_done => "ACS: done",
            (None, None) => "ACS: waits",
        }
    }

    pub fn session_opens(&mut self) {
        (self.was_asked, self.answered_inform, self.answered_request) = (false, false, false);
        (self.failed, self.is_done) = (false, false);
        self.events.clear();
        // What it had asked will not be answered any more.
        self.asked = None;
    }

    /// Whether this session goes on without it.
    pub fn is_not_asked(&self) -> bool {
        !self.was_asked || (self.failed && !self.answered_inform)
    }

    pub fn lost_contact(&mut self) {
        self.at = None;
        self.calls = false;
        // What USP wrote without having been told of success may never be told.
        self.written.clear();
    }

    pub fn store_failed(&mut self) {
        self.awaits.clear();
        self.written.clear();
    }

    /// What the gateway knew of its attributes may be lost.
    pub fn takes_all_for_possible(&mut self) {
        self.expects_nothing = true;
        self.store_failed();
    }

    fn possible(&self, name: &str) -> BTreeSet<i32> {
        if self.expects_nothing {
            return BTreeSet::from([0, 1, 2]);
        }
        let by_itself = BTreeSet::from([if name == PROVISIONING_CODE { 2 } else { 0 }]);
        self.attributes.get(name).cloned().unwrap_or(by_itself)
    }

    fn watches(&self, name: &str) -> bool {
        self.possible(name).iter().all(|notification| *notification > 0)
    }

    /// A change of before it stopped watching may still be told.
    fn may_watch(&self, name: &str) -> bool {
        self.has_watched.contains(name) || self.possible(name).iter().any(|notification| *notification > 0)
    }

    /// A change that an ACS alone would have heard of.
    pub fn value_changed(&mut self, name: &'static str, value: &str) {
        match self.watches(name) {
            true => _ = self.awaits.insert(name, value.to_owned()),
            false => _ = self.awaits.remove(name),
        }
    }

    /// USP has written a value; whether success is told is another matter.
    pub fn usp_wrote(&mut self, name: &str, value: &str) {
        let known = PARAMETERS.into_iter().find(|known| *known == name);
        let Some(name) = known else { return };
        self.awaits.remove(name);
        self.written.retain(|_, other| *other != name);
        if self.watches(name) {
            self.written.insert(value.to_owned(), name);
        }
    }

    /// A controller has been told of success with this value.
    pub fn usp_succeeded(&mut self, value: &str) {
        if let Some(name) = self.written.remove(value)
            && self.watches(name)
            && self.seen.get(name).map(String::as_str) != Some(value)
        {
            self.awaits.insert(name, value.to_owned());
        }
    }

    /// Whether nothing that has changed is its to know.
    /// It may have been told all, and the CPE not know that.
    pub fn cares_for_no_change_of(&self, cpe: &Cpe) -> bool {
        let told = |name: &String| {
            let said = cpe.inform.parameter_list.iter().find(|it| it.name == name.as_str());
            said.is_some_and(|it| self.seen.get(name).map(String::as_str) == Some(&it.value))
        };
        cpe.changed.iter().all(|name| !self.watches(name) || told(name))
    }

    pub fn call_answered(&mut self, answer: CallAnswer, now: u64) {
        if answer == CallAnswer::Accepted {
            (self.calls, self.called_at) = (true, now);
        }
    }

    pub fn time_passes(&mut self, now: u64) {
        // Nobody waits for ever.
        self.calls &= self.called_at + 59_000 > now;
    }

    fn is_told(&mut self, body: &Bytes, cpe: &Cpe) -> Told {
        match read(body, None).map(|received| received.message) {
            Ok(Owned::Request(Request::Inform(inform))) => {
                self.is_informed(&inform, cpe);
                Told::Inform
            }
            Ok(Owned::Request(Request::TransferComplete(transfer))) => {
                let key = transfer.command_key.to_string();
                assert!(self.ordered.contains(&key), "the end of a transfer that it did not order: {key}");
                self.completed.insert(key);
                Told::Request
            }
            Ok(answer) => {
                if let Some(asked) = self.asked.take() {
                    self.hears(asked, answer);
                }
                Told::Answer
            }
            Err(_) => {
                assert!(body.is_empty(), "{body:?}");
                Told::Answer
            }
        }
    }

    fn is_informed(&mut self, inform: &Inform<'_>, cpe: &Cpe) {
        let events = inform.event.iter();
        let events: Vec<(String, String)> =
            events.map(|it| (it.event_code.to_string(), it.command_key.to_string())).collect();
        assert!(!events.is_empty(), "an Inform without events");
        let said = |event: &(String, String)| {
            cpe.inform.event.iter().any(|it| it.event_code == event.0 && it.command_key == event.1)
        };
        for event in &events {
            assert!(said(event) || event.0 == VALUE_CHANGE, "{event:?} is made up");
        }
        for parameter in inform.parameter_list.iter() {
            let (name, value) = (parameter.name.to_string(), parameter.value.to_string());
            if let Some(name) = PARAMETERS.into_iter().find(|known| *known == name) {
                let forced = name == PROVISIONING_CODE;
                assert!(forced || self.may_watch(name), "{name} is not for the ACS");
                assert!(cpe.had.contains(&value) || value == cpe.value(name), "{name} never was {value}");
                if self.awaits.get(name) == Some(&value)
                    && events.iter().any(|(code, _)| code == VALUE_CHANGE)
                {
                    self.awaits.remove(name);
                }
            }
            if name.ends_with(".ParameterKey") {
                assert!(
                    self.keys.contains(&value),
                    "ParameterKey is {value}, which it never set; possible: {:?}",
                    self.keys
                );
            }
            self.seen.insert(name, value);
        }
        self.calls &= !events.iter().any(|(code, _)| code == CONNECTION_REQUEST);
        self.events = events;
    }

    /// The answer to an RPC of its own.
    fn hears(&mut self, asked: Asked, answer: Owned) {
        let Asked { request, attributes, keys } = asked;
        match (request, answer) {
            (_, Owned::Fault(_)) => (self.attributes, self.keys) = (attributes, keys),
            (Request::SetParameterAttributes(set), Owned::Response(_)) => {
                let one = &set.parameter_list[0];
                self.attributes.insert(known(&one.name), BTreeSet::from([one.notification]));
            }
            (Request::SetParameterValues(set), Owned::Response(_)) => {
                let one = &set.parameter_list[0];
                self.seen.insert(one.name.to_string(), one.value.to_string());
                self.awaits.remove(&*one.name);
                self.keys = BTreeSet::from([set.parameter_key.to_string()]);
            }
            (Request::AddObject(add), Owned::Response(Response::AddObjectResponse(added))) => {
                self.rows.push(format!("{}{}.", add.object_name, added.instance_number));
                self.keys = BTreeSet::from([add.parameter_key.to_string()]);
            }
            (Request::DeleteObject(delete), Owned::Response(_)) => {
                self.keys = BTreeSet::from([delete.parameter_key.to_string()]);
            }
            (Request::Download(download), Owned::Response(_)) => {
                self.downloads.insert(download.command_key.to_string());
            }
            (_, Owned::Response(Response::GetParameterAttributesResponse(answer))) => {
                assert_eq!(answer.parameter_list.len(), PARAMETERS.len());
                for one in answer.parameter_list.iter() {
                    let possible = self.possible(&one.name);
                    assert!(
                        possible.contains(&one.notification),
                        "it reads {} of {}, which it never set; possible: {possible:?}",
                        one.notification,
                        one.name
                    );
                    self.attributes.insert(known(&one.name), BTreeSet::from([one.notification]));
                }
            }
            _ => {}
        }
    }

    /// It asks the next RPC of its own: from now on either may be, that it was carried out or not.
    fn ask(&mut self, request: Request<'static>) {
        let (attributes, keys) = (self.attributes.clone(), self.keys.clone());
        match &request {
            Request::SetParameterAttributes(set) => {
                let one = &set.parameter_list[0];
                let name = known(&one.name);
                let mut possible = self.possible(name);
                possible.insert(one.notification);
                if possible.iter().any(|notification| *notification > 0) {
                    self.has_watched.insert(name.to_owned());
                }
                self.attributes.insert(name, possible);
                // What changed before it is told as it was asked for before, or not.
                self.awaits.remove(name);
                self.written.retain(|_, written| *written != name);
            }
            Request::SetParameterValues(set) => {
                let one = &set.parameter_list[0];
                self.awaits.remove(&*one.name);
                self.written.retain(|_, written| *written != one.name);
                self.keys.insert(set.parameter_key.to_string());
            }
            Request::AddObject(add) => _ = self.keys.insert(add.parameter_key.to_string()),
            Request::DeleteObject(delete) => _ = self.keys.insert(delete.parameter_key.to_string()),
            Request::Download(download) => _ = self.ordered.insert(download.command_key.to_string()),
            _ => {}
        }
        self.asked = Some(Asked { request, attributes, keys });
    }

    /// All that it was to be told it was told.
    pub fn promises_are_kept(&self, cpe: &Cpe) {
        for (name, value) in &self.awaits {
            assert!(cpe.value(name) != value, "the ACS was never told that {name} is {value}");
        }
        let missing: Vec<&String> = self.downloads.difference(&self.completed).collect();
        assert!(missing.is_empty(), "the ACS was never told the end of {missing:?}");
        assert!(!self.calls, "the ACS has called, and nobody came");
    }

    /// The CPE has what it set, whatever USP needed.
    pub fn has_all_back(&self, cpe: &Cpe) {
        for name in PARAMETERS {
            let is = cpe.bench.notification(name);
            let possible = self.possible(name);
            assert!(possible.contains(&is), "{name} is not given back: {is}; possible: {possible:?}");
        }
    }
}

enum Told {
    Inform,
    Request,
    Answer,
}

fn known(name: &str) -> &'static str {
    PARAMETERS.into_iter().find(|known| *known == name).unwrap()
}

impl World {
    pub(super) fn acs_steps(&mut self) {
        let Some((session, body)) = self.acs.at.take() else { return };
        let current = session.0 == self.cpe.session;
        if self.fails(25) {
            // It never hears of it.
            return self.acs_fails(session, current);
        }
        if self.fails(20) {
            // Who is it? What is said once more has its effect once.
            let challenge = "Digest realm=\"acs\", nonce=\"n\", qop=\"auth\"".to_owned();
            let headers = vec![("WWW-Authenticate".to_owned(), challenge)].into();
            let reply = AcsReply { status: 401, headers, body: Bytes::new(), decoded_body: None };
            return self.tell(Input::Acs { session, reply: Ok(reply) });
        }
        let told = self.acs.is_told(&body, &self.cpe);
        if self.fails(25) {
            // Its answer gets lost.
            return self.acs_fails(session, current);
        }
        if matches!(told, Told::Inform) && self.fails(15) {
            return self.acs_answers(session, 503, Bytes::new());
        }
        if !matches!(told, Told::Inform) && self.fails(40) {
            self.acs.failed |= current;
            return self.acs_answers(session, 500, Bytes::new());
        }
        let answer = match told {
            Told::Inform => {
                self.acs.answered_inform |= current;
                Some(Owned::Response(Response::InformResponse(InformResponse { max_envelopes: 1 })))
            }
            Told::Request => {
                self.acs.answered_request |= current;
                Some(Owned::Response(Response::TransferCompleteResponse(TransferCompleteResponse {})))
            }
            Told::Answer => {
                let next = self.acs.plan.pop_front();
                next.inspect(|request| self.acs.ask(request.clone())).map(Owned::Request)
            }
        };
        let id = if matches!(told, Told::Answer) { "acs" } else { "1" };
        self.acs.is_done |= current && answer.is_none();
        let body = answer.map_or_else(Bytes::new, |answer| write(NAMESPACE, Some(id), answer));
        let status = if body.is_empty() { 204 } else { 200 };
        self.acs_answers(session, status, body);
    }

    fn acs_answers(&mut self, session: SessionId, status: u16, body: Bytes) {
        let reply = AcsReply { status, headers: Default::default(), body, decoded_body: None };
        self.tell(Input::Acs { session, reply: Ok(reply) });
    }

    fn acs_fails(&mut self, session: SessionId, current: bool) {
        self.acs.failed |= current;
        self.tell(Input::Acs { session, reply: Err(AcsFailure::NoAnswer("gone".into())) });
    }

    /// It calls the CPE, through the gateway or at its own door.
    pub(super) fn acs_calls(&mut self) {
        if self.terms.calls_come_here {
            let call = AcsCall { id: self.now, claim: None, trusted: true };
            self.tell(Input::AcsCall(call));
        } else if self.cpe.is_idle() {
            self.cpe.bench.raise(CONNECTION_REQUEST);
            self.acs.call_answered(CallAnswer::Accepted, self.now);
        }
    }

    pub(super) fn acs_reads_attributes(&mut self) {
        let parameter_names = Array(PARAMETERS.into_iter().map(Into::into).collect());
        self.acs.plan.push_back(Request::GetParameterAttributes(GetParameterAttributes { parameter_names }));
    }

    /// It has something in mind for the CPE's next session.
    pub(super) fn acs_plans(&mut self) {
        self.acs.number += 1;
        let number = self.acs.number;
        let name = self.some_parameter();
        let parameter_key = || format!("key {number}").into();
        let request = match self.chance(9) {
            0 | 1 => {
                let notification = i32::try_from(self.chance(3)).unwrap();
                let one = SetParameterAttributesStruct {
                    name: name.into(),
                    notification_change: true,
                    notification,
                    ..SetParameterAttributesStruct::default()
                };
                Request::SetParameterAttributes(SetParameterAttributes { parameter_list: Array(vec![one]) })
            }
            2 | 3 => {
                let value = ParameterValueStruct::new(name, format!("acs {number}"), ValueType::String);
                let parameter_list = Array(vec![value]);
                Request::SetParameterValues(SetParameterValues {
                    parameter_list,
                    parameter_key: parameter_key(),
                })
            }
            4 => return self.acs_reads_attributes(),
            5 => Request::AddObject(AddObject { object_name: TABLE.into(), parameter_key: parameter_key() }),
            6 if !self.acs.rows.is_empty() => {
                let object_name = self.acs.rows.remove(0).into();
                Request::DeleteObject(DeleteObject { object_name, parameter_key: parameter_key() })
            }
            7 if self.chance(2) == 0 => {
                Request::Reboot(Reboot { command_key: format!("acs {number}").into() })
            }
            8 => Request::Download(Download {
                command_key: format!("acs {number}").into(),
                file_type: "3 Vendor Configuration File".into(),
                url: "http://127.0.0.1/config".into(),
                ..Download::default()
            }),
            _ => {
                let parameter_names = Array(vec!["Device.DeviceInfo.UpTime".into()]);
                Request::GetParameterValues(GetParameterValues { parameter_names })
            }
        };
        self.acs.plan.push_back(request);
    }
}
