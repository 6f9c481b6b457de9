//! What a simulated CPE answers and when it calls, without any I/O.

use std::sync::Arc;

use crate::cwmp::rpc::*;
use crate::datamodel::{ValueType, WallTime};
use crate::identity::DeviceId;

use super::core::{Cpe, Due, Settings};
use super::model::Model;
use super::quirks::Quirks;

const MODEL: &str = "path,writable,value,type
Device.DeviceInfo.SoftwareVersion,0,1.0,string
Device.DeviceInfo.SerialNumber,0,,string
Device.DeviceInfo.UpTime,0,0,unsignedInt
Device.ManagementServer.URL,1,,string
Device.ManagementServer.ParameterKey,0,,string
Device.ManagementServer.ConnectionRequestURL,0,,string
Device.ManagementServer.ConnectionRequestPassword,1,secret,string
Device.ManagementServer.PeriodicInformEnable,1,1,boolean
Device.ManagementServer.PeriodicInformInterval,1,60,unsignedInt
Device.WiFi.Radio.1.Channel,1,6,unsignedInt
Device.WiFi.Radio.1.Enable,1,1,boolean
Device.NAT.PortMappingNumberOfEntries,0,1,unsignedInt
Device.NAT.PortMapping.,1,,
Device.NAT.PortMapping.1.,1,,
Device.NAT.PortMapping.1.Enable,1,1,boolean
Device.NAT.PortMapping.1.ExternalPort,1,80,unsignedInt
Device.IP.Diagnostics.IPPing.DiagnosticsState,1,None,string
Device.IP.Diagnostics.IPPing.NumberOfRepetitions,1,3,unsignedInt
Device.IP.Diagnostics.IPPing.SuccessCount,0,0,unsignedInt
";

fn cpe_with(quirks: Quirks) -> Cpe {
    let settings = Settings {
        model: Arc::new(Model::parse(MODEL).unwrap()),
        acs_url: "http://acs/".into(),
        connection_request_base: "http://127.0.0.1:7547".into(),
        credentials: Some(("acs".into(), "pw".into())),
        quirks,
    };
    let id = DeviceId { serial_number: "S1".into(), oui: "00256D".into(), ..DeviceId::default() };
    let mut cpe = Cpe::new(Arc::new(settings), id);
    cpe.boot(None, WallTime(0));
    cpe
}

fn cpe() -> Cpe {
    cpe_with(Quirks::default())
}

/// A CPE that has told the ACS of its boot.
fn settled() -> Cpe {
    let mut cpe = cpe();
    session(&mut cpe);
    cpe
}

/// A whole session without RPCs; returns its Inform and what the CPE does next.
fn session(cpe: &mut Cpe) -> (Inform<'static>, Vec<(u64, Due)>) {
    let inform = cpe.open(WallTime(5_000));
    cpe.informed();
    (inform, cpe.close(true))
}

fn events(inform: &Inform<'_>) -> Vec<String> {
    inform.event.iter().map(|it| format!("{}{}", it.event_code, it.command_key)).collect()
}

fn get(cpe: &mut Cpe, names: &[&str]) -> Result<Vec<(String, String)>, u32> {
    let names = Array(names.iter().map(|name| Text::Owned((*name).to_owned())).collect());
    let request = Request::GetParameterValues(GetParameterValues { parameter_names: names });
    match cpe.handle(&request, WallTime(9_000)) {
        Ok(Response::GetParameterValuesResponse(it)) => {
            let list = it.parameter_list.0.into_iter();
            Ok(list.map(|it| (it.name.into_owned(), it.value.into_owned())).collect())
        }
        Ok(other) => panic!("{}", other.name()),
        Err(fault) => Err(fault.fault_code),
    }
}

fn value(cpe: &mut Cpe, name: &str) -> String {
    get(cpe, &[name]).unwrap().remove(0).1
}

fn set(cpe: &mut Cpe, list: &[(&str, &str, ValueType)]) -> Result<(), Fault<'static>> {
    let list = list.iter().map(|(name, value, value_type)| {
        ParameterValueStruct::new((*name).to_owned(), (*value).to_owned(), *value_type)
    });
    let parameter_list = Array(list.collect());
    let request = SetParameterValues { parameter_list, parameter_key: "key".into() };
    cpe.handle(&Request::SetParameterValues(request), WallTime(0)).map(drop)
}

