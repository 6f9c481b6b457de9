//! Two masters on one CPE, played at random: an ACS that keeps book of what it set and saw, a controller that
//! subscribes and writes, and a CPE whose values change. The ACS must see what it would see alone; a seed that
//! fails replays exactly.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::cwmp::rpc::{
    EventStruct, GetParameterAttributes, Inform, ParameterValueStruct, SetParameterAttributes,
    SetParameterAttributesStruct, SetParameterValues,
};
use crate::datamodel::ValueType;

/// What both masters are about: two plain parameters, and one that is in every Inform and active by itself.
const PARAMETERS: [&str; 4] = [
    "Device.WiFi.SSID.1.SSID",
    "Device.UserInterface.CurrentLanguage",
    "Device.Time.LocalTimeZone",
    "Device.DeviceInfo.ProvisioningCode",
];
const CHANGE: &str = "4 VALUE CHANGE";

/// What the ACS knows, by what it did and was told itself.
#[derive(Default)]
struct Acs {
    /// The attributes that it set; others are as devices come.
    attributes: BTreeMap<&'static str, i32>,
    /// Values that it set or was told.
    seen: BTreeMap<String, String>,
    /// Changes that it wants to hear of, by parameter, with the value and when they were made.
    awaits: BTreeMap<&'static str, (String, u64)>,
}

impl Acs {
    fn watches(&self, name: &str) -> bool {
        self.attribute(name) > 0
    }

    fn attribute(&self, name: &str) -> i32 {
        let forced = i32::from(name == PARAMETERS[3]) * 2;
        self.attributes.get(name).copied().unwrap_or(forced)
    }
}

struct Masters {
    device: Device,
    bench: Bench,
    acs: Acs,
    now: u64,
    number: u64,
    random: u64,
    stored: Vec<Entry>,
    /// The row of the controller's subscription, while it has one.
    subscription: Option<String>,
    /// Answers and notifications for the controller, newest last.
    heard: Vec<Message>,
    sessions: u64,
    /// What of interest has happened, so that the test knows that it has.
    cut: usize,
    told: usize,
    restated: usize,
}

fn configs() -> (Arc<AgentConfig>, Arc<ProxyConfig>) {
    let (agent, proxy) = super::configs();
    let controllers = agent.controllers.clone();
    (Arc::new(AgentConfig { controllers, notification_attributes: true, ..AgentConfig::default() }), proxy)
}

impl Masters {
    fn new(seed: u64) -> Self {
        let bench = Bench::new(MODEL);
        let (agent, proxy) = configs();
        let device = Device::restore(&bench.id(), agent, proxy, &[]).unwrap();
        let mut it = Self {
            device,
            bench,
            acs: Acs::default(),
            now: 1_000,
            number: 0,
            random: seed,
            stored: Vec::new(),
            subscription: None,
            heard: Vec::new(),
            sessions: 0,
            cut: 0,
            told: 0,
            restated: 0,
        };
        for _ in 0..3 {
            it.session(Vec::new());
        }
        it
    }

