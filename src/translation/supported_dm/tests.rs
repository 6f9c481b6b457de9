//! GetSupportedDM on a small device: TP-469 cases where there are any, then the limits.

use std::collections::BTreeSet;

use super::*;
use crate::datamodel::{Instantiated, Source, Value, WallTime};
use crate::translation::access::Access;
use crate::translation::local::Fixed;

const ALL: message::GetSupportedDm = message::GetSupportedDm {
    obj_paths: Vec::new(),
    first_level_only: false,
    return_commands: true,
    return_events: true,
    return_params: true,
    return_unique_key_sets: true,
};

fn cpe() -> Instantiated {
    let mut cpe = Instantiated::default();
    for (name, writable, value_type) in [
        ("Device.DeviceInfo.UpTime", false, None),
        ("Device.WiFi.SSID.1.Alias", true, None),
        ("Device.WiFi.SSID.1.SSID", true, Some(ValueType::String)),
        ("Device.WiFi.SSID.2.SSID", true, None),
        ("Device.WiFi.SSID.2.Stats.BytesSent", false, Some(ValueType::UnsignedInt)),
        ("Device.WiFi.SSID.2.X_ACME_Band", true, Some(ValueType::Int)),
        ("Device.WiFi.SSID.2.X_ACME_Note", false, None),
        ("Device.WiFi.Radio.1.SupportedFrequencyBands", false, Some(ValueType::String)),
        ("Device.WiFi.Radio.1.Enable", true, Some(ValueType::String)),
        ("Device.IP.Diagnostics.IPPing.Host", true, None),
        ("Device.ManagementServer.URL", true, None),
        ("Device.LocalAgent.Controller.5.Alias", true, None),
        ("Device.X_ACME_HostNumberOfEntries", false, None),
    ] {
        cpe.put_param(name, writable);
        if value_type.is_some() {
            let value = Value { text: "1".into(), value_type, at: WallTime(0), source: Source::Read };
            cpe.set_value(name, value);
        }
    }
    for (object, writable) in [
        ("Device.WiFi.SSID.", true),
        ("Device.WiFi.SSID.1.", true),
        ("Device.WiFi.Radio.", false),
        ("Device.Bridging.Bridge.", true),
        ("Device.Hosts.Host.", false),
        ("Device.X_ACME_Host.", false),
    ] {
        cpe.put_object(object, writable);
    }
    cpe
}

fn local() -> Instantiated {
    let mut local = Instantiated::default();
    for name in ["EndpointID", "Controller.1.EndpointID", "Controller.1.Alias", "Subscription.1.Alias"] {
        local.put_param(&format!("Device.LocalAgent.{name}"), false);
    }
    for name in ["Recipient", "ID"] {
        local.put_param(&format!("Device.LocalAgent.Subscription.1.{name}"), true);
    }
    local
}

fn ask(paths: &[&str], request: message::GetSupportedDm) -> Vec<resp::RequestedObjectResult> {
    let (mut cpe, mut local) = (cpe(), Fixed(local()));
    let access = &Access::unlimited();
    let view = View::new(&mut cpe, &mut local, access, WallTime(0));
    let obj_paths = paths.iter().map(|path| (*path).to_owned()).collect();
    let request = message::GetSupportedDm { obj_paths, ..request };
    let message::Response::GetSupportedDmResp(resp) = get_supported_dm(&request, &view) else {
        panic!("another response")
    };
    resp.req_obj_results
}

fn objects(path: &str, request: message::GetSupportedDm) -> Vec<resp::SupportedObjectResult> {
    let result = ask(&[path], request).remove(0);
    assert_eq!((result.req_obj_path.as_str(), result.err_code), (path, 0), "{}", result.err_msg);
    assert_eq!(result.data_model_inst_uri, DATA_MODEL);
    result.supported_objs
}

fn paths(path: &str, request: message::GetSupportedDm) -> Vec<String> {
    objects(path, request).into_iter().map(|object| object.supported_obj_path).collect()
}

