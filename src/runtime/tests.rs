//! The fleet over a store, without sockets.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::agent::{AgentConfig, ControllerConfig, ControllerMtp, FULL_ACCESS, LinkKey};
use crate::datamodel::{Firmware, FirmwareId, Instantiated, Source, Value, WallTime};
use crate::durable::{Change, Deadline, Kind};
use crate::identity::{DeviceId, EndpointId};
use crate::mtp::AgentSide;
use crate::observe::Metrics;
use crate::proxy::ProxyConfig;
use crate::store::{Embedded, EmbeddedConfig, Store};
use crate::usp::Shown;
use crate::usp::message::{self, Message, Request};
use crate::usp::record::Record;

use super::{AcsServers, Alarms, Clock, Firmwares, Fittings, Fleet, FleetConfig, Mtp, Mtps, Routes};

struct Rig {
    folder: std::path::PathBuf,
    store: Arc<Embedded>,
    fleet: Fleet<Embedded>,
    alarms: Alarms,
    answers: mpsc::UnboundedReceiver<Bytes>,
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn controller() -> EndpointId {
    EndpointId::parse("self::ctl").unwrap()
}

async fn rig(name: &str) -> Rig {
    let folder = std::env::temp_dir().join(format!("dragoman-fleet-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let store =
        Arc::new(Embedded::open(&EmbeddedConfig { file: folder.join("state.db"), key_file: None }).unwrap());
    let metrics = Arc::new(Metrics::default());
    let mtps = Mtps::new(HashMap::from([(controller(), 0)]), Arc::clone(&metrics));
    let (sender, answers) = mpsc::unbounded_channel();
    let hand = Mtp::InProcess(Box::new(move |_, _, record| sender.send(record).unwrap()));
    mtps.fill(Fittings { mtps: vec![(LinkKey::Mqtt(1), hand)], ..Fittings::default() });
    let mtp = ControllerMtp::Mqtt { client: 0, topic: "t".into() };
    let roles = vec![FULL_ACCESS.to_owned()];
    let known = ControllerConfig {
        instance: 1,
        pinned: true,
        endpoint_id: controller(),
        roles,
        onboard: false,
        certificates: Vec::new(),
        mtp,
    };
    let agent = AgentConfig { controllers: vec![known], fresh_ms: 60_000, ..AgentConfig::default() };
    let alarms = Alarms::default();
    let fleet = Fleet::new(FleetConfig {
        agent: Arc::new(agent),
        proxy: Arc::new(ProxyConfig::default()),
        acs: AcsServers::default(),
        keyring: None,
        collector: crate::collector::Collector::new(std::sync::Arc::default(), None),
        recorder: crate::observe::Recorder::default(),
        bypasses: super::Bypasses::open(Arc::clone(&store)).await.unwrap(),
        store: Arc::clone(&store),
        firmwares: Arc::new(Firmwares::open(Arc::clone(&store)).await.unwrap()),
        stage: None,
        mtps,
        metrics,
        clock: Clock::start(),
        routes: Arc::new(Routes::default()),
        alarms: alarms.clone(),
        rest_after_ms: 60_000,
        connection_request: crate::connection_request::Limits::default(),
    });
    Rig { folder, store, fleet, alarms, answers }
}

fn device() -> DeviceId {
    DeviceId { serial_number: "S1".into(), oui: "00256D".into(), ..DeviceId::default() }
}

/// A device at rest whose name was read some time ago.
async fn store_device(rig: &Rig, age_ms: u64) {
    let device = serde_json::json!({
        "format": 1, "device": device(), "root": "Device.", "discovery_left": [], "onboarded": [],
        "software_version": "1", "booted_at": 0,
    });
    let mut shadow = Instantiated::default();
    let at = WallTime(Clock::start().wall().0 - age_ms);
    let value = Value { text: "home".into(), value_type: None, at, source: Source::Read };
    shadow.set_value("Device.WiFi.SSID.1.SSID", value);
    let blobs = shadow.take_changes().into_iter();
    let blobs = blobs.map(|(top, blob)| Change::put(Kind::Shadow, top, blob.unwrap()));
    let changes = std::iter::once(Change::put(Kind::Device, "", device.to_string())).chain(blobs).collect();
    rig.store.commit(&self::device().endpoint_id(), changes).await.unwrap();
}

fn ask(rig: &Rig, path: &str) {
    let to = device().endpoint_id();
    let get = message::Get { param_paths: vec![path.into()], max_depth: 0 };
    let message = Message::request("q", Request::Get(get)).encode();
    rig.fleet.record(&to, Record::plain(&controller(), &to, message).encode(), Shown::Untold);
}

#[tokio::test]
async fn a_get_of_fresh_values_wakes_nobody_and_one_of_old_values_does() {
    let mut rig = rig("fresh").await;
    store_device(&rig, 1_000).await;
    ask(&rig, "Device.WiFi.SSID.1.SSID");
    let answer = tokio::time::timeout(Duration::from_secs(5), rig.answers.recv()).await.unwrap().unwrap();
    assert!(format!("{:?}", Record::decode(answer).unwrap()).contains("home"));
    assert_eq!(rig.fleet.active(), 0);
    store_device(&rig, 120_000).await;
    ask(&rig, "Device.WiFi.SSID.1.SSID");
    for _ in 0..500 {
        if rig.fleet.active() == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(rig.fleet.active(), 1, "nobody asks the device");
    // Now the agent is awake, and what it knows of its own it answers at once.
    ask(&rig, "Device.LocalAgent.EndpointID");
    let answer = tokio::time::timeout(Duration::from_secs(5), rig.answers.recv()).await.unwrap().unwrap();
    assert!(format!("{:?}", Record::decode(answer).unwrap()).contains("EndpointID"));
}

#[tokio::test]
async fn an_mtp_that_comes_back_wakes_only_those_who_have_something_to_say() {
    let mut rig = rig("told").await;
    let endpoint = device().endpoint_id();
    store_device(&rig, 1_000).await;
    rig.fleet.connected(&endpoint, &controller());
    let looked = std::time::Instant::now() + Duration::from_millis(300);
    while std::time::Instant::now() < looked {
        assert_eq!(rig.fleet.active(), 0, "ten thousand agents would wake at each connection");
        tokio::task::yield_now().await;
    }
    let message =
        STANDARD.encode(Message::request("n", Request::Notify(message::Notify::default())).encode());
    let waiting = serde_json::json!({ "format": 1, "controller": controller(), "message": message });
    let waiting = Change::put(Kind::Outbox, "n", waiting.to_string());
    rig.store.commit(&endpoint, vec![waiting]).await.unwrap();
    rig.fleet.connected(&endpoint, &controller());
    let again = tokio::time::timeout(Duration::from_secs(5), rig.answers.recv()).await.unwrap().unwrap();
    let again = Record::decode(again).unwrap();
    assert!(format!("{again:?}").contains("NoSession"), "{again:?}");
}

#[tokio::test]
async fn what_sisters_learn_at_once_is_merged_and_there_after_a_restart() {
    let rig = rig("sisters").await;
    let id = FirmwareId {
        oui: "00256D".into(),
        product_class: "Box".into(),
        software_version: "1".into(),
        root: "Device.".into(),
    };
    let walk = |number: u64| {
        let names = [("Device.X.A".to_owned(), true), (format!("Device.X.B{number}"), false)];
        Firmware::of_walk(
            "Device.X.",
            number,
            names.iter().map(|(name, writable)| (name.as_str(), *writable)),
        )
    };
    let firmwares = Arc::new(Firmwares::open(Arc::clone(&rig.store)).await.unwrap());
    let learning: Vec<_> = (0..8)
        .map(|number| {
            let (firmwares, id) = (Arc::clone(&firmwares), id.clone());
            tokio::spawn(async move { firmwares.learn(id, walk(number)).await })
        })
        .collect();
    for one in learning {
        one.await.unwrap();
    }
    let mut wanted = Firmware::default();
    (0..8).for_each(|number| {
        wanted.merge(&walk(number));
    });
    assert_eq!(firmwares.find(&id).as_deref(), Some(&wanted));
    let again = Firmwares::open(Arc::clone(&rig.store)).await.unwrap();
    assert_eq!(again.find(&id).as_deref(), Some(&wanted));
}

/// The end of a timer, of a device that nobody has spoken to.
#[tokio::test]
async fn a_device_at_rest_is_woken_when_something_of_its_own_is_due() {
    let mut rig = rig("alarms").await;
    store_device(&rig, 0).await;
    let due = WallTime(Clock::start().wall().0 + 400);
    let subscription = serde_json::json!({
        "format": 2, "own": true, "params": {
            "Enable": "true", "ID": "s", "NotifType": "OperationComplete",
            "Recipient": "Device.LocalAgent.Controller.1",
            "ReferenceList": "Device.ScheduleTimer()", "Persistent": "true", "CreationDate": "2026-01-01T00:00:00Z",
        },
    });
    let timer = serde_json::json!({
        "format": 1, "instance": 1, "originator": controller(), "command": "Device.ScheduleTimer()",
        "command_key": "k", "input_args": {}, "started": true, "due": due,
    });
    let json = |value: &serde_json::Value| serde_json::to_vec(value).unwrap();
    let changes = vec![
        Change::put(Kind::LocalAgent, "LocalAgent.Subscription.1", json(&subscription)),
        Change::put(Kind::Operation, "1", json(&timer)),
        Deadline::change(Some(due)),
    ];
    rig.store.commit(&device().endpoint_id(), changes).await.unwrap();
    let stop = CancellationToken::new();
    let alarms = rig.alarms.clone();
    let running = alarms.run(Arc::clone(&rig.store), rig.fleet.clone(), Clock::start(), stop.clone());
    let running = tokio::spawn(running);
    let told = tokio::time::timeout(Duration::from_secs(20), rig.answers.recv()).await.unwrap().unwrap();
    assert!(Clock::start().wall() >= due, "too early");
    assert!(String::from_utf8_lossy(&told).contains("ScheduleTimer()"));
    stop.cancel();
    running.await.unwrap();
}
