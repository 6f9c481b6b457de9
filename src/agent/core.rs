//! The agent's one door, its queue and what it keeps.

use std::sync::Arc;

use bytes::Bytes;

use crate::cwmp::rpc::{Inform, Request, Response};
use crate::datamodel::{Instantiated, Source, Value, ValueType, WallTime, path};
use crate::durable::{Change, Entry, Kind, Token};
use crate::identity::{DeviceId, EndpointId};
use crate::translation::{Discovery, Outcome, Step, View};
use crate::usp::message::{self, Message};
use crate::usp::record::Record;
use crate::usp::{ErrorCode, SUPPORTED_VERSIONS};

use super::config::{AgentConfig, ControllerConfig};
use super::io::{Env, Input, Output, Rpc, RpcId, Shadow};
use super::queue::{Job, Queue};
use super::stored::{RestoreError, Stored};

/// The virtual agent of one CPE.
pub struct Agent {
    pub(super) endpoint: EndpointId,
    pub(super) config: Arc<AgentConfig>,
    pub(super) stored: Stored,
    pub(super) local: Instantiated,
    pub(super) queue: Queue,
    pub(super) last_seen: Option<WallTime>,
    /// The ParameterKey that the ACS set last, as the newest Inform told it.
    pub(super) parameter_key: String,
    /// Discovery stays out of sessions with `0 BOOTSTRAP` and `1 BOOT`.
    booting: bool,
    next: u64,
}

impl Agent {
    /// Rebuilds an agent, and the shadow of its device, from what is stored of them.
    pub fn restore(
        device: &DeviceId,
        config: Arc<AgentConfig>,
        entries: &[Entry],
    ) -> Result<(Self, Shadow), RestoreError> {
        let stored = Stored::find(entries)?.unwrap_or_else(|| Stored::new(device.clone()));
        let mut shadow = Shadow::default();
        for entry in entries.iter().filter(|entry| entry.kind == Kind::Shadow) {
            shadow.cpe.decode_into(&entry.value)?;
        }
        let endpoint = stored.device.endpoint_id();
        let local = local_tables(&endpoint, &config);
        let agent = Self {
            endpoint,
            config,
            stored,
            local,
            queue: Queue::default(),
            last_seen: None,
            parameter_key: String::new(),
            booting: false,
            next: 0,
        };
        Ok((agent, shadow))
    }

    /// Takes in what happened and appends what the world must do.
    pub fn handle(&mut self, env: &Env, shadow: &mut Shadow, input: Input<'_>, out: &mut Vec<Output>) {
        match input {
            Input::Record { bytes } => self.record(env, shadow, bytes, out),
            Input::ControllerConnected { controller } => self.connected(&controller, out),
            Input::Informed { inform, first_contact } => {
                self.informed(env, shadow, inform, first_contact, out)
            }
            Input::Observed { request, response } => self.observed(env, shadow, request, response, out),
            Input::Answer { rpc, response } => {
                let local = &self.local;
                if let Some(job) = self.queue.of(rpc) {
                    job.rpc = None;
                    let mut view = View { cpe: &mut shadow.cpe, local, wall: env.wall };
                    job.plan.answered(&mut view, response);
                }
            }
            Input::Faulted { rpc, fault } => {
                let local = &self.local;
                if let Some(job) = self.queue.of(rpc) {
                    job.rpc = None;
                    let mut view = View { cpe: &mut shadow.cpe, local, wall: env.wall };
                    job.plan.faulted(&mut view, fault);
                }
            }
            Input::Lost { rpc } => self.lost(rpc, out),
            Input::SessionEnded => self.keep_shadow(shadow, out),
            Input::Tick => self.tick(env, out),
            Input::Persisted(_) | Input::StoreFailed(_) => {}
        }
    }

    /// The next RPC when it is USP's turn; finished requests are answered on the way.
    pub fn next_rpc(&mut self, env: &Env, shadow: &mut Shadow, out: &mut Vec<Output>) -> Option<Rpc> {
        self.plan_discovery(env);
        while let Some(job) = self.queue.front() {
            if job.is_discovery && self.booting {
                return None;
            }
            let mut view = View { cpe: &mut shadow.cpe, local: &self.local, wall: env.wall };
            match job.plan.next(&mut view) {
                Step::Call(request) => {
                    self.next += 1;
                    let id = RpcId(self.next);
                    job.rpc = Some(id);
                    return Some(Rpc { id, request, ends_session: job.plan.ends_session() });
                }
                Step::Done(outcome) => {
                    if let Some(job) = self.queue.pop() {
                        self.finish(job, outcome, out);
                    }
                }
            }
        }
        None
    }

    pub fn has_work(&self) -> bool {
        !self.queue.is_empty() || self.wants_discovery()
    }

    pub fn next_deadline(&self) -> Option<u64> {
        self.queue.next_deadline()
    }

