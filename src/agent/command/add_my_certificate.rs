//! `Device.LocalAgent.Controller.{i}.AddMyCertificate()`: a controller adds a certificate of its own to those that
//! it may show from now on.

use crate::translation::Refusal;
use crate::usp::ErrorCode;

use super::{Call, Command, Done, add_certificate};
use crate::agent::core::Agent;
use crate::agent::io::Output;

pub(super) const COMMAND: Command =
    Command { path: "Device.LocalAgent.Controller.{i}.AddMyCertificate()", run };

fn run(agent: &mut Agent, call: &Call<'_>, _: &mut Vec<Output>) -> Result<Done, Refusal> {
    if agent.local.controller_of(call.object) != Some(call.controller.as_str()) {
        let why = "only the controller of this row may add a certificate to it";
        return Err(Refusal::new(ErrorCode::PERMISSION_DENIED, why));
    }
    let row = add_certificate::add(agent, call)?;
    // R-SEC.0a: a certificate that names somebody else would lock the controller out.
    if agent.local.certificate(&row).is_none_or(|it| !it.is_of(call.controller.as_str())) {
        agent.local.remove_certificate(&row);
        let why = format!("the certificate does not name {}", call.controller);
        return Err(Refusal::new(ErrorCode::INVALID_COMMAND_ARGUMENTS, why));
    }
    agent.local.add_credential(call.object, &row);
    Ok(Done::Complete)
}
