//! Samples of every RPC, with contents that are hard to write and within the bounds of the schema.

use dragoman::cwmp::rpc::*;
use dragoman::cwmp::soap::Message;
use dragoman::datamodel::ValueType;
use dragoman::identity::DeviceId;

/// At most 32 characters, as a CommandKey.
pub const AWKWARD: &str = "<&>\"' ü€漢😀 ]]> \u{a0}x\u{85}y";
/// As CPEs say that they do not know the time.
const UNKNOWN_TIME: &str = "0001-01-01T00:00:00Z";
const TIME: &str = "2026-02-28T23:59:59Z";
const UUID: &str = "00000000-0000-5000-8000-00000000000F";
/// Items of a long list.
const MANY: usize = 1_200;

/// One message.
pub struct Sample {
    pub message: Message<'static>,
}

/// At least one sample of each message.
pub fn samples() -> Vec<Sample> {
    let messages = [parameters(), objects(), transfers(), units(), announcements(), deprecated(), faults()];
    messages.into_iter().flatten().map(|message| Sample { message }).collect()
}

fn ask(request: Request<'static>) -> Message<'static> {
    Message::Request(request)
}

fn answer(response: Response<'static>) -> Message<'static> {
    Message::Response(response)
}

/// A value of each type, some empty or long.
fn values() -> Array<ParameterValueStruct<'static>> {
    let texts = [
        (ValueType::String, AWKWARD.to_owned()),
        (ValueType::String, String::new()),
        (ValueType::String, " \tblanks\r\n are data \n".to_owned()),
        (ValueType::String, "x".repeat(70_000)),
        // What XML forbids is left out and must not make the message invalid.
        (ValueType::String, "a\u{0}b\u{1b}c\u{fffe}d".to_owned()),
        (ValueType::Int, "-2147483648".to_owned()),
        (ValueType::UnsignedInt, "4294967295".to_owned()),
        (ValueType::Long, "-9223372036854775808".to_owned()),
        (ValueType::UnsignedLong, "18446744073709551615".to_owned()),
        (ValueType::Boolean, "1".to_owned()),
        (ValueType::Boolean, "false".to_owned()),
        (ValueType::DateTime, UNKNOWN_TIME.to_owned()),
        (ValueType::DateTime, "2026-02-28T23:59:59.123+02:00".to_owned()),
        (ValueType::Base64, "PD4mIg==".to_owned()),
        (ValueType::Base64, String::new()),
        (ValueType::HexBinary, "00fFa0".to_owned()),
        (ValueType::Decimal, "-0.5".to_owned()),
    ];
    for known in ValueType::ALL {
        assert!(texts.iter().any(|(it, _)| *it == known), "no value of type {known:?}");
    }
    let numbered = texts.into_iter().enumerate();
    let mut values: Vec<_> = numbered
        .map(|(number, (of, text))| ParameterValueStruct::new(format!("Device.X_A-B_C.{number}.ü"), text, of))
        .collect();
    values.push(ParameterValueStruct {
        value_type: None,
        ..ParameterValueStruct::new("D.", "", ValueType::Int)
    });
    Array(values)
}

fn names() -> Array<Text<'static>> {
    let mut names = vec!["Device.".into(), "Device.<a>&\"b\".".into(), "".into()];
    names.extend((0..MANY).map(|n| format!("Device.Hosts.Host.{n}.PhysAddress").into()));
    Array(names)
}

