//! Firmware of devices: TP-469 9.3 to 9.7, with an image that whoever runs the checks names.

use std::time::{Duration, Instant};

use crate::conformance::check::{Check, Stop, Verdict};
use crate::conformance::expect::{ensure, equal, fail, operated};
use crate::conformance::session::Session;
use crate::conformance::setup::FirmwareFile;
use crate::usp::message::notify::{Event, Notification as Kind, operation_complete};
use crate::usp::message::operate_resp::operation_result::OperationResp;

pub(super) const CHECKS: &[Check] = &[
    Check::conditional(9, 3, "Firmware with automatic activation", LOADS, |s| Box::pin(automatic(s))),
    Check::conditional(9, 4, "Firmware activated at once", ACTIVATES, |s| Box::pin(at_once(s))),
    Check::conditional(9, 5, "Firmware activated within a time", ACTIVATES, |s| Box::pin(within_time(s))),
    Check::conditional(9, 6, "Firmware with a wrong checksum", LOADS, |s| Box::pin(wrong_checksum(s))),
    Check::conditional(9, 7, "Firmware for the active bank", LOADS, |s| Box::pin(active_bank(s))),
];

const DOWNLOAD: &str = "Device.DeviceInfo.FirmwareImage.{i}.Download()";
/// What the profile Firmware:1 has of it.
const LOADS: &[&str] = &[
    DOWNLOAD,
    "Device.DeviceInfo.ActiveFirmwareImage",
    "Device.LocalAgent.TransferComplete!",
    "Device.Boot!",
];
const ACTIVATES: &[&str] = &[
    DOWNLOAD,
    "Device.DeviceInfo.FirmwareImage.{i}.Activate()",
    "Device.DeviceInfo.ActiveFirmwareImage",
    "Device.LocalAgent.TransferComplete!",
    "Device.Boot!",
];
const ROWS: &str = "Device.DeviceInfo.FirmwareImage.";
const ACTIVE: &str = "Device.DeviceInfo.ActiveFirmwareImage";
const VERSION: &str = "Device.DeviceInfo.SoftwareVersion";

/// The subscriptions of a check, by their IDs.
struct Watched {
    transfer: String,
    boot: String,
    complete: String,
}

/// Notifications that came, in whatever order.
#[derive(Default)]
struct Heard {
    transfer: Option<Event>,
    boot: Option<Event>,
    complete: Option<operation_complete::OperationResp>,
    /// When the last of these came.
    completed_at: Option<Instant>,
}

async fn automatic(session: &mut Session) -> Verdict {
    let file = image(session, true)?;
    let row = inactive(session).await?;
    let watched = watch(session, &row, "Download()").await?;
    download(session, &file, &row, &[("AutoActivate", "true")]).await?;
    let heard = all(session, &watched, true).await?;
    transferred(&heard)?;
    runs(session, &file, Some(&row)).await
}

async fn at_once(session: &mut Session) -> Verdict {
    let file = image(session, true)?;
    let row = loaded(session, &file).await?;
    let started = activate(session, &row, ["1", "100", "Immediately"]).await?;
    let (heard, asked) = started;
    let after = heard.completed_at.map_or(Duration::MAX, |at| at.duration_since(asked));
    ensure(after <= AT_ONCE, || format!("the end of Activate() is told after {:.1} s", after.as_secs_f32()))?;
    runs(session, &file, None).await
}

async fn within_time(session: &mut Session) -> Verdict {
    let file = image(session, true)?;
    let row = loaded(session, &file).await?;
    let (heard, asked) = activate(session, &row, ["0", "120", "AnyTime"]).await?;
    let after = heard.completed_at.map_or(Duration::MAX, |at| at.duration_since(asked));
    ensure(after <= WINDOW, || format!("the end of Activate() is told after {:.1} s", after.as_secs_f32()))?;
    runs(session, &file, None).await
}

