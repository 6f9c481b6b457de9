//! Set (TR-369 6.1.3.2). With allow_partial=false one SetParameterValues carries the whole message, so the
//! CPE applies all or nothing; with true there is one for each object path. Failed parameters that were not
//! required are dropped and the rest is sent again.

use std::collections::{BTreeMap, BTreeSet};

use crate::cwmp::rpc::{Array, Fault, ParameterValueStruct, Request, Response, SetParameterValues};
use crate::datamodel::supported::{self, Access};
use crate::datamodel::{Param, Source, Value, ValueType};
use crate::usp::ErrorCode;
use crate::usp::message::{self, set, set_resp};

use super::access::{Rights, Sort};
use super::fault;
use super::get::is_hidden;
use super::local::is_local;
use super::plan::{NO_KEY, NOT_TAKEN, Outcome, Plan, Step, View};
use super::reading::Reading;
use super::resolve::{self, Unresolved};

/// A Set on its way.
pub struct Set {
    allow_partial: bool,
    objects: Vec<Update>,
    /// Which objects the RPC under way is for.
    asked: Vec<usize>,
    /// Whether the device took the last SetParameterValues is not known, and is being read back.
    settling: Option<Reading>,
    prepared: bool,
    /// Set when an allow_partial=false message has failed as a whole.
    failure: Option<message::Error>,
}

/// The answer's results for one instance that was changed, without what may not be read (R-SET.3).
fn readable(target: &str, params: BTreeMap<String, String>, view: &View<'_>) -> BTreeMap<String, String> {
    let reads = |name: &String| view.may(Rights::READ, Sort::Param, &format!("{target}{name}"));
    params.into_iter().filter(|(name, _)| reads(name)).collect()
}

/// One entry of `update_objs`.
struct Update {
    request: set::UpdateObject,
    /// What is to be written: full name, index of the setting.
    writes: Vec<(String, usize)>,
    targets: Vec<String>,
    errors: Vec<ParamFailure>,
    state: State,
}

struct ParamFailure {
    name: String,
    setting: usize,
    code: ErrorCode,
    why: String,
}

#[derive(PartialEq, Eq, Clone, Copy)]
enum State {
    Waiting,
    Done,
    Failed,
}

impl Set {
    pub fn new(request: message::Set) -> Self {
        let updates = request.update_objs.into_iter().map(|request| Update {
            request,
            writes: Vec::new(),
            targets: Vec::new(),
            errors: Vec::new(),
            state: State::Waiting,
        });
        Self {
            allow_partial: request.allow_partial,
            objects: updates.collect(),
            asked: Vec::new(),
            settling: None,
            prepared: false,
            failure: None,
        }
    }

    fn call(&mut self, view: &mut View<'_>) -> Option<Request<'static>> {
        let waiting = (0..self.objects.len()).filter(|index| self.objects[*index].state == State::Waiting);
        let asked: Vec<usize> =
            if self.allow_partial { waiting.take(1).collect() } else { waiting.collect() };
        let mut list = Vec::new();
        for index in &asked {
            let update = &mut self.objects[*index];
            for (name, setting) in update.writes.iter().filter(|(name, _)| !view.is_own(name)) {
                let known = view.cpe.param(name).and_then(|param| value_type(name, param));
                let text = update.request.param_settings[*setting].value.clone();
                list.push(ParameterValueStruct::new(name.clone(), text, known.unwrap_or(ValueType::String)));
            }
        }
        if list.is_empty() {
            // Nothing of these is the CPE's: they are done when what is ours is done.
            for index in &asked {
                self.objects[*index].keep(view);
            }
            return if asked.is_empty() { None } else { self.call(view) };
        }
        self.asked = asked;
        let parameter_key = NO_KEY;
        Some(Request::SetParameterValues(SetParameterValues { parameter_list: Array(list), parameter_key }))
    }

    /// Checks everything that can be checked before the CPE is touched.
    fn prepare(&mut self, view: &View<'_>) {
        for update in &mut self.objects {
            update.prepare(view);
        }
        self.fail_whole();
    }

    /// Without allow_partial the first failed object fails the message (R-SET.1).
    fn fail_whole(&mut self) {
        if self.allow_partial || self.failure.is_some() {
            return;
        }
        let failed: Vec<&Update> =
            self.objects.iter().filter(|update| update.state == State::Failed).collect();
        let Some(first) = failed.iter().flat_map(|update| &update.errors).next() else { return };
        let errors =
            failed.iter().flat_map(|update| &update.errors).map(|error| message::error::ParamError {
                param_path: error.name.clone(),
                err_code: error.code.0,
                err_msg: error.why.clone(),
            });
        self.failure = Some(message::Error {
            err_code: first.code.0,
            err_msg: first.why.clone(),
            param_errs: errors.collect(),
        });
    }

    /// What was read back decides: a CPE takes a SetParameterValues as a whole, or not at all (TR-069 A.3.2.1).
    fn settle(&mut self, view: &mut View<'_>) {
        let Some(reading) = self.settling.take() else { return };
        let asked = std::mem::take(&mut self.asked);
        let took = asked.iter().all(|index| self.objects[*index].is_as_wanted(view, &reading));
        for index in asked {
            let update = &mut self.objects[index];
            match took {
                true => update.keep(view),
                false => update.fail_all(ErrorCode::INTERNAL_ERROR, NOT_TAKEN),
            }
        }
        self.fail_whole();
    }

    fn outcome(&self, view: &View<'_>) -> Outcome {
        match &self.failure {
            Some(error) => Outcome::Error(error.clone()),
            None => {
                let results = self.objects.iter().map(|update| update.result(view)).collect();
                Outcome::Response(message::Response::SetResp(message::SetResp {
                    updated_obj_results: results,
                }))
            }
        }
    }
}

impl Plan for Set {
    fn next(&mut self, view: &mut View<'_>) -> Step {
        if !self.prepared {
            self.prepared = true;
            self.prepare(view);
        }
        if let Some(reading) = &mut self.settling {
            if let Some(request) = reading.next() {
                return Step::Call(request);
            }
            self.settle(view);
        }
        if self.failure.is_none()
            && let Some(request) = self.call(view)
        {
            return Step::Call(request);
        }
        Step::Done(self.outcome(view))
    }

