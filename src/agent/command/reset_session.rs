//! `Device.LocalAgent.Controller.{i}.E2ESession.Reset()`: the session context with a controller begins anew, and
//! where that controller asked for it, the answer is the first thing in the new one.

use crate::identity::EndpointId;
use crate::translation::Refusal;
use crate::usp::ErrorCode;

use super::super::core::Agent;
use super::super::io::Output;
use super::{Call, Command, Done};

pub(super) const COMMAND: Command =
    Command { path: "Device.LocalAgent.Controller.{i}.E2ESession.Reset()", run };

fn run(agent: &mut Agent, call: &Call<'_>, out: &mut Vec<Output>) -> Result<Done, Refusal> {
    let row = call.object.trim_end_matches("E2ESession.");
    let Some(Ok(controller)) = agent.local.controller_of(row).map(EndpointId::parse) else {
        return Err(Refusal::new(ErrorCode::COMMAND_FAILURE, "the row names no controller"));
    };
    agent.reset_session(call.env, &controller, out);
    Ok(Done::Complete)
}