fn code(path: &str) -> ErrorCode {
    let result = ask(&[path], ALL).remove(0);
    assert!(result.supported_objs.is_empty() && result.err_msg.is_empty() == (result.err_code == 0));
    ErrorCode(result.err_code)
}

fn has_no_lists(object: &resp::SupportedObjectResult) -> bool {
    object.supported_commands.is_empty()
        && object.supported_events.is_empty()
        && object.supported_params.is_empty()
        && object.unique_key_sets.is_empty()
}

#[test]
fn tp469_1_72_an_object_comes_with_all_that_is_below_it() {
    let objects = objects("Device.LocalAgent.", ALL);
    let paths: Vec<_> = objects.iter().map(|object| object.supported_obj_path.as_str()).collect();
    let subscription = "Device.LocalAgent.Subscription.{i}.";
    assert_eq!(paths, ["Device.LocalAgent.", "Device.LocalAgent.Controller.{i}.", subscription]);
    assert_eq!(objects[0].supported_events[0].event_name, "Periodic!");
    let params: Vec<_> = objects[1].supported_params.iter().map(|param| param.param_name.as_str()).collect();
    assert_eq!(params, ["Alias", "EndpointID"], "the CPE's own table of that name must not be mixed in");
    assert!(objects[1].is_multi_instance && !objects[0].is_multi_instance);
}

#[test]
fn tp469_1_73_first_level_children_have_no_lists_and_grandchildren_are_left_out() {
    let request = message::GetSupportedDm { first_level_only: true, ..ALL };
    let objects = objects("Device.WiFi.SSID.", request.clone());
    assert_eq!(objects.len(), 2);
    assert!(!has_no_lists(&objects[0]) && has_no_lists(&objects[1]));
    assert_eq!(objects[1].supported_obj_path, "Device.WiFi.SSID.{i}.Stats.");
    let wifi = paths("Device.WiFi.", request);
    assert_eq!(wifi, ["Device.WiFi.", "Device.WiFi.Radio.{i}.", "Device.WiFi.SSID.{i}."]);
}

#[test]
fn tp469_1_74_without_options_there_are_objects_only() {
    let objects = objects("Device.", message::GetSupportedDm::default());
    assert!(objects.len() > 10 && objects.iter().all(has_no_lists));
}

#[test]
fn tp469_1_75_each_path_is_answered_in_its_place() {
    let results = ask(&["Device.LocalAgent.Controller.", "Device.Nope.", "Device.WiFi."], ALL);
    let codes: Vec<_> = results.iter().map(|result| result.err_code).collect();
    assert_eq!(codes, [0, ErrorCode::INVALID_PATH.0, 0]);
    assert_eq!(results[0].supported_objs[0].unique_key_sets.len(), 2);
}

#[test]
fn tp469_1_76_the_root_shows_each_object_once_and_nothing_hidden() {
    let paths = paths("Device.", ALL);
    let once: BTreeSet<_> = paths.iter().collect();
    assert_eq!(once.len(), paths.len());
    assert!(once.contains(&"Device.".to_owned()) && once.contains(&"Device.LocalAgent.".to_owned()));
    assert!(!paths.iter().any(|path| path.starts_with("Device.ManagementServer.")));
    assert!(!paths.iter().any(|path| path.ends_with("SSID.") || path.contains(".1.")));
}

#[test]
fn tp469_1_77_unsupported_paths_are_7026() {
    for path in [
        "Device.LocalAgent.UnsupportedObject.",
        "Device.ManagementServer.",
        "Device.WiFi.SSID.{i}.Nope",
        "Device.WiFi.Reset()",
        "Device.WakeUp!",
        "Device.Ethernet.",
    ] {
        assert_eq!(code(path), ErrorCode::INVALID_PATH, "{path}");
    }
}