    /// Whether nothing would be lost if this were rebuilt from the store.
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    /// Discovery through; what it left is kept for a later session.
    fn plan_discovery(&mut self, env: &Env) {
        if !self.wants_discovery() || self.queue.has_discovery() {
            return;
        }
        let waiting = self.stored.discovery_left.clone().unwrap_or_else(|| vec![self.stored.root.clone()]);
        let plan = Discovery::resume(waiting, self.config.discovery_names_per_session);
        // The rest is known only to the plan: until it is through, a restart begins again.
        let deadline = env.now + self.config.request_timeout_ms;
        self.queue.push(Job { asker: None, plan: Box::new(plan), deadline, rpc: None, is_discovery: true });
    }

    fn wants_discovery(&self) -> bool {
        let left = self.stored.discovery_left.as_ref().is_none_or(|left| !left.is_empty());
        self.config.discovery && self.has_agent() && left
    }

    /// Whether the device is one whose data model USP can show: Device:2.
    pub(super) fn has_agent(&self) -> bool {
        self.stored.root == USP_ROOT
    }

    fn finish(&mut self, job: Job, outcome: Outcome, out: &mut Vec<Output>) {
        if job.is_discovery {
            self.stored.discovery_left = Some(job.plan.left());
            self.persist(vec![self.stored.change()], out);
        }
        let Some(asker) = job.asker else { return };
        let message = match outcome {
            Outcome::Response(response) => Message::response(asker.msg_id, response),
            Outcome::Error(error) => {
                Message { msg_id: asker.msg_id, body: message::MessageBody::Error(error) }
            }
            Outcome::Silent => return,
        };
        if asker.wants_answer {
            self.send(&asker.controller, message, out);
        }
    }

    fn lost(&mut self, rpc: RpcId, out: &mut Vec<Output>) {
        let Some(job) = self.queue.of(rpc) else { return };
        job.rpc = None;
        if job.plan.is_repeatable() {
            // It only read: the next session asks again from where it stood.
            return job.plan.repeat();
        }
        if let Some(job) = self.queue.pop() {
            let why = "the session broke before the device answered: outcome unknown";
            self.finish(job, Outcome::error(ErrorCode::INTERNAL_ERROR, why), out);
        }
    }

    fn tick(&mut self, env: &Env, out: &mut Vec<Output>) {
        for job in self.queue.take_overdue(env.now) {
            let seen = match self.last_seen {
                Some(at) => format!("last heard of {} s ago", env.wall.0.saturating_sub(at.0) / 1_000),
                None => "not heard of since the gateway woke its agent".to_owned(),
            };
            let why = format!("the device could not be reached in time ({seen})");
            if !job.is_discovery {
                self.finish(job, Outcome::error(ErrorCode::REQUEST_DENIED, why), out);
            }
        }
    }

    fn informed(
        &mut self,
        env: &Env,
        shadow: &mut Shadow,
        inform: &Inform<'_>,
        first_contact: bool,
        out: &mut Vec<Output>,
    ) {
        self.last_seen = Some(env.wall);
        let code = |wanted: &str| inform.event.iter().any(|event| event.event_code.starts_with(wanted));
        self.booting = code("0 ") || code("1 ");
        let before = self.stored.clone();
        for parameter in inform.parameter_list.iter() {
            let value = Value {
                text: parameter.value.as_ref().into(),
                value_type: parameter.value_type,
                at: env.wall,
                source: Source::Inform,
            };
            shadow.cpe.set_value(&parameter.name, value);
            self.learn(&parameter.name, &parameter.value);
        }
        if first_contact || before != self.stored {
            self.persist(vec![self.stored.change()], out);
        }
        if self.has_agent() {
            out.push(Output::Onboarded);
        }
        if self.has_work() {
            out.push(Output::WantSession);
        }
    }

    /// What the parameters of an Inform tell about the device as such.
    fn learn(&mut self, name: &str, value: &str) {
        for root in [USP_ROOT, "InternetGatewayDevice."] {
            if self.stored.root.is_empty() && name.starts_with(root) {
                self.stored.root = root.to_owned();
            }
        }
        if name.ends_with(".ManagementServer.ParameterKey") {
            self.parameter_key = value.to_owned();
        }
        if name.ends_with("Device.DeviceInfo.SoftwareVersion") && self.stored.software_version != value {
            // New firmware may have another data model: what it has is learnt again.
            if !self.stored.software_version.is_empty() {
                self.stored.discovery_left = None;
            }
            self.stored.software_version = value.to_owned();
        }
    }

