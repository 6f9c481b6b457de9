//! Each class of difference, on the data models of the fixtures.

use std::collections::BTreeSet;

use super::super::access::Access;
use super::super::local::Fixed;
use super::super::mapping::Mapping;
use super::*;
use crate::cwmp::rpc::{
    AddObject, AddObjectResponse, Array, DeleteObject, DeleteObjectResponse, Download, DownloadResponse,
    Fault, GetParameterNames, GetParameterValues, GetParameterValuesResponse, GetRPCMethods,
    ParameterValueStruct, Reboot, RebootResponse, Request, Response, SetParameterAttributes,
    SetParameterAttributesResponse, SetParameterAttributesStruct, SetParameterValues,
    SetParameterValuesFault, SetParameterValuesResponse,
};
use crate::datamodel::{Instantiated, ValueType, WallTime};
use crate::policy::Class;
use crate::sim::cpe::Bench;
use crate::translation::View;

const TR_181: &str = include_str!("../../../fixtures/models/tr181-small.csv");
const TR_098: &str = include_str!("../../../fixtures/models/tr098-small.csv");
const SSID: &str = "Device.WiFi.SSID.1.SSID";
const WLAN: &str = "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.";
const MAPPINGS: &str = "Device.NAT.PortMapping.";

/// A CPE, and an index of it as discovery makes it.
struct Device {
    cpe: Bench,
    index: Instantiated,
    mapping: Option<&'static Mapping>,
    undiscovered: Vec<String>,
    deleted: BTreeSet<String>,
    room: u32,
}

type Said<'s> = Result<Response<'s>, Fault<'s>>;

impl Device {
    fn tr181() -> Self {
        Self::of(TR_181, "Device.", None)
    }

    fn tr098() -> Self {
        Self::of(TR_098, "InternetGatewayDevice.", Some(Mapping::tr098()))
    }

    fn of(model: &str, root: &str, mapping: Option<&'static Mapping>) -> Self {
        let mut cpe = Bench::new(model);
        cpe.open();
        let names = cpe.handle(&names(root, false)).unwrap();
        let names = mapping.map_or(names.clone(), |mapping| mapping.incoming(&names));
        let Response::GetParameterNamesResponse(names) = names else { panic!() };
        let mut index = Instantiated::default();
        for info in names.parameter_list.iter() {
            match info.name.ends_with('.') {
                true => _ = index.put_object(&info.name, info.writable),
                false => index.put_param(&info.name, info.writable),
            }
        }
        let (undiscovered, deleted) = (Vec::new(), BTreeSet::new());
        Self { cpe, index, mapping, undiscovered, deleted, room: 10_000 }
    }

    /// Lets the CPE carry it out, and compares.
    fn does(&mut self, request: &Request<'_>) -> Findings {
        let said = self.cpe.handle(request);
        self.says(request, &said)
    }

    fn says(&mut self, request: &Request<'_>, said: &Said<'_>) -> Findings {
        let mut local = Fixed::default();
        let access = Access::for_us();
        let was_deleted = |instance: &str| self.deleted.contains(instance);
        let known =
            Known { mapping: self.mapping, undiscovered: &self.undiscovered, was_deleted: &was_deleted };
        let mut view = View::new(&mut self.index, &mut local, &access, WallTime(5));
        let answer = match said {
            Ok(response) => Answer::Response(response),
            Err(fault) => Answer::Fault(fault),
        };
        compare(&mut view, &known, request, answer, self.room)
    }

    /// What comes of values that the CPE tells.
    fn tells(&mut self, told: &[(&str, &str, ValueType)]) -> Findings {
        let list = |all: &[(&str, &str, ValueType)]| {
            let one = |(name, value, of): &(&str, &str, ValueType)| {
                ParameterValueStruct::new(name.to_string(), value.to_string(), *of)
            };
            Array(all.iter().map(one).collect::<Vec<_>>())
        };
        let asked: Vec<&str> = told.iter().map(|(name, ..)| *name).collect();
        let response = GetParameterValuesResponse { parameter_list: list(told) };
        self.says(&values(&asked), &Ok(Response::GetParameterValuesResponse(response)))
    }
}

fn values(asked: &[&str]) -> Request<'static> {
    let parameter_names = Array(asked.iter().map(|name| name.to_string().into()).collect());
    Request::GetParameterValues(GetParameterValues { parameter_names })
}

