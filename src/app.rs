//! The gateway as a parts list: what is built from the settings, in which order, and how it ends.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use crate::admin::{self, Control, Health};
use crate::agent::{LinkKey, held_images};
use crate::collector::Collector;
use crate::config::{FirmwareSettings, Settings};
use crate::connection_request;
use crate::durable::{Kind, Range};
use crate::file_server::{FileServer, ServerConfig, Stage};
use crate::identity::EndpointId;
use crate::mtp::AgentSide;
use crate::mtp::mqtt::{Mqtt, MqttConfig};
use crate::mtp::stomp::{Stomp, StompConfig};
use crate::mtp::websocket::{Listener, ListenerConfig, WebSocket, WebSocketConfig};
use crate::net::{At, Sockets, TlsClient};
use crate::observe::{Metrics, Recorder};
use crate::policy::Egress;
use crate::proxy::Input;
use crate::runtime::{
    AcsCalls, AcsServers, Alarms, Bypasses, Clock, Doorman, Firmwares, Fittings, Fleet, FleetConfig, Letter,
    Mtp, Mtps, Routes, SecurePlace, Workshop, number_rows,
};
use crate::southbound::Door;
use crate::store::{Embedded, Store};

mod succession;

use succession::GOODBYE;
pub use succession::{Birth, Left};

/// A running gateway.
pub struct Gateway {
    /// Where CPEs come.
    pub cwmp: SocketAddr,
    /// Where metrics are, if anywhere.
    pub admin: Option<SocketAddr>,
    /// Where controllers come by WebSocket, if anywhere.
    pub websocket: Option<SocketAddr>,
    /// Where CPEs load firmware, if anywhere.
    pub files: Option<SocketAddr>,
    recorder: Recorder,
    fleet: Fleet<Embedded>,
    doorman: Arc<Doorman<Embedded>>,
    health: Arc<Health>,
    downloads: Option<At>,
    /// Nothing is accepted any more.
    closing: CancellationToken,
    /// Nobody is woken by the clock any more.
    alarms: CancellationToken,
    /// Connections of CPEs and of the ACS end.
    door: CancellationToken,
    mtps: CancellationToken,
    /// What operators ask, and CPEs load, ends.
    last: CancellationToken,
}

impl Gateway {
    /// Builds and starts all parts. Devices in the store have their agents on the MTPs when this returns.
    pub async fn start(settings: Settings) -> anyhow::Result<Self> {
        Self::begin(settings, Birth::Alone(Sockets::default())).await
    }

    /// As [`Gateway::start`], in the place of another gateway. What can fail fails before that one has stopped
    /// anything.
    pub async fn begin(mut settings: Settings, birth: Birth) -> anyhow::Result<Self> {
        let [closing, alarms_stop, door, mtps_stop, last] = std::array::from_fn(|_| CancellationToken::new());
        let (metrics, health) = (Arc::new(Metrics::default()), Arc::new(Health::default()));
        let opened = if birth.is_alone() { Embedded::open } else { Embedded::open_beside };
        let store = Arc::new(opened(&settings.store)?);
        if let Some(authority) = &settings.authority {
            authority.keep()?;
        }
        let sockets = birth.sockets().clone();
        Self::listen(&mut settings, &sockets, &closing).await?;
        let (egress, tls) = (Arc::clone(&settings.agent.egress), settings.egress_tls.clone());
        let (stage, server) = stage(settings.firmware.take(), egress, tls)?.unzip();
        let mut before = birth.begin().await?;
        sockets.close_others();
        let (alarms, clock) = (Alarms::default(), Clock::start());
        let recorder = Recorder::new(settings.capture.take());
        let beside = (stage.clone(), recorder.clone());
        let (fleet, parts) = fleet(&mut settings, &store, &metrics, beside, (clock, &alarms)).await?;
        if let Some(before) = &mut before {
            before.is_followed_by(&fleet);
        }
        let mtps = parts.mtps.clone();
        let websocket = fit(parts, &fleet, &metrics, &mtps_stop).await?;
        wake_stored(&store, &fleet, &mtps).await?;
        let downloads = server.as_ref().map(|server| server.listen.clone());
        let files = downloads.as_ref().map(At::address);
        if let (Some(stage), Some(server)) = (stage, server) {
            serve_files(&stage, server, &last).await?;
            tokio::spawn(tend(stage, Arc::clone(&store), alarms_stop.clone()));
        }
        tokio::spawn(alarms.run(Arc::clone(&store), fleet.clone(), clock, alarms_stop.clone()));
        let doorman = Doorman::new(fleet.clone());
        let opened =
            Door::open(settings.door, Arc::clone(&doorman), Arc::clone(&metrics), door.clone()).await;
        let cwmp = opened.context("failed to listen for CPEs")?.address;
        if let Some(config) = settings.calls {
            let opened = connection_request::open(config, AcsCalls::new(fleet.clone()), door.clone()).await;
            opened.context("failed to listen for the ACS's connection requests")?;
        }
        let admin = match settings.admin {
            Some(config) => {
                let control = Arc::new(Control::new(fleet.clone(), recorder.clone(), &config));
                let served = (metrics, Arc::clone(&health), control);
                let serving = admin::serve(config.listen, served, last.clone()).await;
                Some(serving.context("failed to listen for operators")?)
            }
            None => None,
        };
        health.set_ready(true);
        if let Some(before) = before {
            tokio::spawn(before.attend(Arc::clone(&doorman), fleet.clone()));
        }
        let (alarms, mtps) = (alarms_stop, mtps_stop);
        Ok(Self {
            cwmp,
            admin,
            websocket,
            files,
            recorder,
            fleet,
            doorman,
            health,
            downloads,
            closing,
            alarms,
            door,
            mtps,
            last,
        })
    }