async fn wrong_checksum(session: &mut Session) -> Verdict {
    let file = image(session, false)?;
    let row = inactive(session).await?;
    let watched = watch(session, &row, "Download()").await?;
    // The plan leaves AutoActivate out, which is mandatory by TR-181.
    let wrong = "00".repeat(20);
    let arguments = [("AutoActivate", "false"), ("CheckSumAlgorithm", "SHA-1"), ("CheckSum", wrong.as_str())];
    download(session, &file, &row, &arguments).await?;
    let heard = all(session, &watched, false).await?;
    let transfer = heard.transfer.unwrap_or_default();
    ensure(transfer.params.get("FaultCode").is_some_and(|code| code != "0"), || {
        format!("TransferComplete! tells of no fault: {:?}", transfer.params)
    })?;
    equal("the Status", session.value(&format!("{row}Status")).await?.as_str(), "ValidationFailed")
}

async fn active_bank(session: &mut Session) -> Verdict {
    let file = image(session, true)?;
    let banks = session.read(ROWS).await?.keys().filter(|name| name.ends_with(".Status")).count();
    let row = object(&session.value(ACTIVE).await?);
    let watched = watch(session, &row, "Download()").await?;
    let command = format!("{row}Download()");
    let arguments = arguments(&file, &[("AutoActivate", "true")]);
    let arguments: Vec<(&str, &str)> =
        arguments.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let response = session.operate(&command, "", &arguments).await?;
    match operated(&response, &command)? {
        OperationResp::ReqObjPath(_) => {}
        // A device with several banks may say that it does not load into the one that runs.
        OperationResp::CmdFailure(_) if banks > 1 => return Ok(()),
        other => return fail(format!("the result of the command is {other:?}")),
    }
    let heard = all(session, &watched, true).await?;
    transferred(&heard)
}

/// The image that was named; `boots` if the device restarts with it.
fn image(session: &Session, boots: bool) -> Result<FirmwareFile, Stop> {
    let config = &session.setup.config;
    if boots && !config.may_reboot {
        return Err(Stop::NotApplicable("this run may not restart the device".to_owned()));
    }
    let named = config.firmware.clone();
    named.ok_or_else(|| Stop::NotApplicable("no firmware image was named".to_owned()))
}

/// A row whose image does not run.
async fn inactive(session: &mut Session) -> Result<String, Stop> {
    let active = object(&session.value(ACTIVE).await?);
    let there = session.read(ROWS).await?;
    let rows = there.keys().filter_map(|name| Some(name.strip_suffix("Status")?.to_owned()));
    match rows.into_iter().find(|row| *row != active) {
        Some(row) => Ok(row),
        None => Err(Stop::NotApplicable("the device has no other bank than the active one".to_owned())),
    }
}

fn object(reference: &str) -> String {
    format!("{}.", reference.trim_end_matches('.'))
}

async fn watch(session: &mut Session, row: &str, command: &str) -> Result<Watched, Stop> {
    let [transfer, boot, complete] = ["transfer", "boot", "complete"].map(|name| session.name(name));
    let ended = format!("{row}{command}");
    for (id, notif_type, reference) in [
        (&transfer, "Event", "Device.LocalAgent.TransferComplete!"),
        (&boot, "Event", "Device.Boot!"),
        (&complete, "OperationComplete", ended.as_str()),
    ] {
        // They have to be there when the device has started.
        let settings = [
            ("ID", id.as_str()),
            ("NotifType", notif_type),
            ("ReferenceList", reference),
            ("Persistent", "true"),
        ];
        session.subscription(&settings).await?;
    }
    Ok(Watched { transfer, boot, complete })
}

fn arguments(file: &FirmwareFile, more: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    let mut all = vec![("URL", file.url.clone())];
    all.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
    all.extend(file.size.map(|size| ("FileSize", size.to_string())));
    if let Some((user, password)) = &file.credentials {
        all.extend([("Username", user.clone()), ("Password", password.clone())]);
    }
    all
}

