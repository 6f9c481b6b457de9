//! A seeded world around one device: its CPE, its ACS, a controller, a store and a network that fails. After
//! each step the promises are checked; a seed that fails replays exactly.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use crate::agent::{AgentConfig, ControllerConfig, ControllerMtp, Env, FULL_ACCESS};
use crate::cwmp::rpc::{Array, GetParameterValues, InformResponse, Request, Response};
use crate::datamodel::{Firmware, FirmwareId, WallTime};
use crate::durable::{Change, Entry, Kind, Token};
use crate::identity::EndpointId;
use crate::sim::cpe::Bench;
use crate::sim::soap::{Owned, is_empty, read, write};
use crate::usp::Shown;
use crate::usp::message::{self, Message, MessageBody};
use crate::usp::record::{Integrity, Payload, Record};

use super::*;

mod bypass;
mod calls;
mod outage;
mod own_credentials;
mod refusal;
mod takeover;
mod transfers;
mod troubles;
mod two_masters;

const MODEL: &str = include_str!("../../fixtures/models/tr181-small.csv");
const NAMESPACE: &str = "urn:dslforum-org:cwmp-1-2";
const SSID: &str = "Device.WiFi.SSID.1.SSID";

/// What the CPE is at.
#[derive(Debug, PartialEq)]
enum Cpe {
    Idle,
    /// It has posted and awaits this answer.
    Waits(ExchangeId),
    /// It has this answer to work on.
    Has(Reply),
}

struct World {
    device: Device,
    bench: Bench,
    cpe: Cpe,
    session: u64,
    exchange: u64,
    /// The POST that is at the ACS.
    at_acs: Option<(SessionId, Bytes)>,
    /// What the ACS has done in this session.
    acs_answered_inform: bool,
    acs_is_done: bool,
    acs_rpcs: VecDeque<&'static str>,
    commits: VecDeque<(Token, Vec<Change>)>,
    stored: BTreeMap<(Kind, String), Bytes>,
    firmwares: HashMap<FirmwareId, Firmware>,
    /// Requests of the controller without an answer yet.
    asked: BTreeSet<String>,
    answered: BTreeSet<String>,
    /// Requests that died with the gateway's memory.
    forgotten: BTreeSet<String>,
    /// The value each Set asked for, and all that the CPE ever had.
    sets: BTreeMap<String, String>,
    had: BTreeSet<String>,
    now: u64,
    random: u64,
    quiet: bool,
}

fn configs() -> (Arc<AgentConfig>, Arc<ProxyConfig>) {
    let endpoint_id = EndpointId::parse("self::ctl").unwrap();
    let mtp = ControllerMtp::Mqtt { client: 0, topic: "t".into() };
    let controllers = vec![ControllerConfig {
        instance: 1,
        pinned: true,
        endpoint_id,
        roles: vec![FULL_ACCESS.into()],
        onboard: false,
        certificates: Vec::new(),
        mtp,
    }];
    let agent = AgentConfig { controllers, request_timeout_ms: 600_000, ..AgentConfig::default() };
    (Arc::new(agent), Arc::new(ProxyConfig::default()))
}

impl World {
    fn new(seed: u64) -> Self {
        let bench = Bench::new(MODEL);
        let (agent, proxy) = configs();
        let device = Device::restore(&bench.id(), agent, proxy, &[]).unwrap();
        Self {
            device,
            bench,
            cpe: Cpe::Idle,
            session: 0,
            exchange: 0,
            at_acs: None,
            acs_answered_inform: false,
            acs_is_done: false,
            acs_rpcs: VecDeque::new(),
            commits: VecDeque::new(),
            stored: BTreeMap::new(),
            firmwares: HashMap::new(),
            asked: BTreeSet::new(),
            answered: BTreeSet::new(),
            forgotten: BTreeSet::new(),
            sets: BTreeMap::new(),
            had: BTreeSet::new(),
            now: 1_000,
            random: seed,
            quiet: false,
        }
    }

    fn chance(&mut self, of: u64) -> u64 {
        // A linear congruential generator is random enough to choose steps.
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % of
    }

    fn env(&self) -> Env {
        Env { now: self.now, wall: WallTime(1_700_000_000_000 + self.now), seed: self.random }
    }

