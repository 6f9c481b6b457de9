//! Firmware from a controller's command to the device's word that it runs (TR-369 firmware management, TP-469 9.3 to
//! 9.7), with a stage that the test plays.

use super::*;
use crate::agent::{Offer, StageAnswer, Staged};
use crate::usp::message::notify::operation_complete::OperationResp;

const ROWS: &str = "Device.DeviceInfo.FirmwareImage.";
const ORIGIN: &str = "http://127.0.0.1:9/fw/2.0";
const SUM: [(&str, &str); 2] = [("CheckSumAlgorithm", "SHA-256"), ("CheckSum", "00ff")];

/// A device that has been onboarded and discovered, and whose controller hears of everything.
fn begin() -> Story {
    let egress = Arc::new(crate::policy::Egress::of(["http://127.0.0.1:9/fw/"]).unwrap());
    let mut story = Story::with(AgentConfig { egress, firmware: true, ..AgentConfig::default() });
    story.session();
    story.session();
    story.subscribe("Event", "Device.LocalAgent.TransferComplete!,Device.Boot!", &[("Persistent", "true")]);
    story.subscribe(
        "OperationComplete",
        "Device.DeviceInfo.FirmwareImage.*.",
        &[("ID", "complete"), ("Persistent", "true")],
    );
    story.said.clear();
    story
}

fn download(story: &mut Story, row: u32, activates: bool, more: &[(&str, &str)]) -> Result<(), String> {
    let mut args = vec![("URL", ORIGIN), ("AutoActivate", if activates { "true" } else { "false" })];
    args.extend(more);
    run(story, &format!("{ROWS}{row}.Download()"), &args)
}

fn run(story: &mut Story, command: &str, args: &[(&str, &str)]) -> Result<(), String> {
    use message::operate_resp::operation_result::OperationResp;
    let msg_id = story.send(&controller(), operate(command, args));
    let at = story.said.iter().position(|(_, message)| message.msg_id == msg_id).expect("no answer at once");
    let MessageBody::Response(Response::OperateResp(resp)) = story.said.remove(at).1.body else {
        panic!("no OperateResp");
    };
    match resp.operation_results.into_iter().next().unwrap().operation_resp.unwrap() {
        OperationResp::ReqObjPath(path) => {
            assert!(path.starts_with("Device.LocalAgent.Request."), "{path}");
            Ok(())
        }
        OperationResp::CmdFailure(failure) => Err(failure.err_msg),
        OperationResp::ReqOutputArgs(_) => panic!("{command} is asynchronous"),
    }
}

/// The stage answers all that it was asked for, and all that comes of it, well.
fn stage_answers(story: &mut Story) {
    while !story.staging.is_empty() {
        let (id, request) = story.staging.remove(0);
        let answer = match request {
            StageRequest::Fetch(fetch) => {
                assert!(fetch.url.starts_with(ORIGIN));
                StageAnswer::Fetched(Ok(Staged { image: "abc".into(), size: 5 }))
            }
            StageRequest::Check { image, .. } => {
                assert_eq!(image, "abc");
                StageAnswer::Checked(Ok(()))
            }
            StageRequest::Offer { image, name } => {
                assert_eq!(image, "abc");
                StageAnswer::Offered(Ok(Offer { url: format!("http://gw/abc/{name}"), size: 5 }))
            }
            StageRequest::Hold(_) => unreachable!("noted at once"),
        };
        story.handle(Input::Staged { id, answer });
    }
}

/// What the controller heard since this was last asked: names with what counts of each.
fn heard(story: &mut Story) -> Vec<String> {
    let told = story.notifications().into_iter().filter_map(|(_, it)| it.notification);
    let named = told.map(|notification| match notification {
        Notification::Event(event) if event.event_name == "Boot!" => {
            format!("Boot! {}", event.params["FirmwareUpdated"])
        }
        Notification::Event(event) => format!("{} {}", event.event_name, event.params["FaultCode"]),
        Notification::OperComplete(complete) => match complete.operation_resp {
            Some(OperationResp::ReqOutputArgs(_)) => format!("{} done", complete.command_name),
            other => format!("{} {other:?}", complete.command_name),
        },
        other => format!("{other:?}"),
    });
    named.collect()
}

fn row(story: &mut Story, number: u32, param: &str) -> String {
    let name = format!("{ROWS}{number}.{param}");
    story.get(&name).unwrap().remove(&name).unwrap()
}