fn names(cpe: &mut Cpe, path: &str, next_level: bool) -> Result<Vec<String>, u32> {
    let request = GetParameterNames { parameter_path: path.to_owned().into(), next_level };
    match cpe.handle(&Request::GetParameterNames(request), WallTime(0)) {
        Ok(Response::GetParameterNamesResponse(it)) => {
            Ok(it.parameter_list.0.into_iter().map(|it| it.name.into_owned()).collect())
        }
        Ok(other) => panic!("{}", other.name()),
        Err(fault) => Err(fault.fault_code),
    }
}

fn notify(cpe: &mut Cpe, name: &str, notification: i32) -> Result<(), u32> {
    let parameter = SetParameterAttributesStruct {
        name: name.to_owned().into(),
        notification_change: true,
        notification,
        ..SetParameterAttributesStruct::default()
    };
    let request = SetParameterAttributes { parameter_list: Array(vec![parameter]) };
    let answer = cpe.handle(&Request::SetParameterAttributes(request), WallTime(0));
    answer.map(drop).map_err(|fault| fault.fault_code)
}

const CHANNEL: &str = "Device.WiFi.Radio.1.Channel";

#[test]
fn the_first_inform_is_bootstrap_and_boot_with_the_forced_parameters() {
    let mut cpe = cpe();
    assert!(cpe.wants_session());
    let (inform, next) = session(&mut cpe);
    assert_eq!(events(&inform), ["0 BOOTSTRAP", "1 BOOT"]);
    let named: Vec<&str> = inform.parameter_list.iter().map(|it| &*it.name).collect();
    assert_eq!(
        named,
        [
            "Device.DeviceInfo.SoftwareVersion",
            "Device.ManagementServer.ParameterKey",
            "Device.ManagementServer.ConnectionRequestURL"
        ]
    );
    assert_eq!(inform.parameter_list[2].value, "http://127.0.0.1:7547/S1");
    assert!(next.is_empty());
    assert!(!cpe.wants_session());
}

#[test]
fn a_failed_session_tells_the_same_again_and_counts() {
    let mut cpe = cpe();
    for retries in 0..3 {
        let inform = cpe.open(WallTime(0));
        assert_eq!((inform.retry_count, events(&inform).len()), (retries, 2));
        cpe.close(false);
        assert!(cpe.wants_session());
    }
    session(&mut cpe);
    cpe.raise("2 PERIODIC", "");
    let inform = cpe.open(WallTime(0));
    assert_eq!((inform.retry_count, events(&inform)), (0, vec!["2 PERIODIC".to_owned()]));
}

#[test]
fn reads_take_partial_paths_and_refuse_unknown_names() {
    let mut cpe = cpe();
    assert_eq!(get(&mut cpe, &["Device.WiFi."]).unwrap().len(), 2);
    assert_eq!(get(&mut cpe, &[""]).unwrap().len(), 19 - 2);
    assert_eq!(get(&mut cpe, &[CHANNEL, "Device.Nope"]), Err(9005));
    assert_eq!(get(&mut cpe, &["Device.WiFi"]), Err(9005));
    assert_eq!(value(&mut cpe, "Device.DeviceInfo.UpTime"), "9");
    assert_eq!(value(&mut cpe, "Device.ManagementServer.ConnectionRequestPassword"), "");
    assert_eq!(cpe.connection_request_credentials(), None);
}

#[test]
fn a_write_takes_effect_as_a_whole_or_names_each_refusal() {
    let mut cpe = cpe();
    let fault = set(
        &mut cpe,
        &[
            (CHANNEL, "11", ValueType::UnsignedInt),
            ("Device.Nope", "1", ValueType::String),
            ("Device.WiFi.Radio.1.Enable", "1", ValueType::String),
            ("Device.NAT.PortMapping.1.ExternalPort", "-1", ValueType::UnsignedInt),
            ("Device.DeviceInfo.SerialNumber", "x", ValueType::String),
            (CHANNEL, "12", ValueType::UnsignedInt),
        ],
    )
    .unwrap_err();
    let codes: Vec<u32> = fault.set_parameter_values_fault.iter().map(|it| it.fault_code).collect();
    assert_eq!((fault.fault_code, codes), (9003, vec![9005, 9006, 9007, 9008, 9003]));
    assert_eq!(value(&mut cpe, CHANNEL), "6");
    assert_eq!(value(&mut cpe, "Device.ManagementServer.ParameterKey"), "");
    set(&mut cpe, &[(CHANNEL, "11", ValueType::UnsignedInt)]).unwrap();
    assert_eq!(value(&mut cpe, CHANNEL), "11");
    assert_eq!(value(&mut cpe, "Device.ManagementServer.ParameterKey"), "key");
}