fn names(path: &str, next_level: bool) -> Request<'static> {
    Request::GetParameterNames(GetParameterNames { parameter_path: path.to_owned().into(), next_level })
}

fn set(all: &[(&str, &str, ValueType)]) -> Request<'static> {
    let one = |(name, value, of): &(&str, &str, ValueType)| {
        ParameterValueStruct::new(name.to_string(), value.to_string(), *of)
    };
    let parameter_list = Array(all.iter().map(one).collect());
    Request::SetParameterValues(SetParameterValues { parameter_list, parameter_key: "k".into() })
}

fn add(table: &str) -> Request<'static> {
    Request::AddObject(AddObject { object_name: table.to_owned().into(), parameter_key: "".into() })
}

fn delete(instance: &str) -> Request<'static> {
    Request::DeleteObject(DeleteObject { object_name: instance.to_owned().into(), parameter_key: "".into() })
}

fn added(instance_number: u32) -> Said<'static> {
    Ok(Response::AddObjectResponse(AddObjectResponse { instance_number, status: 0 }))
}

fn taken() -> Said<'static> {
    Ok(Response::SetParameterValuesResponse(SetParameterValuesResponse { status: 0 }))
}

fn blames(all: &[(&str, u32)]) -> Said<'static> {
    let one = |(name, fault_code): &(&str, u32)| SetParameterValuesFault {
        parameter_name: name.to_string().into(),
        fault_code: *fault_code,
        fault_string: "no".into(),
    };
    Err(Fault { set_parameter_values_fault: all.iter().map(one).collect(), ..Fault::of(9003) })
}

/// Compared, and what differs.
fn found(findings: &Findings) -> (u64, Vec<(Class, &str)>) {
    assert_eq!(findings.tally.differing, findings.differences.len() as u64);
    assert_eq!(findings.tally.classes.values().sum::<u64>(), findings.tally.differing);
    (findings.tally.compared, findings.differences.iter().map(|it| (it.class, it.path.as_str())).collect())
}

/// The class of the only difference of the only item.
fn class(findings: &Findings) -> Option<Class> {
    let (compared, differences) = found(findings);
    assert_eq!(compared, 1, "{findings:?}");
    differences.first().map(|(class, _)| *class)
}

const STRING: ValueType = ValueType::String;

#[test]
fn a_tr181_device_that_is_as_its_index_says_differs_in_nothing() {
    let mut device = Device::tr181();
    for request in [values(&["Device."]), values(&[SSID]), names("Device.", false), names(MAPPINGS, true)] {
        let findings = device.does(&request);
        assert!(findings.differences.is_empty() && findings.tally.compared > 0, "{findings:?}");
    }
    let findings = device.does(&values(&["Device.ManagementServer."]));
    assert_eq!((findings.tally.compared, findings.tally.left_out > 5), (0, true), "CWMP's own");
}

#[test]
fn of_a_tr098_device_differs_only_what_has_no_counterpart() {
    let mut device = Device::tr098();
    for request in [values(&["InternetGatewayDevice."]), names("InternetGatewayDevice.", false)] {
        let findings = device.does(&request);
        let others: Vec<_> = findings.differences.iter().filter(|it| it.class != Class::Unmapped).collect();
        assert!(others.is_empty(), "{others:#?}");
        let (compared, differing) = (findings.tally.compared, findings.tally.differing);
        assert!(compared > 40 && differing > 20 && differing < compared, "{compared} {differing}");
        assert!(findings.tally.left_out > 5);
    }
    let name = format!("{WLAN}SSID");
    assert_eq!(class(&device.does(&values(&[&name]))), None);
    assert_eq!(class(&device.does(&values(&[&format!("{WLAN}MaxBitRate")]))), Some(Class::Unmapped));
}

#[test]
fn what_the_index_lacks_is_a_path_or_an_instance() {
    let mut device = Device::tr181();
    let findings = device.tells(&[
        ("Device.WiFi.SSID.1.X_ACME_Com.Thing", "x", STRING),
        ("Device.WiFi.SSID.7.SSID", "x", STRING),
        (SSID, "x", STRING),
    ]);
    let expected =
        [(Class::Path, "Device.WiFi.SSID.1.X_ACME_Com.Thing"), (Class::Instance, "Device.WiFi.SSID.7.SSID")];
    assert_eq!(found(&findings), (3, expected.to_vec()));
    let mut device = Device::tr098();
    let gone = "InternetGatewayDevice.LANDevice.1.WLANConfiguration.4.SSID";
    assert_eq!(class(&device.tells(&[(gone, "x", STRING)])), Some(Class::Instance));
}

