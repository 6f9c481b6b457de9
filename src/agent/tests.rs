//! Stories: an agent and a simulated CPE on a clock that the test holds. No sockets, no waiting.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;

use crate::cwmp::rpc::Request as CwmpRequest;
use crate::datamodel::{Firmware, FirmwareId, WallTime};
use crate::durable::{Change, Deadline, Entry, Kind};
use crate::identity::EndpointId;
use crate::sim::cpe::Bench;
use crate::usp::message::notify::Notification;
use crate::usp::message::{self, Message, MessageBody, Request, Response};
use crate::usp::record::session::Secure;
use crate::usp::record::{Integrity, Payload, Record};
use crate::usp::{ErrorCode, Shown};

use super::{
    Agent, AgentConfig, ControllerConfig, ControllerMtp, Env, FULL_ACCESS, Input, LinkKey, LinkState,
    MqttClient, Output, Phase, Question, READ_ONLY, Shadow, StageId, StageRequest, StompConnection, Traffic,
    Transferred, Upload, Ways,
};

mod attributes;
mod boot;
mod bootstraps;
mod bulk_data;
mod certificates;
mod clockwork;
mod commands;
mod comparing;
mod diagnostics;
mod mapped;
mod meeting;
mod onboarding;
mod ownership;
mod quick;
mod sessions;
mod settling;
mod silence;
mod sisters;
mod stories;
mod thresholds;
mod triggers;
mod upgrades;

const MODEL: &str = include_str!("../../fixtures/models/tr181-small.csv");

/// An agent, its device, the store it believes in and the controllers it speaks to.
struct Story {
    agent: Agent,
    shadow: Shadow,
    cpe: Bench,
    config: Arc<AgentConfig>,
    now: u64,
    stored: BTreeMap<(Kind, String), Bytes>,
    firmwares: HashMap<FirmwareId, Firmware>,
    /// What was said to controllers and not looked at yet.
    said: Vec<(EndpointId, Message)>,
    /// Records that are no message by themselves.
    records: Vec<Record>,
    /// The store keeps nothing, and says so.
    broken_store: bool,
    wanted: bool,
    /// The paths of GetParameterNames since this was last looked at; `+` for a single level.
    asked: Vec<String>,
    /// How controllers were to be met, newest last.
    met: Vec<Option<Ways>>,
    reconnected: Vec<LinkKey>,
    /// Restart the gateway before everything that happens.
    restless: bool,
    next: u32,
    /// How often the agent's own connections were to be opened anew.
    restarts: u32,
    /// Reports on their way to collectors.
    uploads: Vec<Upload>,
    /// What the stage was asked for and has not answered.
    staging: Vec<(StageId, StageRequest)>,
    /// The images that the device needs.
    held: BTreeSet<String>,
    /// Lines for the operator.
    log: Vec<String>,
    /// What comparing has shown, session by session.
    tallies: Vec<crate::policy::Tally>,
    /// What whoever sends a record has shown.
    shown: Shown,
    /// What a shell with TLS was asked for and has not answered.
    secures: Vec<(EndpointId, u64, Secure)>,
}

fn controller() -> EndpointId {
    EndpointId::parse("self::ctl").unwrap()
}

fn reader() -> EndpointId {
    EndpointId::parse("self::reader").unwrap()
}

impl Story {
    /// A device that has been onboarded and discovered.
    fn begin() -> Self {
        let mut story = Self::fresh();
        story.session();
        story.session();
        story.said.clear();
        story
    }

    fn restless() -> Self {
        let mut story = Self::begin();
        story.restless = true;
        story
    }

    fn fresh() -> Self {
        Self::with(AgentConfig::default())
    }

    fn with(settings: AgentConfig) -> Self {
        Self::of(settings, Bench::new(MODEL))
    }

