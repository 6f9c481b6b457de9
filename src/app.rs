//! The gateway as a parts list: what is built from the settings, in which order, and how it ends.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use crate::admin::{self, Health};
use crate::config::Settings;
use crate::durable::Kind;
use crate::identity::EndpointId;
use crate::mtp::mqtt::Mqtt;
use crate::mtp::stomp::Stomp;
use crate::mtp::websocket::WebSocket;
use crate::observe::Metrics;
use crate::proxy::Input;
use crate::runtime::{
    Alarms, Clock, Doorman, Firmwares, Fleet, FleetConfig, Letter, Mtp, Mtps, Routes, number_rows,
};
use crate::southbound::Door;
use crate::store::{Embedded, Store};

/// A running gateway.
pub struct Gateway {
    /// Where CPEs come.
    pub cwmp: SocketAddr,
    /// Where metrics are, if anywhere.
    pub admin: Option<SocketAddr>,
    fleet: Fleet<Embedded>,
    health: Arc<Health>,
    door: CancellationToken,
    mtps: CancellationToken,
}

impl Gateway {
    /// Builds and starts all parts. Devices in the store have their agents on the MTPs when this returns.
    pub async fn start(settings: Settings) -> anyhow::Result<Self> {
        let (door, mtps_stop) = (CancellationToken::new(), CancellationToken::new());
        let metrics = Arc::new(Metrics::default());
        let health = Arc::new(Health::default());
        let store = Arc::new(Embedded::open(&settings.store)?);
        let mut settings = settings;
        number_rows(&mut settings.agent, store.as_ref()).await?;
        let (alarms, clock) = (Alarms::default(), Clock::start());
        let mtps = Mtps::new(routes(&settings), Arc::clone(&metrics));
        let fleet = Fleet::new(FleetConfig {
            agent: Arc::new(settings.agent),
            proxy: Arc::new(settings.proxy),
            acs: settings.acs,
            store: Arc::clone(&store),
            firmwares: Arc::new(Firmwares::open(Arc::clone(&store)).await?),
            mtps: mtps.clone(),
            metrics: Arc::clone(&metrics),
            clock,
            routes: Arc::new(Routes::default()),
            alarms: alarms.clone(),
            rest_after_ms: u64::try_from(settings.rest_after.as_millis()).unwrap_or(u64::MAX),
            connection_request: crate::connection_request::Limits::default(),
            keyring: settings.keyring,
            collector: settings.collector,
        });
        let side = Arc::new(fleet.clone());
        let (metrics_of, stop_of) = (|| Arc::clone(&metrics), || mtps_stop.clone());
        let mqtt = settings.mqtt.into_iter();
        let mqtt = mqtt.map(|config| Mtp::Mqtt(Mqtt::start(config, side.clone(), metrics_of(), stop_of())));
        let stomp = settings.stomp.into_iter();
        let stomp = stomp.map(|config| Mtp::Stomp(Stomp::new(config, side.clone(), metrics_of(), stop_of())));
        let sockets = settings
            .websocket
            .into_iter()
            .map(|config| Mtp::WebSocket(WebSocket::new(config, side.clone(), metrics_of(), stop_of())));
        mtps.fill(mqtt.chain(stomp).chain(sockets).collect());
        wake_stored(&store, &fleet, &mtps).await?;
        tokio::spawn(alarms.run(Arc::clone(&store), fleet.clone(), clock, door.clone()));
        let listen = settings.door.listen;
        let opened =
            Door::open(settings.door, Doorman::new(fleet.clone()), Arc::clone(&metrics), door.clone()).await;
        let opened = opened.with_context(|| format!("failed to listen for CPEs on {listen}"))?;
        let admin = match settings.admin {
            Some(address) => {
                let serving = admin::serve(address, metrics, Arc::clone(&health), mtps_stop.clone()).await;
                Some(serving.with_context(|| format!("failed to listen for operators on {address}"))?)
            }
            None => None,
        };
        health.set_ready(true);
        Ok(Self { cwmp: opened.address, admin, fleet, health, door, mtps: mtps_stop })
    }

    /// Takes no new sessions, lets those that are open come to their end for a while, tells the MTPs.
    pub async fn stop(self) {
        self.health.set_ready(false);
        self.door.cancel();
        self.fleet.shutdown(DRAIN).await;
        self.mtps.cancel();
        // The MTPs say goodbye on their own; this is how long they have for it.
        tokio::time::sleep(GOODBYE).await;
    }
}

/// The MTP of each controller, by its place among those that are started.
fn routes(settings: &Settings) -> HashMap<EndpointId, usize> {
    let mqtt = settings.mqtt.iter().map(|broker| &broker.controllers);
    let stomp = settings.stomp.iter().map(|broker| &broker.controllers);
    let mut routes = HashMap::new();
    let mut count = 0;
    for controllers in mqtt.chain(stomp) {
        routes.extend(controllers.iter().map(|(controller, _)| (controller.clone(), count)));
        count += 1;
    }
    for (index, websocket) in (count..).zip(&settings.websocket) {
        routes.insert(websocket.controller.clone(), index);
    }
    routes
}

/// Every stored device has its agent again; those with something left to do are woken for it.
async fn wake_stored(store: &Embedded, fleet: &Fleet<Embedded>, mtps: &Mtps) -> anyhow::Result<()> {
    let known = store.known(&[Kind::Outbox, Kind::Operation]).await?;
    let count = known.len();
    for device in known {
        mtps.attach(&device.endpoint);
        if !device.kinds.is_empty() {
            let _ = fleet.deliver(&device.endpoint, None, Letter::Input(Input::Tick));
        }
    }
    tracing::info!(devices = count, "the store is open");
    Ok(())
}

/// How long open sessions have to end.
const DRAIN: Duration = Duration::from_secs(10);
const GOODBYE: Duration = Duration::from_millis(300);