    /// Keeps the shadow true to what the ACS read and wrote.
    fn observed(
        &mut self,
        env: &Env,
        shadow: &mut Shadow,
        request: &Request<'_>,
        response: &Response<'_>,
        out: &mut Vec<Output>,
    ) {
        let value = |text: &str, value_type: Option<ValueType>| Value {
            text: text.into(),
            value_type,
            at: env.wall,
            source: Source::Acs,
        };
        match (request, response) {
            (_, Response::GetParameterValuesResponse(response)) => {
                for parameter in response.parameter_list.iter() {
                    shadow.cpe.set_value(&parameter.name, value(&parameter.value, parameter.value_type));
                }
            }
            (Request::SetParameterValues(request), Response::SetParameterValuesResponse(_)) => {
                self.parameter_key = request.parameter_key.to_string();
                for parameter in request.parameter_list.iter() {
                    shadow.cpe.set_value(&parameter.name, value(&parameter.value, parameter.value_type));
                }
            }
            (Request::AddObject(request), Response::AddObjectResponse(response)) => {
                self.parameter_key = request.parameter_key.to_string();
                shadow.cpe.put_object(&format!("{}{}.", request.object_name, response.instance_number), true);
                // What the new instance has is not known: its branch is asked for again.
                self.rediscover(&request.object_name, out);
            }
            (Request::DeleteObject(request), Response::DeleteObjectResponse(_)) => {
                self.parameter_key = request.parameter_key.to_string();
                shadow.cpe.remove(&request.object_name);
            }
            _ => {}
        }
    }

    fn rediscover(&mut self, table: &str, out: &mut Vec<Output>) {
        if let Some(left) = &mut self.stored.discovery_left
            && path::is_object(table)
            && !left.iter().any(|known| known == table)
        {
            left.push(table.to_owned());
            self.persist(vec![self.stored.change()], out);
        }
    }

    fn keep_shadow(&mut self, shadow: &mut Shadow, out: &mut Vec<Output>) {
        let tops = shadow.cpe.take_dirty();
        let blobs = tops.into_iter().map(|top| {
            let blob = shadow.cpe.encode_top(&top);
            Change::put(Kind::Shadow, top, blob)
        });
        let changes: Vec<Change> = blobs.collect();
        if !changes.is_empty() {
            self.persist(changes, out);
        }
    }

    /// An MTP to a controller is up: one that has not acknowledged an OnBoardRequest gets one (R-NOT.8).
    fn connected(&mut self, controller: &EndpointId, out: &mut Vec<Output>) {
        let Some(known) = self.controller(controller.as_str()) else { return };
        if !known.onboard || self.stored.onboarded.contains(controller) {
            return;
        }
        let device = &self.stored.device;
        let request = message::notify::OnBoardRequest {
            oui: device.oui.clone(),
            product_class: device.product_class.clone(),
            serial_number: device.serial_number.clone(),
            agent_supported_protocol_versions: SUPPORTED_VERSIONS.to_owned(),
        };
        let notify = message::Notify {
            subscription_id: String::new(),
            send_resp: true,
            notification: Some(message::notify::Notification::OnBoardReq(request)),
        };
        let message = Message::request("onboard", message::Request::Notify(notify));
        self.send(controller, message, out);
    }

    pub(super) fn controller(&self, endpoint: &str) -> Option<&ControllerConfig> {
        self.config.controllers.iter().find(|known| known.endpoint_id.as_str() == endpoint)
    }

    pub(super) fn send(&self, controller: &EndpointId, message: Message, out: &mut Vec<Output>) {
        let record: Bytes = Record::plain(&self.endpoint, controller, message.encode()).encode();
        out.push(Output::Send { controller: controller.clone(), record, after: None });
    }

    pub(super) fn persist(&mut self, changes: Vec<Change>, out: &mut Vec<Output>) -> Token {
        self.next += 1;
        let token = Token(self.next);
        out.push(Output::Persist { token, changes });
        token
    }
}

/// `Device.LocalAgent.` as far as it is there: the LocalAgent object and its Controller table.
fn local_tables(endpoint: &EndpointId, config: &AgentConfig) -> Instantiated {
    let mut local = Instantiated::default();
    let mut put = |name: String, text: &str, value_type: ValueType| {
        let value =
            Value { text: text.into(), value_type: Some(value_type), at: WallTime(0), source: Source::Write };
        local.set_value(&name, value);
    };
    let base = "Device.LocalAgent.";
    put(format!("{base}EndpointID"), endpoint.as_str(), ValueType::String);
    put(format!("{base}SoftwareVersion"), env!("CARGO_PKG_VERSION"), ValueType::String);
    let count = config.controllers.len().to_string();
    put(format!("{base}ControllerNumberOfEntries"), &count, ValueType::UnsignedInt);
    for (number, controller) in (1..).zip(&config.controllers) {
        let row = format!("{base}Controller.{number}.");
        put(format!("{row}Enable"), "true", ValueType::Boolean);
        put(format!("{row}Alias"), &format!("cpe-{number}"), ValueType::String);
        put(format!("{row}EndpointID"), controller.endpoint_id.as_str(), ValueType::String);
    }
    local
}

/// The root that USP knows.
const USP_ROOT: &str = "Device.";