fn parameters() -> Vec<Message<'static>> {
    let setting = |access_list| SetParameterAttributesStruct {
        name: "Device.".into(),
        notification_change: true,
        notification: 2,
        access_list_change: false,
        access_list,
    };
    let access = || Array(vec!["Subscriber".into(), AWKWARD.into()]);
    let attributes = ["a", "b"].map(|name| ParameterAttributeStruct {
        name: name.into(),
        notification: 2,
        access_list: if name == "a" { access() } else { Array::default() },
    });
    let infos = (0..MANY).map(|n| ParameterInfoStruct {
        name: format!("Device.Hosts.Host.{n}.").into(),
        writable: n % 2 == 0,
    });
    vec![
        ask(Request::GetRPCMethods(GetRPCMethods {})),
        answer(Response::GetRPCMethodsResponse(GetRPCMethodsResponse {
            method_list: Array(Request::NAMES.iter().map(|name| (*name).into()).collect()),
        })),
        ask(Request::SetParameterValues(SetParameterValues {
            parameter_list: values(),
            parameter_key: AWKWARD.into(),
        })),
        ask(Request::SetParameterValues(SetParameterValues::default())),
        answer(Response::SetParameterValuesResponse(SetParameterValuesResponse { status: 1 })),
        ask(Request::GetParameterValues(GetParameterValues { parameter_names: names() })),
        answer(Response::GetParameterValuesResponse(GetParameterValuesResponse { parameter_list: values() })),
        answer(Response::GetParameterValuesResponse(GetParameterValuesResponse::default())),
        ask(Request::GetParameterNames(GetParameterNames {
            parameter_path: AWKWARD.into(),
            next_level: true,
        })),
        ask(Request::GetParameterNames(GetParameterNames::default())),
        answer(Response::GetParameterNamesResponse(GetParameterNamesResponse {
            parameter_list: Array(infos.collect()),
        })),
        answer(Response::GetParameterNamesResponse(GetParameterNamesResponse::default())),
        ask(Request::SetParameterAttributes(SetParameterAttributes {
            parameter_list: Array(vec![setting(access()), setting(Array::default())]),
        })),
        answer(Response::SetParameterAttributesResponse(SetParameterAttributesResponse {})),
        ask(Request::GetParameterAttributes(GetParameterAttributes { parameter_names: names() })),
        answer(Response::GetParameterAttributesResponse(GetParameterAttributesResponse {
            parameter_list: Array(attributes.to_vec()),
        })),
    ]
}

fn objects() -> Vec<Message<'static>> {
    let object_name: Text<'static> = "Device.NAT.PortMapping.".into();
    vec![
        ask(Request::AddObject(AddObject {
            object_name: object_name.clone(),
            parameter_key: AWKWARD.into(),
        })),
        answer(Response::AddObjectResponse(AddObjectResponse { instance_number: u32::MAX, status: 0 })),
        ask(Request::DeleteObject(DeleteObject { object_name, parameter_key: "".into() })),
        answer(Response::DeleteObjectResponse(DeleteObjectResponse { status: 1 })),
        ask(Request::Reboot(Reboot { command_key: AWKWARD.into() })),
        answer(Response::RebootResponse(RebootResponse {})),
        ask(Request::FactoryReset(FactoryReset {})),
        answer(Response::FactoryResetResponse(FactoryResetResponse {})),
        ask(Request::ScheduleInform(ScheduleInform { delay_seconds: 1, command_key: AWKWARD.into() })),
        answer(Response::ScheduleInformResponse(ScheduleInformResponse {})),
    ]
}

fn transfers() -> Vec<Message<'static>> {
    let window = |mode: &'static str| TimeWindowStruct {
        window_start: 0,
        window_end: u32::MAX,
        window_mode: mode.into(),
        user_message: AWKWARD.into(),
        max_retries: -1,
    };
    let url = "http://u:p@[::1]:80/a?b=<&>";
    vec![
        ask(Request::Download(Download {
            command_key: AWKWARD.into(),
            file_type: "1 Firmware Upgrade Image".into(),
            url: url.into(),
            username: AWKWARD.into(),
            password: AWKWARD.into(),
            file_size: u32::MAX,
            target_file_name: AWKWARD.into(),
            delay_seconds: 0,
            success_url: url.into(),
            failure_url: "".into(),
        })),
        ask(Request::Download(Download::default())),
        answer(Response::DownloadResponse(DownloadResponse {
            status: 1,
            start_time: UNKNOWN_TIME.into(),
            complete_time: UNKNOWN_TIME.into(),
        })),
        ask(Request::ScheduleDownload(ScheduleDownload {
            url: url.into(),
            time_window_list: Array(vec![window("1 At Any Time"), window("X_A & B")]),
            ..ScheduleDownload::default()
        })),
        answer(Response::ScheduleDownloadResponse(ScheduleDownloadResponse {})),
        ask(Request::Upload(Upload {
            file_type: "3 Vendor Configuration File 1".into(),
            url: url.into(),
            delay_seconds: 7,
            ..Upload::default()
        })),
        answer(Response::UploadResponse(UploadResponse {
            status: 0,
            start_time: TIME.into(),
            complete_time: TIME.into(),
        })),
        ask(Request::CancelTransfer(CancelTransfer { command_key: AWKWARD.into() })),
        answer(Response::CancelTransferResponse(CancelTransferResponse {})),
        ask(Request::GetAllQueuedTransfers(GetAllQueuedTransfers {})),
        answer(Response::GetAllQueuedTransfersResponse(GetAllQueuedTransfersResponse {
            transfer_list: Array(vec![
                AllQueuedTransferStruct {
                    command_key: AWKWARD.into(),
                    state: 3,
                    is_download: true,
                    file_type: "1 Firmware Upgrade Image".into(),
                    file_size: 1,
                    target_file_name: AWKWARD.into(),
                };
                16
            ]),
        })),
        answer(Response::GetAllQueuedTransfersResponse(GetAllQueuedTransfersResponse::default())),
    ]
}

