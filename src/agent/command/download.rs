//! `Device.DeviceInfo.FirmwareImage.{i}.Download()`: an image for one of the rows of firmware images.

use crate::datamodel::path;
use crate::policy::Egress;
use crate::translation::Refusal;
use crate::usp::ErrorCode;

use super::{Call, Command, Done};
use crate::agent::core::Agent;
use crate::agent::dispatch::DEPARTS;
use crate::agent::io::Output;
use crate::agent::local::Operation;
use crate::agent::upgrade::{Phase, Upgrade};

pub(super) const COMMAND: Command = Command { path: "Device.DeviceInfo.FirmwareImage.{i}.Download()", run };

fn run(agent: &mut Agent, call: &Call<'_>, out: &mut Vec<Output>) -> Result<Done, Refusal> {
    let argument = |name: &str| call.args.get(name).map_or("", String::as_str);
    let wrong = |why: String| Refusal::new(ErrorCode::INVALID_COMMAND_ARGUMENTS, why);
    check_url(argument("URL"), &agent.config.egress).map_err(wrong)?;
    if !argument("CheckSum").is_empty() && argument("CheckSumAlgorithm").is_empty() {
        return Err(wrong("a CheckSum says nothing without its CheckSumAlgorithm".into()));
    }
    let bank = row(agent, call);
    if (bank == 0 || agent.images.is_active(bank)) && !matches!(argument("AutoActivate"), "true" | "1") {
        // A CPE that is told to load firmware installs it at once, so that it can only be kept out of the way.
        let why =
            "the image takes the place of the one that runs, so it can only be loaded with AutoActivate";
        return Err(Refusal::new(ErrorCode::COMMAND_FAILURE, why));
    }
    let upgrade =
        Upgrade { bank, began: call.env.wall, windows: Vec::new(), image: None, phase: Phase::Fetching };
    let done = take_on(agent, call, upgrade, out)?;
    agent.begin_image(bank, out);
    Ok(done)
}

/// The number of the row, or 0 where the CPE has rows of its own.
pub(super) fn row(agent: &Agent, call: &Call<'_>) -> u32 {
    match agent.local.has_firmware_images() {
        true => path::instance(call.object).unwrap_or_default(),
        false => 0,
    }
}

/// Takes firmware on: one at a time.
pub(super) fn take_on(
    agent: &mut Agent,
    call: &Call<'_>,
    upgrade: Upgrade,
    out: &mut Vec<Output>,
) -> Result<Done, Refusal> {
    if !agent.config.firmware {
        let why = "the gateway has no place for firmware images";
        return Err(Refusal::new(ErrorCode::COMMAND_FAILURE, why));
    }
    if agent.config.reset_departs {
        return Err(Refusal::new(ErrorCode::COMMAND_FAILURE, DEPARTS));
    }
    if agent.operations.iter().any(|operation| operation.upgrade.is_some()) {
        let why = "the device is at another firmware already";
        return Err(Refusal::new(ErrorCode::RESOURCES_EXCEEDED, why));
    }
    let operation = Operation {
        started: true,
        upgrade: Some(upgrade),
        ..Operation::new(call.controller, call.command, call.command_key, &call.args)
    };
    let (row, change) = agent.begin(operation)?;
    agent.persist(vec![change], out);
    Ok(Done::Goes(row))
}

/// A URL that the gateway may fetch from (TR-181: without user information in it).
fn check_url(url: &str, egress: &Egress) -> Result<(), String> {
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return Err(format!("the URL {url} is neither one of http nor of https"));
    }
    match egress.allows_url(url) {
        true => Ok(()),
        false => Err(format!("the operator's egress policy does not allow {url}")),
    }
}
