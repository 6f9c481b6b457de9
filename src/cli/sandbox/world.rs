//! The sandbox's parts, all on 127.0.0.1 and on ports that were free.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use crate::app::Gateway;
use crate::config::Settings;
use crate::identity::{DeviceId, EndpointId};
use crate::sim::acs::{Acs, AcsConfig};
use crate::sim::broker::{Broker, BrokerConfig};
use crate::sim::controller::{Controller, ControllerConfig, ControllerMtp};
use crate::sim::cpe::{Fleet, FleetConfig, Model};
use crate::transport::mqtt::Version;

use super::voice::Voice;

/// Everything that runs.
pub(super) struct World {
    pub acs: Acs,
    pub controller: Controller,
    pub fleets: Vec<Fleet>,
    pub gateway: Gateway,
    broker: Broker,
    folder: PathBuf,
}

impl World {
    /// Starts all parts; the CPEs call at once.
    pub async fn build(cpes: usize, voice: &Voice) -> anyhow::Result<Self> {
        voice.chapter("The scene");
        let acs = Acs::start(AcsConfig::default()).await.context("failed to start the ACS")?;
        voice.say("ACS", &format!("your existing ACS listens at {}; it knows nothing of USP", acs.url()));
        let broker = Broker::start(BrokerConfig::default()).await.context("failed to start the broker")?;
        let controller = controller(broker.address()).await?;
        let at = broker.address();
        voice.say("controller", &format!("a USP controller, {CONTROLLER}, waits at the MQTT broker {at}"));
        let folder = std::env::temp_dir().join(format!("dragoman-sandbox-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let text = config(&acs.url(), broker.address(), &folder);
        let settings = Settings::parse(&folder.join("sandbox.toml"), &text)?;
        let gateway = Gateway::start(settings).await?;
        let cwmp = gateway.cwmp;
        voice.say("dragoman", &format!("stands between them: CPEs reach it at http://{cwmp}/"));
        let fleets = fleets(cwmp, cpes).await?;
        let what = format!(
            "{cpes} CPEs are switched on; they speak TR-069 only, half of them with the TR-098 data model"
        );
        voice.say("CPE", &what);
        Ok(Self { acs, controller, fleets, gateway, broker, folder })
    }

    /// The CPEs with the TR-181 data model.
    pub fn modern(&self) -> &Fleet {
        &self.fleets[0]
    }

    pub fn devices(&self) -> Vec<DeviceId> {
        self.fleets.iter().flat_map(Fleet::device_ids).collect()
    }

    /// How to go on by oneself.
    pub fn invite(&self, voice: &Voice) {
        let agent = self.modern().device_ids().first().map(DeviceId::endpoint_id);
        let agent = agent.map_or_else(String::new, |agent| agent.to_string());
        let at = self.broker.address();
        let usp = format!("dragoman usp --mqtt mqtt://{at} --endpoint-id {OWN}");
        voice.chapter("Your turn");
        voice.note(&format!(
            "All of it stays up until Ctrl-C. In another terminal:\n\n  \
             {usp} agents\n  \
             {usp} get {agent} Device.DeviceInfo.\n  \
             {usp} set {agent} Device.WiFi.SSID.1.SSID=hello\n  \
             {usp} watch\n\n\
             (with cargo: put `cargo run --release --` in the place of `dragoman`)"
        ));
    }

    /// Stops everything and leaves nothing behind.
    pub async fn end(self, voice: &Voice) {
        for fleet in self.fleets {
            fleet.stop().await;
        }
        self.gateway.stop().await;
        self.controller.stop().await;
        self.broker.stop().await;
        self.acs.stop().await;
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            voice.say("dragoman", &format!("{} could not be removed: {error}", self.folder.display()));
        }
    }
}

async fn controller(broker: SocketAddr) -> anyhow::Result<Controller> {
    let mtp = ControllerMtp::Mqtt {
        host: broker.ip().to_string(),
        port: broker.port(),
        version: Version::V5,
        topic: "usp/controller/sandbox".into(),
        login: None,
        agent_topic_prefix: "usp/agent".into(),
        tls: None,
    };
    let endpoint_id = EndpointId::parse(CONTROLLER)?;
    Controller::start(ControllerConfig { endpoint_id, mtp }).await.context("failed to start the controller")
}

/// The gateway's configuration file as an operator would write it.
fn config(acs: &str, broker: SocketAddr, folder: &std::path::Path) -> String {
    let store = folder.join("dragoman.db");
    let store = store.display();
    format!(
        "[cwmp]\nlisten = \"127.0.0.1:0\"\n\
         [acs]\nurl = \"{acs}\"\n\
         [store]\nfile = '{store}'\n\
         [mqtt.sandbox]\nbroker = \"mqtt://{broker}\"\n\
         [[controller]]\nendpoint_id = \"{CONTROLLER}\"\n\
         mqtt = {{ broker = \"sandbox\", topic = \"usp/controller/sandbox\" }}\n\
         [[controller]]\nendpoint_id = \"{OWN}\"\n\
         mqtt = {{ broker = \"sandbox\", topic = \"usp/controller/cli\" }}\n"
    )
}

async fn fleets(gateway: SocketAddr, cpes: usize) -> anyhow::Result<Vec<Fleet>> {
    let mut fleets = Vec::new();
    let url = format!("http://{gateway}/");
    let modern = cpes.div_ceil(2);
    for (model, count, class, first) in
        [(TR_181, modern, "Gateway-181", 1), (TR_098, cpes - modern, "Gateway-098", 1_001)]
    {
        let model = Arc::new(Model::parse(model)?);
        let mut config = FleetConfig::new(url.clone(), model, count);
        config.product_class = class.into();
        config.first_serial = first;
        config.start_spread_ms = 500;
        fleets.push(Fleet::start(config).await?);
    }
    Ok(fleets)
}

const CONTROLLER: &str = "self::sandbox-controller";
/// The controller of a person at the command line.
const OWN: &str = "self::dragoman-cli";
const TR_181: &str = include_str!("../../../fixtures/models/tr181-small.csv");
const TR_098: &str = include_str!("../../../fixtures/models/tr098-small.csv");
/// How long the story waits for anything.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
