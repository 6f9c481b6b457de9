//! The reboot of a CPE is its agent's restart: goodbye, a new connection, and only then Boot!.

use std::net::SocketAddr;

use dragoman::identity::EndpointId;
use dragoman::sim::acs::{Acs, AcsConfig};
use dragoman::sim::controller::{Controller, requests};
use dragoman::transport::mqtt::Version;
use dragoman::usp::message::{Message, MessageBody, Request, notify::Notification};
use dragoman::usp::record::{Payload, Record};

use super::gateway::{CONTROLLER, Gateway, Setup, acs_and_mqtt};
use super::mosquitto::{Mosquitto, free_port};
use super::usp::{self, PATIENCE, fleet, persistent};
use super::websocket;

/// A CPE is rebooted, and this is what its controller hears of it.
pub async fn restart_is_heard(setup: &Setup, controller: &Controller, agent: &EndpointId) {
    let mut subscribe = requests::subscribe("restart", "Event", &["Device.Boot!"], true);
    persistent(&mut subscribe);
    controller.request(agent, subscribe, PATIENCE).await.unwrap();
    let mut arrivals = controller.arrivals();
    controller.request(agent, requests::operate("Device.Reboot()", "k", &[]), PATIENCE).await.unwrap();
    let mut heard: Vec<&str> = Vec::new();
    while heard.last() != Some(&"Boot!") {
        let next = tokio::time::timeout(PATIENCE, arrivals.recv()).await;
        let record = next.unwrap_or_else(|_| panic!("after {heard:?}: {}", setup.log())).unwrap().record;
        if record.from_id == agent.as_str() {
            heard.extend(name(record.payload));
        }
    }
    assert_eq!(heard, ["Disconnect", "Connect", "Boot!"]);
    goodbye_is_answered(controller, agent).await;
}

/// R-MTP.8: a controller says goodbye over a way that stays, and can go on as soon as it is greeted.
async fn goodbye_is_answered(controller: &Controller, agent: &EndpointId) {
    let us = EndpointId::parse(CONTROLLER).unwrap();
    let mut arrivals = controller.arrivals();
    let payload = Payload::Disconnect { reason: "that is all".into(), reason_code: 0 };
    controller.send_raw(agent, Record::of(&us, agent, payload).encode()).await;
    let next = async {
        loop {
            let record = arrivals.recv().await.unwrap().record;
            if record.from_id == agent.as_str() {
                return record;
            }
        }
    };
    let record = tokio::time::timeout(PATIENCE, next).await.expect("a goodbye is not answered");
    assert_eq!(name(record.payload), Some("Connect"));
    controller.request(agent, requests::get(&["Device.LocalAgent.EndpointID"], 0), PATIENCE).await.unwrap();
}

async fn reboots(setup: &Setup, gateway: &Gateway, controller: &Controller) {
    let fleet = fleet(gateway, 1).await;
    assert!(controller.wait_for_agents(1, PATIENCE).await, "the agent did not onboard");
    restart_is_heard(setup, controller, &fleet.device_ids()[0].endpoint_id()).await;
    fleet.stop().await;
}

/// The name of what belongs to a restart.
fn name(payload: Payload) -> Option<&'static str> {
    match payload {
        Payload::Disconnect { reason, .. } => {
            assert_eq!(reason, "the agent restarts");
            Some("Disconnect")
        }
        Payload::MqttConnect { .. } | Payload::StompConnect { .. } | Payload::WebSocketConnect => {
            Some("Connect")
        }
        Payload::NoSession(payload) => match Message::decode(payload).unwrap().body {
            MessageBody::Request(Request::Notify(notify)) => match notify.notification {
                Some(Notification::Event(event)) if event.event_name == "Boot!" => Some("Boot!"),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn boot_comes_over_a_new_connection_to_the_broker() {
    for sharing in ["", "shared_connections = 1"] {
        let broker = Mosquitto::start();
        let acs = Acs::start(AcsConfig::default()).await.unwrap();
        let setup = Setup::new(0, &acs_and_mqtt(&acs.url(), broker.port, sharing));
        let gateway = setup.start();
        let controller = usp::controller(broker.port, Version::V5).await;
        reboots(&setup, &gateway, &controller).await;
        controller.stop().await;
        acs.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn boot_comes_over_a_new_websocket() {
    let acs = Acs::start(AcsConfig::default()).await.unwrap();
    let listen = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let tables = websocket::tables(&acs.url(), listen);
    let setup = Setup::new(0, &tables);
    let gateway = setup.start();
    let controller = websocket::controller(listen).await;
    reboots(&setup, &gateway, &controller).await;
    controller.stop().await;
    acs.stop().await;
}
