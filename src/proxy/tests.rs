//! The proxy of one device on a clock that tests hold: stories of single rules, and worlds in which everything fails.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::agent::{AgentConfig, ControllerConfig, ControllerMtp, Env, FULL_ACCESS};
use crate::cwmp::rpc::{Array, GetParameterValues, InformResponse, Request, Response};
use crate::datamodel::{Firmware, FirmwareId, WallTime};
use crate::durable::{Change, Entry, Kind, Token};
use crate::identity::EndpointId;
use crate::sim::cpe::Bench;
use crate::sim::soap::{Owned, is_empty, read, write};
use crate::usp::Shown;
use crate::usp::message::{self, Message, MessageBody};
use crate::usp::record::{Integrity, Payload, Record};

use super::*;

mod bypass;
mod calls;
mod late_answers;
mod outage;
mod own_credentials;
mod refusal;
mod takeover;
mod transfers;
mod troubles;
mod world;

const MODEL: &str = include_str!("../../fixtures/models/tr181-small.csv");
const NAMESPACE: &str = "urn:dslforum-org:cwmp-1-2";
const SSID: &str = "Device.WiFi.SSID.1.SSID";

fn configs() -> (Arc<AgentConfig>, Arc<ProxyConfig>) {
    let endpoint_id = EndpointId::parse("self::ctl").unwrap();
    let mtp = ControllerMtp::Mqtt { client: 0, topic: "t".into() };
    let controllers = vec![ControllerConfig {
        instance: 1,
        pinned: true,
        endpoint_id,
        roles: vec![FULL_ACCESS.into()],
        onboard: false,
        certificates: Vec::new(),
        mtp,
    }];
    let agent = AgentConfig { controllers, request_timeout_ms: 600_000, ..AgentConfig::default() };
    (Arc::new(agent), Arc::new(ProxyConfig::default()))
}
