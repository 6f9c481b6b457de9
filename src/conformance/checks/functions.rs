//! What agents do for their device: TP-469 section 9.

use crate::conformance::check::{Check, Stop, Verdict};
use crate::conformance::expect::{ensure, fail};
use crate::conformance::messages;
use crate::conformance::session::Session;

use super::delete::boot_parameter;
use super::operate::{reboot_with, timer};
use super::tapped;

pub(super) const CHECKS: &[Check] = &[
    Check::never(9, 1, "Timer! of a controller's command", "the plan has it no more; 1.63 is the same")
        .deprecated(),
    Check::conditional(
        9,
        8,
        "A command that is under way can be cancelled",
        &["Device.LocalAgent.Request.{i}.Cancel()", "Device.ScheduleTimer()"],
        |s| Box::pin(cancelled(s)),
    ),
    Check::tapped(
        9,
        9,
        "A controller that is added is told of the agent",
        &["Device.LocalAgent.Controller.{i}.SendOnBoardRequest()"],
        |s| Box::pin(tapped::controller_is_told(s)),
    ),
    Check::conditional(
        9,
        10,
        "Boot! tells the boot parameters",
        &["Device.Reboot()", "Device.Boot!", "Device.LocalAgent.Controller.{i}.BootParameter.{i}."],
        |s| Box::pin(boot(s)),
    ),
    Check::conditional(9, 11, "ScheduleTimer tells its end", &["Device.ScheduleTimer()"], |s| {
        Box::pin(timer(s, "test911"))
    }),
];

/// The plan cancels the activation of a firmware; a timer that runs for long is as good.
async fn cancelled(session: &mut Session) -> Verdict {
    use crate::usp::message::operate_resp::operation_result::OperationResp;
    let command = "Device.ScheduleTimer()";
    let response = session.operate(command, "test98", &[("DelaySeconds", "600")]).await?;
    let row = match crate::conformance::expect::operated(&response, command)? {
        OperationResp::ReqObjPath(path) => format!("{}.", path.trim_end_matches('.')),
        other => return fail(format!("the result of the command is {other:?}")),
    };
    let cancel = messages::operate(&format!("{row}Cancel()"), "", true, &[]);
    session.plain(cancel).await?;
    let there = session.read("Device.LocalAgent.Request.").await?;
    match there.get(&format!("{row}Status")).map(String::as_str) {
        None | Some("Canceled" | "Canceling" | "Cancelled" | "Cancelling") => Ok(()),
        Some(other) => fail(format!("the Status of {row} is {other}")),
    }
}

/// About the parameter that the plan names, or one that every device has.
async fn boot(session: &mut Session) -> Verdict {
    let parameter = match session.has("Device.DeviceInfo.BootFirmwareImage") {
        true => "Device.DeviceInfo.BootFirmwareImage",
        false => "Device.DeviceInfo.SoftwareVersion",
    };
    boot_parameter(session, "true", parameter).await?;
    let start = async |session: &mut Session| session.operate("Device.Reboot()", "", &[]).await.map(|_| ());
    let Some(arguments) = reboot_with(session, start).await? else {
        return Err(Stop::NotApplicable("the agent supports no Boot!".to_owned()));
    };
    let map = arguments.get("ParameterMap").map_or("", String::as_str);
    ensure(map.contains(parameter), || format!("the ParameterMap {map:?} lacks {parameter}"))
}
