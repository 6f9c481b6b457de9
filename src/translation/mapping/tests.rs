//! The rules against the standards, and RPCs and a discovery against a small TR-098 device.

use std::collections::BTreeSet;

use super::super::discovery::Discovery;
use super::super::local::Fixed;
use super::super::plan::{Plan, Step, View};
use super::convert::Convert;
use super::table::Rule;
use super::*;
use crate::cwmp::rpc::{
    AddObject, Array, DeleteObject, Fault, GetParameterNames, GetParameterNamesResponse, GetParameterValues,
    GetParameterValuesResponse, Inform, ParameterInfoStruct, ParameterValueStruct, Request, Response,
    SetParameterValues, SetParameterValuesFault,
};
use crate::datamodel::supported::{Access, Kind, Supported, generic, standard};
use crate::datamodel::{Instantiated, Source, Value, ValueType, WallTime, path};

const WLAN: &str = "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.";
const POOL: &str = "InternetGatewayDevice.LANDevice.1.LANHostConfigManagement.";

fn mapping() -> &'static Mapping {
    Mapping::tr098()
}

/// Whether a rule is about parameters.
fn is_param(rule: &Rule) -> bool {
    !path::is_object(rule.usp.as_str())
}

#[test]
fn every_file_of_rules_can_be_read() {
    for (name, text) in rules::TR098 {
        let rules = rules::parse(name, text);
        assert!(rules.as_ref().is_ok_and(|rules| !rules.is_empty()), "{rules:?}");
    }
}

#[test]
fn every_path_of_a_rule_is_one_of_the_standard() {
    for rule in mapping().rules() {
        let igd = Supported::igd().find(&generic(rule.cpe.as_str()));
        // Tables have no rows of their own: their instances have.
        let kind = if is_param(rule) { Kind::Param } else { Kind::Object };
        let is_table = |path: &str| standard(&format!("{path}{{i}}.")).is_some_and(|row| row.is_table());
        let known = igd.is_some_and(|row| row.kind == kind) || is_table(rule.cpe.as_str());
        assert!(known, "{} is not of TR-098", rule.cpe.as_str());
        let usp = rule.usp.as_str();
        let known = standard(usp).is_some_and(|row| row.kind == kind) || is_table(usp);
        assert_eq!(known, !rule.removed, "{usp}: of TR-181 or removed from it, and not both");
    }
}

#[test]
fn types_agree_or_a_conversion_says_how() {
    for rule in mapping().rules().iter().filter(|rule| is_param(rule) && !rule.removed) {
        let row = |path: &str| standard(path).unwrap();
        let (usp, cpe) = (row(rule.usp.as_str()), row(rule.cpe.as_str()));
        let agree = usp.value_type() == cpe.value_type() && usp.is_list == cpe.is_list;
        assert!(agree || rule.convert != Convert::Same, "{} needs a conversion", usp.path);
        assert!(!agree || rule.convert != Convert::Text, "{} needs none", usp.path);
    }
}

#[test]
fn every_word_of_the_device_has_one_in_the_standard() {
    for rule in mapping().rules().iter().filter(|rule| is_param(rule) && !rule.removed) {
        let row = |path: &str| standard(path).unwrap();
        let known: BTreeSet<&str> = row(rule.usp.as_str()).enums().collect();
        if known.is_empty() {
            continue;
        }
        for word in row(rule.cpe.as_str()).enums() {
            let said = rule.convert.to_usp(mapping(), word).unwrap();
            assert!(known.contains(&*said), "{}: {word} is said as {said}", rule.usp.as_str());
        }
    }
}

#[test]
fn what_can_be_written_comes_back_as_it_was_written() {
    for rule in mapping().rules().iter().filter(|rule| rule.writable) {
        if let Convert::Words(words) = &rule.convert {
            let said: BTreeSet<&str> = words.iter().map(|(_, usp)| usp.as_str()).collect();
            assert_eq!(said.len(), words.len(), "{}: two words for one", rule.usp.as_str());
        }
    }
}

