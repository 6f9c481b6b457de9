//! `Device.LocalAgent.AddCertificate()`: keeps a certificate, which makes nobody trusted by itself.

use crate::translation::Refusal;

use super::{Call, Command, Done};
use crate::agent::core::Agent;
use crate::agent::io::Output;

pub(super) const COMMAND: Command = Command { path: "Device.LocalAgent.AddCertificate()", run };

fn run(agent: &mut Agent, call: &Call<'_>, _: &mut Vec<Output>) -> Result<Done, Refusal> {
    add(agent, call).map(|_| Done::Complete)
}

/// Adds the certificate of the arguments and gives the path of its row.
pub(super) fn add(agent: &mut Agent, call: &Call<'_>) -> Result<String, Refusal> {
    let argument = |name: &str| call.args.get(name).map(String::as_str);
    let alias = argument("Alias").filter(|alias| !alias.is_empty());
    agent.local.add_certificate(argument("Certificate").unwrap_or_default(), alias)
}
