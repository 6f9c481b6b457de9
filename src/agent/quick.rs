//! What can be told of a device at rest without waking its agent: the answer to a plain Get, from its shadow,
//! and whether it has anything to say to a controller that it can reach again. Only those entries are read that
//! this needs. Whatever is not plain goes to the agent.

use std::collections::BTreeMap;

use bytes::Bytes;
use compact_str::CompactString;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::datamodel::{WallTime, path};
use crate::durable::{Entry, Kind, Range};
use crate::identity::EndpointId;
use crate::translation::{Access, Fixed, Get, Outcome, View, is_local};
use crate::usp::Shown;
use crate::usp::message::{self, Message, MessageBody, Request};
use crate::usp::record::{Payload, Record};

use super::config::AgentConfig;
use super::core::{TR_181_ROOT, rules_of};
use super::io::Shadow;
use super::stored;

/// A Get whose paths lead into few top-level objects.
#[derive(Debug)]
pub struct Question {
    controller: EndpointId,
    msg_id: String,
    get: message::Get,
    tops: Vec<CompactString>,
}

/// What of the device entry decides whether the agent has to be asked.
#[derive(Deserialize)]
struct Glance {
    format: u32,
    root: String,
    discovery_left: Option<Vec<IgnoredAny>>,
    #[serde(default)]
    mapping: u64,
    #[serde(default)]
    onboarding: BTreeMap<EndpointId, IgnoredAny>,
    boot: Option<IgnoredAny>,
    restart: Option<IgnoredAny>,
}

impl Glance {
    /// `None` where the agent has still to learn what the device has.
    fn of(entries: &[Entry], config: &AgentConfig) -> Option<Self> {
        let device = entries.iter().find(|entry| entry.kind == Kind::Device)?;
        let glance: Self = serde_json::from_slice(&device.value).ok()?;
        let usable = glance.format == stored::FORMAT && glance.mapping == rules_of(&glance.root);
        let known = glance.discovery_left.is_some() || !config.discovery;
        (usable && known).then_some(glance)
    }
}

/// The entries that tell whether a device at rest [`has_news`].
pub fn news() -> Vec<Range> {
    vec![
        Range::one(Kind::Device, ""),
        Range::beginning(Kind::LocalAgent, TRUST),
        Range::beginning(Kind::Outbox, ""),
        Range::beginning(Kind::Operation, ""),
    ]
}

/// Whether an agent at rest has something to do now that a controller can be reached, such as to tell it again
/// what it has not acknowledged, or to onboard (R-NOT.5). In doubt it has.
pub fn has_news(controller: &EndpointId, config: &AgentConfig, entries: &[Entry]) -> bool {
    if entries.iter().any(|entry| matches!(entry.kind, Kind::Outbox | Kind::Operation)) {
        return true;
    }
    let Some(glance) = Glance::of(entries, config) else { return true };
    let walked = glance.discovery_left.is_none_or(|left| left.is_empty());
    let onboarded = glance.onboarding.contains_key(controller)
        || config.template().is_onboarding_complete(controller, entries);
    !walked || !onboarded || glance.boot.is_some() || glance.restart.is_some()
}

impl Question {
    /// Takes a record for an endpoint; `None` if it needs the agent.
    pub fn of(endpoint: &EndpointId, config: &AgentConfig, record: &Bytes, shown: &Shown) -> Option<Self> {
        // Records that are to be signed pass through the device's task.
        if config.fresh_ms == 0 || config.signature_room > 0 {
            return None;
        }
        let record = Record::decode(record.clone()).ok()?;
        let known = config.controllers.iter().find(|known| known.endpoint_id.as_str() == record.from_id)?;
        // Who may speak, and what it inherits, is for the agent to say.
        if config.template().judges(&record.from_id, shown) {
            return None;
        }
        // Where rights depend on values, these may be of any object.
        if config.template().access_of(&record.from_id).is_none_or(Access::searches) {
            return None;
        }
        // Signatures are looked at by the device's task.
        if !record.mac_signature.is_empty() {
            return None;
        }
        let Payload::NoSession(payload) = record.payload else { return None };
        if record.to_id != endpoint.as_str() {
            return None;
        }
        let Message { msg_id, body: MessageBody::Request(Request::Get(get)) } =
            Message::decode(payload).ok()?
        else {
            return None;
        };
        let mut tops: Vec<CompactString> = Vec::new();
        for path in &get.param_paths {
            let top = top_of(path)?;
            // What the gateway holds for devices that have no firmware images is with their agents.
            if config.firmware && top == "DeviceInfo" && (path.contains("Firmware") || is_open(path)) {
                return None;
            }
            if !tops.iter().any(|known| known == top) {
                tops.push(top.into());
            }
        }
        (tops.len() <= MAX_TOPS).then(|| Self { controller: known.endpoint_id.clone(), msg_id, get, tops })
    }

