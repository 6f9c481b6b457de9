//! Agents that connect to a controller by WebSocket.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use dragoman::identity::EndpointId;
use dragoman::sim::acs::{Acs, AcsConfig};
use dragoman::sim::controller::{Controller, ControllerConfig, ControllerMtp, requests};

use super::gateway::{CONTROLLER, Setup};
use super::mosquitto::free_port;
use super::usp::{PATIENCE, SSID, fleet, goodbye_is_said, value};

pub async fn controller(listen: SocketAddr) -> Controller {
    let mtp = ControllerMtp::WebSocketServer { listen, path: "/usp".into(), tls: None };
    let config = ControllerConfig { endpoint_id: EndpointId::parse(CONTROLLER).unwrap(), mtp };
    let started = Instant::now();
    loop {
        // The listener of one that has just stopped may be there a moment longer.
        match Controller::start(config.clone()).await {
            Ok(controller) => return controller,
            Err(error) => assert!(started.elapsed() < PATIENCE, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// An ACS, and a controller to which agents come back within a second.
pub fn tables(acs: &str, listen: SocketAddr) -> String {
    format!(
        "[acs]\nurl = \"{acs}\"\n[[controller]]\nendpoint_id = \"{CONTROLLER}\"\n\
         websocket = {{ url = \"ws://{listen}/usp\", retry_seconds = 0.1, max_retry_seconds = 0.5 }}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_get_by_websocket_is_answered_and_agents_come_back_to_a_controller_that_was_gone() {
    let acs = Acs::start(AcsConfig::default()).await.unwrap();
    let listen = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let tables = tables(&acs.url(), listen);
    let setup = Setup::new(0, &tables);
    let gateway = setup.start();
    let first = controller(listen).await;
    let fleet = fleet(&gateway, 2).await;
    assert!(first.wait_for_agents(2, PATIENCE).await, "agents did not onboard");
    let agent = fleet.device_ids()[1].endpoint_id();
    fleet.set(1, SSID, "over websocket");
    assert_eq!(value(&first, &agent, SSID).await.as_deref(), Ok("over websocket"));
    first.request(&agent, requests::set(&[(SSID, "again")], false), PATIENCE).await.unwrap();
    assert_eq!(fleet.value(1, SSID).as_deref(), Some("again"));
    first.stop().await;
    let second = controller(listen).await;
    let started = Instant::now();
    while second.agents().len() < 2 {
        assert!(started.elapsed() < PATIENCE, "agents did not come back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(value(&second, &agent, SSID).await.as_deref(), Ok("again"));
    fleet.stop().await;
    goodbye_is_said(gateway, &second, &agent).await;
    second.stop().await;
    acs.stop().await;
}
