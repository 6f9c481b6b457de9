//! Requests as one would say them, in place of the nested structures of the standard.

use std::collections::BTreeMap;

use crate::usp::message::{Add, Delete, Get, GetInstances, GetSupportedDm, Operate, Request, Set, add, set};

/// Reads parameters. `max_depth` 0 is all levels (TR-369 6.1.3).
pub fn get(paths: &[&str], max_depth: u32) -> Request {
    Request::Get(Get { param_paths: owned(paths), max_depth })
}

/// Writes parameters given by their whole paths. Neighbours of one object are written together. Unless
/// `allow_partial`, one that fails undoes all.
pub fn set(params: &[(&str, &str)], allow_partial: bool) -> Request {
    let mut update_objs: Vec<set::UpdateObject> = Vec::new();
    for (path, value) in params {
        let (object, param) = split(path);
        let setting = set::UpdateParamSetting {
            param: param.to_owned(),
            value: (*value).to_owned(),
            required: !allow_partial,
        };
        match update_objs.last_mut().filter(|last| last.obj_path == object) {
            Some(last) => last.param_settings.push(setting),
            None => update_objs
                .push(set::UpdateObject { obj_path: object.to_owned(), param_settings: vec![setting] }),
        }
    }
    Request::Set(Set { allow_partial, update_objs })
}

/// Adds one object to a table, with these parameters; all of them must take.
pub fn add(table: &str, params: &[(&str, &str)]) -> Request {
    let param_settings = params
        .iter()
        .map(|(param, value)| add::CreateParamSetting {
            param: (*param).to_owned(),
            value: (*value).to_owned(),
            required: true,
        })
        .collect();
    let create = add::CreateObject { obj_path: as_object(table), param_settings };
    Request::Add(Add { allow_partial: false, create_objs: vec![create] })
}

/// Deletes objects.
pub fn delete(paths: &[&str], allow_partial: bool) -> Request {
    let obj_paths = paths.iter().map(|path| as_object(path)).collect();
    Request::Delete(Delete { allow_partial, obj_paths })
}

/// Runs a command, `Device.Reboot()` for one. The response says what came out, or names the object in
/// `Device.LocalAgent.Request.` that stands for a command still at work.
pub fn operate(command: &str, command_key: &str, arguments: &[(&str, &str)]) -> Request {
    let input_args: BTreeMap<String, String> =
        arguments.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Request::Operate(Operate {
        command: command.to_owned(),
        command_key: command_key.to_owned(),
        send_resp: true,
        input_args,
    })
}

/// Asks which instances tables have.
pub fn get_instances(paths: &[&str], first_level_only: bool) -> Request {
    let obj_paths = paths.iter().map(|path| as_object(path)).collect();
    Request::GetInstances(GetInstances { obj_paths, first_level_only })
}

/// Asks what objects, parameters, commands and events are supported.
pub fn get_supported_dm(paths: &[&str], first_level_only: bool) -> Request {
    Request::GetSupportedDm(GetSupportedDm {
        obj_paths: paths.iter().map(|path| as_object(path)).collect(),
        first_level_only,
        return_commands: true,
        return_events: true,
        return_params: true,
        return_unique_key_sets: true,
    })
}

/// Subscribes the sender: `notif_type` is ValueChange, ObjectCreation, ObjectDeletion, OperationComplete or
/// Event. With `retry`, notifications are repeated until they are answered.
pub fn subscribe(id: &str, notif_type: &str, references: &[&str], retry: bool) -> Request {
    let references = references.join(",");
    let retry = if retry { "true" } else { "false" };
    let params = [
        ("Enable", "true"),
        ("ID", id),
        ("NotifType", notif_type),
        ("ReferenceList", &references),
        ("NotifRetry", retry),
    ];
    add(SUBSCRIPTIONS, &params)
}

/// The table of subscriptions.
pub const SUBSCRIPTIONS: &str = "Device.LocalAgent.Subscription.";

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// The object of a parameter, with its dot, and the parameter's name.
fn split(path: &str) -> (&str, &str) {
    path.rfind('.').map_or(("", path), |dot| path.split_at(dot + 1))
}

/// A path of an object, which ends in a dot.
fn as_object(path: &str) -> String {
    if path.ends_with('.') { path.to_owned() } else { format!("{path}.") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_of_one_object_are_written_together() {
        let params = [("Device.A.1.X", "1"), ("Device.A.1.Y", "2"), ("Device.A.[B==\"c.d\"].X", "3")];
        let Request::Set(set) = set(&params, false) else { panic!("no Set") };
        let objects: Vec<_> =
            set.update_objs.iter().map(|it| (it.obj_path.as_str(), it.param_settings.len())).collect();
        assert_eq!(objects, [("Device.A.1.", 2), ("Device.A.[B==\"c.d\"].", 1)]);
        assert!(set.update_objs[0].param_settings.iter().all(|it| it.required));
    }

    #[test]
    fn paths_of_objects_get_their_dot() {
        let Request::Delete(delete) = delete(&["Device.A.1", "Device.A.2."], false) else { panic!() };
        assert_eq!(delete.obj_paths, ["Device.A.1.", "Device.A.2."]);
    }
}
