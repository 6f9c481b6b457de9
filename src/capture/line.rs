//! The format: JSON Lines. The first line opens a capture, the last one ends it, and each between them is one
//! message of a CWMP leg or one USP record.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::policy::Policy;

/// The version that is written, and the only one that is read.
pub const VERSION: u32 = 1;

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    #[serde(rename = "dragoman-capture")]
    pub version: u32,
    /// When the capture began; what follows says how much later it was.
    pub started: String,
    /// Which gateway wrote it.
    pub gateway: String,
    /// What was asked for.
    pub devices: Vec<String>,
    pub policy: Policy,
}

/// Any other line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Line {
    Http(Box<HttpLine>),
    Usp(Box<UspLine>),
    End(EndLine),
}

/// One message of a CWMP leg.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpLine {
    /// Milliseconds since the capture began.
    pub at: u64,
    pub leg: LegName,
    pub way: WayName,
    pub device: String,
    /// Counts the device's sessions from 1, each from its Inform on; 0 for what came before the first.
    pub session: u32,
    /// Tells connections of a leg apart.
    pub connection: u64,
    /// Of a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Of an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why there is no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// What the message is called, for people: an RPC, a response, a fault, or `empty`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<Field>,
    #[serde(default, skip_serializing_if = "Stored::is_empty")]
    pub body: Stored,
    /// How many texts of the body are not what they were. `Content-Length` is that of the body as it stands here.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub redacted: usize,
}

/// Which leg a message passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LegName {
    /// Between CPE and gateway.
    Cpe,
    /// Between gateway and ACS.
    Acs,
}

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WayName {
    Request,
    Answer,
}

/// A header line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Field {
    Text(String, String),
    /// The value is no UTF-8, and stands in base64.
    Bytes {
        name: String,
        base64: String,
    },
}

/// A body.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Stored {
    #[default]
    Empty,
    Text(String),
    /// No UTF-8.
    Base64 {
        base64: String,
    },
    /// Came in a content coding, and is stored without it; `wire` is it as it came, where nothing had to be
    /// replaced, in base64.
    Coded {
        coding: String,
        #[serde(flatten)]
        content: Content,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        wire: Option<String>,
    },
    /// Nothing could be looked for in it, so it is not here.
    Opaque {
        bytes: usize,
        sha256: String,
    },
}

/// Text, or what is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    Text(String),
    Base64(String),
}

/// One USP record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UspLine {
    pub at: u64,
    /// Always `usp`.
    pub leg: UspName,
    /// `out` is from the agent to a controller.
    pub way: UspWay,
    pub device: String,
    pub mtp: String,
    /// The record's fields, or why they cannot be read.
    pub record: Value,
    /// The message: its type, its ID, the values in it by their paths, and all of it as protobuf in base64, where
    /// nothing in it is hidden otherwise.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub message: Value,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub redacted: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UspName {
    Usp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UspWay {
    In,
    Out,
}

/// The last line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndLine {
    pub at: u64,
    /// Why it ended: `stopped`, `sessions`, `minutes`, `bytes`, `gateway`, or `truncated`, where more passed than
    /// could be written and something is missing.
    pub end: String,
    pub sessions: u32,
}

impl Stored {
    pub fn is_empty(&self) -> bool {
        *self == Self::Empty
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}
