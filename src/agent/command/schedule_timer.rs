//! `Device.ScheduleTimer()`: an operation that is complete after a while, over restarts of the device.

use crate::datamodel::WallTime;
use crate::translation::Refusal;
use crate::usp::ErrorCode;

use super::{Call, Command, Done};
use crate::agent::core::Agent;
use crate::agent::io::Output;
use crate::agent::local::Operation;

pub(super) const COMMAND: Command = Command { path: "Device.ScheduleTimer()", run };

fn run(agent: &mut Agent, call: &Call<'_>, out: &mut Vec<Output>) -> Result<Done, Refusal> {
    let same = |it: &Operation| {
        it.command == call.command && it.command_key == call.command_key && it.originator == *call.controller
    };
    // Originator, Command and CommandKey tell rows apart.
    if agent.operations.iter().any(same) {
        let why = "a timer of this controller's with this command_key is running";
        return Err(Refusal::new(ErrorCode::RESOURCES_EXCEEDED, why));
    }
    let seconds: u64 = call.args.get("DelaySeconds").and_then(|text| text.parse().ok()).unwrap_or(0);
    let timer = Operation {
        started: true,
        due: Some(WallTime(call.env.wall.0.saturating_add(seconds.saturating_mul(1_000)))),
        ..Operation::new(call.controller, call.command, call.command_key, &call.args)
    };
    let (row, change) = agent.begin(timer)?;
    agent.persist(vec![change], out);
    Ok(Done::Goes(row))
}