    fn chance(&mut self, of: u64) -> usize {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.random >> 33) % of).unwrap()
    }

    fn some_parameter(&mut self) -> &'static str {
        PARAMETERS[self.chance(PARAMETERS.len() as u64)]
    }

    fn tell(&mut self, input: Input) -> Vec<Output> {
        self.now += 1;
        let env = Env { now: self.now, wall: WallTime(1_700_000_000_000 + self.now), seed: self.random };
        let mut out = Vec::new();
        self.device.handle(&env, input, &mut out);
        let mut kept = Vec::new();
        for output in out {
            match output {
                Output::Persist { token, changes } => {
                    changes.into_iter().for_each(|change| self.store(change));
                    kept.extend(self.tell(Input::Persisted(token)));
                }
                Output::LoadFirmware(id) => kept.extend(self.tell(Input::Firmware { id, model: None })),
                Output::Send { record, .. } => {
                    if let Payload::NoSession(payload) = Record::decode(record).unwrap().payload {
                        self.heard.push(Message::decode(payload).unwrap());
                    }
                }
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

    /// The CPE posts; returns the body that the ACS gets, or the answer that the CPE gets.
    fn post(&mut self, body: Bytes) -> Result<Bytes, Reply> {
        self.number += 1;
        let post = Post {
            session: SessionId(self.sessions),
            acs: AcsId(0),
            exchange: ExchangeId(self.number),
            client: Arc::default(),
            authenticated: false,
            target: "/".to_owned(),
            headers: Default::default(),
            body,
            original_body: None,
        };
        let out = self.tell(Input::Post(post.clone()));
        let seen = self.next(out)?;
        if self.chance(8) > 0 {
            return Ok(seen);
        }
        // The ACS wants to know who says so, and hears the same once more.
        let (headers, body) = (Default::default(), Bytes::new());
        let challenge = Ok(AcsReply { status: 401, headers, body, decoded_body: None });
        let out = self.tell(Input::Acs { session: SessionId(self.sessions), reply: challenge });
        assert_eq!(self.next(out).unwrap_err().status, 401);
        let out = self.tell(Input::Post(post));
        let again = self.next(out)?;
        assert_eq!(again, seen, "the ACS is told otherwise when it asks who says so");
        Ok(again)
    }

    fn acs_says(&mut self, message: Option<Owned>) -> Result<Bytes, Reply> {
        let body = message.map_or_else(Bytes::new, |message| write(NAMESPACE, Some("acs"), message));
        let status = if body.is_empty() { 204 } else { 200 };
        let reply = Ok(AcsReply { status, headers: Default::default(), body, decoded_body: None });
        let out = self.tell(Input::Acs { session: SessionId(self.sessions), reply });
        self.next(out)
    }

    fn next(&mut self, mut out: Vec<Output>) -> Result<Bytes, Reply> {
        for _ in 0..3 {
            for output in out {
                match output {
                    Output::ToAcs { body, .. } => return Ok(body),
                    Output::Reply { reply, .. } => return Err(reply),
                    _ => {}
                }
            }
            // Parked: time ends it.
            self.now += 3_000;
            out = self.tell(Input::Tick);
        }
        panic!("nothing comes of it");
    }

    fn session(&mut self, rpcs: Vec<Request<'static>>) {
        self.sessions += 1;
        let mut inform = self.bench.open();
        let event = EventStruct { event_code: "2 PERIODIC".into(), command_key: "".into() };
        inform.event.0.insert(0, event);
        let said = write(NAMESPACE, Some("1"), Owned::Request(Request::Inform(inform.clone())));
        let seen = self.post(said).expect("an Inform goes to the ACS");
        self.acs_is_informed(&inform, &seen);
        let response = Response::InformResponse(InformResponse { max_envelopes: 1 });
        let reply = self.acs_says(Some(Owned::Response(response))).unwrap_err();
        assert_eq!(reply.status, 200);
        self.post(Bytes::new()).expect("it is the ACS's turn");
        for request in rpcs {
            let reply = self.acs_says(Some(Owned::Request(request.clone()))).unwrap_err();
            let received = read(&reply.body, None).unwrap();
            assert_eq!(received.id.as_deref(), Some("acs"), "the ACS's own RPC comes next");
            let answer = self.bench.handle(&request).map_or_else(Owned::Fault, Owned::Response);
            let said = write(NAMESPACE, Some("acs"), answer);
            let seen = self.post(said.clone()).expect("the answer goes to the ACS");
            self.acs_hears(&request, &said, &seen);
        }
        let mut reply = self.acs_says(None).unwrap_err();
        while let Ok(received) = read(&reply.body, None) {
            let Owned::Request(request) = received.message else { panic!("{reply:?}") };
            let answer = self.bench.handle(&request).map_or_else(Owned::Fault, Owned::Response);
            reply = self.post(write(NAMESPACE, received.id.as_deref(), answer)).unwrap_err();
        }
        assert_eq!(reply.status, 204);
        self.bench.close();
        self.forget_overwritten();
    }

    /// What a CPE alone would have told, and no more, but for the one event that an Inform must have.
    fn acs_is_informed(&mut self, said: &Inform<'_>, seen: &Bytes) {
        let Owned::Request(Request::Inform(inform)) = read(seen, None).unwrap().message else {
            panic!("no Inform")
        };
        let value = |name: &str| inform.parameter_list.iter().find(|it| it.name == name).map(|it| &*it.value);
        for name in PARAMETERS {
            let told = value(name);
            assert!(
                told.is_none() || self.acs.watches(name) || name == PARAMETERS[3],
                "{name} is not for the ACS"
            );
            let Some((wanted, _)) = self.acs.awaits.get(name) else { continue };
            if told == Some(wanted) && inform.event.iter().any(|event| event.event_code == CHANGE) {
                self.acs.awaits.remove(name);
                self.told += 1;
            }
        }
        for (name, (wanted, since)) in &self.acs.awaits {
            assert!(*since + 1 >= self.sessions, "the ACS was never told that {name} is {wanted}");
        }
        assert!(inform.parameter_list.len() >= 5, "what is in every Inform stays");
        self.cut += usize::from(inform.parameter_list.len() < said.parameter_list.len());
        for parameter in inform.parameter_list.iter() {
            self.acs.seen.insert(parameter.name.to_string(), parameter.value.to_string());
        }
    }

    /// The ACS gets this where the CPE has said that.
    fn acs_hears(&mut self, request: &Request<'_>, said: &Bytes, seen: &Bytes) {
        match (request, read(seen, None).unwrap().message) {
            (Request::SetParameterAttributes(set), Owned::Response(_)) => {
                let one = &set.parameter_list[0];
                let name = PARAMETERS.into_iter().find(|name| *name == one.name).unwrap();
                self.acs.attributes.insert(name, one.notification);
                self.acs.awaits.remove(name);
            }
            (Request::SetParameterValues(set), Owned::Response(_)) => {
                let one = &set.parameter_list[0];
                self.acs.seen.insert(one.name.to_string(), one.value.to_string());
                self.acs.awaits.remove(&*one.name);
            }
            (_, Owned::Response(Response::GetParameterAttributesResponse(answer))) => {
                self.restated += usize::from(seen != said);
                assert_eq!(answer.parameter_list.len(), PARAMETERS.len());
                for one in answer.parameter_list.iter() {
                    assert_eq!(one.notification, self.acs.attribute(&one.name), "{}", one.name);
                }
            }
            (request, other) => panic!("{}: {other:?}", request.name()),
        }
    }

    /// A value that is there no more cannot be told any more.
    fn forget_overwritten(&mut self) {
        let bench = &self.bench;
        self.acs.awaits.retain(|name, (value, _)| bench.value(name) == Some(value));
    }

    /// The ACS reads all attributes: they are as it set them.
    fn acs_reads_attributes(&mut self) {
        let parameter_names = Array(PARAMETERS.into_iter().map(Into::into).collect());
        self.session(vec![Request::GetParameterAttributes(GetParameterAttributes { parameter_names })]);
    }

    fn ask(&mut self, request: message::Request) -> String {
        self.number += 1;
        let msg_id = format!("q{}", self.number);
        let from = EndpointId::parse("self::ctl").unwrap();
        let message = Message::request(msg_id.clone(), request).encode();
        let record = Record::plain(&from, &self.bench.id().endpoint_id(), message).encode();
        self.tell(Input::Record(record, Integrity::Trusted, Shown::Untold));
        msg_id
    }

    fn controller_subscribes(&mut self) {
        if let Some(row) = self.subscription.take() {
            self.ask(message::Request::Delete(message::Delete {
                allow_partial: false,
                obj_paths: vec![row],
            }));
            return;
        }
        let name = self.some_parameter();
        let setting = |param: &str, value: &str| message::add::CreateParamSetting {
            param: param.into(),
            value: value.into(),
            required: true,
        };
        let settings = vec![
            setting("Enable", "true"),
            setting("NotifType", "ValueChange"),
            setting("ReferenceList", name),
            setting("Persistent", "true"),
        ];
        let created = message::add::CreateObject {
            obj_path: "Device.LocalAgent.Subscription.".into(),
            param_settings: settings,
        };
        let add = message::Add { allow_partial: false, create_objs: vec![created] };
        self.ask(message::Request::Add(add));
        let answer = self.heard.last().unwrap();
        let MessageBody::Response(message::Response::AddResp(added)) = &answer.body else {
            panic!("{answer:?}")
        };
        let result = added.created_obj_results[0].oper_status.as_ref().unwrap().oper_status.as_ref().unwrap();
        let message::add_resp::created_object_result::operation_status::OperStatus::OperSuccess(done) =
            result
        else {
            panic!("{result:?}")
        };
        self.subscription = Some(done.instantiated_path.clone());
    }

    fn controller_writes(&mut self) {
        let name = self.some_parameter();
        let value = format!("usp {}", self.number);
        let (object, param) = name.rsplit_once('.').unwrap();
        let setting =
            message::set::UpdateParamSetting { param: param.into(), value: value.clone(), required: true };
        let update =
            message::set::UpdateObject { obj_path: format!("{object}."), param_settings: vec![setting] };
        self.ask(message::Request::Set(message::Set { allow_partial: false, update_objs: vec![update] }));
        self.session(Vec::new());
        assert_eq!(self.bench.value(name), Some(value.as_str()));
        if self.acs.watches(name) {
            self.acs.awaits.insert(name, (value, self.sessions));
        }
    }

    fn cpe_changes(&mut self) {
        let name = self.some_parameter();
        let value = format!("cpe {}", self.number);
        self.bench.change(name, &value);
        self.number += 1;
        if self.acs.watches(name) {
            self.acs.awaits.insert(name, (value, self.sessions));
        }
    }

    fn acs_works(&mut self) {
        let name = self.some_parameter();
        let rpc = match self.chance(2) {
            0 => Request::SetParameterAttributes(SetParameterAttributes {
                parameter_list: Array(vec![SetParameterAttributesStruct {
                    name: name.into(),
                    notification_change: true,
                    notification: i32::try_from(self.chance(3)).unwrap(),
                    ..SetParameterAttributesStruct::default()
                }]),
            }),
            _ => {
                let value =
                    ParameterValueStruct::new(name, format!("acs {}", self.number), ValueType::String);
                let parameter_key = format!("key {}", self.number).into();
                Request::SetParameterValues(SetParameterValues {
                    parameter_list: Array(vec![value]),
                    parameter_key,
                })
            }
        };
        self.session(vec![rpc]);
    }

    fn restart(&mut self) {
        let (agent, proxy) = configs();
        self.device = Device::restore(&self.bench.id(), agent, proxy, &self.stored).unwrap();
    }

    fn step(&mut self) {
        match self.chance(12) {
            0 | 1 => self.controller_subscribes(),
            2 | 3 => self.controller_writes(),
            4 | 5 => self.cpe_changes(),
            6 | 7 => self.acs_works(),
            8 => self.acs_reads_attributes(),
            9 => self.restart(),
            _ => self.session(Vec::new()),
        }
    }
}

#[test]
fn tr069_a_3_2_4_the_acs_sees_what_it_would_see_alone_while_a_controller_subscribes_and_writes() {
    let mut all = [0; 3];
    for seed in 0..SEEDS {
        let outcome = std::panic::catch_unwind(|| {
            let mut it = Masters::new(seed);
            for _ in 0..80 {
                it.step();
            }
            // Nobody subscribes any more: the CPE has what the ACS set.
            if it.subscription.is_some() {
                it.controller_subscribes();
            }
            for _ in 0..4 {
                it.session(Vec::new());
            }
            it.acs_reads_attributes();
            for name in PARAMETERS {
                assert_eq!(it.bench.notification(name), it.acs.attribute(name), "{name} is given back");
            }
            [it.cut, it.told, it.restated]
        });
        let outcome = outcome.unwrap_or_else(|_| panic!("seed {seed} broke a promise; see above"));
        all.iter_mut().zip(outcome).for_each(|(all, one)| *all += one);
    }
    let [cut, told, restated] = all;
    assert!(cut > 20 && told > 200 && restated > 20, "hardly anything happened: {all:?}");
}

const SEEDS: u64 = 60;
