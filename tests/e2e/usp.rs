//! A controller at a real broker, or with a WebSocket, and CPEs behind the gateway.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dragoman::identity::EndpointId;
use dragoman::sim::acs::{Acs, AcsConfig, Seen};
use dragoman::sim::controller::{Controller, ControllerConfig, ControllerMtp, requests};
use dragoman::sim::cpe::{Fleet, FleetConfig, Model};
use dragoman::transport::mqtt::Version;
use dragoman::usp::message::Response;
use dragoman::usp::message::notify::Notification;

use super::gateway::{CONTROLLER, Gateway, Setup, acs_and_mqtt};
use super::mosquitto::Mosquitto;

pub const TR_181: &str = include_str!("../../fixtures/models/tr181-small.csv");
pub const PATIENCE: Duration = Duration::from_secs(20);
pub const SSID: &str = "Device.WiFi.SSID.1.SSID";

/// Simulated CPEs that call the gateway.
pub async fn fleet(gateway: &Gateway, count: usize) -> Fleet {
    let model = Arc::new(Model::parse(TR_181).unwrap());
    let mut config = FleetConfig::new(gateway.url(), model, count);
    config.start_spread_ms = 100;
    Fleet::start(config).await.unwrap()
}

pub async fn controller(broker: u16, version: Version) -> Controller {
    let mtp = ControllerMtp::Mqtt {
        host: "127.0.0.1".into(),
        port: broker,
        version,
        topic: "usp/controller/test".into(),
        login: None,
        agent_topic_prefix: "usp/agent".into(),
        tls: None,
    };
    let endpoint_id = EndpointId::parse(CONTROLLER).unwrap();
    Controller::start(ControllerConfig { endpoint_id, mtp }).await.unwrap()
}

pub async fn value(controller: &Controller, agent: &EndpointId, path: &str) -> Result<String, String> {
    let answer = controller.request(agent, requests::get(&[path], 0), PATIENCE).await;
    let Response::GetResp(resp) = answer.map_err(|error| error.to_string())? else { panic!("no GetResp") };
    let result = resp.req_path_results.into_iter().next().unwrap();
    if result.err_code != 0 {
        return Err(format!("{} {}", result.err_code, result.err_msg));
    }
    let object = result.resolved_path_results.into_iter().next().ok_or("nothing there")?;
    Ok(object.result_params.into_values().next().unwrap())
}

/// The way of a request as ARCHITECTURE.md draws it, over both versions of MQTT and both ways to share connections.
async fn a_get_finds_its_way(version: &str, sharing: &str) {
    let broker = Mosquitto::start();
    let acs = Acs::start(AcsConfig::default()).await.unwrap();
    let more = format!("version = \"{version}\"\n{sharing}");
    let setup = Setup::new(0, &acs_and_mqtt(&acs.url(), broker.port, &more));
    let gateway = setup.start();
    let version = if version == "5.0" { Version::V5 } else { Version::V311 };
    let controller = controller(broker.port, version).await;
    let fleet = fleet(&gateway, 3).await;
    assert!(controller.wait_for_agents(3, PATIENCE).await, "agents did not onboard");
    for (index, device) in fleet.device_ids().iter().enumerate() {
        fleet.set(index, SSID, &format!("of {index}"));
        let got = value(&controller, &device.endpoint_id(), SSID).await;
        assert_eq!(got.as_deref(), Ok(format!("of {index}").as_str()));
        let violations = acs.seen(&device.endpoint_id());
        assert!(!violations.iter().any(|seen| matches!(seen, Seen::Violation(_))), "{violations:?}");
    }
    assert_eq!(fleet.statistics().sessions_failed, 0);
    fleet.stop().await;
    controller.stop().await;
    acs.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_get_over_mqtt_5_is_answered_by_the_cpe_after_the_acs() {
    a_get_finds_its_way("5.0", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_get_over_mqtt_3_1_1_and_over_shared_connections() {
    a_get_finds_its_way("3.1.1", "").await;
    a_get_finds_its_way("5.0", "shared_connections = 2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_reaches_the_cpe_a_subscription_fires_and_a_reboot_is_reported() {
    let broker = Mosquitto::start();
    let acs = Acs::start(AcsConfig::default()).await.unwrap();
    let setup = Setup::new(0, &acs_and_mqtt(&acs.url(), broker.port, ""));
    let gateway = setup.start();
    let controller = controller(broker.port, Version::V5).await;
    let mut notices = controller.notifications();
    let fleet = fleet(&gateway, 1).await;
    assert!(controller.wait_for_agents(1, PATIENCE).await);
    let agent = fleet.device_ids()[0].endpoint_id();
    for (id, notif_type, path) in [("v", "ValueChange", SSID), ("b", "Event", "Device.Boot!")] {
        let mut subscribe = requests::subscribe(id, notif_type, &[path], true);
        persistent(&mut subscribe);
        controller.request(&agent, subscribe, PATIENCE).await.unwrap();
    }
    value(&controller, &agent, SSID).await.unwrap();
    controller.request(&agent, requests::set(&[(SSID, "new")], false), PATIENCE).await.unwrap();
    assert_eq!(fleet.value(0, SSID).as_deref(), Some("new"));
    controller.request(&agent, requests::operate("Device.Reboot()", "k", &[]), PATIENCE).await.unwrap();
    let (mut changed, mut booted) = (false, false);
    while !(changed && booted) {
        let notice = tokio::time::timeout(PATIENCE, notices.recv()).await.expect("not told").unwrap();
        match notice.notify.notification {
            Some(Notification::ValueChange(change)) => changed |= change.param_value == "new",
            Some(Notification::Event(event)) => booted |= event.params["Cause"] == "RemoteReboot",
            _ => {}
        }
    }
    fleet.stop().await;
    goodbye_is_said(gateway, &controller, &agent).await;
    controller.stop().await;
    acs.stop().await;
}

/// Stops the gateway: the controller hears of it from the agent.
pub async fn goodbye_is_said(gateway: Gateway, controller: &Controller, agent: &EndpointId) {
    assert_eq!(gateway.terminate(), Some(0));
    let started = Instant::now();
    while controller.disconnect_of(agent).is_none_or(|it| it.reason != "the gateway stops") {
        assert!(started.elapsed() < PATIENCE, "the agent left without a word");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Marks a subscription that is to survive a reboot of the device.
pub fn persistent(request: &mut dragoman::usp::message::Request) {
    let dragoman::usp::message::Request::Add(add) = request else { panic!("no Add") };
    let setting = dragoman::usp::message::add::CreateParamSetting {
        param: "Persistent".into(),
        value: "true".into(),
        required: true,
    };
    add.create_objs.iter_mut().for_each(|object| object.param_settings.push(setting.clone()));
}
