//! What Informs, and the RPCs of the ACS, tell about the device.

use crate::cwmp::rpc::{EventStruct, Inform, Request, Response};
use crate::datamodel::supported::generic;
use crate::datamodel::{Source, Value, ValueType, WallTime, path};

use super::bootstrap::Reset;
use super::core::{Agent, TR_098_ROOT, TR_181_ROOT};
use super::io::{Env, Output, Shadow};
use super::upgrade::is_own_key;

impl Agent {
    pub(super) fn informed(
        &mut self,
        env: &Env,
        shadow: &mut Shadow,
        inform: &Inform<'_>,
        first_contact: bool,
        out: &mut Vec<Output>,
    ) {
        let reset = self.reset_by(inform, first_contact);
        self.last_seen = Some(env.wall);
        let code = |wanted: &str| inform.event.iter().any(|event| event.event_code.starts_with(wanted));
        self.booting = code("0 ") || code("1 ");
        self.sampled = false;
        self.attention.begin();
        self.queue.forget_attributes();
        self.heard_of(inform.parameter_list.iter().map(|parameter| &*parameter.name), out);
        let before = self.stored.clone();
        self.key_by(inform);
        for parameter in inform.parameter_list.iter() {
            self.learn(&parameter.name, &parameter.value);
        }
        self.settle_stage(env, shadow, out);
        let mapped = self.mapping().map(|mapping| mapping.inform(inform));
        for parameter in mapped.as_ref().unwrap_or(inform).parameter_list.iter() {
            let value = Value {
                text: parameter.value.as_ref().into(),
                value_type: parameter.value_type,
                at: env.wall,
                source: Source::Inform,
            };
            shadow.cpe.set_value(&parameter.name, value);
        }
        let ours =
            |event: &EventStruct<'_>| event.event_code == "M Download" && is_own_key(&event.command_key);
        self.upgrading.word_follows = inform.event.iter().any(ours);
        if before.software_version != self.stored.software_version {
            self.show_images();
            if self.images.holds_any() {
                self.keep_images(out);
            }
        }
        if first_contact {
            self.stored.booted_at = env.wall;
        }
        // Another URL is no start of the device.
        if code("1 ") || (self.booting && (first_contact || reset != Reset::No)) {
            let firmware = before.software_version != self.stored.software_version && !first_contact;
            self.booted(env, shadow, inform, (first_contact, firmware, reset), out);
        }
        self.end_acs_diagnostics(code("8 "), code("1 "));
        if code("8 ") {
            self.read_results(env);
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
        for root in [TR_181_ROOT, TR_098_ROOT] {
            if self.stored.root.is_empty() && name.starts_with(root) {
                self.stored.root = root.to_owned();
            }
        }
        if name.ends_with("Device.DeviceInfo.SoftwareVersion") && self.stored.software_version != value {
            // New firmware may have another data model: what it has is learnt again.
            if !self.stored.software_version.is_empty() {
                self.stored.discovery_left = None;
            }
            self.stored.software_version = value.to_owned();
        }
    }

    /// An RPC of the ACS's that the CPE carried out.
    pub(super) fn observed(
        &mut self,
        env: &Env,
        shadow: &mut Shadow,
        request: &Request<'_>,
        response: &Response<'_>,
        out: &mut Vec<Output>,
    ) {
        self.follow_acs(request, response, out);
        self.key_by_acs(request, out);
        self.follow_diagnostics(env, shadow, (request, response), out);
        if matches!(response, Response::RebootResponse(_) | Response::FactoryResetResponse(_)) {
            // A start that follows is the ACS's.
            self.stored.restart = None;
            self.persist(vec![self.stored.change()], out);
        }
        let begins = match (request, response) {
            (Request::Download(_), Response::DownloadResponse(response)) => response.status == 1,
            (Request::Upload(_), Response::UploadResponse(response)) => response.status == 1,
            (Request::ScheduleDownload(_), Response::ScheduleDownloadResponse(_)) => true,
            _ => false,
        };
        if begins {
            self.acs_transfers(Some(WallTime(env.wall.0 + ACS_TRANSFER_MS)), out);
        }
        let Some(mapping) = self.mapping() else { return self.follow(env, shadow, request, response, out) };
        let response = mapping.incoming(response);
        match mapping.observed(request) {
            Some(request) => self.follow(env, shadow, &request, &response, out),
            // What was asked has no counterpart, but something of the answer may have.
            None if matches!(response, Response::GetParameterValuesResponse(_)) => {
                self.follow(env, shadow, request, &response, out);
            }
            None => {}
        }
    }

    /// Keeps the shadow true to what the ACS read and wrote.
    fn follow(
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
        if self.judges() {
            self.judge_acs(env, shadow, request, response, out);
        }
        match (request, response) {
            (_, Response::GetParameterValuesResponse(response)) => {
                for parameter in response.parameter_list.iter() {
                    shadow.cpe.set_value(&parameter.name, value(&parameter.value, parameter.value_type));
                }
            }
            (Request::SetParameterValues(request), Response::SetParameterValuesResponse(_)) => {
                for parameter in request.parameter_list.iter() {
                    self.input_by_acs(&parameter.name, out);
                    shadow.cpe.set_value(&parameter.name, value(&parameter.value, parameter.value_type));
                }
            }
            (Request::AddObject(request), Response::AddObjectResponse(response)) => {
                shadow.cpe.put_object(&format!("{}{}.", request.object_name, response.instance_number), true);
                // What the new instance has is not known: its branch is asked for again.
                self.rediscover(&request.object_name, out);
            }
            (Request::DeleteObject(request), Response::DeleteObjectResponse(_)) => {
                shadow.cpe.remove(&request.object_name);
            }
            _ => {}
        }
    }

    /// Parameters that turned out not to be there: their instance may be gone, or sisters have what this
    /// device has not.
    pub(super) fn doubt(&mut self, shadow: &mut Shadow, out: &mut Vec<Output>) {
        let mapping = self.mapping();
        for name in shadow.cpe.take_missing() {
            let Some(name) = mapping.map_or(Some(name.to_string()), |mapping| mapping.to_cpe(&name)) else {
                continue;
            };
            let mut holders = std::iter::successors(path::parent(&name), |at| path::parent(at));
            match holders.find(|holder| path::instance(holder).is_some()) {
                Some(instance) => self.rediscover(instance, out),
                None => self.own.note_missing(&generic(&name)),
            }
        }
    }

    fn rediscover(&mut self, table: &str, out: &mut Vec<Output>) {
        if let Some(left) = &mut self.stored.discovery_left
            && path::is_object(table)
            && !left.iter().any(|known| known == table)
            && left.len() < MAX_LEFT
        {
            left.push(table.to_owned());
            self.persist(vec![self.stored.change()], out);
        }
    }
}

/// How long a transfer of the ACS's that says nothing keeps ours from beginning.
const ACS_TRANSFER_MS: u64 = 3_600_000;
/// Paths that may wait for a later discovery beside those that it left itself.
const MAX_LEFT: usize = 4_096;