    fn is_local(&self) -> bool {
        self.objects.iter().all(|update| is_local(&update.request.obj_path))
    }

    /// A value that reads back otherwise than it was written tells nothing.
    fn is_repeatable(&self) -> bool {
        let read_back = |index: &usize| self.objects[*index].is_read_back();
        self.settling.is_some() || self.asked.iter().all(read_back)
    }

    fn repeat(&mut self) {
        match &mut self.settling {
            Some(reading) => reading.repeat(),
            None => {
                let writes = self.asked.iter().flat_map(|index| &self.objects[*index].writes);
                let names = writes.map(|(name, _)| name.clone()).filter(|name| !is_local(name)).collect();
                self.settling = Some(Reading::of(names));
            }
        }
    }

    fn answered(&mut self, view: &mut View<'_>, response: &Response<'_>) {
        if let Some(reading) = &mut self.settling {
            return reading.answered(view, response);
        }
        let accepted = matches!(response, Response::SetParameterValuesResponse(_));
        for index in std::mem::take(&mut self.asked) {
            let update = &mut self.objects[index];
            if accepted {
                update.keep(view);
            } else {
                update.fail_all(ErrorCode::INTERNAL_ERROR, "the device answered another RPC");
            }
        }
        self.fail_whole();
    }

    fn faulted(&mut self, view: &mut View<'_>, fault: &Fault<'_>) {
        if let Some(reading) = &mut self.settling {
            return reading.faulted(view, fault);
        }
        let asked = std::mem::take(&mut self.asked);
        for blamed in fault.set_parameter_values_fault.iter().filter(|it| it.fault_code == NO_SUCH_NAME) {
            view.cpe.forget_param(&blamed.parameter_name);
        }
        for index in &asked {
            self.objects[*index].refuse(fault);
        }
        // Nothing was dropped: the same list would be refused again.
        let blamed = !fault.set_parameter_values_fault.is_empty();
        for index in asked {
            let update = &mut self.objects[index];
            if !blamed && update.state == State::Waiting {
                update.fail_all(fault::code(fault.fault_code), &fault::text(fault));
            }
        }
        self.fail_whole();
    }
}

/// Why a value cannot be written, as far as that is known without asking the CPE.
fn problem(name: &str, known: Option<&Param>, wanted: &str) -> Option<(ErrorCode, &'static str)> {
    let Some(known) = known else {
        return Some((ErrorCode::UNSUPPORTED_PARAMETER, "the device has no such parameter"));
    };
    if is_read_only(name, known) {
        return Some((ErrorCode::NON_WRITEABLE_PARAMETER, "the parameter can only be read"));
    }
    let mismatch = value_type(name, known).is_some_and(|known| !known.accepts(wanted));
    mismatch.then_some((ErrorCode::INVALID_TYPE, "the value is not of the parameter's type"))
}

/// The type that the device states, else the standard's.
fn value_type(name: &str, known: &Param) -> Option<ValueType> {
    known.value_type().or_else(|| supported::standard(name)?.value_type())
}

/// Device and standard must agree: before discovery a parameter counts as read-only because nothing else is
/// known of it, and then the CPE decides.
fn is_read_only(name: &str, known: &Param) -> bool {
    !known.writable && supported::standard(name).is_some_and(|row| row.access == Access::ReadOnly)
}

impl Update {
    fn prepare(&mut self, view: &View<'_>) {
        let path = self.request.obj_path.clone();
        let found = resolve::parse(&path).and_then(|expr| {
            if expr.param.is_some() {
                let why = "Set takes objects, whose paths end in a dot".to_owned();
                return Err(Unresolved { code: ErrorCode::INVALID_PATH, why });
            }
            resolve::objects(&expr, view.sight(&path))
        });
        let hidden = is_hidden(&path) && !view.is_own(&path);
        match found {
            Ok(_) if hidden => self.fail_object(ErrorCode::INVALID_PATH, "the device has no such object"),
            // A search that finds nothing is a success (TP-469 1.23).
            Ok(targets) => {
                self.targets = targets;
                self.check(view);
            }
            Err(unresolved) => self.fail_object(unresolved.code, &unresolved.why),
        }
    }