#[test]
fn each_path_leads_to_its_counterpart_and_back() {
    let mut seen = BTreeSet::new();
    for rule in mapping().rules() {
        assert_eq!(rule.usp.places(), rule.cpe.places(), "{}", rule.usp.as_str());
        let numbers = ["7", "8", "9"];
        let (usp, cpe) = (rule.usp.fill(&numbers), rule.cpe.fill(&numbers));
        assert!(mapping().usp_sides(&cpe).any(|(_, found)| found == usp), "{cpe} does not lead to {usp}");
        if is_param(rule) {
            assert_eq!(mapping().to_cpe(&usp), Some(cpe), "{usp}");
            assert!(seen.insert(usp.clone()), "{usp} has two rules");
        }
    }
}

#[test]
fn a_table_to_which_can_be_added_has_one_counterpart() {
    let creatable = mapping().rules().iter().filter(|rule| rule.writable && !is_param(rule));
    let tables: Vec<&Rule> = creatable.collect();
    assert!(tables.iter().any(|rule| rule.usp.as_str() == "Device.DHCPv4.Server.Pool.1.StaticAddress."));
    for rule in tables {
        let cpe = rule.cpe.fill(&["7", "8", "9"]);
        assert_eq!(mapping().usp_sides(&cpe).count(), 1, "{cpe}");
        let instance = cpe.trim_end_matches("7.").to_owned() + "7.";
        let row = standard(&instance).or_else(|| standard(&cpe));
        assert!(row.is_some_and(|row| row.access == Access::ReadWrite), "{instance}");
    }
}

