//! A device whose ACS is down, on a clock that the test holds.

use std::sync::Arc;

use bytes::Bytes;

use crate::agent::{AgentConfig, Env};
use crate::cwmp::rpc::{EventStruct, InformResponse, Request, Response, TransferComplete};
use crate::datamodel::WallTime;
use crate::durable::{Change, Entry};
use crate::identity::EndpointId;
use crate::sim::cpe::Bench;
use crate::sim::soap::{Owned, read, write};
use crate::usp::Shown;
use crate::usp::message::{self, Message};
use crate::usp::record::Record;

use super::super::*;

const MODEL: &str = include_str!("../../../fixtures/models/tr181-small.csv");
const NAMESPACE: &str = "urn:dslforum-org:cwmp-1-2";
const SSID: &str = "Device.WiFi.SSID.1.SSID";
const OURS: &str = "6 CONNECTION REQUEST";

/// A device that the ACS and the agent know, with the ACS gone.
pub(super) struct Outage {
    pub device: Device,
    pub bench: Bench,
    pub now: u64,
    number: u64,
    stored: Vec<Entry>,
    pub authenticated: bool,
    /// The ACS that sessions are for.
    pub acs: AcsId,
    /// Records for the controller.
    pub sent: usize,
    pub calls: usize,
}

impl Outage {
    pub fn with(config: ProxyConfig) -> Self {
        let bench = Bench::new(MODEL);
        let (agent, config) = configs(config);
        let device = Device::restore(&bench.id(), agent, config, &[]).unwrap();
        let authenticated = true;
        let (now, number, sent, calls) = (1_000, 0, 0, 0);
        let mut it = Self {
            device,
            bench,
            now,
            number,
            stored: Vec::new(),
            authenticated,
            acs: AcsId(0),
            sent,
            calls,
        };
        for _ in 0..2 {
            it.session_with_the_acs();
        }
        it
    }

    pub fn begin() -> Self {
        Self::with(answering())
    }

    pub fn tell(&mut self, input: Input) -> Vec<Output> {
        self.now += 1;
        let env = Env { now: self.now, wall: WallTime(1_700_000_000_000 + self.now), seed: self.now };
        let mut out = Vec::new();
        self.device.handle(&env, input, &mut out);
        let mut kept = Vec::new();
        for output in out {
            match output {
                Output::Persist { token, changes } => {
                    for change in changes {
                        self.store(change);
                    }
                    kept.extend(self.tell(Input::Persisted(token)));
                }
                Output::LoadFirmware(id) => kept.extend(self.tell(Input::Firmware { id, model: None })),
                Output::Send { .. } => self.sent += 1,
                Output::Wake { .. } => self.calls += 1,
                other => kept.push(other),
            }
        }
        kept
    }

    fn store(&mut self, change: Change) {
        let (kind, key) = match &change {
            Change::Put(entry) => (entry.kind, entry.key.clone()),
            Change::Delete { kind, key } => (*kind, key.clone()),
        };
        self.stored.retain(|entry| (entry.kind, &entry.key) != (kind, &key));
        if let Change::Put(entry) = change {
            self.stored.push(entry);
        }
    }

    pub fn post(&mut self, new: bool, body: Bytes) -> Vec<Output> {
        self.number += 1;
        let exchange = ExchangeId(self.number);
        let session = if new { SessionId(self.number) } else { self.session() };
        let (headers, target) = (Default::default(), "/".to_owned());
        let authenticated = self.authenticated;
        self.tell(Input::Post(Post {
            session,
            acs: self.acs,
            exchange,
            client: Arc::default(),
            authenticated,
            target,
            headers,
            body,
            original_body: None,
        }))
    }

    pub fn session(&self) -> SessionId {
        self.device.session.as_ref().expect("a session is open").id
    }

    pub fn acs_answers(&mut self, body: Bytes) -> Vec<Output> {
        self.acs_says(if body.is_empty() { 204 } else { 200 }, body)
    }

    pub fn acs_says(&mut self, status: u16, body: Bytes) -> Vec<Output> {
        let reply = Ok(AcsReply { status, headers: Default::default(), body, decoded_body: None });
        let session = self.session();
        self.tell(Input::Acs { session, reply })
    }