#[test]
fn tp469_1_97_commands_have_relative_arguments_and_their_type() {
    let request = message::GetSupportedDm { return_commands: true, ..<_>::default() };
    let objects = objects("Device.", request);
    let commands: Vec<_> = objects.iter().flat_map(|object| &object.supported_commands).collect();
    let names: Vec<_> = commands.iter().map(|command| command.command_name.as_str()).collect();
    assert_eq!(names, ["FactoryReset()", "Reboot()", "IPPing()"]);
    assert_eq!(commands[1].command_type, resp::CmdType::CmdSync as i32);
    assert_eq!(commands[2].command_type, resp::CmdType::CmdAsync as i32);
    assert!(commands[2].input_arg_names.contains(&"Host".to_owned()));
    assert!(commands[2].output_arg_names.contains(&"SuccessCount".to_owned()));
    assert!(objects.iter().all(|object| object.supported_params.is_empty()));
}

#[test]
fn tp469_1_98_events_have_relative_arguments() {
    let request = message::GetSupportedDm { return_events: true, ..<_>::default() };
    let boot = &objects("Device.", request)[0].supported_events[0];
    assert_eq!(boot.event_name, "Boot!");
    assert!(boot.arg_names.contains(&"FirmwareUpdated".to_owned()));
}

#[test]
fn tp469_1_99_unique_keys_are_told_also_without_the_last_dot() {
    let request = message::GetSupportedDm { return_unique_key_sets: true, ..<_>::default() };
    let objects = objects("Device.LocalAgent.Subscription", request);
    let keys: Vec<_> = objects[0].unique_key_sets.iter().map(|key| key.key_names.join(",")).collect();
    assert_eq!((objects.len(), keys), (1, vec!["Alias".to_owned(), "Recipient,ID".to_owned()]));
}

#[test]
fn tp469_1_105_to_1_107_a_command_event_or_parameter_comes_alone() {
    let reboot = objects("Device.Reboot()", message::GetSupportedDm::default()).remove(0);
    assert_eq!(reboot.supported_commands[0].command_name, "Reboot()");
    assert_eq!((reboot.supported_commands.len(), reboot.supported_events.len()), (1, 0));
    let boot = objects("Device.Boot!", ALL).remove(0);
    assert_eq!(boot.supported_events[0].event_name, "Boot!");
    assert!(boot.supported_commands.is_empty() && boot.supported_params.is_empty());
    let ssid = objects("Device.WiFi.SSID.1.SSID", ALL).remove(0);
    assert_eq!(ssid.supported_obj_path, "Device.WiFi.SSID.{i}.");
    assert_eq!(ssid.supported_params[0].param_name, "SSID");
    assert_eq!((ssid.supported_params.len(), ssid.unique_key_sets.len()), (1, 0));
}

#[test]
fn both_notations_and_a_left_out_last_instance_name_the_same() {
    let expected = ["Device.WiFi.SSID.{i}.", "Device.WiFi.SSID.{i}.Stats."];
    for path in ["Device.WiFi.SSID.{i}.", "Device.WiFi.SSID.", "Device.WiFi.SSID.1."] {
        assert_eq!(paths(path, ALL), expected, "{path}");
    }
    assert_eq!(paths("Device.WiFi.SSID.2.Stats.", ALL), expected[1..]);
    assert_eq!(code("Device.WiFi.SSID.7."), ErrorCode::OBJECT_DOES_NOT_EXIST);
    assert_eq!(code("Device.LocalAgent.Controller.5."), ErrorCode::OBJECT_DOES_NOT_EXIST);
}

#[test]
fn malformed_paths_are_7008() {
    for path in [
        "",
        "WiFi.",
        "Device..",
        "Device.WiFi.SSID.*.",
        "Device.WiFi.SSID.[Enable==true].",
        "Device.WiFi.SSID.{i}.Stats.1.",
        "Device.()",
        "Device.Boot!!",
    ] {
        assert_eq!(code(path), ErrorCode::INVALID_PATH_SYNTAX, "{path}");
    }
}