fn active(story: &mut Story) -> String {
    let values = story.get("Device.DeviceInfo.").unwrap();
    assert_eq!(values["Device.DeviceInfo.FirmwareImageNumberOfEntries"], "2");
    let active = values["Device.DeviceInfo.ActiveFirmwareImage"].clone();
    assert_eq!(values[&format!("{active}.Version")], values["Device.DeviceInfo.SoftwareVersion"]);
    format!("{active} {}", values["Device.DeviceInfo.SoftwareVersion"])
}

#[test]
fn tp469_9_3_an_image_is_loaded_and_activated_and_its_end_is_told_in_order() {
    let mut story = begin();
    assert_eq!(active(&mut story), "Device.DeviceInfo.FirmwareImage.1 1.4.2");
    download(&mut story, 2, true, &[]).unwrap();
    assert_eq!(row(&mut story, 2, "Status"), "Downloading");
    assert!(heard(&mut story).is_empty());
    stage_answers(&mut story);
    assert!(story.wanted, "nobody calls the device");
    let status = story.agent.local.tree().value("Device.DeviceInfo.FirmwareImage.2.Status");
    assert_eq!(status, Some("Available"));
    let rpcs = story.session();
    assert_eq!(rpcs.last().map(String::as_str), Some("Download"), "{rpcs:?}");
    assert!(heard(&mut story).is_empty(), "success before the device said so");
    story.settle();
    assert_eq!(heard(&mut story), ["Download() done", "TransferComplete! 0", "Boot! true"]);
    assert_eq!(active(&mut story), "Device.DeviceInfo.FirmwareImage.2 2.0");
    assert_eq!(row(&mut story, 1, "Status"), "NoImage");
    assert!(story.held.contains("abc"), "the image could not be activated again");
    assert_eq!(story.get("Device.LocalAgent.Request.").unwrap().len(), 0);
}

#[test]
fn tp469_9_4_an_image_in_the_second_row_waits_for_activate() {
    let mut story = begin();
    download(&mut story, 2, false, &SUM).unwrap();
    let (id, request) = story.staging.remove(0);
    assert!(matches!(request, StageRequest::Fetch(_)));
    let staged = Staged { image: "abc".into(), size: 5 };
    story.handle(Input::Staged { id, answer: StageAnswer::Fetched(Ok(staged)) });
    assert_eq!(row(&mut story, 2, "Status"), "Validating");
    stage_answers(&mut story);
    assert_eq!(heard(&mut story), ["Download() done", "TransferComplete! 0"]);
    assert!(!story.wanted, "the device is called for nothing");
    let window = [("Start", "1"), ("End", "100"), ("Mode", "Immediately")];
    let window = window.map(|(name, value)| (format!("TimeWindow.1.{name}"), value));
    let window: Vec<(&str, &str)> = window.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    run(&mut story, &format!("{ROWS}2.Activate()"), &window).unwrap();
    assert!(story.staging.is_empty() && !story.wanted, "before its window");
    assert!(story.alarm().is_some(), "nothing wakes a device at rest for its window");
    story.pass(1_000);
    stage_answers(&mut story);
    story.settle();
    assert_eq!(heard(&mut story), ["Activate() done", "Boot! true"]);
    assert_eq!(active(&mut story), "Device.DeviceInfo.FirmwareImage.2 2.0");
}

#[test]
fn tp469_9_6_a_wrong_checksum_leaves_an_image_that_cannot_be_activated() {
    let mut story = begin();
    download(&mut story, 2, true, &SUM).unwrap();
    let (id, _) = story.staging.remove(0);
    let staged = Staged { image: "abc".into(), size: 5 };
    story.handle(Input::Staged { id, answer: StageAnswer::Fetched(Ok(staged)) });
    let (id, _) = story.staging.remove(0);
    story.handle(Input::Staged { id, answer: StageAnswer::Checked(Err("it is another".into())) });
    let heard = heard(&mut story);
    assert!(heard[0].contains("7022") && heard[1] == "TransferComplete! 7022", "{heard:?}");
    assert_eq!(row(&mut story, 2, "Status"), "ValidationFailed");
    assert!(story.held.is_empty(), "the stage keeps what nobody can use");
    assert!(run(&mut story, &format!("{ROWS}2.Activate()"), &[]).unwrap_err().contains("no image"));
    // What cannot be fetched says so.
    download(&mut story, 2, false, &[]).unwrap();
    let (id, _) = story.staging.remove(0);
    story.handle(Input::Staged { id, answer: StageAnswer::Fetched(Err("HTTP status 404".into())) });
    assert_eq!(row(&mut story, 2, "Status"), "DownloadFailed");
    assert_eq!(active(&mut story), "Device.DeviceInfo.FirmwareImage.1 1.4.2");
}

