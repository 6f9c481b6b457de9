//! `Device.MQTT.Client.{i}.ForceReconnect()` and `Device.LocalAgent.Controller.{i}.MTP.{i}.WebSocket.Reset()`: a
//! connection is closed and opened anew, with what has been changed of it since it was opened.

use crate::datamodel::path;
use crate::translation::Refusal;
use crate::usp::ErrorCode;

use super::super::core::Agent;
use super::super::io::Output;
use super::super::ways::LinkKey;
use super::{Call, Command, Done};

pub(super) const FORCE_RECONNECT: Command = Command { path: "Device.MQTT.Client.{i}.ForceReconnect()", run };
pub(super) const RESET: Command =
    Command { path: "Device.LocalAgent.Controller.{i}.MTP.{i}.WebSocket.Reset()", run };

fn run(agent: &mut Agent, call: &Call<'_>, _: &mut Vec<Output>) -> Result<Done, Refusal> {
    let row = call.object.trim_end_matches("WebSocket.");
    let number = |object: Option<&str>| object.and_then(path::instance);
    let key = match number(path::parent(row).and_then(path::parent)) {
        Some(controller) => number(Some(row)).map(|mtp| LinkKey::WebSocket(controller, mtp)),
        None => number(Some(row)).map(LinkKey::Mqtt),
    };
    let Some(key) = key.filter(|key| agent.local.has_link(*key)) else {
        let why = "there is no such connection: the row is not enabled, or not complete";
        return Err(Refusal::new(ErrorCode::COMMAND_FAILURE, why));
    };
    agent.reconnects.push(key);
    Ok(Done::Complete)
}
