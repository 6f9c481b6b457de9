//! `Device.LocalAgent.Request.{i}.Cancel()`: the end of an asynchronous operation (R-OPR.3).

use crate::datamodel::path;
use crate::translation::Refusal;
use crate::usp::ErrorCode;

use super::{Call, Command, Done};
use crate::agent::core::Agent;
use crate::agent::io::Output;

pub(super) const COMMAND: Command = Command { path: "Device.LocalAgent.Request.{i}.Cancel()", run };

fn run(agent: &mut Agent, call: &Call<'_>, out: &mut Vec<Output>) -> Result<Done, Refusal> {
    match path::instance(call.object) {
        Some(instance) if agent.cancel(call.env, call.shadow, instance, out) => Ok(Done::Complete),
        _ => Err(Refusal::new(ErrorCode::COMMAND_FAILURE, "there is nothing to cancel")),
    }
}
