//! `Device.LocalAgent.Controller.{i}.SendOnBoardRequest()` (R-NOT.5): its onboarding begins anew.

use crate::identity::EndpointId;
use crate::translation::Refusal;
use crate::usp::ErrorCode;

use super::{Call, Command, Done};
use crate::agent::core::Agent;
use crate::agent::io::Output;

pub(super) const COMMAND: Command =
    Command { path: "Device.LocalAgent.Controller.{i}.SendOnBoardRequest()", run };

fn run(agent: &mut Agent, call: &Call<'_>, out: &mut Vec<Output>) -> Result<Done, Refusal> {
    let controller = agent.local.controller_of(call.object).map(EndpointId::parse);
    let Some(Ok(controller)) = controller.filter(|_| agent.local.is_reachable(call.object)) else {
        let why = "the controller is not enabled, or no MTP leads there";
        return Err(Refusal::new(ErrorCode::COMMAND_FAILURE, why));
    };
    agent.local.put(&format!("{}OnBoardingComplete", call.object), "false");
    agent.onboard(call.env, &controller, out);
    Ok(Done::Complete)
}
