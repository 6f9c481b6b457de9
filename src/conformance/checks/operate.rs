//! Operate: TP-469 1.61 to 1.65, 1.79, 1.91, 1.92, 1.100.

use std::time::Duration;

use crate::conformance::check::{Check, Stop, Verdict};
use crate::conformance::expect::{ensure, equal, fail, operated};
use crate::conformance::messages;
use crate::conformance::session::{CONTROLLERS, Session};
use crate::sim::controller::Notification;
use crate::usp::ErrorCode;
use crate::usp::message::notify::{Notification as Kind, OperationComplete};
use crate::usp::message::operate_resp::operation_result::OperationResp;

pub(super) const CHECKS: &[Check] = &[
    Check::conditional(1, 61, "Reboot with a response", REBOOT, |s| Box::pin(reboot(s, "test61", true))),
    Check::conditional(1, 62, "Reboot without a response", REBOOT, |s| Box::pin(reboot(s, "test62", false))),
    Check::conditional(
        1,
        63,
        "Timer! of a controller's command",
        &["Device.LocalAgent.Controller.{i}.ScheduleTimer()"],
        |s| Box::pin(old_timer(s)),
    )
    .deprecated(),
    Check::conditional(1, 64, "An asynchronous command with a response", &[], |s| {
        Box::pin(later(s, "test64", true))
    }),
    Check::conditional(1, 65, "An asynchronous command without a response", &[], |s| {
        Box::pin(later(s, "test65", false))
    }),
    Check::conditional(1, 79, "ScheduleTimer with its argument", TIMER, |s| Box::pin(timer(s, "test79"))),
    Check::conditional(1, 91, "An unknown argument does no harm", TIMER, |s| Box::pin(unknown_argument(s))),
    Check::never(
        1,
        92,
        "Arguments that are not given have their defaults",
        "it takes a look at the packets that the device sends",
    ),
    Check::conditional(1, 100, "A command without an argument that it needs", TIMER, |s| {
        Box::pin(missing_argument(s))
    }),
];

const REBOOT: &[&str] = &["Device.Reboot()"];
const TIMER: &[&str] = &["Device.ScheduleTimer()"];
/// Asynchronous commands with arguments that do no harm; the first that an agent supports is used.
const LATER: [(&str, &[(&str, &str)]); 4] = [
    ("Device.IP.Diagnostics.IPPing()", &[("Host", "127.0.0.1"), ("NumberOfRepetitions", "1")]),
    ("Device.ScheduleTimer()", &[("DelaySeconds", "1")]),
    ("Device.IP.Diagnostics.TraceRoute()", &[("Host", "127.0.0.1")]),
    ("Device.IP.Diagnostics.NSLookupDiagnostics()", &[("HostName", "localhost")]),
];

