//! Add (TR-369 6.1.3.1): AddObject, then SetParameterValues for the settings, then a look at what the CPE
//! made of it. What fails is undone by DeleteObject.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::cwmp::rpc::{
    AddObject, Array, DeleteObject, Fault, GetParameterNames, GetParameterNamesResponse,
    ParameterValueStruct, Request, Response, SetParameterValues,
};
use crate::datamodel::supported::standard;
use crate::datamodel::{ValueType, path};
use crate::usp::ErrorCode;
use crate::usp::message::{self, add, add_resp};

use super::access::{Rights, Sort};
use super::fault;
use super::get::is_hidden;
use super::local::{Refusal, is_local};
use super::plan::{NO_KEY, NOT_TAKEN, Outcome, Plan, Step, View};
use super::reading::Reading;
use super::resolve;

/// An Add on its way.
pub struct Add {
    allow_partial: bool,
    requests: Vec<add::CreateObject>,
    creations: Vec<Creation>,
    prepared: bool,
    /// Index of the creation that is being worked on.
    at: usize,
    /// Set when a message without allow_partial has failed: everything is undone, then it is told.
    failed: Option<message::Error>,
    undo: VecDeque<String>,
}

/// One object to be created: a table that a request's path names.
struct Creation {
    request: usize,
    table: String,
    stage: Stage,
    errors: Vec<add_resp::ParameterError>,
}

enum Stage {
    Waiting,
    /// The table's instances are read, so that a lost answer can be told from none.
    Counting,
    Adding {
        before: Before,
    },
    /// The answer of AddObject was lost: which instance is new is looked up.
    Seeking {
        before: Before,
    },
    /// Names of the settings under way, by index.
    Setting {
        instance: String,
        settings: Vec<usize>,
    },
    Learning {
        instance: String,
    },
    Reading {
        instance: String,
        reading: Reading,
    },
    Undoing(Failure),
    Done {
        instance: String,
    },
    Failed(Failure),
}

/// What there was before the CPE was asked to add an object.
#[derive(Default)]
struct Before {
    /// `None`: it could not be asked, and a lost answer cannot be settled.
    instances: Option<BTreeSet<u32>>,
    /// See [`View::acs_adds`].
    acs_adds: u32,
}

/// Why an object was not created, and the table or parameter to blame.
#[derive(Debug, Clone)]
struct Failure {
    path: String,
    refusal: Refusal,
}

impl Failure {
    fn new(path: impl Into<String>, refusal: Refusal) -> Self {
        Self { path: path.into(), refusal }
    }
}

impl Add {
    pub fn new(request: message::Add) -> Self {
        Self {
            allow_partial: request.allow_partial,
            requests: request.create_objs,
            creations: Vec::new(),
            prepared: false,
            at: 0,
            failed: None,
            undo: VecDeque::new(),
        }
    }

    /// Checks everything that can be checked before the CPE is touched.
    fn prepare(&mut self, view: &View<'_>) {
        for (request, wanted) in self.requests.iter().enumerate() {
            let creation = |table: String, stage| Creation { request, table, stage, errors: Vec::new() };
            match tables(&wanted.obj_path, view) {
                Ok(tables) => {
                    for table in tables {
                        let checked = check(&table, &wanted.param_settings, view);
                        let (stage, errors) = match checked {
                            Ok(errors) => (Stage::Waiting, errors),
                            Err(failure) => (Stage::Failed(failure), Vec::new()),
                        };
                        self.creations.push(Creation { errors, ..creation(table, stage) });
                    }
                }
                Err(refusal) => {
                    let failed = Stage::Failed(Failure::new(wanted.obj_path.clone(), refusal));
                    self.creations.push(creation(wanted.obj_path.clone(), failed));
                }
            }
        }
        self.look_for_failure();
    }

    /// Without allow_partial the first failure ends it: what was created goes again (R-ADD.1).
    fn look_for_failure(&mut self) {
        if self.allow_partial || self.failed.is_some() {
            return;
        }
        let failures: Vec<&Failure> = self
            .creations
            .iter()
            .filter_map(|creation| match &creation.stage {
                Stage::Failed(failure) => Some(failure),
                _ => None,
            })
            .collect();
        if let Some(first) = failures.first() {
            let errors = failures.iter().map(|failure| message::error::ParamError {
                param_path: failure.path.clone(),
                err_code: failure.refusal.code.0,
                err_msg: failure.refusal.why.clone(),
            });
            let error = message::Error {
                err_code: first.refusal.code.0,
                err_msg: first.refusal.why.clone(),
                param_errs: errors.collect(),
            };
            let done = self.creations.iter().filter_map(|creation| match &creation.stage {
                Stage::Done { instance } => Some(instance.clone()),
                _ => None,
            });
            self.undo = done.collect();
            self.failed = Some(error);
        }
    }

