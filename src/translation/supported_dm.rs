//! GetSupportedDM (TR-369 6.1.4.4): what the device was seen to have, in the words of the standard.
//!
//! Answered at once, from what discovery and the sessions of the ACS have told. Before discovery is through
//! the answer holds less than the device has.

use crate::datamodel::supported::{Kind, Row, Status, Supported, generic, is_direct};
use crate::datamodel::{ValueType, path};
use crate::usp::ErrorCode;
use crate::usp::message::{self, get_supported_dm_resp as resp};

use super::access::{Rights, Sort};
use super::diagnostics::Diagnostic;
use super::get::is_hidden;
use super::operate::Operate;
use super::plan::View;
use super::resolve::{self, Unresolved};
use super::seen::{Seen, SeenObject, SeenParam};

/// Answers each requested path; one that the device does not support is 7026.
pub fn get_supported_dm(request: &message::GetSupportedDm, view: &View<'_>) -> message::Response {
    let seen = Seen::of(view);
    let mut left = MAX_OBJECTS;
    let results = request.obj_paths.iter().map(|text| {
        let found =
            target(text, &seen, view).and_then(|target| target.objects(request, &seen, view, &mut left));
        let mut result = resp::RequestedObjectResult { req_obj_path: text.clone(), ..<_>::default() };
        match found {
            Ok(objects) => {
                result.data_model_inst_uri = DATA_MODEL.to_owned();
                result.supported_objs = objects;
            }
            Err(unresolved) => {
                result.err_code = unresolved.code.0;
                result.err_msg = unresolved.why;
            }
        }
        result
    });
    let resp = message::GetSupportedDmResp { req_obj_results: results.collect() };
    message::Response::GetSupportedDmResp(resp)
}

/// What a requested path names, in supported notation.
enum Target {
    Object(String),
    Command(String),
    Event(String),
    Param(String),
}

/// Which lists of an object are wanted.
#[derive(Clone, Copy)]
struct Wanted {
    commands: bool,
    events: bool,
    params: bool,
    keys: bool,
}

impl Wanted {
    fn of(request: &message::GetSupportedDm) -> Self {
        Self {
            commands: request.return_commands,
            events: request.return_events,
            params: request.return_params,
            keys: request.return_unique_key_sets,
        }
    }

    const NONE: Self = Self { commands: false, events: false, params: false, keys: false };
}

/// Reads a path of either notation: `{i}` or instance numbers, where the last `{i}.` may be left out.
fn target(text: &str, seen: &Seen, view: &View<'_>) -> Result<Target, Unresolved> {
    check_syntax(text)?;
    let wanted = generic(text);
    let target = if wanted.ends_with("()") {
        carried_out(&commands(view), &wanted, seen, view).then(|| Target::Command(wanted.clone()))
    } else if wanted.ends_with('!') {
        carried_out(view.local.events(), &wanted, seen, view).then(|| Target::Event(wanted.clone()))
    } else if wanted.ends_with('.') {
        object_of(&wanted, seen)
    } else {
        // A path without its last dot is taken for the object's if there is no such parameter.
        param_of(&wanted, seen).or_else(|| object_of(&format!("{wanted}."), seen))
    };
    let unsupported =
        || Unresolved { code: ErrorCode::INVALID_PATH, why: format!("the device does not support {text}") };
    let target = target.ok_or_else(unsupported)?;
    check_instances(text, view)?;
    Ok(target)
}

/// A path is well-formed if it is one with every `{i}` taken for a number; searches and wildcards name
/// instances, and there are none in a supported data model.
fn check_syntax(text: &str) -> Result<(), Unresolved> {
    let malformed = |why: &str| Err(Unresolved { code: ErrorCode::INVALID_PATH_SYNTAX, why: why.to_owned() });
    let name = text.strip_suffix("()").or_else(|| text.strip_suffix('!'));
    if name.is_some_and(|name| name.ends_with(['.', ')', '!'])) {
        return malformed("a command or event has no name");
    }
    let expr = resolve::parse(&name.unwrap_or(text).replace("{i}", "1"))?;
    if !expr.is_exact() {
        return malformed("GetSupportedDM takes no wildcards and no search expressions");
    }
    let is_number = |segment: &str| segment.bytes().all(|b| b.is_ascii_digit());
    let mut after = text.split('.').skip_while(|segment| *segment != "{i}");
    match after.any(|segment| !segment.is_empty() && is_number(segment)) {
        true => malformed("an instance number cannot follow {i}"),
        false => Ok(()),
    }
}

/// Instances that a path names must exist: 7016.
fn check_instances(text: &str, view: &View<'_>) -> Result<(), Unresolved> {
    let mut objects = text.match_indices('.').rev().map(|(at, _)| &text[..=at]);
    let Some(last) = objects.find(|object| path::instance(object).is_some()) else { return Ok(()) };
    if view.local.model().has_object(last) || (view.cpe.has_object(last) && !is_hidden(last)) {
        return Ok(());
    }
    let why = format!("there is no instance {last}");
    Err(Unresolved { code: ErrorCode::OBJECT_DOES_NOT_EXIST, why })
}