fn get(names: &[&'static str]) -> Request<'static> {
    let parameter_names = Array(names.iter().map(|name| (*name).into()).collect());
    Request::GetParameterValues(GetParameterValues { parameter_names })
}

fn set(list: &[(&'static str, &'static str, ValueType)]) -> Request<'static> {
    let list = list.iter().map(|(name, value, kind)| ParameterValueStruct::new(*name, *value, *kind));
    let parameter_key = "key".into();
    Request::SetParameterValues(SetParameterValues { parameter_list: Array(list.collect()), parameter_key })
}

fn values(list: &[(&str, &'static str, ValueType)]) -> Response<'static> {
    let list =
        list.iter().map(|(name, value, kind)| ParameterValueStruct::new((*name).to_owned(), *value, *kind));
    Response::GetParameterValuesResponse(GetParameterValuesResponse { parameter_list: Array(list.collect()) })
}

fn read(response: &Response<'_>) -> Vec<(String, String, Option<ValueType>)> {
    let Response::GetParameterValuesResponse(response) = response else { panic!("not values") };
    let list = response.parameter_list.iter();
    list.map(|one| (one.name.to_string(), one.value.to_string(), one.value_type)).collect()
}

#[test]
fn what_is_one_on_the_device_is_asked_for_once_and_told_for_both() {
    let asked = get(&["Device.WiFi.SSID.1.Enable", "Device.WiFi.AccessPoint.1.Enable"]);
    let enable = "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.Enable";
    assert_eq!(mapping().outgoing(asked), Ok(get(&[enable])));
    let told = read(&mapping().incoming(&values(&[(enable, "1", ValueType::Boolean)])));
    let names: BTreeSet<&str> = told.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, BTreeSet::from(["Device.WiFi.AccessPoint.1.Enable", "Device.WiFi.SSID.1.Enable"]));
    assert!(told.iter().all(|(_, value, kind)| value == "1" && *kind == Some(ValueType::Boolean)));
}

#[test]
fn values_and_types_are_those_of_the_standard_that_is_spoken() {
    let status = format!("{WLAN}Status");
    let sent = format!("{WLAN}TotalBytesSent");
    let option = format!("{POOL}DHCPOption.2.Value");
    let told = read(&mapping().incoming(&values(&[
        (&status, "Disabled", ValueType::String),
        (&sent, "4711", ValueType::UnsignedInt),
        (&option, "AQI=", ValueType::Base64),
        (&format!("{WLAN}BeaconType"), "11i", ValueType::String),
        ("InternetGatewayDevice.X_ACME.Thing", "1", ValueType::String),
    ])));
    let told: Vec<_> =
        told.iter().map(|(name, value, kind)| (name.as_str(), value.as_str(), *kind)).collect();
    let wanted = [
        ("Device.WiFi.SSID.1.Status", "Down", Some(ValueType::String)),
        ("Device.WiFi.AccessPoint.1.Status", "Disabled", Some(ValueType::String)),
        ("Device.WiFi.SSID.1.Stats.BytesSent", "4711", Some(ValueType::UnsignedLong)),
        ("Device.DHCPv4.Server.Pool.1.Option.2.Value", "0102", Some(ValueType::HexBinary)),
    ];
    assert_eq!(told, wanted);
    let written = set(&[("Device.DHCPv4.Server.Pool.1.Option.2.Value", "0102", ValueType::HexBinary)]);
    let value = "InternetGatewayDevice.LANDevice.1.LANHostConfigManagement.DHCPOption.2.Value";
    assert_eq!(mapping().outgoing(written), Ok(set(&[(value, "AQI=", ValueType::Base64)])));
}

#[test]
fn what_the_device_cannot_be_told_is_refused_before_it_is_asked() {
    let asked = get(&["Device.DeviceInfo.UpTime", "Device.WiFi.Radio.1.Channel", "Device.X.Y"]);
    let unmapped = mapping().outgoing(asked).unwrap_err();
    let paths: Vec<&str> = unmapped.refused.iter().map(|refused| refused.path.as_str()).collect();
    assert_eq!(paths, ["Device.WiFi.Radio.1.Channel", "Device.X.Y"]);
    let fault = unmapped.fault();
    assert_eq!(fault.fault_code, 9005);
    assert!(
        fault.fault_string.contains("Device.WiFi.Radio.1.Channel") && fault.fault_string.contains("1 more")
    );
}

#[test]
fn tied_parameters_set_apart_are_refused_by_name() {
    let both = |one, other| {
        mapping().outgoing(set(&[
            ("Device.WiFi.SSID.1.Enable", one, ValueType::Boolean),
            ("Device.WiFi.AccessPoint.1.Enable", other, ValueType::Boolean),
        ]))
    };
    let enable = "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.Enable";
    assert_eq!(both("true", "true"), Ok(set(&[(enable, "true", ValueType::Boolean)])));
    let fault = both("true", "false").unwrap_err().fault();
    let blamed: Vec<_> = fault.set_parameter_values_fault.iter().collect();
    assert_eq!((fault.fault_code, blamed.len()), (9003, 1));
    assert_eq!(
        (&*blamed[0].parameter_name, blamed[0].fault_code),
        ("Device.WiFi.AccessPoint.1.Enable", 9007)
    );
}

#[test]
fn the_device_blames_a_parameter_under_the_names_that_plans_know() {
    let blame = |name: &'static str| SetParameterValuesFault {
        parameter_name: name.into(),
        fault_code: 9007,
        fault_string: "no".into(),
    };
    let list = vec![
        blame("InternetGatewayDevice.LANDevice.1.WLANConfiguration.2.SSID"),
        blame("InternetGatewayDevice.X_ACME.Thing"),
    ];
    let fault = mapping().fault(&Fault { set_parameter_values_fault: list, ..Fault::of(9003) });
    let list = vec![blame("Device.WiFi.SSID.2.SSID"), blame("InternetGatewayDevice.X_ACME.Thing")];
    assert_eq!(fault, Fault { set_parameter_values_fault: list, ..Fault::of(9003) });
}

#[test]
fn only_what_the_device_can_create_is_added_or_deleted() {
    let add = |object_name: &'static str| {
        Request::AddObject(AddObject { object_name: object_name.into(), parameter_key: "key".into() })
    };
    let delete = |object_name: &'static str| {
        Request::DeleteObject(DeleteObject { object_name: object_name.into(), parameter_key: "key".into() })
    };
    let usp = "Device.DHCPv4.Server.Pool.1.StaticAddress.";
    let cpe = "InternetGatewayDevice.LANDevice.1.LANHostConfigManagement.DHCPStaticAddress.";
    assert_eq!(mapping().outgoing(add(usp)), Ok(add(cpe)));
    assert_eq!(mapping().observed(&add(cpe)), Some(add(usp)));
    let third = "InternetGatewayDevice.LANDevice.1.LANHostConfigManagement.DHCPStaticAddress.3.";
    let deleted = mapping().outgoing(delete("Device.DHCPv4.Server.Pool.1.StaticAddress.3."));
    assert_eq!(deleted, Ok(delete(third)));
    for fixed in ["Device.WiFi.SSID.", "Device.DHCPv4.Server.Pool.", "Device.NAT.PortMapping."] {
        assert_eq!(mapping().outgoing(add(fixed)).unwrap_err().fault().fault_code, 9005, "{fixed}");
    }
    assert!(mapping().outgoing(delete("Device.DHCPv4.Server.Pool.1.")).is_err());
    assert_eq!(mapping().observed(&add("InternetGatewayDevice.LANDevice.1.WLANConfiguration.")), None);
}