    fn settings(&self, creation: usize) -> Vec<usize> {
        let creation = &self.creations[creation];
        let settings = &self.requests[creation.request].param_settings;
        let failed = |name: &str| creation.errors.iter().any(|error| error.param == name);
        (0..settings.len()).filter(|index| !failed(&settings[*index].param)).collect()
    }

    /// Moves the creation at hand on by one step.
    fn advance(&mut self, view: &mut View<'_>) -> Option<Request<'static>> {
        let at = self.at;
        if view.is_own(&self.creations[at].table) && matches!(self.creations[at].stage, Stage::Waiting) {
            self.creations[at].stage = self.add_locally(at, view);
        }
        let creation = &mut self.creations[at];
        match &mut creation.stage {
            Stage::Waiting | Stage::Counting | Stage::Seeking { .. } => {
                if matches!(creation.stage, Stage::Waiting) {
                    creation.stage = Stage::Counting;
                }
                let parameter_path = creation.table.clone().into();
                Some(Request::GetParameterNames(GetParameterNames { parameter_path, next_level: true }))
            }
            Stage::Adding { .. } => {
                let object_name = creation.table.clone().into();
                let parameter_key = NO_KEY;
                Some(Request::AddObject(AddObject { object_name, parameter_key }))
            }
            Stage::Setting { instance, settings } if !settings.is_empty() => {
                let wanted = &self.requests[creation.request].param_settings;
                let list = settings.iter().map(|index| {
                    let setting = &wanted[*index];
                    let name = format!("{instance}{}", setting.param);
                    let value_type = type_of(&creation.table, &setting.param, view);
                    ParameterValueStruct::new(name, setting.value.clone(), value_type)
                });
                let parameter_list = Array(list.collect());
                let parameter_key = NO_KEY;
                Some(Request::SetParameterValues(SetParameterValues { parameter_list, parameter_key }))
            }
            Stage::Setting { instance, .. } | Stage::Learning { instance } => {
                let instance = instance.clone();
                let parameter_path = instance.clone().into();
                creation.stage = Stage::Learning { instance };
                Some(Request::GetParameterNames(GetParameterNames { parameter_path, next_level: false }))
            }
            Stage::Reading { instance, reading } => match reading.next() {
                Some(request) => Some(request),
                None => {
                    creation.stage = Stage::Done { instance: std::mem::take(instance) };
                    None
                }
            },
            Stage::Undoing(_) | Stage::Done { .. } | Stage::Failed(_) => None,
        }
    }

    fn add_locally(&self, at: usize, view: &mut View<'_>) -> Stage {
        let wanted = &self.requests[self.creations[at].request].param_settings;
        let settings = self.settings(at);
        let settings: Vec<(&str, &str)> = settings
            .iter()
            .map(|index| (wanted[*index].param.as_str(), wanted[*index].value.as_str()))
            .collect();
        match view.local.add(&self.creations[at].table, &settings) {
            Ok(instance) => Stage::Done { instance },
            Err(refusal) => Stage::Failed(Failure::new(self.creations[at].table.clone(), refusal)),
        }
    }

    fn outcome(&self, view: &View<'_>) -> Outcome {
        if let Some(error) = &self.failed {
            return Outcome::Error(error.clone());
        }
        use add_resp::created_object_result::{OperationStatus, operation_status as status};
        let results = self.creations.iter().map(|creation| {
            let oper_status = match &creation.stage {
                Stage::Done { instance } => status::OperStatus::OperSuccess(status::OperationSuccess {
                    instantiated_path: instance.clone(),
                    param_errs: creation.errors.clone(),
                    unique_keys: self.unique_keys(creation, instance, view),
                }),
                Stage::Failed(failed) => failure(&failed.refusal),
                _ => failure(&Refusal::new(ErrorCode::OBJECT_COULD_NOT_BE_CREATED, "it was not created")),
            };
            add_resp::CreatedObjectResult {
                requested_path: self.requests[creation.request].obj_path.clone(),
                oper_status: Some(OperationStatus { oper_status: Some(oper_status) }),
            }
        });
        let resp = message::AddResp { created_obj_results: results.collect() };
        Outcome::Response(message::Response::AddResp(resp))
    }

    fn unique_keys(&self, creation: &Creation, instance: &str, view: &View<'_>) -> BTreeMap<String, String> {
        let mut keys = match view.is_own(&creation.table) {
            true => view.local.unique_keys(instance),
            false => super::keys::unique_keys(instance, view.cpe),
        };
        // R-ADD.6: keys that may not be read are not told.
        keys.retain(|name, _| view.may(Rights::READ, Sort::Param, &format!("{instance}{name}")));
        keys
    }

    /// The CPE has added this instance.
    fn added(&mut self, number: u32) {
        let instance = format!("{}{number}.", self.creations[self.at].table);
        let settings = self.settings(self.at);
        self.creations[self.at].stage = Stage::Setting { instance, settings };
    }

    /// The settings could not be made: those to blame are dropped if they may be, else all is undone.
    fn refuse_settings(&mut self, instance: String, settings: &[usize], fault: &Fault<'_>) {
        let at = self.at;
        let wanted = &self.requests[self.creations[at].request].param_settings;
        let blamed = |index: usize| {
            let name = format!("{instance}{}", wanted[index].param);
            let fault = fault.set_parameter_values_fault.iter().find(|fault| fault.parameter_name == name);
            fault.map(|fault| (fault::code(fault.fault_code), fault.fault_string.to_string()))
        };
        let mut errors = Vec::new();
        let mut left = Vec::new();
        for index in settings {
            match blamed(*index) {
                Some((code, why)) => errors.push((*index, code, why)),
                None => left.push(*index),
            }
        }
        if errors.is_empty() {
            // The CPE blames nobody: all of them failed.
            let (code, why) = (fault::code(fault.fault_code), fault::text(fault));
            errors = left.drain(..).map(|index| (index, code, why.clone())).collect();
        }
        let required = errors.iter().find(|(index, ..)| wanted[*index].required);
        let failed = required.map(|(index, code, why)| {
            let path = format!("{instance}{}", wanted[*index].param);
            Failure::new(path, Refusal::new(*code, why.clone()))
        });
        let told = errors.iter().map(|(index, code, why)| add_resp::ParameterError {
            param: wanted[*index].param.clone(),
            err_code: code.0,
            err_msg: why.clone(),
        });
        let told: Vec<_> = told.collect();
        let creation = &mut self.creations[at];
        creation.errors.extend(told);
        creation.stage = match failed {
            Some(failure) => {
                self.undo.push_back(instance);
                Stage::Undoing(failure)
            }
            None => Stage::Setting { instance, settings: left },
        };
    }
}

impl Plan for Add {
    fn next(&mut self, view: &mut View<'_>) -> Step {
        if !self.prepared {
            self.prepared = true;
            self.prepare(view);
        }
        loop {
            if let Some(instance) = self.undo.front().cloned() {
                if view.is_own(&instance) {
                    view.local.delete(&instance);
                    self.undo.pop_front();
                    continue;
                }
                let parameter_key = NO_KEY;
                let request = DeleteObject { object_name: instance.into(), parameter_key };
                return Step::Call(Request::DeleteObject(request));
            }
            if let Some(creation) = self.creations.get_mut(self.at)
                && let Stage::Undoing(failure) = &creation.stage
            {
                creation.stage = Stage::Failed(failure.clone());
                self.look_for_failure();
                continue;
            }
            if self.failed.is_some() || self.at >= self.creations.len() {
                return Step::Done(self.outcome(view));
            }
            match self.advance(view) {
                Some(request) => return Step::Call(request),
                None => {
                    self.look_for_failure();
                    self.at += 1;
                }
            }
        }
    }

