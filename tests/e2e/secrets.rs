//! What is secret does not stand in the store as it is, and the gateway does not run without its key.

use std::process::Command;

use dragoman::sim::acs::{Acs, AcsConfig};
use dragoman::sim::controller::requests;
use dragoman::transport::mqtt::Version;

use super::gateway::{BINARY, Setup, acs_and_mqtt};
use super::mosquitto::Mosquitto;
use super::usp::{PATIENCE, controller, fleet, value};

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_a_controller_has_set_is_sealed_survives_a_kill_and_needs_its_key() {
    let broker = Mosquitto::start();
    let acs = Acs::start(AcsConfig::default()).await.unwrap();
    let setup = Setup::new(0, &acs_and_mqtt(&acs.url(), broker.port, ""));
    let gateway = setup.start();
    let controller = controller(broker.port, Version::V5).await;
    let fleet = fleet(&gateway, 1).await;
    assert!(controller.wait_for_agents(1, PATIENCE).await, "the agent did not onboard");
    let agent = fleet.device_ids()[0].endpoint_id();
    let row = [("Name", "a broker of its own"), ("Password", "not for everybody")];
    controller.request(&agent, requests::add("Device.MQTT.Client.", &row), PATIENCE).await.unwrap();
    gateway.kill();
    let stored = ["dragoman.db", "dragoman.db-wal"].map(|name| std::fs::read(setup.folder.join(name)));
    let stored: Vec<u8> = stored.into_iter().flat_map(Result::unwrap_or_default).collect();
    let holds = |text: &str| stored.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("a broker of its own"), "the row is not stored");
    assert!(!holds("not for everybody"), "the password can be read in the store");
    let gateway = setup.start();
    let name = "Device.MQTT.Client.101.Password";
    assert_eq!(value(&controller, &agent, name).await.as_deref(), Ok("not for everybody"));
    gateway.kill();
    std::fs::remove_file(setup.folder.join("store.key")).unwrap();
    let refused = Command::new(BINARY).args(["serve", "--config"]).arg(&setup.file).output().unwrap();
    let why = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && why.contains("sealed with key"), "{why}");
    fleet.stop().await;
    controller.stop().await;
    acs.stop().await;
}
