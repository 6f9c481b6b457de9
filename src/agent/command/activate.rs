//! `Device.DeviceInfo.FirmwareImage.{i}.Activate()`: the device gets the image of a row, in one of the windows of
//! time that the controller gives, or at once.

use std::collections::BTreeSet;

use crate::datamodel::WallTime;
use crate::translation::Refusal;
use crate::usp::ErrorCode;

use super::{Call, Command, Done, download};
use crate::agent::core::Agent;
use crate::agent::io::Output;
use crate::agent::upgrade::{Phase, Upgrade, Window};

pub(super) const COMMAND: Command = Command { path: "Device.DeviceInfo.FirmwareImage.{i}.Activate()", run };

fn run(agent: &mut Agent, call: &Call<'_>, out: &mut Vec<Output>) -> Result<Done, Refusal> {
    let failure = |why: &str| Refusal::new(ErrorCode::COMMAND_FAILURE, why);
    let number = download::row(agent, call);
    if agent.images.is_active(number) {
        return Err(failure("this image runs already"));
    }
    let Some(image) = agent.images.bank(number).and_then(|bank| bank.image.clone()) else {
        return Err(failure("there is no image in this row that the gateway could give to the device"));
    };
    let mut windows = windows(call)?;
    if windows.is_empty() {
        let end = WallTime(call.env.wall.0 + AT_ONCE_MS);
        windows.push(Window { start: call.env.wall, end, retries: 0 });
    }
    let began = call.env.wall;
    let upgrade = Upgrade { bank: number, began, windows, image: Some(image), phase: Phase::Waiting };
    let done = download::take_on(agent, call, upgrade, out)?;
    agent.keep_images(out);
    Ok(done)
}

/// The windows that can be used, in their order; none if none was given.
fn windows(call: &Call<'_>) -> Result<Vec<Window>, Refusal> {
    let wrong = |why: String| Refusal::new(ErrorCode::INVALID_COMMAND_ARGUMENTS, why);
    let numbers: BTreeSet<u32> = call.args.keys().filter_map(|name| number_of(name)).collect();
    if numbers.len() > MAX_WINDOWS {
        return Err(wrong(format!("there are {} windows of time; {MAX_WINDOWS} may be", numbers.len())));
    }
    let mut all = Vec::new();
    for number in &numbers {
        let argument = |name: &str| call.args.get(&format!("TimeWindow.{number}.{name}")).map(String::as_str);
        let second = |name: &str| argument(name).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        let (start, end) = (second("Start"), second("End"));
        if end < start {
            return Err(wrong(format!("window {number} ends before it starts")));
        }
        // -1 leaves it to us.
        let retries = argument("MaxRetries").and_then(|text| text.parse::<i32>().ok()).unwrap_or(0);
        let retries = u32::try_from(retries).unwrap_or(OWN_RETRIES);
        let at = |seconds: u64| WallTime(call.env.wall.0.saturating_add(seconds.saturating_mul(1_000)));
        let usable = matches!(argument("Mode"), Some("AnyTime" | "Immediately"));
        all.push((Window { start: at(start), end: at(end), retries }, usable));
    }
    all.sort_by_key(|(window, _)| (window.start, window.end));
    if all.windows(2).any(|pair| pair[1].0.start < pair[0].0.end) {
        return Err(wrong("the windows of time overlap".into()));
    }
    let given = !all.is_empty();
    let usable: Vec<Window> =
        all.into_iter().filter(|(_, usable)| *usable).map(|(window, _)| window).collect();
    if given && usable.is_empty() {
        // TR-181: without confirmation, or without knowing that nobody is disturbed, a window must not be used.
        let why = "whether the device is idle, and what its user says, the gateway cannot find out";
        return Err(Refusal::new(ErrorCode::COMMAND_FAILURE, why));
    }
    Ok(usable)
}

fn number_of(argument: &str) -> Option<u32> {
    argument.strip_prefix("TimeWindow.")?.split('.').next()?.parse().ok()
}

/// Windows of one command (TR-181).
const MAX_WINDOWS: usize = 5;
/// How often an activation is tried again that says that we decide.
const OWN_RETRIES: u32 = 2;
/// How long a device may be out of reach for an activation without windows.
const AT_ONCE_MS: u64 = 24 * 3_600_000;
