//! `Device.LocalAgent.Request.{i}.`: asynchronous operations until they are complete (R-OPR.0).

use serde::{Deserialize, Serialize};

use crate::agent::upgrade::Upgrade;
use crate::datamodel::WallTime;
use crate::identity::EndpointId;

/// An asynchronous operation as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::agent) struct Operation {
    pub format: u32,
    /// Its row in the Request table.
    pub instance: u32,
    pub originator: EndpointId,
    /// The command's full path, such as `Device.IP.Diagnostics.IPPing()`.
    pub command: String,
    pub command_key: String,
    pub input_args: std::collections::BTreeMap<String, String>,
    /// Whether the CPE has been told and is at it: its completion is awaited.
    pub started: bool,
    /// Of a diagnostic: what it will change of the CPE is written down.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub noted: bool,
    /// When a timer ends; of no other command.
    #[serde(default)]
    pub due: Option<WallTime>,
    /// A controller has asked for its end.
    #[serde(default)]
    pub canceling: bool,
    /// How far a firmware has come; of no other command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<Upgrade>,
}