async fn download(
    session: &mut Session,
    file: &FirmwareFile,
    row: &str,
    more: &[(&'static str, &str)],
) -> Verdict {
    let arguments = arguments(file, more);
    let arguments: Vec<(&str, &str)> =
        arguments.iter().map(|(name, value)| (*name, value.as_str())).collect();
    begun(session, &format!("{row}Download()"), &arguments).await
}

async fn begun(session: &mut Session, command: &str, arguments: &[(&str, &str)]) -> Verdict {
    let response = session.operate(command, "", arguments).await?;
    match operated(&response, command)? {
        OperationResp::ReqObjPath(_) => Ok(()),
        other => fail(format!("the result of {command} is {other:?}")),
    }
}

/// The image is in a row without running; gives the row.
async fn loaded(session: &mut Session, file: &FirmwareFile) -> Result<String, Stop> {
    let row = inactive(session).await?;
    let watched = watch(session, &row, "Download()").await?;
    download(session, file, &row, &[("AutoActivate", "false")]).await?;
    let heard = all(session, &watched, false).await?;
    transferred(&heard)?;
    Ok(row)
}

/// Activates the image of a row in one window; gives what came of it, and when it was asked for.
async fn activate(
    session: &mut Session,
    row: &str,
    [start, end, mode]: [&str; 3],
) -> Result<(Heard, Instant), Stop> {
    let id = session.name("activated");
    let ended = format!("{row}Activate()");
    let settings = [
        ("ID", id.as_str()),
        ("NotifType", "OperationComplete"),
        ("ReferenceList", ended.as_str()),
        ("Persistent", "true"),
    ];
    session.subscription(&settings).await?;
    let boot = session.name("boot");
    let asked = Instant::now();
    let window = [("TimeWindow.1.Start", start), ("TimeWindow.1.End", end), ("TimeWindow.1.Mode", mode)];
    begun(session, &ended, &window).await?;
    let watched = Watched { transfer: String::new(), boot, complete: id };
    let heard = all(session, &watched, true).await?;
    match &heard.complete {
        Some(operation_complete::OperationResp::ReqOutputArgs(_)) => Ok((heard, asked)),
        other => fail(format!("Activate() ends with {other:?}")),
    }
}

/// What is told of the subscriptions until each has fired; with `boots` a Boot! with new firmware is among it.
async fn all(session: &mut Session, watched: &Watched, boots: bool) -> Result<Heard, Stop> {
    let mut heard = Heard::default();
    let until = Instant::now() + session.patience() + LOADING;
    loop {
        let transfer = watched.transfer.is_empty() || heard.transfer.is_some();
        if transfer && heard.complete.is_some() && (!boots || heard.boot.is_some()) {
            break;
        }
        let left = until.saturating_duration_since(Instant::now());
        let is_ours = |id: &String| [&watched.transfer, &watched.boot, &watched.complete].contains(&id);
        let notice = session.notified(left, |it| is_ours(&it.notify.subscription_id)).await?;
        match notice.notify.notification {
            Some(Kind::Event(event)) if event.event_name == "TransferComplete!" => {
                heard.transfer = Some(event)
            }
            Some(Kind::Event(event)) if event.event_name == "Boot!" => heard.boot = Some(event),
            Some(Kind::OperComplete(complete)) => {
                heard.completed_at = Some(Instant::now());
                heard.complete = complete.operation_resp;
            }
            other => return fail(format!("a notification is about something else: {other:?}")),
        }
    }
    let updated =
        |boot: &Event| boot.params.get("FirmwareUpdated").is_some_and(|it| it == "true" || it == "1");
    ensure(!boots || heard.boot.as_ref().is_some_and(updated), || {
        "Boot! tells of no new firmware".to_owned()
    })?;
    Ok(heard)
}

/// The transfer ended well, by its event and by the end of its command.
fn transferred(heard: &Heard) -> Verdict {
    let code = heard.transfer.as_ref().and_then(|it| it.params.get("FaultCode"));
    equal("the FaultCode of TransferComplete!", &code.map(String::as_str), &Some("0"))?;
    match &heard.complete {
        Some(operation_complete::OperationResp::ReqOutputArgs(_)) => Ok(()),
        other => fail(format!("Download() ends with {other:?}")),
    }
}

/// The device runs the image's version, from this row if one is named.
async fn runs(session: &mut Session, file: &FirmwareFile, row: Option<&str>) -> Verdict {
    let there = session.read("Device.DeviceInfo.").await?;
    let value = |name: &str| there.get(name).map_or("", String::as_str);
    equal("the SoftwareVersion", value(VERSION), file.version.as_str())?;
    match row {
        Some(row) => equal("the ActiveFirmwareImage", object(value(ACTIVE)).as_str(), row),
        None => Ok(()),
    }
}

/// What the plan calls at once.
const AT_ONCE: Duration = Duration::from_secs(5);
/// The window of 9.5.
const WINDOW: Duration = Duration::from_secs(120);
/// What a device may need to load an image and to start with it.
const LOADING: Duration = Duration::from_secs(600);