    /// The CPE's Inform with these events in the place of its own.
    pub fn inform(&mut self, codes: &[&'static str]) -> Bytes {
        let mut inform = self.bench.open();
        inform.event.0 = codes
            .iter()
            .map(|code| EventStruct { event_code: (*code).into(), command_key: "".into() })
            .collect();
        write(NAMESPACE, Some("1"), Owned::Request(Request::Inform(inform)))
    }

    /// The CPE informs, and the ACS acknowledges it.
    pub fn opened(&mut self) {
        let inform = self.bench.open();
        let inform = write(NAMESPACE, Some("1"), Owned::Request(Request::Inform(inform)));
        self.post(true, inform);
        let response = Response::InformResponse(InformResponse { max_envelopes: 1 });
        self.acs_answers(write(NAMESPACE, Some("1"), Owned::Response(response)));
    }

    fn session_with_the_acs(&mut self) {
        self.opened();
        self.post(false, Bytes::new());
        let mut out = self.acs_answers(Bytes::new());
        out.extend(self.serve(&out_reply(&out)));
        self.now += 30_000;
        self.tell(Input::Tick);
        self.bench.close();
    }

    /// Carries out RPCs of the gateway until it has no more; returns the last answer.
    fn serve(&mut self, first: &Option<Reply>) -> Vec<Output> {
        let mut reply = first.clone();
        while let Some(request) = reply.as_ref().and_then(request_of) {
            let answer = self.bench.handle(&request.1).map_or_else(Owned::Fault, Owned::Response);
            let out = self.post(false, write(NAMESPACE, Some(&request.0), answer));
            reply = out_reply(&out);
        }
        Vec::new()
    }

    /// A controller asks for a value, and the gateway calls the CPE, which takes the call.
    pub fn asked(&mut self) {
        self.calling();
        self.tell(Input::Woken(Ok(())));
    }

    /// The same while the call is under way.
    fn calling(&mut self) {
        let from = EndpointId::parse("self::ctl").unwrap();
        let get = message::Get { param_paths: vec![SSID.into()], max_depth: 0 };
        let message = Message::request("q", message::Request::Get(get)).encode();
        let record = Record::plain(&from, &self.bench.id().endpoint_id(), message).encode();
        self.tell(Input::Record(record, crate::usp::record::Integrity::Trusted, Shown::Untold));
        self.tell(Input::Tick);
        assert!(self.calls > 0, "the CPE is not called");
    }

    /// The CPE calls and the ACS gives no answer; returns what the CPE gets.
    fn informs(&mut self, codes: &[&'static str]) -> Reply {
        let inform = self.inform(codes);
        out_reply(&self.fails_with(inform)).expect("an answer")
    }

    /// The ACS gives no answer to this Inform.
    fn fails_with(&mut self, inform: Bytes) -> Vec<Output> {
        let out = self.post(true, inform);
        assert!(out.iter().any(|it| matches!(it, Output::ToAcs { .. })), "the ACS is always tried first");
        let session = self.session();
        self.tell(Input::Acs { session, reply: Err(AcsFailure::NoAnswer("refused".into())) })
    }
}

fn configs(proxy: ProxyConfig) -> (Arc<AgentConfig>, Arc<ProxyConfig>) {
    (super::configs().0, Arc::new(proxy))
}

fn answering() -> ProxyConfig {
    ProxyConfig { answer_when_down: true, ..ProxyConfig::default() }
}

pub(super) fn out_reply(out: &[Output]) -> Option<Reply> {
    out.iter().find_map(|it| if let Output::Reply { reply, .. } = it { Some(reply.clone()) } else { None })
}

pub(super) fn request_of(reply: &Reply) -> Option<(String, Request<'static>)> {
    let received = read(&reply.body, None).ok()?;
    match received.message {
        Owned::Request(request) => Some((received.id.unwrap_or_default(), request)),
        _ => None,
    }
}

fn is_inform_response(reply: &Reply) -> bool {
    let received = read(&reply.body, None);
    reply.status == 200
        && received.is_ok_and(|it| matches!(it.message, Owned::Response(Response::InformResponse(_))))
}

#[test]
fn a_session_that_is_ours_alone_goes_on_without_the_acs() {
    let mut it = Outage::begin();
    it.asked();
    let reply = it.informs(&[OURS]);
    assert!(is_inform_response(&reply), "{reply:?}");
    let before = it.sent;
    let out = it.post(false, Bytes::new());
    it.serve(&out_reply(&out));
    assert_eq!(it.sent, before + 1, "the controller got no answer");
}

#[test]
fn no_event_of_the_acs_s_is_ever_acknowledged_for_it() {
    for codes in [
        &["0 BOOTSTRAP", OURS][..],
        &["1 BOOT"],
        &["2 PERIODIC"],
        &[OURS, "2 PERIODIC"],
        &["4 VALUE CHANGE", OURS],
        &["7 TRANSFER COMPLETE", OURS],
        &["8 DIAGNOSTICS COMPLETE"],
        &["M Reboot"],
        &["X 00256D EVENT"],
        &[],
    ] {
        let mut it = Outage::begin();
        it.asked();
        assert_eq!(it.informs(codes).status, 503, "{codes:?}");
        assert!(!it.device.is_in_session());
    }
}

#[test]
fn without_the_policy_or_authentication_or_a_call_of_ours_the_cpe_is_refused() {
    let mut by_default = Outage::with(ProxyConfig::default());
    by_default.asked();
    assert_eq!(by_default.informs(&[OURS]).status, 503);
    let mut stranger = Outage::begin();
    stranger.asked();
    stranger.authenticated = false;
    assert_eq!(stranger.informs(&[OURS]).status, 503);
    let mut uncalled = Outage::begin();
    assert_eq!(uncalled.informs(&[OURS]).status, 503);
    uncalled.asked();
    assert!(is_inform_response(&uncalled.informs(&[OURS])));
}

#[test]
fn a_connection_request_that_may_be_the_acs_s_is_kept_for_it() {
    let mut busy = Outage::begin();
    busy.calling();
    busy.tell(Input::Woken(Err("503".into())));
    assert_eq!(busy.informs(&[OURS]).status, 503, "the CPE did not take our call, but comes");
    // The ACS called it, it found the ACS down, and then we called it: its event stands for both.
    let mut both = Outage::begin();
    assert_eq!(both.informs(&[OURS]).status, 503);
    both.asked();
    let mut inform = both.bench.open();
    inform.event.0 = vec![EventStruct { event_code: OURS.into(), command_key: "".into() }];
    inform.retry_count = 1;
    let out = both.fails_with(write(NAMESPACE, Some("1"), Owned::Request(Request::Inform(inform))));
    assert_eq!(out_reply(&out).unwrap().status, 503);
    let mut late = Outage::begin();
    late.asked();
    late.now += 120_000;
    assert_eq!(late.informs(&[OURS]).status, 503, "what called it two minutes after us?");
}

#[test]
fn whether_a_call_under_way_is_taken_is_waited_for() {
    for taken in [true, false] {
        let mut it = Outage::begin();
        it.calling();
        let inform = it.inform(&[OURS]);
        assert!(out_reply(&it.fails_with(inform)).is_none(), "decided without knowing");
        let result = if taken { Ok(()) } else { Err("503".into()) };
        let reply = out_reply(&it.tell(Input::Woken(result))).unwrap();
        assert_eq!(is_inform_response(&reply), taken);
        assert_eq!(it.device.is_in_session(), taken);
    }
}

#[test]
fn what_the_acs_has_not_seen_yet_waits_for_it() {
    let mut it = Outage::begin();
    it.asked();
    it.bench.change("Device.DeviceInfo.ProvisioningCode", "new");
    assert_eq!(it.informs(&[OURS]).status, 503);
}

#[test]
fn a_request_of_the_cpe_s_own_is_the_acs_s_and_left_unanswered() {
    let mut it = Outage::begin();
    it.asked();
    it.informs(&[OURS]);
    let complete = Request::TransferComplete(TransferComplete::default());
    let out = it.post(false, write(NAMESPACE, Some("2"), Owned::Request(complete)));
    let reply = out_reply(&out).unwrap();
    assert_eq!((reply.status, reply.body.len()), (503, 0));
    assert!(!it.device.is_in_session());
}

#[test]
fn what_one_acs_has_acknowledged_is_not_held_against_another() {
    let names = ["north", "south"].map(Into::into).to_vec();
    let mut it = Outage::with(ProxyConfig { acs_names: names, ..answering() });
    it.asked();
    assert!(is_inform_response(&it.informs(&[OURS])));
    it.post(false, Bytes::new());
    it.now += 60_000;
    it.tell(Input::Tick);
    // The device has moved: the other ACS has never seen it.
    it.acs = AcsId(1);
    it.asked();
    assert_eq!(it.informs(&[OURS]).status, 503);
    let moved = |out: &[Output]| {
        let line =
            |it: &Output| matches!(it, Output::Log(line) if line.contains("from the ACS north to south"));
        out.iter().filter(|it| line(it)).count()
    };
    let named = |out: &[Output]| {
        out.iter().find_map(|it| match it {
            Output::ToAcs { acs, .. } => Some(*acs),
            _ => None,
        })
    };
    for told in [1, 0] {
        let inform = it.inform(&["2 PERIODIC"]);
        assert_eq!(named(&it.post(true, inform)), Some(AcsId(1)));
        let response = Response::InformResponse(InformResponse { max_envelopes: 1 });
        let out = it.acs_answers(write(NAMESPACE, Some("1"), Owned::Response(response)));
        assert_eq!(moved(&out), told, "it is told once");
        // Also if the process has begun anew meanwhile.
        let names = ["north", "south"].map(Into::into).to_vec();
        let (agent, config) = configs(ProxyConfig { acs_names: names, ..answering() });
        it.device = Device::restore(&it.bench.id(), agent, config, &it.stored).unwrap();
    }
    it.asked();
    assert!(is_inform_response(&it.informs(&[OURS])));
}

#[test]
fn what_the_acs_has_acknowledged_outlives_the_process() {
    let mut it = Outage::begin();
    let (agent, config) = configs(answering());
    it.device = Device::restore(&it.bench.id(), agent, config, &it.stored).unwrap();
    it.asked();
    assert!(is_inform_response(&it.informs(&[OURS])));
}
