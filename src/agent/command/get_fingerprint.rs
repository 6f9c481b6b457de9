//! `Device.LocalAgent.Certificate.{i}.GetFingerprint()`: a controller learns whether it is the right certificate.

use std::collections::BTreeMap;

use crate::translation::Refusal;
use crate::usp::{ErrorCode, FINGERPRINTS};

use super::{Call, Command, Done};
use crate::agent::core::Agent;
use crate::agent::io::Output;

pub(super) const COMMAND: Command =
    Command { path: "Device.LocalAgent.Certificate.{i}.GetFingerprint()", run };

fn run(agent: &mut Agent, call: &Call<'_>, _: &mut Vec<Output>) -> Result<Done, Refusal> {
    let algorithm = call.args.get("FingerprintAlgorithm").map_or("", String::as_str);
    let Some(certificate) = agent.local.certificate(call.object) else {
        return Err(Refusal::new(ErrorCode::COMMAND_FAILURE, "the row has no certificate"));
    };
    let Some(fingerprint) = certificate.fingerprint(algorithm) else {
        let why = format!("{algorithm} is not supported; there is {FINGERPRINTS}");
        return Err(Refusal::new(ErrorCode::INVALID_COMMAND_ARGUMENTS, why));
    };
    Ok(Done::With(BTreeMap::from([("Fingerprint".to_owned(), fingerprint)])))
}