    fn of(settings: AgentConfig, cpe: Bench) -> Self {
        let known = |instance, endpoint_id, role: &str| {
            let mtp = ControllerMtp::Mqtt { client: 0, topic: "usp/controller".into() };
            ControllerConfig {
                instance,
                pinned: true,
                endpoint_id,
                roles: vec![role.into()],
                onboard: true,
                certificates: Vec::new(),
                mtp,
            }
        };
        let known = vec![known(1, controller(), FULL_ACCESS), known(2, reader(), READ_ONLY)];
        Self::known_to(known, settings, cpe)
    }

    fn known_to(controllers: Vec<ControllerConfig>, settings: AgentConfig, cpe: Bench) -> Self {
        let config = Arc::new(AgentConfig { controllers, ..settings });
        let (agent, shadow) = Agent::restore(&cpe.id(), Arc::clone(&config), &[]).unwrap();
        Self {
            agent,
            shadow,
            cpe,
            config,
            now: 1_000,
            stored: BTreeMap::new(),
            firmwares: HashMap::new(),
            said: Vec::new(),
            records: Vec::new(),
            broken_store: false,
            wanted: false,
            asked: Vec::new(),
            met: Vec::new(),
            reconnected: Vec::new(),
            restless: false,
            next: 0,
            restarts: 0,
            uploads: Vec::new(),
            staging: Vec::new(),
            held: BTreeSet::new(),
            log: Vec::new(),
            tallies: Vec::new(),
            shown: Shown::Untold,
            secures: Vec::new(),
        }
    }

    fn env(&self) -> Env {
        Env { now: self.now, wall: WallTime(1_700_000_000_000 + self.now), seed: self.now * 31 }
    }

    fn entries(&self) -> Vec<Entry> {
        let entries = self.stored.iter().map(|((kind, key), value)| Entry {
            kind: *kind,
            key: key.as_str().into(),
            value: value.clone(),
        });
        entries.collect()
    }

    /// The gateway dies and comes back: what is left is what was stored.
    fn restart(&mut self) {
        let entries = self.entries();
        let restored = Agent::restore(&self.cpe.id(), Arc::clone(&self.config), &entries).unwrap();
        (self.agent, self.shadow) = restored;
    }

    fn handle(&mut self, input: Input<'_>) {
        let mut out = Vec::new();
        self.agent.handle(&self.env(), &mut self.shadow, input, &mut out);
        self.carry_out(out);
    }

    fn record(&mut self, bytes: Bytes) {
        let shown = self.shown.clone();
        self.handle(Input::Record { bytes, integrity: Integrity::Trusted, shown });
    }