fn object_of(object: &str, seen: &Seen) -> Option<Target> {
    let table = format!("{object}{{i}}.");
    [object.to_owned(), table].into_iter().find(|path| seen.object(path).is_some()).map(Target::Object)
}

fn param_of(name: &str, seen: &Seen) -> Option<Target> {
    let object = seen.object(path::parent(name)?)?;
    object.params.contains_key(path::name(name)).then(|| Target::Param(name.to_owned()))
}

/// The commands that this product can carry out: on the CPE, and by itself.
fn commands(view: &View<'_>) -> Vec<&'static str> {
    let mut all: Vec<&'static str> = Operate::COMMANDS.to_vec();
    all.extend(Diagnostic::commands());
    all.extend(view.local.commands());
    all.sort_unstable();
    all
}

/// Whether this product can carry out a command, or send an event, for this device. Of commands that CWMP
/// has as an object (`IPPing()`, `IPPing.`) the device must have the object.
fn carried_out(list: &[&str], name: &str, seen: &Seen, view: &View<'_>) -> bool {
    let as_object = format!("{}.", name.trim_end_matches("()"));
    let in_cwmp = Supported::device2_cwmp().find(&as_object).is_some();
    list.contains(&name)
        && path::parent(name).is_some_and(|object| seen.object(object).is_some())
        && (!in_cwmp || seen.object(&as_object).is_some())
        && view.may(Rights::READ, Sort::CommandEvent, &name.replace("{i}", "0"))
}

impl Target {
    /// The objects to report; no more than `left` are, over all paths of a request.
    fn objects(
        &self,
        request: &message::GetSupportedDm,
        seen: &Seen,
        view: &View<'_>,
        left: &mut usize,
    ) -> Result<Vec<resp::SupportedObjectResult>, Unresolved> {
        let objects = match self {
            Self::Object(object) => object_tree(object, request, seen, view, *left),
            Self::Command(name) | Self::Event(name) | Self::Param(name) => self.holder(name, seen, view),
        };
        if objects.len() > *left {
            let why = format!("the answer would hold more than {MAX_OBJECTS} objects");
            return Err(Unresolved { code: ErrorCode::RESOURCES_EXCEEDED, why });
        }
        *left -= objects.len();
        Ok(objects)
    }

    /// The object that holds a command, event or parameter, with that alone in it.
    fn holder(&self, name: &str, seen: &Seen, view: &View<'_>) -> Vec<resp::SupportedObjectResult> {
        let held = path::parent(name).and_then(|object| Some((object, seen.object(object)?)));
        let Some((object, what)) = held else { return Vec::new() };
        let mut result = object_result(object, what, Wanted::NONE, seen, view);
        match self {
            Self::Object(_) => {}
            Self::Command(name) => result.supported_commands = vec![command_result(name)],
            Self::Event(name) => result.supported_events = vec![event_result(name)],
            Self::Param(name) => {
                let param = what.params.get(path::name(name)).copied().unwrap_or_default();
                result.supported_params = vec![param_result(object, path::name(name), param)];
            }
        }
        vec![result]
    }
}

/// An object with what is below it. With first_level_only its children are there without their lists,
/// whatever else was asked for. One object more than `left` tells that there are too many.
fn object_tree(
    object: &str,
    request: &message::GetSupportedDm,
    seen: &Seen,
    view: &View<'_>,
    left: usize,
) -> Vec<resp::SupportedObjectResult> {
    let all = Wanted::of(request);
    let shallow = request.first_level_only;
    seen.below(object)
        .filter(|(path, _)| !shallow || *path == object || is_direct(object, path))
        .take(left.saturating_add(1))
        .map(|(path, what)| {
            let wanted = if shallow && path != object { Wanted::NONE } else { all };
            object_result(path, what, wanted, seen, view)
        })
        .collect()
}

fn object_result(
    object: &str,
    what: &SeenObject,
    wanted: Wanted,
    seen: &Seen,
    view: &View<'_>,
) -> resp::SupportedObjectResult {
    let row = Supported::device2().find(object);
    let held = |list: &[&'static str]| {
        let held = list.iter().filter(|name| path::parent(name) == Some(object));
        held.filter(|name| carried_out(list, name, seen, view)).copied().collect::<Vec<_>>()
    };
    let mut result = resp::SupportedObjectResult {
        supported_obj_path: object.to_owned(),
        access: object_access(what) as i32,
        is_multi_instance: object.ends_with(".{i}."),
        ..<_>::default()
    };
    if wanted.commands {
        result.supported_commands = held(&commands(view)).into_iter().map(command_result).collect();
    }
    if wanted.events {
        result.supported_events = held(view.local.events()).into_iter().map(event_result).collect();
    }
    if wanted.params {
        let params = what.params.iter();
        result.supported_params = params.map(|(name, param)| param_result(object, name, *param)).collect();
    }
    if wanted.keys {
        result.unique_key_sets = row.map(|row| key_sets(row, what)).unwrap_or_default();
    }
    result
}

fn object_access(what: &SeenObject) -> resp::ObjAccessType {
    // Of a table without instances it is assumed that what can be created can be deleted.
    let can_delete = what.can_delete || (what.can_create && !what.has_instances);
    match (what.can_create, can_delete) {
        (true, true) => resp::ObjAccessType::ObjAddDelete,
        (true, false) => resp::ObjAccessType::ObjAddOnly,
        (false, true) => resp::ObjAccessType::ObjDeleteOnly,
        (false, false) => resp::ObjAccessType::ObjReadOnly,
    }
}

/// The keys whose parameters the device has.
fn key_sets(row: &Row, what: &SeenObject) -> Vec<resp::SupportedUniqueKeySet> {
    let keys = row.unique_keys().map(|key| key.params);
    keys.filter(|params| params.iter().all(|param| what.params.contains_key(*param)))
        .map(|params| resp::SupportedUniqueKeySet {
            key_names: params.into_iter().map(str::to_owned).collect(),
        })
        .collect()
}

fn param_result(object: &str, name: &str, param: SeenParam) -> resp::SupportedParamResult {
    let access = match param.writable {
        true => resp::ParamAccessType::ParamReadWrite,
        false => resp::ParamAccessType::ParamReadOnly,
    };
    let value_change = match param.quiet {
        true => resp::ValueChangeType::ValueChangeWillIgnore,
        false => resp::ValueChangeType::ValueChangeAllowed,
    };
    resp::SupportedParamResult {
        param_name: name.to_owned(),
        access: access as i32,
        value_type: usp_type(param_type(object, name, param)) as i32,
        value_change: value_change as i32,
    }
}

/// The type that the device states. Where it states a string or nothing the standard knows better: some
/// devices call every value a string.
fn param_type(object: &str, name: &str, param: SeenParam) -> ValueType {
    let path = format!("{object}{name}");
    let row = || Supported::device2().find(&path).or_else(|| Supported::device2_cwmp().find(&path));
    match param.value_type {
        None | Some(ValueType::String) => row().and_then(Row::value_type).unwrap_or(ValueType::String),
        Some(stated) => stated,
    }
}

fn usp_type(value_type: ValueType) -> resp::ParamValueType {
    match value_type {
        ValueType::String => resp::ParamValueType::ParamString,
        ValueType::Int => resp::ParamValueType::ParamInt,
        ValueType::UnsignedInt => resp::ParamValueType::ParamUnsignedInt,
        ValueType::Long => resp::ParamValueType::ParamLong,
        ValueType::UnsignedLong => resp::ParamValueType::ParamUnsignedLong,
        ValueType::Boolean => resp::ParamValueType::ParamBoolean,
        ValueType::DateTime => resp::ParamValueType::ParamDateTime,
        ValueType::Base64 => resp::ParamValueType::ParamBase64,
        ValueType::HexBinary => resp::ParamValueType::ParamHexBinary,
        ValueType::Decimal => resp::ParamValueType::ParamDecimal,
    }
}

fn command_result(command: &str) -> resp::SupportedCommandResult {
    let command_type = match Supported::device2().find(command) {
        Some(row) if row.is_async() => resp::CmdType::CmdAsync,
        Some(_) => resp::CmdType::CmdSync,
        None => resp::CmdType::CmdUnknown,
    };
    resp::SupportedCommandResult {
        command_name: path::name(command).to_owned(),
        input_arg_names: arguments(command, Kind::Input),
        output_arg_names: arguments(command, Kind::Output),
        command_type: command_type as i32,
    }
}

fn event_result(event: &str) -> resp::SupportedEventResult {
    resp::SupportedEventResult {
        event_name: path::name(event).to_owned(),
        arg_names: arguments(event, Kind::EventArg),
    }
}

/// The arguments that hold values, relative to the command or event (`RouteHops.{i}.Host`).
fn arguments(of: &str, kind: Kind) -> Vec<String> {
    let all = Supported::device2().arguments(of, kind);
    let used = all.filter(|(_, row)| row.value_type().is_some() && row.status != Status::Obsoleted);
    used.map(|(name, _)| name.to_owned()).collect()
}

/// Names the standard in answers.
const DATA_MODEL: &str = "urn:broadband-forum-org:tr-181-2-19-1-usp";
/// Objects in one answer over all its paths: the standard has 809, and a path may be asked for twice.
const MAX_OBJECTS: usize = 4_000;

#[cfg(test)]
mod tests;