fn units() -> Vec<Message<'static>> {
    let result = |state: &'static str| OpResultStruct {
        uuid: UUID.into(),
        deployment_unit_ref: AWKWARD.into(),
        version: "1.0-<rc>".into(),
        current_state: state.into(),
        resolved: true,
        execution_unit_ref_list: "".into(),
        start_time: TIME.into(),
        complete_time: UNKNOWN_TIME.into(),
        fault: failure(9_022),
    };
    let unasked = AutonOpResultStruct {
        uuid: UUID.into(),
        current_state: "Failed".into(),
        start_time: TIME.into(),
        complete_time: TIME.into(),
        fault: failure(0),
        operation_performed: "Update".into(),
        ..AutonOpResultStruct::default()
    };
    let results = || Repeated(vec![result("Installed"), result("Uninstalled")]);
    let one = Repeated(vec![OperationStruct::Update(UpdateOpStruct::default())]);
    vec![
        ask(Request::ChangeDUState(ChangeDUState {
            operations: operations(),
            command_key: Some(AWKWARD.into()),
        })),
        ask(Request::ChangeDUState(ChangeDUState { operations: one, command_key: None })),
        answer(Response::ChangeDUStateResponse(ChangeDUStateResponse {})),
        ask(Request::DUStateChangeComplete(DUStateChangeComplete {
            results: results(),
            command_key: Some(AWKWARD.into()),
        })),
        ask(Request::DUStateChangeComplete(DUStateChangeComplete { results: results(), command_key: None })),
        answer(Response::DUStateChangeCompleteResponse(DUStateChangeCompleteResponse {})),
        ask(Request::AutonomousDUStateChangeComplete(AutonomousDUStateChangeComplete {
            results: Repeated(vec![unasked]),
        })),
        answer(Response::AutonomousDUStateChangeCompleteResponse(AutonomousDUStateChangeCompleteResponse {})),
    ]
}

/// Each kind of operation with all it can have, then with no more than it must.
fn operations() -> Repeated<OperationStruct<'static>> {
    let text = || Some(Text::from(AWKWARD));
    let url = Text::from("https://[::1]/a?b=<&>");
    Repeated(vec![
        OperationStruct::Install(InstallOpStruct {
            url: url.clone(),
            uuid: Some(UUID.into()),
            username: text(),
            password: text(),
            execution_env_ref: Some("Device.SoftwareModules.ExecEnv.1.".into()),
        }),
        OperationStruct::Update(UpdateOpStruct {
            uuid: Some(UUID.into()),
            version: text(),
            url: Some(url.clone()),
            username: text(),
            password: Some("".into()),
        }),
        OperationStruct::Uninstall(UninstallOpStruct {
            uuid: UUID.into(),
            version: text(),
            execution_env_ref: text(),
        }),
        OperationStruct::Install(InstallOpStruct { url, ..InstallOpStruct::default() }),
        OperationStruct::Uninstall(UninstallOpStruct { uuid: UUID.into(), ..UninstallOpStruct::default() }),
    ])
}