    /// Takes no new sessions, lets those that are open come to their end for a while, tells the MTPs. Until then CPEs
    /// may go on over further connections.
    pub async fn stop(self) {
        self.health.set_ready(false);
        self.alarms.cancel();
        self.fleet.shutdown(DRAIN).await;
        self.closing.cancel();
        self.door.cancel();
        self.mtps.cancel();
        self.last.cancel();
        self.recorder.leave();
        // The MTPs say goodbye on their own; this is how long they have for it.
        tokio::time::sleep(GOODBYE).await;
    }
}

/// All devices, and what their MTPs are made of.
async fn fleet(
    settings: &mut Settings,
    store: &Arc<Embedded>,
    metrics: &Arc<Metrics>,
    (stage, recorder): (Option<Stage>, Recorder),
    (clock, alarms): (Clock, &Alarms),
) -> anyhow::Result<(Fleet<Embedded>, Parts)> {
    number_rows(&mut settings.agent, store.as_ref()).await?;
    let mtps = Mtps::new(routes(settings), Arc::clone(metrics));
    let parts = Parts {
        keys: keys(settings),
        mqtt: std::mem::take(&mut settings.mqtt),
        stomp: std::mem::take(&mut settings.stomp),
        websocket: std::mem::take(&mut settings.websocket),
        tls: settings.egress_tls.clone(),
        listener: settings.listener.take(),
        mtps: mtps.clone(),
    };
    let fleet = Fleet::new(FleetConfig {
        stage,
        collector: Collector::new(Arc::clone(&settings.agent.egress), settings.egress_tls.clone()),
        agent: Arc::new(std::mem::take(&mut settings.agent)),
        proxy: Arc::new(std::mem::take(&mut settings.proxy)),
        acs: AcsServers::new(std::mem::take(&mut settings.acs)),
        store: Arc::clone(store),
        bypasses: Bypasses::open(Arc::clone(store)).await?,
        firmwares: Arc::new(Firmwares::open(Arc::clone(store)).await?),
        mtps,
        metrics: Arc::clone(metrics),
        clock,
        routes: Arc::new(Routes::default()),
        alarms: alarms.clone(),
        rest_after_ms: u64::try_from(settings.rest_after.as_millis()).unwrap_or(u64::MAX),
        connection_request: connection_request::Limits::default(),
        keyring: settings.keyring.take(),
        recorder,
    });
    Ok((fleet, parts))
}

/// CPEs load firmware from now on.
async fn serve_files(stage: &Stage, server: ServerConfig, last: &CancellationToken) -> anyhow::Result<()> {
    let opened = FileServer::open(server, stage.clone(), last.clone()).await;
    opened.map(drop).context("failed to listen for CPEs that load firmware")
}

/// The stage of firmware images, and how CPEs reach it.
fn stage(
    settings: Option<FirmwareSettings>,
    egress: Arc<Egress>,
    tls: Option<TlsClient>,
) -> anyhow::Result<Option<(Stage, ServerConfig)>> {
    let Some(FirmwareSettings { stage, server }) = settings else { return Ok(None) };
    Ok(Some((Stage::open(stage, egress, tls)?, server)))
}