#[test]
fn what_the_index_has_and_the_cpe_does_not_tell_is_one_as_well() {
    for mut device in [Device::tr181(), Device::tr098()] {
        let mapped = device.mapping.is_some();
        let (instance, param, root) = match mapped {
            true => ("Device.Hosts.Host.9.HostName", "Device.DeviceInfo.AdditionalHardwareVersion", 98),
            false => ("Device.Hosts.Host.9.HostName", "Device.Hosts.X_Thing", 181),
        };
        device.index.put_param(instance, false);
        device.index.put_param(param, false);
        let root = if root == 98 { "InternetGatewayDevice." } else { "Device." };
        for request in [values(&[root]), names(root, false)] {
            let findings = device.does(&request);
            let of = |class| findings.differences.iter().filter(|it| it.class == class).count();
            assert_eq!((of(Class::Instance), of(Class::Path)), (1, 1), "{root}: {:#?}", findings.differences);
        }
        let table = match mapped {
            true => "InternetGatewayDevice.LANDevice.1.Hosts.Host.",
            false => "Device.Hosts.Host.",
        };
        let findings = device.does(&names(table, true));
        assert_eq!(found(&findings).1, [(Class::Instance, format!("{table}9.").as_str())]);
    }
}

#[test]
fn a_type_of_the_cpes_own_and_a_value_that_none_allows_are_told_apart() {
    let mut device = Device::tr181();
    let enable = "Device.WiFi.SSID.1.Enable";
    assert_eq!(class(&device.tells(&[(enable, "1", ValueType::UnsignedInt)])), Some(Class::Type));
    assert_eq!(class(&device.tells(&[(enable, "True", ValueType::Boolean)])), Some(Class::Value));
    assert_eq!(class(&device.tells(&[("Device.WiFi.SSID.1.Status", "Sleepy", STRING)])), Some(Class::Value));
    let passphrase = "Device.WiFi.AccessPoint.1.Security.KeyPassphrase";
    assert_eq!(class(&device.tells(&[(passphrase, "", STRING)])), None, "secrets read as empty");
    let mut device = Device::tr098();
    let findings = device.tells(&[(&format!("{WLAN}Channel"), "x", STRING)]);
    assert_eq!(findings.differences[0].class, Class::Unmapped);
    let lease = "InternetGatewayDevice.LANDevice.1.LANHostConfigManagement.DHCPLeaseTime";
    assert_eq!(class(&device.tells(&[(lease, "60", ValueType::UnsignedInt)])), Some(Class::Type));
}

#[test]
fn a_reference_that_cannot_be_said_does_not_come_back() {
    let mut device = Device::tr098();
    let interface = "InternetGatewayDevice.IPPingDiagnostics.Interface";
    let host = "InternetGatewayDevice.LANDevice.1.Hosts.Host.1";
    assert_eq!(class(&device.tells(&[(interface, host, STRING)])), None);
    let findings = device.tells(&[(interface, "InternetGatewayDevice.X_ACME.1", STRING)]);
    assert_eq!(class(&findings), Some(Class::RoundTrip));
    let why = &findings.differences[0];
    assert_eq!((why.cwmp.as_deref(), why.usp.as_deref()), (Some("InternetGatewayDevice.X_ACME.1"), Some("")));
}

#[test]
fn access_is_held_against_what_get_supported_dm_tells() {
    let mut device = Device::tr181();
    device.index.put_param(SSID, false);
    device.index.put_object("Device.Hosts.Host.", true);
    let (_, differences) = (0, device.does(&names("Device.", false)));
    let expected = [(Class::Access, SSID), (Class::Access, "Device.Hosts.Host.")];
    let mut got = found(&differences).1;
    got.sort_by_key(|(_, path)| std::cmp::Reverse(*path));
    assert_eq!(got, expected);
}