fn announcements() -> Vec<Message<'static>> {
    let device_id = DeviceId {
        manufacturer: AWKWARD.into(),
        oui: "00256D".into(),
        product_class: String::new(),
        serial_number: "/%41 <1>".into(),
    };
    let event = EventStruct { event_code: "M X_00256D_<&>".into(), command_key: AWKWARD.into() };
    let inform = Inform {
        device_id,
        event: Array(vec![event; 64]),
        max_envelopes: 1,
        current_time: "2026-02-28T23:59:59.5-11:30".into(),
        retry_count: u32::MAX,
        parameter_list: values(),
    };
    let bare = Inform { event: Array::default(), parameter_list: Array::default(), ..inform.clone() };
    vec![
        ask(Request::Inform(inform)),
        ask(Request::Inform(bare)),
        answer(Response::InformResponse(InformResponse { max_envelopes: 1 })),
        ask(Request::TransferComplete(TransferComplete {
            command_key: AWKWARD.into(),
            fault_struct: failure(9_010),
            start_time: TIME.into(),
            complete_time: UNKNOWN_TIME.into(),
        })),
        answer(Response::TransferCompleteResponse(TransferCompleteResponse {})),
        ask(Request::AutonomousTransferComplete(AutonomousTransferComplete {
            announce_url: AWKWARD.into(),
            transfer_url: "x".repeat(1_024).into(),
            is_download: false,
            fault_struct: failure(0),
            start_time: TIME.into(),
            complete_time: TIME.into(),
            ..AutonomousTransferComplete::default()
        })),
        answer(Response::AutonomousTransferCompleteResponse(AutonomousTransferCompleteResponse {})),
        ask(Request::RequestDownload(RequestDownload {
            file_type: "2 Web Content".into(),
            file_type_arg: Array(vec![ArgStruct { name: AWKWARD.into(), value: AWKWARD.into() }; 16]),
        })),
        ask(Request::RequestDownload(RequestDownload::default())),
        answer(Response::RequestDownloadResponse(RequestDownloadResponse {})),
    ]
}

fn deprecated() -> Vec<Message<'static>> {
    let option = |expiration_date| OptionStruct {
        option_name: AWKWARD.into(),
        voucher_sn: 1,
        state: 3,
        mode: 2,
        start_date: TIME.into(),
        expiration_date,
        is_transferable: 1,
    };
    vec![
        ask(Request::GetQueuedTransfers(GetQueuedTransfers {})),
        answer(Response::GetQueuedTransfersResponse(GetQueuedTransfersResponse {
            transfer_list: Array(vec![QueuedTransferStruct { command_key: AWKWARD.into(), state: 1 }]),
        })),
        ask(Request::Kicked(Kicked {
            command: AWKWARD.into(),
            referer: AWKWARD.into(),
            arg: AWKWARD.into(),
            next: "http://gw/?a&b".into(),
        })),
        answer(Response::KickedResponse(KickedResponse { next_url: "http://gw/?a&b".into() })),
        ask(Request::GetOptions(GetOptions { option_name: AWKWARD.into() })),
        answer(Response::GetOptionsResponse(GetOptionsResponse {
            option_list: Array(vec![option(None), option(Some(TIME.into()))]),
        })),
        answer(Response::GetOptionsResponse(GetOptionsResponse::default())),
        ask(Request::SetVouchers(SetVouchers { voucher_list: Array(vec![Voucher("PHYvPg==".into()); 3]) })),
        answer(Response::SetVouchersResponse(SetVouchersResponse {})),
    ]
}

fn faults() -> Vec<Message<'static>> {
    let refused = |name: &'static str| SetParameterValuesFault {
        parameter_name: name.into(),
        fault_code: 9_007,
        fault_string: AWKWARD.into(),
    };
    let list = Fault {
        fault_code: 9_003,
        fault_string: AWKWARD.into(),
        set_parameter_values_fault: vec![refused("Device.A"), refused(AWKWARD)],
    };
    let own = [8_000, 8_005, 8_899, 9_000, 9_032, 9_899].map(|code| Message::Fault(Fault::of(code)));
    [vec![Message::Fault(list)], own.to_vec()].concat()
}

fn failure(fault_code: u32) -> FaultStruct<'static> {
    FaultStruct { fault_code, fault_string: if fault_code == 0 { "".into() } else { AWKWARD.into() } }
}