    fn check(&mut self, view: &View<'_>) {
        for target in self.targets.clone() {
            for setting in 0..self.request.param_settings.len() {
                let wanted = &self.request.param_settings[setting];
                let name = format!("{target}{}", wanted.param);
                let roles = || "this controller's roles do not let it be written".to_owned();
                if let Err(refusal) = view.check_write(Sort::Param, &name, Some(&wanted.value), roles) {
                    self.fail(name, setting, refusal.code, &refusal.why);
                    continue;
                }
                if view.is_own(&name) {
                    match view.local.check_set(&name, &wanted.value) {
                        Err(refusal) => self.fail(name, setting, refusal.code, &refusal.why),
                        Ok(()) => self.writes.push((name, setting)),
                    }
                    continue;
                }
                match problem(&name, view.cpe.param(&name), &wanted.value) {
                    Some((code, why)) => self.fail(name, setting, code, why),
                    None => self.writes.push((name, setting)),
                }
            }
        }
    }

    /// Notes a failed parameter; a required one fails the object.
    fn fail(&mut self, name: String, setting: usize, code: ErrorCode, why: &str) {
        if self.request.param_settings.get(setting).is_none_or(|setting| setting.required) {
            self.state = State::Failed;
        }
        self.errors.push(ParamFailure { name, setting, code, why: why.to_owned() });
    }

    fn fail_object(&mut self, code: ErrorCode, why: &str) {
        self.state = State::Failed;
        let name = self.request.obj_path.clone();
        self.errors.push(ParamFailure { name, setting: usize::MAX, code, why: why.to_owned() });
    }

    fn fail_all(&mut self, code: ErrorCode, why: &str) {
        for (name, setting) in std::mem::take(&mut self.writes) {
            self.errors.push(ParamFailure { name, setting, code, why: why.to_owned() });
        }
        self.state = State::Failed;
    }

    /// Drops what the CPE's fault list names.
    fn refuse(&mut self, fault: &Fault<'_>) {
        for blamed in &fault.set_parameter_values_fault {
            let found = self.writes.iter().position(|(name, _)| *name == blamed.parameter_name);
            if let Some(at) = found {
                let (name, setting) = self.writes.remove(at);
                let why = format!("CWMP fault {}: {}", blamed.fault_code, blamed.fault_string);
                self.fail(name, setting, fault::code(blamed.fault_code), &why);
            }
        }
    }

    /// Whether the CPE tells the values that it was given: of a password it tells nothing.
    fn is_read_back(&self) -> bool {
        let tells = |name: &str| supported::standard(name).is_none_or(|row| row.secured().is_none());
        self.writes.iter().all(|(name, _)| is_local(name) || tells(name))
    }

    fn is_as_wanted(&self, view: &View<'_>, reading: &Reading) -> bool {
        let mut of_cpe = self.writes.iter().filter(|(name, _)| !view.is_own(name));
        of_cpe.all(|(name, setting)| {
            let known = view.cpe.param(name);
            let is = known.and_then(|known| known.value.as_ref()).map(|value| value.text.as_str());
            let wanted = self.request.param_settings[*setting].value.as_str();
            let of_type = known.and_then(|known| value_type(name, known)).unwrap_or(ValueType::String);
            reading.refusal(name).is_none() && is.is_some_and(|is| of_type.same(is, wanted))
        })
    }