#[test]
fn tp469_9_7_the_image_that_runs_is_replaced_only_at_once() {
    let mut story = begin();
    assert!(download(&mut story, 1, false, &[]).unwrap_err().contains("AutoActivate"));
    download(&mut story, 1, true, &[]).unwrap();
    assert_eq!(row(&mut story, 1, "Status"), "Active");
    stage_answers(&mut story);
    story.settle();
    assert_eq!(heard(&mut story), ["Download() done", "TransferComplete! 0", "Boot! true"]);
    assert_eq!(active(&mut story), "Device.DeviceInfo.FirmwareImage.1 2.0");
}

#[test]
fn what_the_gateway_was_at_when_it_died_it_does_again_and_a_device_that_was_told_is_awaited() {
    let mut story = begin();
    download(&mut story, 2, true, &SUM).unwrap();
    for phase in ["fetching", "checking", "ordered"] {
        story.staging.clear();
        story.restart();
        story.handle(Input::Tick);
        let (id, request) = story.staging.first().cloned().unwrap_or_else(|| panic!("{phase} is forgotten"));
        let answer = match (phase, request) {
            ("fetching", StageRequest::Fetch(_)) => {
                StageAnswer::Fetched(Ok(Staged { image: "abc".into(), size: 5 }))
            }
            ("checking", StageRequest::Check { .. }) => StageAnswer::Checked(Ok(())),
            ("ordered", StageRequest::Offer { .. }) => {
                StageAnswer::Offered(Ok(Offer { url: "http://gw/2.0".into(), size: 5 }))
            }
            (_, other) => panic!("{phase}: {other:?}"),
        };
        story.handle(Input::Staged { id, answer });
    }
    assert!(story.session().contains(&"Download".to_owned()));
    story.staging.clear();
    story.restart();
    story.handle(Input::Tick);
    assert!(story.staging.is_empty(), "the device is told twice");
    story.settle();
    let heard = heard(&mut story);
    assert_eq!(heard, ["Download() done", "TransferComplete! 0", "Boot! true"]);
    assert_eq!(active(&mut story), "Device.DeviceInfo.FirmwareImage.2 2.0");
    story.restart();
    story.handle(Input::Tick);
    assert_eq!(active(&mut story), "Device.DeviceInfo.FirmwareImage.2 2.0");
}

#[test]
fn a_device_that_cannot_load_an_image_is_told_of_and_tried_again_as_often_as_its_windows_say() {
    let mut story = begin();
    download(&mut story, 2, false, &[]).unwrap();
    stage_answers(&mut story);
    heard(&mut story);
    story.cpe.load_with(9_018);
    let window = [
        ("TimeWindow.1.Start", "0"),
        ("TimeWindow.1.End", "600"),
        ("TimeWindow.1.Mode", "AnyTime"),
        ("TimeWindow.1.MaxRetries", "1"),
        ("TimeWindow.2.Start", "600"),
        ("TimeWindow.2.End", "900"),
        ("TimeWindow.2.Mode", "AnyTime"),
    ];
    run(&mut story, &format!("{ROWS}2.Activate()"), &window).unwrap();
    for wait in [0, 60_000, 540_000] {
        assert!(heard(&mut story).is_empty(), "given up too early");
        story.pass(wait);
        stage_answers(&mut story);
        assert!(story.wanted, "not tried again");
        story.settle();
    }
    let heard = heard(&mut story);
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert!(heard[0].contains("Activate()") && heard[0].contains("9018"), "{heard:?}");
    assert_eq!(row(&mut story, 2, "Status"), "ActivationFailed");
    assert!(row(&mut story, 2, "BootFailureLog").contains("9018"));
    // It is there still.
    story.cpe.load_with(0);
    run(&mut story, &format!("{ROWS}2.Activate()"), &[]).unwrap();
    story.pass(0);
    stage_answers(&mut story);
    story.settle();
    assert_eq!(active(&mut story), "Device.DeviceInfo.FirmwareImage.2 2.0");
    assert_eq!(row(&mut story, 2, "BootFailureLog"), "");
}