    /// The entries that the answer is made of.
    pub fn wanted(&self) -> Vec<Range> {
        let tops = self.tops.iter().map(|top| Range::one(Kind::Shadow, top));
        [Range::one(Kind::Device, ""), Range::beginning(Kind::LocalAgent, TRUST)]
            .into_iter()
            .chain(tops)
            .collect()
    }

    /// The answer as a record for its controller; `None` if the agent has to give it.
    pub fn answer(
        self,
        endpoint: &EndpointId,
        config: &AgentConfig,
        entries: &[Entry],
        wall: WallTime,
    ) -> Option<(EndpointId, Bytes)> {
        // Who may do what was changed on this device, so only its agent knows.
        if entries.iter().any(|entry| entry.kind == Kind::LocalAgent) {
            return None;
        }
        let template = config.template();
        let access = template.access_of(self.controller.as_str())?;
        Glance::of(entries, config)?;
        let mut shadow = Shadow::default();
        for entry in entries.iter().filter(|entry| entry.kind == Kind::Shadow) {
            shadow.cpe.decode_into(&entry.value).ok()?;
        }
        // Every device has its root.
        shadow.cpe.put_object(TR_181_ROOT, false);
        let mut fixed = Fixed::default();
        let view = View::new(&mut shadow.cpe, &mut fixed, access, wall);
        let Outcome::Response(response) = Get::new(self.get).answer_from_shadow(&view, config.fresh_ms)?
        else {
            return None;
        };
        let message = Message::response(self.msg_id, response).encode();
        let record = Record::plain(endpoint, &self.controller, message).encode();
        Some((self.controller, record))
    }
}

/// Whether a path may lead to more than one parameter.
fn is_open(path: &str) -> bool {
    path.ends_with('.') || path.contains(['*', '['])
}

/// The top-level object that a path leads into. Paths of the gateway's own objects have none, nor have those
/// that may lead elsewhere: references, and what begins above the top-level objects.
fn top_of(text: &str) -> Option<&str> {
    let rest = text.strip_prefix(TR_181_ROOT)?;
    let top = path::top_level(text);
    let is_name = rest.starts_with(|c: char| c.is_ascii_alphabetic()) && rest.starts_with(top);
    let is_plain = top.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    let is_own = is_local(&format!("{TR_181_ROOT}{top}."));
    (is_name && is_plain && !is_own && !text.contains(['+', '#'])).then_some(top)
}

/// How the keys of the rows begin that say who the controllers are and what they may do.
const TRUST: &str = "LocalAgent.Controller";
/// Top-level objects that are read for one answer.
const MAX_TOPS: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_that_stay_in_one_top_level_object_are_answered_without_the_agent() {
        for (path, top) in [
            ("Device.WiFi.SSID.1.SSID", Some("WiFi")),
            ("Device.WiFi.SSID.*.SSID", Some("WiFi")),
            ("Device.Hosts.Host.[Active==true].", Some("Hosts")),
            ("Device.RootDataModelVersion", Some("RootDataModelVersion")),
            ("Device.", None),
            ("Device.*.", None),
            ("Device.LocalAgent.EndpointID", None),
            ("Device.MQTT.Client.1.Status", None),
            ("Device.WiFi.SSID.1.LowerLayers+.Name", None),
            ("Device.WiFi.SSID.1.LowerLayers#2+.Name", None),
            ("InternetGatewayDevice.X", None),
            ("", None),
        ] {
            assert_eq!(top_of(path), top, "{path}");
        }
    }
}