    fn keep(&mut self, view: &mut View<'_>) {
        for (name, setting) in &self.writes {
            let text = self.request.param_settings[*setting].value.as_str();
            if view.is_own(name) {
                view.local.set(name, text);
                continue;
            }
            let text = text.into();
            let value = Value { text, value_type: None, at: view.wall, source: Source::Write };
            view.cpe.set_value(name, value);
        }
        self.state = State::Done;
    }

    fn result(&self, view: &View<'_>) -> set_resp::UpdatedObjectResult {
        use set_resp::updated_object_result::{OperationStatus, operation_status as status};
        let oper_status = if self.state == State::Done {
            let results = self.targets.iter().map(|target| self.instance_result(target, view)).collect();
            status::OperStatus::OperSuccess(status::OperationSuccess { updated_inst_results: results })
        } else {
            let first = self.errors.first();
            let failures = self.targets.iter().map(|target| set_resp::UpdatedInstanceFailure {
                affected_path: target.clone(),
                param_errs: self.param_errs(target),
            });
            status::OperStatus::OperFailure(status::OperationFailure {
                err_code: first.map_or(ErrorCode::OBJECT_COULD_NOT_BE_UPDATED, |error| error.code).0,
                err_msg: first.map_or_else(String::new, |error| error.why.clone()),
                updated_inst_failures: failures.collect(),
            })
        };
        set_resp::UpdatedObjectResult {
            requested_path: self.request.obj_path.clone(),
            oper_status: Some(OperationStatus { oper_status: Some(oper_status) }),
        }
    }

    fn instance_result(&self, target: &str, view: &View<'_>) -> set_resp::UpdatedInstanceResult {
        let failed: BTreeSet<&str> = self.errors.iter().map(|error| error.name.as_str()).collect();
        let mut updated_params = BTreeMap::new();
        for setting in &self.request.param_settings {
            if !failed.contains(format!("{target}{}", setting.param).as_str()) {
                updated_params.insert(setting.param.clone(), setting.value.clone());
            }
        }
        let param_errs = self.param_errs(target);
        let updated_params = readable(target, updated_params, view);
        set_resp::UpdatedInstanceResult { affected_path: target.to_owned(), param_errs, updated_params }
    }

    fn param_errs(&self, target: &str) -> Vec<set_resp::ParameterError> {
        let own = self.errors.iter().filter(|error| error.name.starts_with(target));
        let errors = own.map(|error| set_resp::ParameterError {
            param: self
                .request
                .param_settings
                .get(error.setting)
                .map_or_else(String::new, |it| it.param.clone()),
            err_code: error.code.0,
            err_msg: error.why.clone(),
        });
        errors.collect()
    }
}

/// CWMP's invalid parameter name (TR-069 A.5.1).
const NO_SUCH_NAME: u32 = 9005;

#[cfg(test)]
mod tests {
    use super::*;

    fn param(writable: bool, value_type: Option<ValueType>) -> Param {
        let value =
            Value { text: "".into(), value_type, at: crate::datamodel::WallTime(0), source: Source::Read };
        Param { writable, expected: None, value: Some(value) }
    }

    fn code(name: &str, known: Option<Param>, wanted: &str) -> Option<ErrorCode> {
        problem(name, known.as_ref(), wanted).map(|(code, _)| code)
    }

    #[test]
    fn where_the_device_states_no_type_the_standard_does() {
        let enable = "Device.WiFi.SSID.1.Enable";
        assert_eq!(code(enable, Some(param(true, None)), "maybe"), Some(ErrorCode::INVALID_TYPE));
        assert_eq!(code(enable, Some(Param { writable: true, ..Param::default() }), "true"), None);
        assert_eq!(code(enable, Some(param(true, Some(ValueType::String))), "maybe"), None);
        assert_eq!(code("Device.X_ACME.Enable", Some(param(true, None)), "maybe"), None);
        let repetitions = "Device.IP.Diagnostics.IPPing.NumberOfRepetitions";
        assert_eq!(value_type(repetitions, &param(true, None)), Some(ValueType::UnsignedInt));
    }

    #[test]
    fn read_only_is_refused_only_when_device_and_standard_agree() {
        let up_time = "Device.DeviceInfo.UpTime";
        assert_eq!(code(up_time, Some(param(false, None)), "1"), Some(ErrorCode::NON_WRITEABLE_PARAMETER));
        assert_eq!(code(up_time, Some(param(true, None)), "1"), None);
        assert_eq!(code("Device.WiFi.SSID.1.SSID", Some(param(false, None)), "x"), None);
        assert_eq!(code("Device.X_ACME.Name", Some(param(false, None)), "x"), None);
    }
}