#[test]
fn windows_that_cannot_be_used_or_overlap_are_refused_when_they_are_given() {
    let mut story = begin();
    download(&mut story, 2, false, &[]).unwrap();
    stage_answers(&mut story);
    let mut refused = |windows: &[(&str, &str, &str)]| {
        let args: Vec<(String, &str)> = (1..)
            .zip(windows)
            .flat_map(|(number, (start, end, mode))| {
                let named = |name: &str| format!("TimeWindow.{number}.{name}");
                [(named("Start"), *start), (named("End"), *end), (named("Mode"), *mode)]
            })
            .collect();
        let args: Vec<(&str, &str)> = args.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        run(&mut story, &format!("{ROWS}2.Activate()"), &args).unwrap_err()
    };
    assert!(refused(&[("0", "9", "WhenIdle")]).contains("idle"));
    assert!(refused(&[("0", "9", "ConfirmationNeeded")]).contains("user"));
    assert!(refused(&[("9", "0", "AnyTime")]).contains("ends before"));
    assert!(refused(&[("0", "9", "AnyTime"), ("8", "20", "AnyTime")]).contains("overlap"));
    let six = [("0", "0", "AnyTime"); 6];
    assert!(refused(&six).contains("5 may be"));
}

#[test]
fn one_firmware_at_a_time_can_be_canceled_until_the_device_is_told() {
    let mut story = begin();
    let requests = |story: &Story| {
        let rows = story.agent.local.tree().rows("Device.LocalAgent.Request.");
        rows.into_iter().next().unwrap()
    };
    download(&mut story, 2, true, &[]).unwrap();
    assert!(download(&mut story, 2, false, &[]).unwrap_err().contains("already"));
    let cancel = format!("{}Cancel()", requests(&story));
    story.ask(operate(&cancel, &[])).unwrap();
    let canceled = heard(&mut story);
    assert!(canceled[0].contains("7023") && canceled[1] == "TransferComplete! 7023", "{canceled:?}");
    assert_eq!(row(&mut story, 2, "Status"), "NoImage");
    // What the stage says of it now is nobody's.
    stage_answers(&mut story);
    assert!(heard(&mut story).is_empty() && story.agent.is_idle());
    download(&mut story, 2, true, &[]).unwrap();
    stage_answers(&mut story);
    story.session();
    let cancel = format!("{}Cancel()", requests(&story));
    let Ok(Response::OperateResp(resp)) = story.ask(operate(&cancel, &[])) else { panic!("no OperateResp") };
    use message::operate_resp::operation_result::OperationResp;
    let result = resp.operation_results[0].operation_resp.clone();
    assert!(
        matches!(result, Some(OperationResp::CmdFailure(_))),
        "a device that was told is taken for stopped"
    );
}

#[test]
fn a_device_that_cannot_be_reached_or_says_nothing_is_given_up_in_time() {
    let mut story = begin();
    download(&mut story, 2, true, &[]).unwrap();
    stage_answers(&mut story);
    for _ in 0..24 {
        story.pass(3_600_000);
        stage_answers(&mut story);
    }
    let heard_of = heard(&mut story);
    assert!(heard_of[0].contains("could not be reached"), "{heard_of:?}");
    assert_eq!(row(&mut story, 2, "Status"), "ActivationFailed");
    run(&mut story, &format!("{ROWS}2.Activate()"), &[]).unwrap();
    story.pass(0);
    stage_answers(&mut story);
    assert!(story.session().contains(&"Download".to_owned()));
    story.pass(3_600_000);
    let heard_of = heard(&mut story);
    assert!(heard_of[0].contains("did not say in time"), "{heard_of:?}");
}

#[test]
fn urls_beyond_the_operators_policy_and_what_is_no_url_are_refused() {
    let mut story = begin();
    for (url, says) in [
        ("http://10.0.0.1/fw/x", "egress policy"),
        ("http://127.0.0.1:9/other", "egress policy"),
        ("http://user:secret@127.0.0.1:9/fw/x", "egress policy"),
        ("ftp://127.0.0.1/fw/x", "neither"),
    ] {
        let args = [("URL", url), ("AutoActivate", "true")];
        let refused = run(&mut story, &format!("{ROWS}2.Download()"), &args).expect_err(url);
        assert!(refused.contains(says), "{url}: {refused}");
    }
    assert!(story.staging.is_empty());
}

