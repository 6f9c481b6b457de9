//! `Device.LocalAgent.Certificate.{i}.Delete()`: the certificate goes, and with it all references to it.

use crate::translation::Refusal;

use super::{Call, Command, Done};
use crate::agent::core::Agent;
use crate::agent::io::Output;

pub(super) const COMMAND: Command = Command { path: "Device.LocalAgent.Certificate.{i}.Delete()", run };

fn run(agent: &mut Agent, call: &Call<'_>, _: &mut Vec<Output>) -> Result<Done, Refusal> {
    agent.local.remove_certificate(call.object);
    Ok(Done::Complete)
}
