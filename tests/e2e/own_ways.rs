//! Controllers that change how an agent is met, at real brokers: new topics, another controller, another broker,
//! a client id that the broker gives.

use std::time::Instant;

use dragoman::identity::EndpointId;
use dragoman::sim::acs::{Acs, AcsConfig};
use dragoman::sim::controller::{Controller, ControllerConfig, ControllerMtp, requests};
use dragoman::transport::mqtt::Version;

use super::gateway::{Setup, acs_and_mqtt};
use super::mosquitto::Mosquitto;
use super::usp::{PATIENCE, SSID, controller, fleet, value};

const SECOND: &str = "self::second";
const CLIENT: &str = "Device.MQTT.Client.1.";

#[tokio::test(flavor = "multi_thread")]
async fn tp469_11_4_11_9_9_9_what_controllers_change_of_the_mtps_takes_effect_and_stays() {
    let (here, there) = (Mosquitto::start(), Mosquitto::start());
    let acs = Acs::start(AcsConfig::default()).await.unwrap();
    let egress = format!("[egress]\nallow = [\"mqtt://127.0.0.1:{}\"]\n", there.port);
    let setup = Setup::new(0, &format!("{egress}{}", acs_and_mqtt(&acs.url(), here.port, "")));
    let gateway = setup.start();
    let first = controller(here.port, Version::V5).await;
    let fleet = fleet(&gateway, 2).await;
    assert!(first.wait_for_agents(2, PATIENCE).await, "agents did not onboard");
    let agent = fleet.device_ids()[0].endpoint_id();
    becomes(&first, &agent, &format!("{CLIENT}Status"), "Connected").await;
    let counted = its_traffic_is_counted(&first, &agent).await;
    a_topic_comes_and_goes(&first, &agent).await;
    the_client_id_is_the_brokers(&first, &agent).await;
    let second = a_second_controller_is_met(&first, &agent, here.port).await;
    // To the other broker; the answer still comes over this one.
    let port = there.port.to_string();
    first
        .request(&agent, requests::set(&[("Device.MQTT.Client.1.BrokerPort", &port)], false), PATIENCE)
        .await
        .unwrap();
    let gone = Instant::now();
    while first.disconnect_of(&agent).is_none_or(|it| it.reason != "the agent leaves") {
        assert!(gone.elapsed() < PATIENCE, "the agent left without a word");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let moved = controller(there.port, Version::V5).await;
    becomes(&moved, &agent, SSID, &fleet.value(0, SSID).unwrap()).await;
    assert!(
        sent_and_received(&moved, &agent).await[0] < counted,
        "another broker, and the old one's messages"
    );
    let other = fleet.device_ids()[1].endpoint_id();
    assert!(value(&first, &other, SSID).await.is_ok(), "an agent that nobody changed");
    // After a crash it is there again, without a word of the device.
    fleet.stop().await;
    gateway.kill();
    let gateway = setup.start();
    becomes(&moved, &agent, &format!("{CLIENT}BrokerPort"), &port).await;
    becomes(&first, &other, &format!("{CLIENT}BrokerPort"), &here.port.to_string()).await;
    // And back, as the configuration has it.
    let back = here.port.to_string();
    moved
        .request(&agent, requests::set(&[("Device.MQTT.Client.1.BrokerPort", &back)], false), PATIENCE)
        .await
        .unwrap();
    becomes(&first, &agent, &format!("{CLIENT}Status"), "Connected").await;
    assert_eq!(gateway.terminate(), Some(0));
    for controller in [first, second, moved] {
        controller.stop().await;
    }
    acs.stop().await;
}

/// Asks until the value is there.
pub async fn becomes(controller: &Controller, agent: &EndpointId, path: &str, wanted: &str) {
    let started = Instant::now();
    loop {
        let patience = std::time::Duration::from_secs(1);
        let answer = controller.request(agent, requests::get(&[path], 0), patience).await;
        let got = answer.map(|answer| format!("{answer:?}"));
        if got.as_ref().is_ok_and(|got| got.contains(&format!("\"{wanted}\""))) {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "{path} is not {wanted}: {got:?}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// TR-181 MQTTClientBase:1. Gives how many messages it has sent.
async fn its_traffic_is_counted(controller: &Controller, agent: &EndpointId) -> u64 {
    let since =
        value(controller, agent, &format!("{CLIENT}Stats.BrokerConnectionEstablished")).await.unwrap();
    assert!(since.starts_with("20") && since.ends_with('Z'), "{since}");
    assert_eq!(
        value(controller, agent, &format!("{CLIENT}Stats.ConnectionErrors")).await.as_deref(),
        Ok("0")
    );
    let before = sent_and_received(controller, agent).await;
    // More than a connection needs to begin.
    for _ in 0..20 {
        value(controller, agent, CLIENT).await.unwrap();
    }
    let after = sent_and_received(controller, agent).await;
    // A request and an answer at QoS 1: each a message and the acknowledgement of the other's.
    let grown = [after[0] - before[0], after[1] - before[1]];
    assert!(grown.iter().all(|grown| (40..70).contains(grown)), "{before:?} {after:?}");
    after[0]
}

async fn sent_and_received(controller: &Controller, agent: &EndpointId) -> [u64; 2] {
    let count = async |name: &str| {
        let count = value(controller, agent, &format!("{CLIENT}Stats.{name}")).await.unwrap();
        count.parse::<u64>().unwrap()
    };
    [count("MQTTMessagesSent").await, count("MQTTMessagesReceived").await]
}

/// TP-469 11.9.
async fn a_topic_comes_and_goes(controller: &Controller, agent: &EndpointId) {
    let table = format!("{CLIENT}Subscription.");
    let topic = [("Enable", "true"), ("Topic", "new/topic"), ("QoS", "0")];
    controller.request(agent, requests::add(&table, &topic), PATIENCE).await.unwrap();
    becomes(controller, agent, &format!("{table}101.Status"), "Subscribed").await;
    let enable = format!("{table}101.Enable");
    controller.request(agent, requests::set(&[(&enable, "false")], false), PATIENCE).await.unwrap();
    becomes(controller, agent, &format!("{table}101.Status"), "Unsubscribed").await;
}

/// TP-469 11.4.
async fn the_client_id_is_the_brokers(controller: &Controller, agent: &EndpointId) {
    let id = format!("{CLIENT}ClientID");
    controller.request(agent, requests::set(&[(&id, "")], false), PATIENCE).await.unwrap();
    let again = requests::operate(&format!("{CLIENT}ForceReconnect()"), "k", &[]);
    controller.request(agent, again, PATIENCE).await.unwrap();
    let started = Instant::now();
    loop {
        let patience = std::time::Duration::from_secs(1);
        let answer = controller.request(agent, requests::get(&[&id], 0), patience).await;
        if answer.is_ok_and(|answer| format!("{answer:?}").contains("\"auto-")) {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "the broker's client id is not kept");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// TP-469 9.9.
async fn a_second_controller_is_met(first: &Controller, agent: &EndpointId, port: u16) -> Controller {
    let mtp = ControllerMtp::Mqtt {
        host: "127.0.0.1".into(),
        port,
        version: Version::V5,
        topic: "usp/controller/second".into(),
        login: None,
        agent_topic_prefix: "usp/agent".into(),
        tls: None,
    };
    let endpoint_id = EndpointId::parse(SECOND).unwrap();
    let second = Controller::start(ControllerConfig { endpoint_id, mtp }).await.unwrap();
    let role = "Device.LocalAgent.ControllerTrust.Role.1";
    let row = [("EndpointID", SECOND), ("Enable", "true"), ("AssignedRole", role)];
    let add = requests::add("Device.LocalAgent.Controller.", &row);
    first.request(agent, add, PATIENCE).await.unwrap();
    let table = "Device.LocalAgent.Controller.101.MTP.";
    let add = requests::add(table, &[("Enable", "true"), ("Protocol", "MQTT")]);
    first.request(agent, add, PATIENCE).await.unwrap();
    let topic = format!("{table}1.MQTT.Topic");
    let set = requests::set(&[(&topic, "usp/controller/second")], false);
    first.request(agent, set, PATIENCE).await.unwrap();
    assert!(second.wait_for_agents(1, PATIENCE).await, "the agent does not come to the new controller");
    assert!(value(&second, agent, SSID).await.is_ok());
    second
}