#[test]
fn what_the_acs_writes_reaches_both_counterparts() {
    let enable = "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.Enable";
    let beacon = "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.BeaconType";
    let request = set(&[(enable, "0", ValueType::Boolean), (beacon, "None", ValueType::String)]);
    let seen = set(&[
        ("Device.WiFi.SSID.1.Enable", "0", ValueType::Boolean),
        ("Device.WiFi.AccessPoint.1.Enable", "0", ValueType::Boolean),
    ]);
    assert_eq!(mapping().observed(&request), Some(seen));
    assert_eq!(mapping().observed(&set(&[(beacon, "None", ValueType::String)])), None);
    assert_eq!(mapping().observed(&get(&[enable])), None);
}

#[test]
fn an_inform_keeps_its_events_and_drops_what_has_no_counterpart() {
    let Response::GetParameterValuesResponse(told) = values(&[
        ("InternetGatewayDevice.DeviceInfo.SoftwareVersion", "3.0.7", ValueType::String),
        ("InternetGatewayDevice.DeviceInfo.SpecVersion", "1.0", ValueType::String),
    ]) else {
        panic!("not values")
    };
    let inform = Inform { retry_count: 3, parameter_list: told.parameter_list, ..Inform::default() };
    let mapped = mapping().inform(&inform);
    assert_eq!(mapped.retry_count, 3);
    let told: Vec<_> = mapped.parameter_list.iter().map(|one| (&*one.name, &*one.value)).collect();
    assert_eq!(told, [("Device.DeviceInfo.SoftwareVersion", "3.0.7")]);
}

/// The device of fixtures/models/tr098-small.csv.
fn device() -> Instantiated {
    let mut device = Instantiated::default();
    let lines = include_str!("../../../fixtures/models/tr098-small.csv").lines();
    for line in lines.filter(|line| line.starts_with("InternetGatewayDevice.")) {
        let mut fields = line.splitn(3, ',');
        let (name, writable) = (fields.next().unwrap(), fields.next() == Some("1"));
        if path::is_object(name) {
            device.put_object(name, writable);
            continue;
        }
        device.put_param(name, writable);
        let (text, _) = fields.next().unwrap().rsplit_once(',').unwrap();
        let text = text.trim_matches('"').into();
        device.set_value(name, Value { text, value_type: None, at: WallTime(0), source: Source::Read });
    }
    device
}

