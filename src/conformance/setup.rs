//! Who checks whom: the controllers, the agent, how long to wait for what.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::identity::EndpointId;
use crate::net::TlsClient;
use crate::sim::collector::Collector;
use crate::sim::controller::{Controller, RequestError, requests};
use crate::usp::message::Response;

use super::check::Mtp;
use super::secured::Secrets;
use super::supported::Model;
use super::tap::Tap;

/// What a run is given.
#[derive(Clone)]
pub struct SetupConfig {
    pub controller: Controller,
    pub endpoint_id: EndpointId,
    /// Another one that the agent knows as well, with a transport of its own.
    pub second: Option<(Controller, EndpointId)>,
    pub agent: EndpointId,
    pub mtp: Mtp,
    /// Where checks play a broker, for what passes between an agent and its broker alone.
    pub tap: Option<Tap>,
    /// The same with TLS.
    pub secure_tap: Option<Tap>,
    /// The host at which the agent's own WebSocket server can be reached, and whom to trust there.
    pub agent_host: Option<String>,
    pub agent_tls: Option<TlsClient>,
    /// How long to wait for an answer.
    pub patience: Duration,
    /// How long nothing may come before it counts as not coming.
    pub quiet: Duration,
    /// Whether checks may remove subscriptions that were there before them.
    pub may_clear: bool,
    /// Whether checks may restart the device.
    pub may_reboot: bool,
    /// Whether intervals are as long as the plan has them, and not the shortest that the agent can be told.
    pub slow: bool,
    /// For checks of payload security.
    pub secrets: Option<Secrets>,
    /// Where the agent can bring bulk data over HTTP, and over HTTPS.
    pub collector: Option<Collector>,
    pub secure_collector: Option<Collector>,
    /// An image that the device can load.
    pub firmware: Option<FirmwareFile>,
}

/// A firmware image, and what it makes of the device.
#[derive(Clone, PartialEq, Eq)]
pub struct FirmwareFile {
    pub url: String,
    /// The SoftwareVersion that it brings.
    pub version: String,
    /// In bytes, if it is to be told.
    pub size: Option<u64>,
    pub credentials: Option<(String, String)>,
}

// Passwords stay out of reports.
impl std::fmt::Debug for FirmwareFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FirmwareFile({})", self.url)
    }
}

/// A run's surroundings, with what the agent says of itself.
pub struct Setup {
    pub(super) config: SetupConfig,
    pub(super) supported: Model,
    /// Sets the names that this run makes up apart from those of others.
    pub(super) nonce: String,
}

impl Setup {
    /// Asks the agent what it supports; everything else depends on it.
    pub async fn learn(config: SetupConfig) -> Result<Self, RequestError> {
        let request = requests::get_supported_dm(&["Device."], false);
        let response = config.controller.request(&config.agent, request, config.patience).await?;
        let supported = match &response {
            Response::GetSupportedDmResp(response) => Model::of(response),
            _ => Model::default(),
        };
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Self { config, supported, nonce: format!("{:x}", since.as_millis()) })
    }

    /// The first of these paths that the agent does not support.
    pub(super) fn lacks(&self, needs: &[&'static str]) -> Option<&'static str> {
        needs.iter().find(|path| !self.supported.has(path)).copied()
    }
}

impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Setup({})", self.config.agent)
    }
}