    fn carry_out(&mut self, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Persist { token, .. } if self.broken_store => self.handle(Input::StoreFailed(token)),
                Output::Persist { token, changes } => {
                    changes.into_iter().for_each(|change| self.store(change));
                    self.handle(Input::Persisted(token));
                }
                Output::Send { controller, record } => {
                    let record = Record::decode(record).unwrap();
                    assert_eq!(record.to_id, controller.as_str());
                    match record.payload {
                        Payload::NoSession(payload) => {
                            self.said.push((controller, Message::decode(payload).unwrap()));
                        }
                        _ => self.records.push(record),
                    }
                }
                Output::LoadFirmware(id) => {
                    let model = self.firmwares.get(&id).cloned().map(Arc::new);
                    self.handle(Input::Firmware { id, model });
                }
                Output::Learnt { id, firmware } => {
                    self.firmwares.entry(id).or_default().merge(&firmware);
                }
                Output::WantSession => self.wanted = true,
                Output::Restarted => self.restarts += 1,
                Output::Upload(upload) => self.uploads.push(upload),
                Output::Stage { id, request } => self.stage(id, request),
                Output::Conflict { line, .. } => self.log.extend(line),
                Output::Log(line) => self.log.push(line),
                Output::Onboarded => {}
                Output::Compared { tally, .. } => self.tallies.push(*tally),
                Output::Secure { controller, session_id, request } => {
                    self.secures.push((controller, session_id, request));
                }
                Output::Meet(ways) => self.met.push(ways),
                Output::Reconnect(key) => self.reconnected.push(key),
            }
        }
    }

    fn stage(&mut self, id: StageId, request: StageRequest) {
        match request {
            StageRequest::Hold(images) => self.held = images,
            request => self.staging.push((id, request)),
        }
    }

    fn store(&mut self, change: Change) {
        match change {
            Change::Put(entry) => {
                self.stored.insert((entry.kind, entry.key.to_string()), entry.value);
            }
            Change::Delete { kind, key } => {
                self.stored.remove(&(kind, key.to_string()));
            }
        }
    }

    /// One CWMP session: the Inform, then the agent's RPCs. Returns their names.
    fn session(&mut self) -> Vec<String> {
        self.wanted = false;
        let first_contact = self.stored.is_empty();
        let inform = self.cpe.open();
        self.handle(Input::Informed { inform: &inform, first_contact });
        while let Some(request) = self.cpe.next_request() {
            let CwmpRequest::TransferComplete(transfer) = request else { continue };
            let (fault_code, fault_string) =
                (transfer.fault_struct.fault_code, transfer.fault_struct.fault_string.to_string());
            let command_key = transfer.command_key.to_string();
            self.handle(Input::Transferred(Transferred { command_key, fault_code, fault_string }));
        }
        self.rpcs()
    }

    /// The agent's RPCs in an open session, and its end. Returns their names.
    fn rpcs(&mut self) -> Vec<String> {
        let mut rpcs = Vec::new();
        loop {
            let mut out = Vec::new();
            let rpc = self.agent.next_rpc(&self.env(), &mut self.shadow, &mut out);
            self.carry_out(out);
            let Some(rpc) = rpc else { break };
            rpcs.push(rpc.request.name().to_owned());
            if let CwmpRequest::GetParameterNames(names) = &rpc.request {
                let level = if names.next_level { "+" } else { "" };
                self.asked.push(format!("{}{level}", names.parameter_path));
            }
            match self.cpe.handle(&rpc.request) {
                Ok(response) => self.handle(Input::Answer { rpc: rpc.id, response: &response }),
                Err(fault) => self.handle(Input::Faulted { rpc: rpc.id, fault: &fault }),
            }
            if rpc.ends_session {
                let mut out = Vec::new();
                self.agent.conclude(&self.env(), &mut self.shadow, &mut out);
                self.carry_out(out);
                break;
            }
        }
        self.handle(Input::SessionEnded);
        self.cpe.close();
        rpcs
    }

    /// Lets the device speak until it has nothing more to say.
    fn settle(&mut self) {
        while self.wanted || self.cpe.wants_session() {
            self.session();
        }
    }

    fn pass(&mut self, milliseconds: u64) {
        self.now += milliseconds;
        self.handle(Input::Tick);
    }

    /// Sends a request without giving the device a session.
    fn send(&mut self, from: &EndpointId, request: Request) -> String {
        if self.restless {
            self.restart();
        }
        self.next += 1;
        let msg_id = format!("q{}", self.next);
        let message = Message::request(msg_id.clone(), request).encode();
        let to = self.cpe.id().endpoint_id();
        self.record(Record::plain(from, &to, message).encode());
        msg_id
    }

    /// Sends a request, gives the device its session if it is needed, and takes the answer.
    fn ask(&mut self, request: Request) -> Result<Response, message::Error> {
        self.ask_as(&controller(), request)
    }

    fn ask_as(&mut self, from: &EndpointId, request: Request) -> Result<Response, message::Error> {
        let msg_id = self.send(from, request);
        if self.wanted {
            self.session();
        }
        let at = self.said.iter().position(|(to, message)| to == from && message.msg_id == msg_id);
        match self.said.remove(at.expect("no answer")).1.body {
            MessageBody::Response(response) => Ok(response),
            MessageBody::Error(error) => Err(error),
            MessageBody::Request(request) => panic!("a request for an answer: {request:?}"),
        }
    }

    /// The notifications since this was last asked, with their message ids.
    fn notifications(&mut self) -> Vec<(String, message::Notify)> {
        let (notifies, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.said)
            .into_iter()
            .partition(|(_, it)| matches!(it.body, MessageBody::Request(Request::Notify(_))));
        self.said = rest;
        let read = notifies.into_iter().filter_map(|(_, message)| match message.body {
            MessageBody::Request(Request::Notify(notify)) => Some((message.msg_id, notify)),
            _ => None,
        });
        read.collect()
    }

    /// The events since this was last asked, by name, with their arguments.
    fn events(&mut self) -> Vec<(String, BTreeMap<String, String>)> {
        let told = self.notifications().into_iter().filter_map(|(_, it)| match it.notification {
            Some(Notification::Event(event)) => Some((event.event_name, event.params)),
            _ => None,
        });
        told.collect()
    }

    /// When the agent, at rest, would have to be woken.
    fn alarm(&self) -> Option<WallTime> {
        self.stored.get(&(Kind::Deadline, String::new())).and_then(|value| Deadline::decode(value))
    }

    fn acknowledge(&mut self, msg_id: &str) {
        let resp = message::NotifyResp { subscription_id: String::new() };
        let message = Message::response(msg_id, Response::NotifyResp(resp)).encode();
        let to = self.cpe.id().endpoint_id();
        self.record(Record::plain(&controller(), &to, message).encode());
    }

    fn subscribe(&mut self, notif_type: &str, reference: &str, more: &[(&str, &str)]) -> String {
        let mut settings = vec![
            ("Enable", "true"),
            ("ID", notif_type),
            ("NotifType", notif_type),
            ("ReferenceList", reference),
        ];
        settings.extend(more);
        let response = self.ask(add("Device.LocalAgent.Subscription.", &settings)).unwrap();
        created(&response)
    }

    fn get(&mut self, path: &str) -> Result<BTreeMap<String, String>, ErrorCode> {
        let request = message::Get { param_paths: vec![path.into()], max_depth: 0 };
        let Ok(Response::GetResp(resp)) = self.ask(Request::Get(request)) else { panic!("no GetResp") };
        let result = resp.req_path_results.into_iter().next().unwrap();
        if result.err_code != 0 {
            return Err(ErrorCode(result.err_code));
        }
        let objects = result.resolved_path_results.into_iter();
        Ok(objects
            .flat_map(|object| {
                let path = object.resolved_path;
                object.result_params.into_iter().map(move |(name, value)| (format!("{path}{name}"), value))
            })
            .collect())
    }
}