#[test]
fn without_a_stage_there_are_no_rows_and_a_device_with_rows_of_its_own_keeps_them() {
    let mut story = Story::begin();
    assert_eq!(story.get(ROWS).unwrap_err(), ErrorCode::INVALID_PATH);
    let own = format!("{MODEL}\n{ROWS}1.Status,0,Active,string\n{ROWS}1.Version,0,1.4.2,string\n");
    let egress = Arc::new(crate::policy::Egress::of(["http://127.0.0.1:9/fw/"]).unwrap());
    let settings = AgentConfig { egress, firmware: true, ..AgentConfig::default() };
    let mut story = Story::of(settings, Bench::new(&own));
    story.session();
    story.session();
    assert_eq!(story.get(ROWS).unwrap().len(), 2, "the gateway's rows hide those of the device");
    assert!(download(&mut story, 1, false, &[]).unwrap_err().contains("AutoActivate"));
    download(&mut story, 1, true, &[]).unwrap();
    stage_answers(&mut story);
    story.settle();
    let version = "Device.DeviceInfo.SoftwareVersion";
    assert_eq!(story.get(version).unwrap()[version], "2.0");
}

#[test]
fn ours_waits_until_the_transfer_of_the_acs_has_ended() {
    use crate::cwmp::rpc::{Download, DownloadResponse};
    let mut story = begin();
    let request = CwmpRequest::Download(Download::default());
    let response = DownloadResponse { status: 1, ..DownloadResponse::default() };
    let response = crate::cwmp::rpc::Response::DownloadResponse(response);
    story.handle(Input::Observed { request: &request, response: &response });
    download(&mut story, 2, true, &[]).unwrap();
    stage_answers(&mut story);
    story.restart();
    story.handle(Input::Tick);
    stage_answers(&mut story);
    assert!(!story.session().contains(&"Download".to_owned()), "two transfers at once");
    story.handle(Input::AcsTransferred);
    assert!(story.wanted, "nobody calls the device when it is free");
    assert!(story.session().contains(&"Download".to_owned()));
    // One whose end is never told does not keep ours back for ever.
    story.settle();
    story.handle(Input::Observed { request: &request, response: &response });
    download(&mut story, 1, true, &[]).unwrap();
    stage_answers(&mut story);
    story.pass(3_600_000);
    stage_answers(&mut story);
    assert!(story.session().contains(&"Download".to_owned()));
}

#[test]
fn a_device_of_tr_098_gets_firmware_as_others_do() {
    let model = include_str!("../../../fixtures/models/tr098-small.csv");
    let egress = Arc::new(crate::policy::Egress::of(["http://127.0.0.1:9/fw/"]).unwrap());
    let settings = AgentConfig { egress, firmware: true, ..AgentConfig::default() };
    let mut story = Story::of(settings, Bench::new(model));
    story.session();
    story.session();
    download(&mut story, 2, true, &[]).unwrap();
    stage_answers(&mut story);
    story.settle();
    assert_eq!(active(&mut story), "Device.DeviceInfo.FirmwareImage.2 2.0");
}

#[test]
fn a_key_that_nobody_waits_for_and_firmware_of_the_acs_change_nothing_that_is_ours() {
    let mut story = begin();
    let command_key = "dragoman-usp-forgotten".to_owned();
    story.handle(Input::Transferred(Transferred { command_key, fault_code: 0, fault_string: String::new() }));
    assert!(heard(&mut story).is_empty());
    download(&mut story, 2, false, &[]).unwrap();
    stage_answers(&mut story);
    heard(&mut story);
    // The ACS has given it another one.
    story.cpe.change("Device.DeviceInfo.SoftwareVersion", "7.7");
    story.session();
    assert_eq!(active(&mut story), "Device.DeviceInfo.FirmwareImage.1 7.7");
    assert_eq!(row(&mut story, 2, "Status"), "Available");
    assert!(story.held.contains("abc"));
}

#[test]
fn tp469_9_10_boot_tells_the_image_that_boots_if_a_controller_wants_it() {
    let mut story = begin();
    for name in ["BootFirmwareImage", "SoftwareVersion"] {
        let name = format!("Device.DeviceInfo.{name}");
        let settings = [("Enable", "true"), ("ParameterName", name.as_str())];
        story.ask(add("Device.LocalAgent.Controller.1.BootParameter.", &settings)).unwrap();
    }
    download(&mut story, 2, true, &[]).unwrap();
    stage_answers(&mut story);
    story.settle();
    let (_, boot) = story.events().into_iter().find(|(name, _)| name == "Boot!").unwrap();
    let map = &boot["ParameterMap"];
    assert!(
        map.contains("\"Device.DeviceInfo.BootFirmwareImage\":\"Device.DeviceInfo.FirmwareImage.2\""),
        "{map}"
    );
    assert!(map.contains("\"Device.DeviceInfo.SoftwareVersion\":\"2.0\""), "{map}");
}