fn names(device: &Instantiated, asked: &GetParameterNames<'_>) -> Response<'static> {
    let below =
        device.objects_below(&asked.parameter_path).map(|name| (name, device.is_writable_object(name)));
    let params = device.params_below(&asked.parameter_path).map(|(name, param)| (name, param.writable));
    let wanted = |name: &str| !asked.next_level || path::parent(name) == Some(&*asked.parameter_path);
    let list = below.chain(params).filter(|(name, _)| wanted(name));
    let list = list.map(|(name, writable)| ParameterInfoStruct { name: name.to_owned().into(), writable });
    let parameter_list = Array(list.collect());
    Response::GetParameterNamesResponse(GetParameterNamesResponse { parameter_list })
}

/// Carries a discovery out on the device; returns what was asked and what became known.
fn discover(waiting: &[&str]) -> (Vec<String>, Instantiated) {
    let device = device();
    let mut cpe = Instantiated::default();
    let mut local = Fixed::default();
    let access = &super::super::access::Access::unlimited();
    let mut view = View::new(&mut cpe, &mut local, access, WallTime(0));
    let waiting = waiting.iter().map(|path| (*path).to_owned()).collect();
    let mut discovery = Discovery::resume(waiting, 10_000, Some(mapping()));
    let mut asked = Vec::new();
    while let Step::Call(request) = discovery.next(&mut view) {
        let Ok(Request::GetParameterNames(request)) = mapping().outgoing(request) else {
            panic!("a discovery asks for names of the device")
        };
        asked.push(request.parameter_path.to_string());
        discovery.answered(&mut view, &names(&device, &request));
    }
    assert!(discovery.left().is_empty());
    (asked, cpe)
}

#[test]
fn a_discovery_walks_the_devices_tree_and_notes_it_in_tr181_terms() {
    let (asked, cpe) = discover(&["InternetGatewayDevice."]);
    let branches = ["DeviceInfo.", "IPPingDiagnostics.", "LANDevice.", "ManagementServer.", "Time."];
    assert!(branches.iter().all(|branch| asked.contains(&format!("InternetGatewayDevice.{branch}"))));
    assert!(!asked.contains(&"InternetGatewayDevice.WANDevice.".to_owned()), "no rule is about it");
    assert_eq!(cpe.instances("Device.Hosts.Host."), [1, 2]);
    assert_eq!(cpe.instances("Device.WiFi.AccessPoint.1.AssociatedDevice."), [1]);
    assert!(cpe.param("Device.WiFi.SSID.1.SSID").is_some_and(|param| param.writable));
    assert!(cpe.param("Device.WiFi.SSID.1.BSSID").is_some_and(|param| !param.writable));
    assert!(cpe.has_object("Device.IP.Diagnostics.IPPing."));
    assert!(!cpe.is_writable_object("Device.WiFi.SSID."));
    let strangers: Vec<&str> = cpe.objects_below("").filter(|name| !name.starts_with("Device.")).collect();
    assert_eq!(strangers, [""; 0]);
}

#[test]
fn a_discovery_goes_on_with_tables_that_the_acs_has_added_to() {
    let (asked, cpe) = discover(&["Device.Hosts.Host.", "Device.X_ACME.", "InternetGatewayDevice.Services."]);
    assert_eq!(asked, ["InternetGatewayDevice.LANDevice.1.Hosts.Host."]);
    assert_eq!(cpe.instances("Device.Hosts.Host."), [1, 2]);
    assert!(!cpe.has_object("Device.WiFi."));
}

#[test]
fn all_that_was_discovered_can_be_read_back() {
    let (_, cpe) = discover(&["InternetGatewayDevice."]);
    let device = device();
    for (name, _) in cpe.params_below("Device.") {
        let asked = mapping().to_cpe(name).unwrap();
        let value = device.value(&asked).unwrap_or_else(|| panic!("{name} is asked for as {asked}"));
        let list = [ParameterValueStruct::new(asked.clone(), value.to_owned(), ValueType::String)];
        let parameter_list = Array(list.into());
        let response = Response::GetParameterValuesResponse(GetParameterValuesResponse { parameter_list });
        let told = read(&mapping().incoming(&response));
        assert!(told.iter().any(|(told, ..)| told == name), "{name} does not come back");
    }
}
