//! What of an agent survives `kill -9`, and its form: JSON with a version, which an operator can read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::datamodel::WallTime;
use crate::durable::{Change, Entry, Kind};
use crate::identity::{DeviceId, EndpointId};

use super::diagnosing::Diagnosing;
use super::events::{Boot, Restart};
use super::threshold::Sides;

/// Why stored state is not usable.
#[derive(Debug, Error)]
pub enum RestoreError {
    #[error("device entry is damaged: {0}")]
    Json(#[from] serde_json::Error),
    #[error("device entry has format {0}, this release reads {FORMAT}")]
    Format(u32),
    #[error(transparent)]
    Shadow(#[from] crate::datamodel::BlobError),
}

/// The device entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stored {
    pub format: u32,
    pub device: DeviceId,
    /// The root of its data model: `Device.` or `InternetGatewayDevice.`; empty before it is known.
    pub root: String,
    /// Paths that discovery has still to ask for; `None` before it has begun.
    pub discovery_left: Option<Vec<String>>,
    /// The version of the rules by which the shadow was translated; 0 for none.
    #[serde(default)]
    pub mapping: u64,
    /// When controllers acknowledged an OnBoardRequest, as long as their onboarding is not complete.
    #[serde(default)]
    pub onboarding: BTreeMap<EndpointId, WallTime>,
    /// A start of the device that nobody has been told of yet.
    #[serde(default)]
    pub boot: Option<Boot>,
    /// A restart that a controller asked for.
    #[serde(default)]
    pub restart: Option<Restart>,
    /// What was last seen of what rows of thresholds watch.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub thresholds: BTreeMap<String, Sides>,
    /// When a transfer that the ACS has begun is given up, unless its end is told before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acs_transfer: Option<WallTime>,
    /// The last ParameterKey that was not empty since the device had its factory's settings.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub last_key: String,
    /// It must still be read whether the device has been reset.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_doubt: bool,
    /// What is kept of diagnostics.
    #[serde(default, skip_serializing_if = "Diagnosing::is_empty")]
    pub diagnosing: Diagnosing,
    pub software_version: String,
    /// When the device started, as far as its Informs told.
    pub booted_at: WallTime,
}

impl Stored {
    /// How long the device has been up, in seconds.
    pub fn up_seconds(&self, wall: WallTime) -> u64 {
        wall.0.saturating_sub(self.booted_at.0) / 1_000
    }

    pub fn new(device: DeviceId) -> Self {
        Self {
            format: FORMAT,
            device,
            root: String::new(),
            discovery_left: None,
            mapping: 0,
            onboarding: BTreeMap::new(),
            boot: None,
            restart: None,
            thresholds: BTreeMap::new(),
            acs_transfer: None,
            last_key: String::new(),
            in_doubt: false,
            diagnosing: Diagnosing::default(),
            software_version: String::new(),
            booted_at: WallTime(0),
        }
    }

    /// Finds the device entry among a device's entries.
    pub fn find(entries: &[Entry]) -> Result<Option<Self>, RestoreError> {
        let Some(entry) = entries.iter().find(|entry| entry.kind == Kind::Device) else {
            return Ok(None);
        };
        let stored: Self = serde_json::from_slice(&entry.value)?;
        if stored.format == FORMAT { Ok(Some(stored)) } else { Err(RestoreError::Format(stored.format)) }
    }

    pub fn change(&self) -> Change {
        // Plain data with text keys always has a JSON form.
        Change::put(Kind::Device, "", serde_json::to_vec(self).unwrap_or_default())
    }
}

/// The identity of a stored device, for those who know only its endpoint.
pub fn stored_device_id(entries: &[Entry]) -> Option<DeviceId> {
    Stored::find(entries).ok().flatten().map(|stored| stored.device)
}

pub(super) const FORMAT: u32 = 1;