    fn is_local(&self) -> bool {
        self.requests.iter().all(|request| is_local(&request.obj_path))
    }

    /// What is set of an instance of our own, and what is undone, does no harm twice; what was added is sought.
    fn is_repeatable(&self) -> bool {
        true
    }

    fn repeat(&mut self) {
        if !self.undo.is_empty() {
            return;
        }
        let Some(creation) = self.creations.get_mut(self.at) else { return };
        match &mut creation.stage {
            Stage::Adding { before } => creation.stage = Stage::Seeking { before: std::mem::take(before) },
            Stage::Reading { reading, .. } => reading.repeat(),
            _ => {}
        }
    }

    fn answered(&mut self, view: &mut View<'_>, response: &Response<'_>) {
        if let Response::DeleteObjectResponse(_) = response {
            if let Some(instance) = self.undo.pop_front() {
                view.cpe.remove(&instance);
            }
            return;
        }
        let Some(creation) = self.creations.get_mut(self.at) else { return };
        match (std::mem::replace(&mut creation.stage, Stage::Waiting), response) {
            (Stage::Counting, Response::GetParameterNamesResponse(names)) => {
                let before =
                    Before { instances: Some(numbers(&creation.table, names)), acs_adds: view.acs_adds };
                creation.stage = Stage::Adding { before };
            }
            (Stage::Adding { .. }, Response::AddObjectResponse(response)) => {
                self.added(response.instance_number);
            }
            (Stage::Seeking { before }, Response::GetParameterNamesResponse(names)) => {
                let now = numbers(&creation.table, names);
                let new: Vec<u32> =
                    before.instances.iter().flat_map(|then| now.difference(then)).copied().collect();
                match new[..] {
                    // If the ACS has added objects since, it may be one of its own.
                    [number] if before.acs_adds == view.acs_adds => self.added(number),
                    _ => {
                        let refusal = Refusal::new(ErrorCode::INTERNAL_ERROR, NOT_TAKEN);
                        creation.stage = Stage::Failed(Failure::new(creation.table.clone(), refusal));
                    }
                }
            }
            (Stage::Setting { instance, .. }, Response::SetParameterValuesResponse(_)) => {
                creation.stage = Stage::Learning { instance };
            }
            (Stage::Learning { instance }, Response::GetParameterNamesResponse(response)) => {
                view.cpe.put_object(&instance, true);
                let mut names = Vec::new();
                for info in response.parameter_list.iter().filter(|info| info.name.starts_with(&instance)) {
                    if path::is_object(&info.name) {
                        view.cpe.put_object(&info.name, info.writable);
                    } else {
                        view.cpe.put_param(&info.name, info.writable);
                        names.push(info.name.to_string());
                    }
                }
                names.truncate(MAX_READ);
                creation.stage = Stage::Reading { instance, reading: Reading::of(names) };
            }
            (Stage::Reading { instance, mut reading }, response) => {
                reading.answered(view, response);
                creation.stage = Stage::Reading { instance, reading };
            }
            (_, _) => {
                let why = "the device answered another RPC";
                let refusal = Refusal::new(ErrorCode::INTERNAL_ERROR, why);
                creation.stage = Stage::Failed(Failure::new(creation.table.clone(), refusal));
            }
        }
    }

