//! CPEs of every odd kind behind one gateway: both masters are served, and who misbehaves harms only itself.
//! All in this process but for the name of the store's file.

use std::path::PathBuf;
use std::sync::Arc;

use dragoman::app::Gateway;
use dragoman::config::Settings;
use dragoman::cwmp::rpc::{Array, GetParameterValues, Request};
use dragoman::identity::EndpointId;
use dragoman::sim::acs::{Acs, AcsConfig, Seen};
use dragoman::sim::broker::{Broker, BrokerConfig};
use dragoman::sim::controller::{Controller, requests};
use dragoman::sim::cpe::{Every, Fleet, FleetConfig, Model, Quirk, Quirks};
use dragoman::transport::mqtt::Version;
use futures_util::future::join_all;

use super::gateway::mqtt;
use super::mosquitto::folder;
use super::usp::{PATIENCE, SSID, TR_181, controller, value};

/// A gateway between a stub ACS and a controller.
struct World {
    gateway: Gateway,
    acs: Acs,
    broker: Broker,
    controller: Controller,
    folder: PathBuf,
}

impl World {
    async fn build() -> Self {
        Self::with("", "").await
    }

    /// With more in the tables `[cwmp]` and `[acs]`.
    async fn with(cwmp: &str, acs_more: &str) -> Self {
        let acs = Acs::start(AcsConfig::default()).await.unwrap();
        let broker = Broker::start(BrokerConfig::default()).await.unwrap();
        let controller = controller(broker.address().port(), Version::V5).await;
        let folder = folder("quirks");
        let text = format!(
            "[cwmp]\nlisten = \"127.0.0.1:0\"\n{cwmp}[store]\nfile = '{}'\n[acs]\nurl = \"{}\"\n{acs_more}{}",
            folder.join("dragoman.db").display(),
            acs.url(),
            mqtt(broker.address().port(), "")
        );
        let settings = Settings::parse(&folder.join("x.toml"), &text).unwrap();
        let gateway = Gateway::start(settings).await.unwrap();
        Self { gateway, acs, broker, controller, folder }
    }

    /// One CPE; serial numbers tell them apart.
    async fn cpe(&self, serial: u64, change: impl FnOnce(&mut FleetConfig)) -> Fleet {
        let model = Arc::new(Model::parse(TR_181).unwrap());
        let mut config = FleetConfig::new(format!("http://{}/", self.gateway.cwmp), model, 1);
        config.first_serial = serial;
        config.retry_ms = 50;
        change(&mut config);
        Fleet::start(config).await.unwrap()
    }

    async fn end(self, fleets: Vec<Fleet>) {
        for fleet in fleets {
            fleet.stop().await;
        }
        self.gateway.stop().await;
        self.controller.stop().await;
        self.broker.stop().await;
        self.acs.stop().await;
        std::fs::remove_dir_all(self.folder).unwrap();
    }
}