#[test]
fn names_come_by_level_or_all_with_the_object_itself() {
    let mut cpe = cpe();
    assert_eq!(names(&mut cpe, "", true).unwrap(), ["Device."]);
    assert_eq!(names(&mut cpe, "Device.WiFi.", true).unwrap(), ["Device.WiFi.Radio."]);
    let all =
        ["Device.WiFi.", "Device.WiFi.Radio.", "Device.WiFi.Radio.1.", CHANNEL, "Device.WiFi.Radio.1.Enable"];
    assert_eq!(names(&mut cpe, "Device.WiFi.", false).unwrap(), all);
    assert_eq!(names(&mut cpe, CHANNEL, false).unwrap(), [CHANNEL]);
    assert_eq!(names(&mut cpe, CHANNEL, true), Err(9003));
    assert_eq!(names(&mut cpe, "Device.WiFi", false), Err(9005));
}

#[test]
fn instances_are_added_counted_and_deleted_and_numbers_never_come_back() {
    let mut cpe = cpe();
    let add = |cpe: &mut Cpe, table: &str| {
        let request = AddObject { object_name: table.to_owned().into(), parameter_key: "k".into() };
        match cpe.handle(&Request::AddObject(request), WallTime(0)) {
            Ok(Response::AddObjectResponse(it)) => Ok(it.instance_number),
            Ok(other) => panic!("{}", other.name()),
            Err(fault) => Err(fault.fault_code),
        }
    };
    let delete = |cpe: &mut Cpe, object: &str| {
        let request = DeleteObject { object_name: object.to_owned().into(), parameter_key: "k".into() };
        cpe.handle(&Request::DeleteObject(request), WallTime(0)).map(drop).map_err(|fault| fault.fault_code)
    };
    assert_eq!(add(&mut cpe, "Device.NAT.PortMapping."), Ok(2));
    assert_eq!(add(&mut cpe, "Device.WiFi.Radio."), Err(9005));
    assert_eq!(value(&mut cpe, "Device.NAT.PortMapping.2.ExternalPort"), "0");
    assert_eq!(value(&mut cpe, "Device.NAT.PortMappingNumberOfEntries"), "2");
    set(&mut cpe, &[("Device.NAT.PortMapping.2.ExternalPort", "81", ValueType::UnsignedInt)]).unwrap();
    assert_eq!(delete(&mut cpe, "Device.NAT.PortMapping.2."), Ok(()));
    assert_eq!(delete(&mut cpe, "Device.NAT.PortMapping.1."), Ok(()));
    assert_eq!(delete(&mut cpe, "Device.NAT.PortMapping.1."), Err(9005));
    assert_eq!(names(&mut cpe, "Device.NAT.PortMapping.", true).unwrap(), Vec::<String>::new());
    assert_eq!(value(&mut cpe, "Device.NAT.PortMappingNumberOfEntries"), "0");
    assert_eq!(add(&mut cpe, "Device.NAT.PortMapping."), Ok(3));
    assert_eq!(value(&mut cpe, "Device.NAT.PortMapping.3.ExternalPort"), "0");
}

#[test]
fn active_changes_call_at_once_passive_ones_wait_and_the_acs_own_are_not_told() {
    let mut cpe = settled();
    notify(&mut cpe, "Device.WiFi.", 1).unwrap();
    assert!(cpe.change(CHANNEL, "11"));
    assert!(!cpe.wants_session());
    notify(&mut cpe, "Device.NAT.PortMapping.1.Enable", 2).unwrap();
    set(&mut cpe, &[("Device.NAT.PortMapping.1.Enable", "0", ValueType::Boolean)]).unwrap();
    assert!(!cpe.wants_session());
    cpe.change("Device.NAT.PortMapping.1.Enable", "1");
    assert!(cpe.wants_session());
    let (inform, _) = session(&mut cpe);
    assert_eq!(events(&inform), ["4 VALUE CHANGE"]);
    let told: Vec<_> = inform.parameter_list.iter().skip(3).map(|it| (&*it.name, &*it.value)).collect();
    assert_eq!(told, [("Device.NAT.PortMapping.1.Enable", "1"), (CHANNEL, "11")]);
    assert_eq!(events(&session(&mut cpe).0), Vec::<String>::new());
    assert_eq!(notify(&mut cpe, CHANNEL, 7), Err(9003));
    assert!(!cpe.change("Device.Nope", "1"));
}