#[test]
fn a_set_that_says_the_same_differs_in_nothing_whatever_the_data_model() {
    let mut device = Device::tr181();
    let both = [(SSID, "new", STRING), ("Device.WiFi.Radio.1.Channel", "11", ValueType::UnsignedInt)];
    assert_eq!(found(&device.does(&set(&both))), (2, vec![]));
    let mut device = Device::tr098();
    // One parameter there, two here.
    let enable = format!("{WLAN}Enable");
    let ssid = format!("{WLAN}SSID");
    let both = [(enable.as_str(), "0", ValueType::Boolean), (ssid.as_str(), "new", STRING)];
    assert_eq!(found(&device.does(&set(&both))), (2, vec![]));
    assert_eq!(device.index.value("Device.WiFi.SSID.1.SSID"), None, "the shadow learns elsewhere");
}

#[test]
fn what_the_agent_would_refuse_and_the_cpe_takes_is_found_and_the_rest_is_still_compared() {
    let mut device = Device::tr181();
    let up_time = "Device.DeviceInfo.UpTime";
    let request = set(&[
        ("Device.WiFi.SSID.9.SSID", "x", STRING),
        ("Device.WiFi.X_ACME", "x", STRING),
        (up_time, "5", ValueType::UnsignedInt),
        ("Device.WiFi.SSID.1.Enable", "maybe", ValueType::Boolean),
        ("Device.WiFi.Radio.1.Channel", "11", STRING),
        (SSID, "new", STRING),
    ]);
    let expected = [
        (Class::Instance, "Device.WiFi.SSID.9.SSID"),
        (Class::Path, "Device.WiFi.X_ACME"),
        (Class::Fault, up_time),
        (Class::Fault, "Device.WiFi.SSID.1.Enable"),
        (Class::Type, "Device.WiFi.Radio.1.Channel"),
    ];
    let findings = device.says(&request, &taken());
    assert_eq!(found(&findings), (6, expected.to_vec()));
    assert!(findings.differences[2].why.contains("7013"), "{:?}", findings.differences[2]);
    let longer = [("Device.WiFi.X_A", "x", STRING), ("Device.WiFi.X_AB", "x", STRING)];
    device.index.put_param(longer[1].0, true);
    let findings = device.says(&set(&longer), &taken());
    assert_eq!(found(&findings).1, [(Class::Path, longer[0].0)], "a name that begins as another is another");
    let mut device = Device::tr098();
    let unmapped = format!("{WLAN}MaxBitRate");
    assert_eq!(class(&device.says(&set(&[(&unmapped, "54", STRING)]), &taken())), Some(Class::Unmapped));
}

#[test]
fn tr069_a_3_2_1_faults_are_held_against_the_errors_that_the_agent_would_say() {
    let mut device = Device::tr181();
    let up_time = ("Device.DeviceInfo.UpTime", "5", ValueType::UnsignedInt);
    let said = |device: &mut Device, one, blamed: &[(&str, u32)]| {
        let request = set(&[one, (SSID, "x", STRING)]);
        let findings = device.says(&request, &blames(blamed));
        found(&findings).1.into_iter().map(|(class, path)| (class, path.to_owned())).collect::<Vec<_>>()
    };
    assert_eq!(said(&mut device, up_time, &[(up_time.0, 9008)]), [], "7013 either way");
    assert_eq!(said(&mut device, up_time, &[(up_time.0, 9007)]), [(Class::Fault, up_time.0.to_owned())]);
    assert_eq!(said(&mut device, up_time, &[(SSID, 9007)]), [(Class::Fault, up_time.0.to_owned())]);
    let gone = ("Device.WiFi.SSID.9.SSID", "x", STRING);
    assert_eq!(said(&mut device, gone, &[(gone.0, 9005)]), [], "USP tells apart what 9005 does not");
    // What the agent lets through the CPE refuses to it as well.
    let channel = ("Device.WiFi.Radio.1.Channel", "200", ValueType::UnsignedInt);
    assert_eq!(said(&mut device, channel, &[(channel.0, 9007)]), []);
    let read = |device: &mut Device, names: &[&str], code| {
        class(&device.says(&values(names), &Err(Fault::of(code))))
    };
    assert_eq!(read(&mut device, &["Device.WiFi.X_Gone"], 9005), None);
    assert_eq!(read(&mut device, &[SSID], 9005), Some(Class::Fault));
    assert_eq!(read(&mut device, &[SSID], 9002), None, "a controller's read would meet it too");
}