    fn faulted(&mut self, view: &mut View<'_>, fault: &Fault<'_>) {
        if self.undo.pop_front().is_some() {
            return;
        }
        let Some(creation) = self.creations.get_mut(self.at) else { return };
        match std::mem::replace(&mut creation.stage, Stage::Waiting) {
            // An empty table is no table to some.
            Stage::Counting => {
                let known = || view.cpe.instances(&creation.table).into_iter().collect();
                let instances = (fault.fault_code == NO_SUCH_NAME).then(known);
                creation.stage = Stage::Adding { before: Before { instances, acs_adds: view.acs_adds } };
            }
            Stage::Seeking { .. } => {
                let refusal = Refusal::new(ErrorCode::INTERNAL_ERROR, NOT_TAKEN);
                creation.stage = Stage::Failed(Failure::new(creation.table.clone(), refusal));
            }
            Stage::Setting { instance, settings } => self.refuse_settings(instance, &settings, fault),
            // It is there all the same: what it has is learnt later.
            Stage::Learning { instance } => {
                view.cpe.put_object(&instance, true);
                creation.stage = Stage::Done { instance };
            }
            Stage::Reading { instance, mut reading } => {
                reading.faulted(view, fault);
                creation.stage = Stage::Reading { instance, reading };
            }
            _ => {
                let code = match fault.fault_code {
                    9004 => ErrorCode::RESOURCES_EXCEEDED,
                    9005 => ErrorCode::NON_CREATABLE_OBJECT,
                    _ => ErrorCode::OBJECT_COULD_NOT_BE_CREATED,
                };
                let refusal = Refusal::new(code, fault::text(fault));
                creation.stage = Stage::Failed(Failure::new(creation.table.clone(), refusal));
            }
        }
    }
}

/// The instances of a table that the CPE names.
fn numbers(table: &str, names: &GetParameterNamesResponse<'_>) -> BTreeSet<u32> {
    let names = names.parameter_list.iter();
    names.filter_map(|info| info.name.strip_prefix(table)?.strip_suffix('.')?.parse().ok()).collect()
}

fn failure(refusal: &Refusal) -> add_resp::created_object_result::operation_status::OperStatus {
    use add_resp::created_object_result::operation_status::{OperStatus, OperationFailure};
    OperStatus::OperFailure(OperationFailure { err_code: refusal.code.0, err_msg: refusal.why.clone() })
}

/// The tables that a path names.
fn tables(path: &str, view: &View<'_>) -> Result<Vec<String>, Refusal> {
    // TP-469 2.23 leaves the last dot out.
    let object = if path.ends_with('.') { path.to_owned() } else { format!("{path}.") };
    let expr = resolve::parse(&object).map_err(|it| Refusal::new(it.code, it.why))?;
    let found = resolve::objects(&expr, view.sight(path)).map_err(|it| Refusal::new(it.code, it.why))?;
    if found.is_empty() || (is_hidden(path) && !view.is_own(path)) {
        return Err(Refusal::new(ErrorCode::OBJECT_DOES_NOT_EXIST, "the path names no table"));
    }
    Ok(found)
}

/// What is wrong with settings that may fail; an error where one that may not fails, or the table itself.
fn check(
    table: &str,
    settings: &[add::CreateParamSetting],
    view: &View<'_>,
) -> Result<Vec<add_resp::ParameterError>, Failure> {
    check_table(table, view).map_err(|refusal| Failure::new(table, refusal))?;
    let mut errors = Vec::new();
    for setting in settings {
        if let Err(refusal) = check_setting(table, setting, view) {
            if setting.required || is_unique_key(table, &setting.param) {
                return Err(Failure::new(format!("{table}{}", setting.param), refusal));
            }
            errors.push(add_resp::ParameterError {
                param: setting.param.clone(),
                err_code: refusal.code.0,
                err_msg: refusal.why,
            });
        }
    }
    Ok(errors)
}

fn check_table(table: &str, view: &View<'_>) -> Result<(), Refusal> {
    let roles = || format!("this controller's roles do not let objects be added to {table}");
    view.check_write(Sort::Obj, table, None, roles)?;
    if view.is_own(table) {
        return view.local.check_add(table);
    }
    if view.cpe.is_writable_object(table) {
        return Ok(());
    }
    let why = format!("the device does not let objects be added to {table}");
    Err(Refusal::new(ErrorCode::NON_CREATABLE_OBJECT, why))
}

fn check_setting(table: &str, setting: &add::CreateParamSetting, view: &View<'_>) -> Result<(), Refusal> {
    let roles = || format!("this controller's roles do not let {} be written", setting.param);
    let name = format!("{table}0.{}", setting.param);
    view.check_write(Sort::Param, &name, Some(&setting.value), roles)?;
    if view.is_own(table) { view.local.check_setting(table, &setting.param, &setting.value) } else { Ok(()) }
}

/// A key that cannot be set as wanted fails the object, required or not (TP-469 1.88): it would have another.
fn is_unique_key(table: &str, param: &str) -> bool {
    let row = standard(&format!("{table}1."));
    row.is_some_and(|row| row.unique_keys().any(|key| key.params.contains(&param)))
}

/// The type of a parameter as its sisters in the table have it, or else as the standard has it.
fn type_of(table: &str, param: &str, view: &View<'_>) -> ValueType {
    let sister = view.cpe.instances(table).into_iter().find_map(|instance| {
        let known = view.cpe.param(&format!("{table}{instance}.{param}"))?;
        known.value.as_ref()?.value_type
    });
    let standard = || standard(&format!("{table}1.{param}")).and_then(|row| row.value_type());
    sister.or_else(standard).unwrap_or(ValueType::String)
}

/// CWMP's invalid parameter name (TR-069 A.5.1).
const NO_SUCH_NAME: u32 = 9005;
/// Parameters of a new object that are read back.
const MAX_READ: usize = 64;