#[test]
fn a_reboot_comes_back_with_its_key_and_a_factory_reset_as_a_new_device() {
    let mut cpe = settled();
    set(&mut cpe, &[(CHANNEL, "11", ValueType::UnsignedInt)]).unwrap();
    cpe.open(WallTime(0));
    cpe.informed();
    cpe.handle(&Request::Reboot(Reboot { command_key: "k".into() }), WallTime(0)).unwrap();
    let (_, due) = cpe.close(true).remove(0);
    cpe.due(due, WallTime(8_000));
    assert_eq!(events(&session(&mut cpe).0), ["1 BOOT", "M Rebootk"]);
    assert_eq!(value(&mut cpe, "Device.DeviceInfo.UpTime"), "1");
    cpe.handle(&Request::FactoryReset(FactoryReset {}), WallTime(0)).unwrap();
    let (_, due) = cpe.close(true).remove(0);
    cpe.due(due, WallTime(0));
    assert_eq!(events(&session(&mut cpe).0), ["0 BOOTSTRAP", "1 BOOT"]);
    assert_eq!(value(&mut cpe, CHANNEL), "6");
}

#[test]
fn diagnostics_run_after_the_session_and_call_with_their_results() {
    let mut cpe = settled();
    let state = "Device.IP.Diagnostics.IPPing.DiagnosticsState";
    assert!(set(&mut cpe, &[(state, "Complete", ValueType::String)]).is_err());
    set(&mut cpe, &[(state, "Requested", ValueType::String)]).unwrap();
    let (_, next) = session(&mut cpe);
    assert_eq!(value(&mut cpe, state), "Requested");
    cpe.due(next[0].1.clone(), WallTime(0));
    assert_eq!(events(&session(&mut cpe).0), ["8 DIAGNOSTICS COMPLETE"]);
    assert_eq!(value(&mut cpe, state), "Complete");
    assert_eq!(value(&mut cpe, "Device.IP.Diagnostics.IPPing.SuccessCount"), "3");
}

#[test]
fn a_transfer_is_told_until_the_acs_takes_note() {
    let mut cpe = settled();
    let download = Download {
        command_key: "fw".into(),
        file_type: "1 Firmware Upgrade Image".into(),
        url: "http://files/2.0".into(),
        ..Download::default()
    };
    let answer = cpe.handle(&Request::Download(download.clone()), WallTime(0)).unwrap();
    assert!(matches!(answer, Response::DownloadResponse(DownloadResponse { status: 1, .. })));
    let (_, due) = cpe.close(true).remove(0);
    cpe.due(due, WallTime(0));
    let told = ["1 BOOT", "4 VALUE CHANGE", "7 TRANSFER COMPLETE", "M Downloadfw"];
    assert_eq!(events(&session(&mut cpe).0), told);
    assert_eq!(events(&session(&mut cpe).0), told[2..]);
    let Some(Request::TransferComplete(complete)) = cpe.next_request() else { panic!() };
    assert_eq!((&*complete.command_key, complete.fault_struct.fault_code), ("fw", 0));
    cpe.answered();
    assert_eq!(cpe.next_request(), None);
    assert_eq!(value(&mut cpe, "Device.DeviceInfo.SoftwareVersion"), "2.0");
    let odd = Request::Download(Download { url: "gopher://x/y".into(), ..download });
    assert_eq!(cpe.handle(&odd, WallTime(0)).unwrap_err().fault_code, 9013);
}

#[test]
fn another_acs_url_makes_a_new_beginning_there() {
    let mut cpe = settled();
    set(&mut cpe, &[("Device.ManagementServer.URL", "http://other/", ValueType::String)]).unwrap();
    assert_eq!(cpe.acs_url(), "http://other/");
    assert_eq!(events(&session(&mut cpe).0), ["0 BOOTSTRAP"]);
}

#[test]
fn periodic_informs_follow_the_parameters() {
    let mut cpe = cpe();
    assert_eq!(cpe.periodic_ms(), Some(60_000));
    set(&mut cpe, &[("Device.ManagementServer.PeriodicInformEnable", "0", ValueType::Boolean)]).unwrap();
    assert_eq!(cpe.periodic_ms(), None);
}

#[test]
fn unknown_rpcs_and_faulty_parameters_are_faults() {
    let mut cpe = cpe_with(Quirks {
        faults: vec![format!("GetParameterValues=9002@{CHANNEL}").parse().unwrap()],
        ..Quirks::default()
    });
    let unknown = cpe.handle(&Request::Unknown("X_Y".into()), WallTime(0)).unwrap_err();
    assert_eq!(unknown.fault_code, 9000);
    assert_eq!(get(&mut cpe, &["Device.WiFi."]), Err(9002));
    assert!(get(&mut cpe, &["Device.WiFi.Radio.1.Enable"]).is_ok());
}
