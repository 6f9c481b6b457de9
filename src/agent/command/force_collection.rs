//! `Device.BulkData.Profile.{i}.ForceCollection()`: one report more, beside those of the schedule.

use crate::datamodel::path;
use crate::translation::Refusal;
use crate::usp::ErrorCode;

use super::{Call, Command, Done};
use crate::agent::core::Agent;
use crate::agent::io::Output;

pub(super) const COMMAND: Command = Command { path: "Device.BulkData.Profile.{i}.ForceCollection()", run };

fn run(agent: &mut Agent, call: &Call<'_>, out: &mut Vec<Output>) -> Result<Done, Refusal> {
    let profile = path::instance(call.object).and_then(|instance| agent.local.profile(instance));
    let Some(profile) = profile else {
        let why = "the profile is not enabled, or is not complete";
        return Err(Refusal::new(ErrorCode::COMMAND_FAILURE, why));
    };
    agent.collect(call.env, call.shadow, &profile, out);
    Ok(Done::Complete)
}