fn add(table: &str, settings: &[(&str, &str)]) -> Request {
    let settings = settings.iter().map(|(param, value)| message::add::CreateParamSetting {
        param: (*param).into(),
        value: (*value).into(),
        required: true,
    });
    let object = message::add::CreateObject { obj_path: table.into(), param_settings: settings.collect() };
    Request::Add(message::Add { allow_partial: false, create_objs: vec![object] })
}

fn set(object: &str, settings: &[(&str, &str)]) -> Request {
    let settings = settings.iter().map(|(param, value)| message::set::UpdateParamSetting {
        param: (*param).into(),
        value: (*value).into(),
        required: true,
    });
    let object = message::set::UpdateObject { obj_path: object.into(), param_settings: settings.collect() };
    Request::Set(message::Set { allow_partial: false, update_objs: vec![object] })
}

fn operate(command: &str, args: &[(&str, &str)]) -> Request {
    Request::Operate(message::Operate {
        command: command.into(),
        command_key: "key".into(),
        send_resp: true,
        input_args: args.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
    })
}

/// The path of the one object that was created.
fn created(response: &Response) -> String {
    use message::add_resp::created_object_result::operation_status::OperStatus;
    let Response::AddResp(resp) = response else { panic!("{response:?}") };
    let status = resp.created_obj_results[0].oper_status.as_ref().and_then(|it| it.oper_status.as_ref());
    match status {
        Some(OperStatus::OperSuccess(success)) => success.instantiated_path.clone(),
        other => panic!("{other:?}"),
    }
}