fn agent(fleet: &Fleet) -> EndpointId {
    fleet.device_ids()[0].endpoint_id()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cpe_with_any_quirk_is_served_to_the_acs_and_to_the_controller() {
    let world = World::build().await;
    let parameter_names = Array(vec![SSID.into()]);
    world.acs.on_every_session(vec![Request::GetParameterValues(GetParameterValues { parameter_names })]);
    let mut fleets = Vec::new();
    for (number, quirk) in Quirk::ALL.iter().enumerate() {
        let quirks = Quirks::of(&[*quirk]);
        fleets.push(world.cpe(5_001 + number as u64, |config| config.quirks = quirks).await);
    }
    if !world.controller.wait_for_agents(fleets.len(), PATIENCE).await {
        let agents = world.controller.agents();
        let missing = Quirk::ALL.iter().zip(&fleets).filter(|(_, fleet)| !agents.contains(&agent(fleet)));
        let missing = missing.map(|(quirk, fleet)| (quirk.name(), fleet.statistics()));
        panic!("not onboarded: {:?}", missing.collect::<Vec<_>>());
    }
    let controller = &world.controller;
    let reads = Quirk::ALL.iter().zip(&fleets).map(|(quirk, fleet)| async move {
        let wanted = format!("M\u{fc}ller & <{}>", quirk.name());
        assert!(fleet.set(0, SSID, &wanted));
        assert_eq!(value(controller, &agent(fleet), SSID).await, Ok(wanted), "{}", quirk.name());
    });
    join_all(reads).await;
    for (quirk, fleet) in Quirk::ALL.iter().zip(&fleets) {
        let read = |seen: &[Seen]| seen.iter().any(|it| it.value(SSID).is_some());
        assert!(world.acs.until(&agent(fleet), PATIENCE, read).await, "{}", quirk.name());
        let fails = matches!(quirk, Quirk::Vanish | Quirk::Oversize);
        let statistics = fleet.statistics();
        assert_eq!(statistics.sessions_failed, u64::from(fails), "{}: {statistics:?}", quirk.name());
    }
    world.end(fleets).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_on_demand_reach_the_controller_as_its_own_errors() {
    let world = World::build().await;
    let faults = ["SetParameterValues=9007@Device.WiFi.", "AddObject=9004", "Reboot=9001"];
    let quirks = Quirks { faults: faults.map(|it| it.parse().unwrap()).to_vec(), ..Quirks::default() };
    let fleet = world.cpe(5_201, |config| config.quirks = quirks).await;
    assert!(world.controller.wait_for_agents(1, PATIENCE).await, "the agent did not onboard");
    let to = agent(&fleet);
    let ask = |request| world.controller.request(&to, request, PATIENCE);
    let refused = ask(requests::set(&[(SSID, "x")], false)).await.unwrap_err().to_string();
    assert!(refused.contains("7012") && refused.contains("9007"), "{refused}");
    let refused = ask(requests::add("Device.NAT.PortMapping.", &[])).await.unwrap_err().to_string();
    assert!(refused.contains("9004"), "{refused}");
    assert!(value(&world.controller, &agent(&fleet), SSID).await.is_ok());
    world.end(vec![fleet]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_to_a_device_by_itself_is_told_to_the_acs() {
    let world = World::build().await;
    let version = "Device.DeviceInfo.ProvisioningCode";
    let mut happenings: Vec<Every> =
        ["reboot=2", "inform=0.5", "download=0.7", "diagnostics=0.6"].map(|it| it.parse().unwrap()).to_vec();
    happenings.push(Every::change(&format!("{version}=0.4")).unwrap());
    let fleet = world.cpe(5_301, |config| config.happenings = happenings).await;
    for code in [
        "0 BOOTSTRAP",
        "2 PERIODIC",
        "4 VALUE CHANGE",
        "8 DIAGNOSTICS COMPLETE",
        "10 AUTONOMOUS TRANSFER COMPLETE",
        "1 BOOT",
    ] {
        let told = |seen: &[Seen]| seen.iter().any(|it| it.is_inform_with(code));
        assert!(world.acs.until(&agent(&fleet), PATIENCE, told).await, "{code} was not told");
    }
    let boots = |seen: &[Seen]| seen.iter().filter(|it| it.is_inform_with("1 BOOT")).count() > 1;
    assert!(world.acs.until(&agent(&fleet), PATIENCE, boots).await, "it did not reboot");
    assert_ne!(fleet.value(0, version).as_deref(), Some(""), "the value did not change");
    world.end(vec![fleet]).await;
}

/// TransferComplete and its like come when the ACS has released the CPE, or before if it does not care.
#[tokio::test(flavor = "multi_thread")]
async fn s08_requests_that_are_held_up_and_those_that_do_not_care_both_reach_the_acs() {
    let world = World::build().await;
    world.acs.hold(true);
    let parameter_names = Array(vec![SSID.into()]);
    world.acs.on_every_session(vec![Request::GetParameterValues(GetParameterValues { parameter_names })]);
    let mut fleets = Vec::new();
    for (serial, quirks) in [(5_401, Quirks::default()), (5_402, Quirks::of(&[Quirk::IgnoreHold]))] {
        let happenings = vec!["download=0.3".parse().unwrap()];
        let change = |config: &mut FleetConfig| {
            config.quirks = quirks;
            config.happenings = happenings;
        };
        fleets.push(world.cpe(serial, change).await);
    }
    for fleet in &fleets {
        let done = |seen: &[Seen]| {
            let told = |it: &Seen| it.to_string().contains("AutonomousTransferComplete");
            seen.iter().any(told) && seen.iter().any(|it| it.value(SSID).is_some())
        };
        assert!(world.acs.until(&agent(fleet), PATIENCE, done).await, "{:?}", world.acs.seen(&agent(fleet)));
        let violations =
            world.acs.seen(&agent(fleet)).into_iter().filter(|it| matches!(it, Seen::Violation(_)));
        assert_eq!(violations.collect::<Vec<_>>(), []);
    }
    world.end(fleets).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_acs_is_down_usp_goes_on_and_what_is_the_acs_s_waits_for_it() {
    let door = "authentication = { scheme = \"digest\", users = { cpe = \"secret\" } }\n";
    let mut world = World::with(door, "when_down = \"answer\"\nconnect_seconds = 2\n").await;
    let fleet = world
        .cpe(5_501, |config| {
            config.acs_credentials = Some(("cpe".into(), "secret".into()));
            config.retry_ms = 300;
        })
        .await;
    assert!(world.controller.wait_for_agents(1, PATIENCE).await, "the agent did not onboard");
    assert!(value(&world.controller, &agent(&fleet), SSID).await.is_ok());
    let listen = world.acs.url().trim_start_matches("http://").trim_end_matches('/').parse().unwrap();
    let down = std::mem::replace(&mut world.acs, Acs::start(AcsConfig::default()).await.unwrap());
    down.stop().await;
    assert!(fleet.set(0, SSID, "in the outage"));
    let failed = fleet.statistics().sessions_failed;
    assert_eq!(value(&world.controller, &agent(&fleet), SSID).await.as_deref(), Ok("in the outage"));
    assert_eq!(fleet.statistics().sessions_failed, failed, "a session of ours was refused");
    // A periodic Inform is the ACS's.
    fleet.inform_now(0);
    let begin = std::time::Instant::now();
    while fleet.statistics().sessions_failed == failed {
        assert!(begin.elapsed() < PATIENCE, "the Inform was answered: {:?}", fleet.statistics());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let back = Acs::start(AcsConfig { listen, ..AcsConfig::default() }).await.unwrap();
    let told = |seen: &[Seen]| {
        seen.iter().any(|it| {
            it.is_inform_with("2 PERIODIC")
                && matches!(it, Seen::Inform { retry_count, .. } if *retry_count > 0)
        })
    };
    assert!(back.until(&agent(&fleet), PATIENCE, told).await, "the ACS never heard of it");
    std::mem::replace(&mut world.acs, back).stop().await;
    world.end(vec![fleet]).await;
}