#[test]
fn access_is_what_the_device_was_seen_to_allow() {
    let access = |path| objects(path, ALL).remove(0).access;
    assert_eq!(access("Device.WiFi.SSID."), resp::ObjAccessType::ObjAddDelete as i32);
    assert_eq!(access("Device.WiFi.Radio."), resp::ObjAccessType::ObjReadOnly as i32);
    assert_eq!(access("Device.Bridging.Bridge."), resp::ObjAccessType::ObjAddDelete as i32);
    let params = objects("Device.WiFi.SSID.", ALL).remove(0).supported_params;
    let writable = |name: &str| params.iter().find(|param| param.param_name == name).unwrap().access;
    assert_eq!(writable("SSID"), resp::ParamAccessType::ParamReadWrite as i32);
    assert_eq!(writable("X_ACME_Note"), resp::ParamAccessType::ParamReadOnly as i32);
}

#[test]
fn types_are_the_devices_unless_it_calls_everything_a_string() {
    let type_of = |path: &str| objects(path, ALL).remove(0).supported_params[0].value_type;
    for (path, expected) in [
        ("Device.WiFi.SSID.{i}.Stats.BytesSent", resp::ParamValueType::ParamUnsignedInt),
        ("Device.WiFi.Radio.{i}.Enable", resp::ParamValueType::ParamBoolean),
        ("Device.WiFi.Radio.{i}.SupportedFrequencyBands", resp::ParamValueType::ParamString),
        ("Device.DeviceInfo.UpTime", resp::ParamValueType::ParamUnsignedInt),
        ("Device.WiFi.SSID.{i}.X_ACME_Band", resp::ParamValueType::ParamInt),
        ("Device.WiFi.SSID.{i}.X_ACME_Note", resp::ParamValueType::ParamString),
    ] {
        assert_eq!(type_of(path), expected as i32, "{path}");
    }
}

#[test]
fn a_table_without_instances_has_the_parameters_of_the_standard() {
    let hosts = objects("Device.Hosts.Host.", ALL);
    assert_eq!(hosts[0].supported_obj_path, "Device.Hosts.Host.{i}.");
    let params: Vec<_> = hosts[0].supported_params.iter().map(|param| param.param_name.as_str()).collect();
    assert!(params.contains(&"PhysAddress") && params.contains(&"IPAddress"));
    assert_eq!(hosts[0].unique_key_sets[0].key_names, ["PhysAddress"]);
    assert_eq!(paths("Device.X_ACME_Host.", ALL), ["Device.X_ACME_Host.{i}."]);
}

#[test]
fn a_key_with_a_parameter_that_the_device_lacks_is_none() {
    let keys = |path| objects(path, ALL).remove(0).unique_key_sets;
    let ssid = keys("Device.WiFi.SSID.");
    assert_eq!(ssid.len(), 1);
    assert_eq!(ssid[0].key_names, ["Alias"]);
    assert!(keys("Device.WiFi.Radio.").is_empty());
}

#[test]
fn a_diagnostic_is_a_command_only_where_the_device_has_its_object() {
    let mut cpe = Instantiated::default();
    cpe.put_object("Device.IP.Diagnostics.", false);
    let mut local = Fixed::default();
    let access = &Access::unlimited();
    let view = View::new(&mut cpe, &mut local, access, WallTime(0));
    let seen = Seen::of(&view);
    assert!(!carried_out(&commands(&view), "Device.IP.Diagnostics.IPPing()", &seen, &view));
    assert!(carried_out(&commands(&view), "Device.Reboot()", &seen, &view));
}

#[test]
fn asking_for_the_root_again_and_again_ends_at_a_limit() {
    let results = ask(&["Device."; 1_000], ALL);
    assert_eq!(results[0].err_code, 0);
    let last = results.last().unwrap();
    assert_eq!(last.err_code, ErrorCode::RESOURCES_EXCEEDED.0);
    assert!(results.iter().map(|result| result.supported_objs.len()).sum::<usize>() <= MAX_OBJECTS);
}

#[test]
fn every_command_and_event_is_the_standards() {
    for name in Operate::COMMANDS.into_iter().chain(Diagnostic::commands()) {
        let kind = Supported::device2().find(name).map(|row| row.kind);
        assert!(matches!(kind, Some(Kind::Command | Kind::Event)), "{name}");
    }
}