/// Tells the stage which images stored devices need, and lets it give up others from then on.
async fn tend(stage: Stage, store: Arc<Embedded>, stop: CancellationToken) {
    let known = match store.known(&[Kind::Images]).await {
        Ok(known) => known,
        Err(error) => {
            return tracing::warn!(%error, "no firmware image is given up: it is not known who needs it");
        }
    };
    for device in known.into_iter().filter(|device| !device.kinds.is_empty()) {
        let (told, entries) = tokio::sync::oneshot::channel();
        let wanted = vec![Range::one(Kind::Images, "")];
        store.peek(&device.endpoint, wanted, Box::new(move |found| drop(told.send(found))));
        match entries.await {
            Ok(Ok(entries)) => stage.adopt(&device.endpoint, held_images(&entries)),
            _ => return tracing::warn!("no firmware image is given up: it could not be read who needs it"),
        }
    }
    stage.complete();
    tokio::select! {
        () = stage.tidy() => {}
        () = stop.cancelled() => {}
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

/// The rows that show the MTPs, in the order of [`routes`].
fn keys(settings: &Settings) -> Vec<LinkKey> {
    let mqtt = settings.agent.mqtt.iter().map(|broker| LinkKey::Mqtt(broker.instance));
    let stomp = settings.agent.stomp.iter().map(|broker| LinkKey::Stomp(broker.instance));
    let websocket = settings.websocket.iter().map(|websocket| {
        let controllers = settings.agent.controllers.iter();
        let mut controllers = controllers.filter(|it| it.endpoint_id == websocket.controller);
        LinkKey::WebSocket(controllers.next().map_or(0, |it| it.instance), 1)
    });
    mqtt.chain(stomp).chain(websocket).collect()
}

/// What MTPs are made of.
struct Parts {
    mqtt: Vec<MqttConfig>,
    stomp: Vec<StompConfig>,
    websocket: Vec<WebSocketConfig>,
    keys: Vec<LinkKey>,
    tls: Option<TlsClient>,
    listener: Option<ListenerConfig>,
    mtps: Mtps,
}

/// Starts the MTPs and puts them in place; returns where the listener listens.
async fn fit(
    parts: Parts,
    fleet: &Fleet<Embedded>,
    metrics: &Arc<Metrics>,
    stop: &CancellationToken,
) -> anyhow::Result<Option<SocketAddr>> {
    let side: Arc<dyn AgentSide> = Arc::new(fleet.clone());
    let base = || (Arc::clone(&side), Arc::clone(metrics), stop.clone());
    let workshop = Workshop {
        side: Arc::clone(&side),
        metrics: Arc::clone(metrics),
        stop: stop.clone(),
        named: named(&parts),
        tls: parts.tls,
    };
    let listener = match parts.listener {
        Some(config) => {
            let (at, (side, metrics, stop)) = (config.listen.clone(), base());
            let opened = Listener::open(config, side, metrics, stop).await;
            Some(opened.with_context(|| format!("failed to listen for controllers on {at}"))?)
        }
        None => None,
    };
    let mqtt = parts.mqtt.into_iter().map(|config| {
        let (side, metrics, stop) = base();
        Mtp::Mqtt(Mqtt::start(config, side, metrics, stop))
    });
    let stomp = parts.stomp.into_iter().map(|config| {
        let (side, metrics, stop) = base();
        Mtp::Stomp(Stomp::new(config, side, metrics, stop))
    });
    let websocket = parts.websocket.into_iter().map(|config| {
        let (side, metrics, stop) = base();
        Mtp::WebSocket(WebSocket::new(config, side, metrics, stop))
    });
    let started = parts.keys.into_iter().zip(mqtt.chain(stomp).chain(websocket)).collect();
    let (listener, address) = listener.unzip();
    parts.mtps.fill(Fittings { mtps: started, listener, workshop: Some(workshop) });
    Ok(address)
}

/// TLS at the places that the configuration names.
fn named(parts: &Parts) -> HashMap<SecurePlace, TlsClient> {
    let place = |scheme, host: &str, port, tls: &Option<TlsClient>| {
        tls.clone().map(|tls| ((scheme, host.to_ascii_lowercase(), port), tls))
    };
    let mqtt = parts.mqtt.iter().filter_map(|it| place("mqtts", &it.host, it.port, &it.tls));
    let stomp = parts.stomp.iter().filter_map(|it| place("stomps", &it.host, it.port, &it.tls));
    let secure = parts.websocket.iter().filter(|it| it.url.tls);
    let websocket = secure.filter_map(|it| place("wss", &it.url.host, it.url.port, &it.tls));
    mqtt.chain(stomp).chain(websocket).collect()
}

/// Every stored device has its agent again; those with something left to do are woken for it, and so are
/// those that meet their controllers otherwise than the configuration says.
async fn wake_stored(store: &Embedded, fleet: &Fleet<Embedded>, mtps: &Mtps) -> anyhow::Result<()> {
    let known = store.known(&[Kind::Outbox, Kind::Operation, Kind::Ways]).await?;
    let count = known.len();
    for device in known {
        if !device.kinds.contains(&Kind::Ways) {
            mtps.attach(&device.endpoint);
        }
        if !device.kinds.is_empty() {
            let _ = fleet.deliver(&device.endpoint, None, Letter::Input(Input::Tick));
        }
    }
    tracing::info!(devices = count, "the store is open");
    Ok(())
}

/// How long open sessions have to end.
const DRAIN: Duration = Duration::from_secs(10);