    fn tell(&mut self, input: Input) {
        let mut out = Vec::new();
        self.device.handle(&self.env(), input, &mut out);
        for output in out {
            self.carry_out(output);
        }
        self.had.extend(self.bench.value(SSID).map(str::to_owned));
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Reply { exchange, reply } => {
                if self.cpe == Cpe::Waits(exchange) {
                    self.cpe = Cpe::Has(reply);
                } else {
                    // Only a POST that the CPE has given up may be answered late.
                    assert!(exchange.0 < self.exchange || self.cpe == Cpe::Idle, "answered twice");
                }
            }
            Output::ToAcs { session, body, .. } => {
                assert!(
                    self.at_acs.is_none() || session.0 == self.session,
                    "two POSTs of one session at the ACS"
                );
                self.at_acs = Some((session, body));
            }
            Output::Send { record, .. } => self.controller_hears(record),
            Output::Persist { token, changes } => self.commits.push_back((token, changes)),
            Output::LoadFirmware(id) => {
                let model = self.firmwares.get(&id).cloned().map(Arc::new);
                self.tell(Input::Firmware { id, model });
            }
            Output::Learnt { id, firmware } => {
                self.firmwares.entry(id).or_default().merge(&firmware);
            }
            Output::EndSession(_)
            | Output::InformAgain(_)
            | Output::Wake { .. }
            | Output::AcsCallAnswer { .. }
            | Output::Onboarded
            | Output::Meet(_)
            | Output::Reconnect(_)
            | Output::AgentRestarted
            | Output::Upload(_)
            | Output::Stage { .. }
            | Output::Secure { .. } => {}
            Output::SessionEnded { .. }
            | Output::Departure { .. }
            | Output::Conflict { .. }
            | Output::Log(_) => {}
        }
    }

    fn controller_hears(&mut self, record: Bytes) {
        let Payload::NoSession(payload) = Record::decode(record).unwrap().payload else { return };
        let message = Message::decode(payload).unwrap();
        if matches!(message.body, MessageBody::Request(_)) {
            return;
        }
        assert!(self.answered.insert(message.msg_id.clone()), "{} was answered twice", message.msg_id);
        assert!(self.asked.remove(&message.msg_id), "{} was never asked, or died", message.msg_id);
        if let (Some(value), MessageBody::Response(_)) = (self.sets.get(&message.msg_id), &message.body) {
            assert!(self.had.contains(value), "success was told of {value}, which the CPE never had");
        }
    }

    /// The CPE says or hears the next thing.
    fn cpe_steps(&mut self) {
        match std::mem::replace(&mut self.cpe, Cpe::Idle) {
            Cpe::Idle => {
                self.session += 1;
                (self.acs_answered_inform, self.acs_is_done) = (false, false);
                let inform = self.bench.open();
                self.post(write(NAMESPACE, Some("1"), Owned::Request(Request::Inform(inform))));
            }
            Cpe::Waits(exchange) => self.cpe = Cpe::Waits(exchange),
            Cpe::Has(reply) => self.cpe_hears(&reply),
        }
    }

    fn cpe_hears(&mut self, reply: &Reply) {
        if reply.status != 200 || is_empty(&reply.body) {
            // 204, or an error: the session is over either way.
            assert!(reply.status != 204 || self.acs_is_done, "204 that the ACS did not give");
            return self.bench.close();
        }
        let received = read(&reply.body, None).unwrap();
        match received.message {
            Owned::Response(Response::InformResponse(_)) => {
                assert!(self.acs_answered_inform, "an InformResponse that the ACS did not give");
                self.post(Bytes::new());
            }
            Owned::Request(request) => {
                let ours = received.id.as_deref().is_some_and(|id| id.starts_with("dragoman-"));
                assert!(!ours || self.acs_is_done, "{} of ours while it is the ACS's turn", request.name());
                let answer = match self.bench.handle(&request) {
                    Ok(response) => Owned::Response(response),
                    Err(fault) => Owned::Fault(fault),
                };
                self.had.extend(self.bench.value(SSID).map(str::to_owned));
                self.post(write(NAMESPACE, received.id.as_deref(), answer));
            }
            other => panic!("a CPE is told {other:?}"),
        }
    }

    fn post(&mut self, body: Bytes) {
        self.exchange += 1;
        let exchange = ExchangeId(self.exchange);
        self.cpe = Cpe::Waits(exchange);
        let session = SessionId(self.session);
        let target = "/".to_owned();
        let (client, headers) = (Arc::default(), Default::default());
        let authenticated = false;
        let original_body = None;
        let post = Post {
            session,
            acs: AcsId(0),
            exchange,
            client,
            authenticated,
            target,
            headers,
            body,
            original_body,
        };
        self.tell(Input::Post(post));
    }

    fn acs_steps(&mut self) {
        let Some((session, body)) = self.at_acs.take() else { return };
        if !self.quiet && self.chance(20) == 0 {
            let reply = Err(AcsFailure::NoAnswer("gone".into()));
            return self.tell(Input::Acs { session, reply });
        }
        let current = session.0 == self.session;
        let informs =
            read(&body, None).is_ok_and(|it| matches!(it.message, Owned::Request(Request::Inform(_))));
        let body = if informs {
            self.acs_answered_inform |= current;
            let response = Response::InformResponse(InformResponse { max_envelopes: 1 });
            write(NAMESPACE, Some("1"), Owned::Response(response))
        } else if let Some(name) = self.acs_rpcs.pop_front() {
            let parameter_names = Array(vec![name.into()]);
            let request = Request::GetParameterValues(GetParameterValues { parameter_names });
            write(NAMESPACE, Some("acs"), Owned::Request(request))
        } else {
            self.acs_is_done |= current;
            Bytes::new()
        };
        let status = if body.is_empty() { 204 } else { 200 };
        let reply = AcsReply { status, headers: Default::default(), body, decoded_body: None };
        self.tell(Input::Acs { session, reply: Ok(reply) });
    }

    fn controller_asks(&mut self) {
        let msg_id = format!("q{}", self.answered.len() + self.asked.len() + self.forgotten.len());
        let request = if self.chance(3) == 0 {
            let value = format!("value {msg_id}");
            self.sets.insert(msg_id.clone(), value.clone());
            let setting = message::set::UpdateParamSetting { param: "SSID".into(), value, required: true };
            let obj_path = "Device.WiFi.SSID.1.".to_owned();
            let update = message::set::UpdateObject { obj_path, param_settings: vec![setting] };
            message::Request::Set(message::Set { allow_partial: false, update_objs: vec![update] })
        } else {
            message::Request::Get(message::Get { param_paths: vec![SSID.into()], max_depth: 0 })
        };
        self.asked.insert(msg_id.clone());
        let from = EndpointId::parse("self::ctl").unwrap();
        let to = self.bench.id().endpoint_id();
        let record = Record::plain(&from, &to, Message::request(msg_id, request).encode()).encode();
        self.tell(Input::Record(record, Integrity::Trusted, Shown::Untold));
    }

    fn store_steps(&mut self) {
        let Some((token, changes)) = self.commits.pop_front() else { return };
        if !self.quiet && self.chance(30) == 0 {
            return self.tell(Input::StoreFailed(token));
        }
        for change in changes {
            match change {
                Change::Put(entry) => {
                    self.stored.insert((entry.kind, entry.key.to_string()), entry.value);
                }
                Change::Delete { kind, key } => {
                    self.stored.remove(&(kind, key.to_string()));
                }
            }
        }
        self.tell(Input::Persisted(token));
    }

    /// The connection breaks: while the CPE waits, or with an answer on it that the CPE never sees.
    fn cpe_drops(&mut self) {
        if self.cpe != Cpe::Idle {
            self.cpe = Cpe::Idle;
            self.bench.close();
            self.tell(Input::CpeGone { session: SessionId(self.session), roams: false });
        }
    }

    /// The gateway dies: what it held in memory is gone, what was stored comes back.
    fn crash(&mut self) {
        let entries = self.stored.iter().map(|((kind, key), value)| Entry {
            kind: *kind,
            key: key.as_str().into(),
            value: value.clone(),
        });
        let entries: Vec<Entry> = entries.collect();
        let (agent, proxy) = configs();
        self.device = Device::restore(&self.bench.id(), agent, proxy, &entries).unwrap();
        self.forgotten.append(&mut self.asked);
        self.commits.clear();
        self.at_acs = None;
        if self.cpe != Cpe::Idle {
            self.cpe = Cpe::Idle;
            self.bench.close();
        }
    }

    fn step(&mut self) {
        match self.chance(40) {
            0..=13 => self.cpe_steps(),
            14..=23 => self.acs_steps(),
            24..=27 => self.store_steps(),
            28..=32 => {
                self.now += self.chance(4_000);
                self.tell(Input::Tick);
            }
            33..=35 if self.asked.len() < 5 => self.controller_asks(),
            36 => self.acs_rpcs.push_back("Device.DeviceInfo.UpTime"),
            37 if self.chance(3) == 0 => self.cpe_drops(),
            38 if self.chance(8) == 0 => self.crash(),
            _ => {}
        }
    }

    /// Nothing fails any more: everything that was asked must come to its answer.
    fn come_to_rest(&mut self) {
        self.quiet = true;
        for _ in 0..400 {
            self.store_steps();
            self.acs_steps();
            self.cpe_steps();
            if matches!(self.cpe, Cpe::Waits(_)) && self.at_acs.is_none() && self.commits.is_empty() {
                // Parked: time ends it.
                self.now += 3_000;
                self.tell(Input::Tick);
            }
            if self.asked.is_empty() {
                return;
            }
        }
        panic!("no answer came to {:?}", self.asked);
    }
}

#[test]
fn whatever_fails_the_acs_goes_first_and_every_request_has_one_answer_that_is_true() {
    let mut answered = 0;
    for seed in 0..SEEDS {
        let outcome = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            for _ in 0..400 {
                world.step();
            }
            world.come_to_rest();
            world.answered.len()
        });
        answered += outcome.unwrap_or_else(|_| panic!("seed {seed} broke a promise; see above"));
    }
    assert!(answered > 10 * SEEDS as usize, "{answered} answers: hardly anything was asked");
}

/// Worlds that are played; a few seconds' worth.
const SEEDS: u64 = 150;