#[test]
fn tr106_3_2_1_instance_numbers_are_new_and_tables_are_known() {
    let mut device = Device::tr181();
    assert_eq!(class(&device.does(&add(MAPPINGS))), None);
    assert_eq!(class(&device.says(&add(MAPPINGS), &added(1))), Some(Class::Instance), "there is one");
    assert_eq!(class(&device.says(&add(MAPPINGS), &added(0))), Some(Class::Instance));
    device.deleted.insert(format!("{MAPPINGS}5."));
    assert_eq!(class(&device.says(&add(MAPPINGS), &added(5))), Some(Class::Instance), "there was one");
    assert_eq!(class(&device.says(&add("Device.X_ACME.Row."), &added(5))), Some(Class::Path));
    let refused = class(&device.says(&add("Device.Hosts.Host."), &added(9)));
    assert_eq!(refused, Some(Class::Fault), "the index says that none can be added");
    assert_eq!(class(&device.says(&add(MAPPINGS), &Err(Fault::of(9004)))), None);
    assert_eq!(class(&device.does(&delete(&format!("{MAPPINGS}1.")))), None);
    let deleted = || Ok(Response::DeleteObjectResponse(DeleteObjectResponse { status: 0 }));
    assert_eq!(class(&device.says(&delete(&format!("{MAPPINGS}8.")), &deleted())), Some(Class::Instance));
    let gone = Err(Fault::of(9005));
    assert_eq!(class(&device.says(&delete(&format!("{MAPPINGS}1.")), &gone)), Some(Class::Instance));
    let mut device = Device::tr098();
    let wan = "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.WANIPConnection.1.PortMapping.";
    assert_eq!(class(&device.does(&add(wan))), Some(Class::Unmapped));
}

#[test]
fn commands_and_subscriptions_that_usp_has_not_here_are_unmapped() {
    let mut device = Device::tr181();
    let reboot = Request::Reboot(Reboot { command_key: "".into() });
    assert_eq!(class(&device.says(&reboot, &Ok(Response::RebootResponse(RebootResponse {})))), None);
    let download = |file_type: &'static str| {
        Request::Download(Download { file_type: file_type.into(), ..Download::default() })
    };
    let begun = || Ok(Response::DownloadResponse(DownloadResponse { status: 1, ..Default::default() }));
    for file_type in ["1 Firmware Upgrade Image", "3 Vendor Configuration File"] {
        let findings = device.says(&download(file_type), &begun());
        assert_eq!(found(&findings).1, [(Class::Unmapped, format!("Download {file_type}").as_str())]);
    }
    let findings = device.says(&Request::GetRPCMethods(GetRPCMethods {}), &begun());
    assert_eq!((findings.tally.compared, findings.tally.left_out), (0, 1));
    let watch = |name: &'static str| {
        let one = SetParameterAttributesStruct {
            name: name.into(),
            notification_change: true,
            notification: 2,
            ..Default::default()
        };
        Request::SetParameterAttributes(SetParameterAttributes { parameter_list: Array(vec![one]) })
    };
    let watched = || Ok(Response::SetParameterAttributesResponse(SetParameterAttributesResponse {}));
    assert_eq!(class(&device.says(&watch(SSID), &watched())), None);
    assert_eq!(class(&device.says(&watch("Device.WiFi.SSID.9."), &watched())), Some(Class::Instance));
}

#[test]
fn what_is_not_known_yet_or_too_much_is_skipped_and_counted() {
    let mut device = Device::tr181();
    device.undiscovered = vec!["Device.WiFi.".into()];
    let findings = device.does(&values(&["Device.WiFi."]));
    assert_eq!((findings.tally.compared, findings.tally.skipped > 20), (0, true));
    device.undiscovered.clear();
    device.room = 10;
    let findings = device.does(&values(&["Device."]));
    let all = findings.tally.compared + findings.tally.skipped;
    assert_eq!((findings.tally.compared, all > 100), (10, true));
}

#[test]
fn the_comparison_changes_nothing_of_the_shadow() {
    let mut device = Device::tr181();
    device.index.take_dirty();
    device.does(&values(&["Device."]));
    device.does(&set(&[(SSID, "new", STRING)]));
    device.says(&set(&[("Device.X.Y", "new", STRING)]), &blames(&[("Device.X.Y", 9005)]));
    device.does(&add(MAPPINGS));
    device.does(&delete(&format!("{MAPPINGS}1.")));
    assert!(!device.index.is_restructured() && device.index.take_dirty().is_empty());
}