/// Reads something that only the device knows, until it answers or the time is over.
async fn answers_again(session: &mut Session, within: Duration) -> Verdict {
    let end = tokio::time::Instant::now() + within;
    while tokio::time::Instant::now() < end {
        if session.value("Device.DeviceInfo.SoftwareVersion").await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    fail(format!("the agent does not answer {} s after its reboot", within.as_secs()))
}

/// Awaits the end of a reboot: by Boot!, where the agent has it.
pub(super) async fn reboot_with(
    session: &mut Session,
    start: impl AsyncFnOnce(&mut Session) -> Verdict,
) -> Result<Option<std::collections::BTreeMap<String, String>>, Stop> {
    if !session.setup.config.may_reboot {
        return Err(Stop::NotApplicable("this run may not restart the device".to_owned()));
    }
    let boot = session.name("boot");
    let notified = session.has("Device.Boot!");
    if notified {
        let settings = [("ID", boot.as_str()), ("NotifType", "Event"), ("ReferenceList", "Device.Boot!")];
        let more = [("Persistent", "true"), ("NotifRetry", "true")];
        session.subscription(&[settings.as_slice(), &more].concat()).await?;
    }
    start(session).await?;
    let within = session.patience() + BOOTING;
    if !notified {
        answers_again(session, within).await?;
        return Ok(None);
    }
    let notice = session.notified(within, |it| it.notify.subscription_id == boot).await?;
    answers_again(session, within).await?;
    match notice.notify.notification {
        Some(Kind::Event(event)) if event.event_name == "Boot!" => Ok(Some(event.params)),
        other => fail(format!("the notification is not about Boot!: {other:?}")),
    }
}

async fn reboot(session: &mut Session, key: &'static str, send_resp: bool) -> Verdict {
    let start = async move |session: &mut Session| {
        if !send_resp {
            return session.unanswered(messages::operate(REBOOT[0], key, false, &[])).await;
        }
        let response = session.operate(REBOOT[0], key, &[]).await?;
        match operated(&response, REBOOT[0])? {
            OperationResp::ReqOutputArgs(outputs) => {
                equal("the number of output arguments", &outputs.output_args.len(), &0)
            }
            other => fail(format!("the result of the command is {other:?}")),
        }
    };
    reboot_with(session, start).await.map(|_| ())
}

async fn old_timer(session: &mut Session) -> Verdict {
    let me = session.me().await?;
    let command = format!("{me}ScheduleTimer()");
    let id = session.name("test63");
    let event = format!("{CONTROLLERS}*.Timer!");
    session.subscription(&[("ID", &id), ("NotifType", "Event"), ("ReferenceList", &event)]).await?;
    let response = session.operate(&command, "test63", &[("DelaySeconds", "2")]).await?;
    operated(&response, &command)?;
    match session.notified_of(&id).await? {
        Kind::Event(event) => equal("the event_name", event.event_name.as_str(), "Timer!"),
        other => fail(format!("the notification is not about Timer!: {other:?}")),
    }
}

/// Subscribes to the end of a command; gives the subscription's ID.
async fn subscribe(session: &mut Session, id: &str, command: &str) -> Result<String, Stop> {
    let id = session.name(id);
    let settings = [("ID", id.as_str()), ("NotifType", "OperationComplete"), ("ReferenceList", command)];
    session.subscription(&settings).await?;
    Ok(id)
}

/// Awaits the end of a command.
async fn completed(
    session: &mut Session,
    id: &str,
    command: &str,
    key: &str,
) -> Result<OperationComplete, Stop> {
    let within = session.patience() + WORKING;
    let notice = session.notified(within, |it| it.notify.subscription_id == id).await?;
    let Some(Kind::OperComplete(complete)) = notice.notify.notification else {
        return fail("the notification is not about the end of a command");
    };
    let whole = format!("{}{}", complete.obj_path, complete.command_name);
    equal("the command that has ended", whole.as_str(), command)?;
    equal("the command_key", complete.command_key.as_str(), key)?;
    Ok(complete)
}

async fn later(session: &mut Session, key: &str, send_resp: bool) -> Verdict {
    let command = LATER.iter().find(|(command, _)| session.setup.supported.is_later(command));
    let Some((command, arguments)) = command else {
        let why = "the agent supports none of the asynchronous commands that this check knows";
        return Err(Stop::NotApplicable(why.to_owned()));
    };
    let id = subscribe(session, key, command).await?;
    if send_resp {
        let response = session.operate(command, key, arguments).await?;
        match operated(&response, command)? {
            OperationResp::ReqObjPath(path) => {
                ensure(path.starts_with("Device.LocalAgent.Request."), || {
                    format!("the req_obj_path is {path:?}")
                })?;
            }
            other => return fail(format!("the result of the command is {other:?}")),
        }
    } else {
        session.unanswered(messages::operate(command, key, false, arguments)).await?;
    }
    completed(session, &id, command, key).await.map(|_| ())
}

/// Runs the timer for a second or two, and awaits its end.
pub(super) async fn timer(session: &mut Session, key: &str) -> Verdict {
    let id = subscribe(session, key, TIMER[0]).await?;
    let response = session.operate(TIMER[0], key, &[("DelaySeconds", "2")]).await?;
    match operated(&response, TIMER[0])? {
        OperationResp::ReqObjPath(path) => {
            ensure(path.starts_with("Device.LocalAgent.Request."), || {
                format!("the req_obj_path is {path:?}")
            })?;
        }
        other => return fail(format!("the result of the command is {other:?}")),
    }
    completed(session, &id, TIMER[0], key).await.map(|_| ())
}

async fn unknown_argument(session: &mut Session) -> Verdict {
    let arguments = [("DelaySeconds", "2"), ("InvalidArgument", "2")];
    let response = session.operate(TIMER[0], "", &arguments).await?;
    match operated(&response, TIMER[0])? {
        OperationResp::CmdFailure(failure) => {
            fail(format!("the command fails: {} {}", failure.err_code, failure.err_msg))
        }
        _ => Ok(()),
    }
}

async fn missing_argument(session: &mut Session) -> Verdict {
    let id = subscribe(session, "test100", TIMER[0]).await?;
    let response = session.operate(TIMER[0], "test100", &[]).await?;
    match operated(&response, TIMER[0])? {
        OperationResp::CmdFailure(failure) => {
            equal("the error code", &failure.err_code, &ErrorCode::INVALID_COMMAND_ARGUMENTS.0)?;
        }
        other => return fail(format!("the result of the command is {other:?}")),
    }
    let quiet = session.quiet();
    session.not_notified(quiet, |it| it.notify.subscription_id == id && completes(it, "test100")).await
}

/// Whether it tells the end of the command with this key; timers of earlier days end as well.
fn completes(notice: &Notification, key: &str) -> bool {
    matches!(&notice.notify.notification, Some(Kind::OperComplete(it)) if it.command_key == key)
}

/// What a device may need to restart.
const BOOTING: Duration = Duration::from_secs(120);
/// What an asynchronous command may need.
const WORKING: Duration = Duration::from_secs(30);
