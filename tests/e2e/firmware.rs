//! Firmware through the whole gateway: from an origin to the stage, from its server to CPEs that speak only CWMP, and
//! what the ACS sees of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use dragoman::cwmp::rpc::Request;
use dragoman::identity::EndpointId;
use dragoman::sim::acs::{Acs, AcsConfig, Seen};
use dragoman::sim::controller::{Controller, Notification, requests};
use dragoman::sim::cpe::{Fleet, FleetConfig, Model, image};
use dragoman::sim::files::Files;
use dragoman::transport::mqtt::Version;
use dragoman::usp::message::notify::Notification as Kind;
use dragoman::usp::message::notify::operation_complete::OperationResp;
use tokio::sync::broadcast;

use super::gateway::{Gateway, Setup, acs_and_mqtt};
use super::mosquitto::{Mosquitto, free_port};
use super::usp::{PATIENCE, TR_181, controller, persistent, value};

const ROW: &str = "Device.DeviceInfo.FirmwareImage.2.";
const VERSION: &str = "Device.DeviceInfo.SoftwareVersion";

fn tables(acs: &Acs, broker: &Mosquitto, origin: &Files) -> String {
    let port = free_port();
    format!(
        "{}[egress]\nallow = [\"{}\"]\n[firmware]\ndirectory = 'FOLDER'\nlisten = \"127.0.0.1:{port}\"\n\
         url = \"http://127.0.0.1:{port}/firmware/\"\nmax_image_bytes = 500000\nmax_total_bytes = 1000000\n",
        acs_and_mqtt(&acs.url(), broker.port, ""),
        origin.url("")
    )
}

/// A setup whose stage is in its own folder.
fn setup(acs: &Acs, broker: &Mosquitto, origin: &Files, cwmp_port: u16) -> Setup {
    let folder = super::mosquitto::folder("stage").display().to_string();
    Setup::new(cwmp_port, &tables(acs, broker, origin).replace("FOLDER", &folder))
}

async fn fleet(gateway: &Gateway, count: usize) -> Fleet {
    let model = Arc::new(Model::parse(TR_181).unwrap());
    let config =
        FleetConfig { loads_images: true, retry_ms: 200, ..FleetConfig::new(gateway.url(), model, count) };
    Fleet::start(config).await.unwrap()
}

async fn subscribe(controller: &Controller, agent: &EndpointId) {
    // What the device has of its own is known once it has been asked for something.
    assert_eq!(value(controller, agent, VERSION).await.as_deref(), Ok("1.4.2"));
    for (id, notif_type, path) in [
        ("transfer", "Event", "Device.LocalAgent.TransferComplete!"),
        ("boot", "Event", "Device.Boot!"),
        ("complete", "OperationComplete", "Device.DeviceInfo.FirmwareImage."),
    ] {
        let mut subscribe = requests::subscribe(id, notif_type, &[path], true);
        persistent(&mut subscribe);
        controller.request(agent, subscribe, PATIENCE).await.unwrap();
    }
}

/// The next notification about firmware, in short.
async fn told(notices: &mut broadcast::Receiver<Notification>) -> String {
    next(notices).await.1
}

async fn next(notices: &mut broadcast::Receiver<Notification>) -> (EndpointId, String) {
    loop {
        let notice = tokio::time::timeout(PATIENCE, notices.recv()).await.expect("nothing is told").unwrap();
        let what = match notice.notify.notification {
            Some(Kind::Event(event)) if event.event_name == "Boot!" => {
                format!("Boot! {}", event.params["FirmwareUpdated"])
            }
            Some(Kind::Event(event)) if event.event_name == "TransferComplete!" => {
                format!("TransferComplete! {} {}", event.params["FaultCode"], event.params["CommandKey"])
            }
            Some(Kind::OperComplete(complete)) => match complete.operation_resp {
                Some(OperationResp::ReqOutputArgs(_)) => format!("{} done", complete.command_name),
                Some(OperationResp::CmdFailure(failure)) => {
                    format!("{} {}", complete.command_name, failure.err_msg)
                }
                None => panic!("an OperationComplete that says nothing"),
            },
            _ => continue,
        };
        return (notice.agent, what);
    }
}

async fn operate(
    controller: &Controller,
    agent: &EndpointId,
    command: &str,
    key: &str,
    args: &[(&str, &str)],
) {
    let request = requests::operate(&format!("{ROW}{command}"), key, args);
    let answer = controller.request(agent, request, PATIENCE).await.unwrap();
    assert!(format!("{answer:?}").contains("Device.LocalAgent.Request."), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tp469_9_3_devices_get_an_image_that_is_fetched_once_and_the_acs_sees_only_that_they_started() {
    let (broker, origin) = (Mosquitto::start(), Files::start().await.unwrap());
    let acs = Acs::start(AcsConfig::default()).await.unwrap();
    let setup = setup(&acs, &broker, &origin, 0);
    let gateway = setup.start();
    let controller = controller(broker.port, Version::V5).await;
    let mut notices = controller.notifications();
    let fleet = fleet(&gateway, 3).await;
    assert!(controller.wait_for_agents(3, PATIENCE).await, "agents did not onboard");
    let content = image("2.0.0", 300_000);
    let sum: String = digest(&SHA256, &content).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    origin.put("fw-2.0.bin", content);
    origin.ask_login("fw-2.0.bin");
    let url = origin.lead_on("latest", "/fw-2.0.bin");
    let args = [
        ("URL", url.as_str()),
        ("AutoActivate", "true"),
        ("Username", "u"),
        ("Password", "p"),
        ("FileSize", "300000"),
        ("CheckSumAlgorithm", "SHA-256"),
        ("CheckSum", sum.as_str()),
    ];
    let agents: Vec<EndpointId> = fleet.device_ids().iter().map(|device| device.endpoint_id()).collect();
    for agent in &agents {
        subscribe(&controller, agent).await;
        operate(&controller, agent, "Download()", "mine", &args).await;
    }
    let mut heard: BTreeMap<&EndpointId, Vec<String>> = BTreeMap::new();
    while heard.values().map(Vec::len).sum::<usize>() < 9 {
        let (agent, what) = next(&mut notices).await;
        let agent = agents.iter().find(|known| **known == agent).unwrap();
        heard.entry(agent).or_default().push(what);
    }
    for agent in &agents {
        let wanted = ["Download() done", "TransferComplete! 0 mine", "Boot! true"];
        assert_eq!(heard[agent], wanted, "{}", setup.log());
        assert_eq!(value(&controller, agent, VERSION).await.as_deref(), Ok("2.0.0"));
        let active = value(&controller, agent, "Device.DeviceInfo.ActiveFirmwareImage").await;
        assert_eq!(active.as_deref(), Ok(ROW.trim_end_matches('.')));
    }
    assert_eq!(origin.loads("fw-2.0.bin"), 1, "an image with a checksum is fetched for each device");
    for device in fleet.device_ids() {
        let seen = acs.seen(&device.endpoint_id());
        assert!(seen.iter().filter(|seen| seen.is_inform_with("1 BOOT")).count() >= 2, "{seen:?}");
        saw_nothing(&seen);
        assert!(!seen.iter().any(|seen| seen.is_inform_with("7 TRANSFER COMPLETE")), "{seen:?}");
    }
    assert_eq!(fleet.statistics().sessions_failed, 0, "{:?}", fleet.statistics().last_failure);
    fleet.stop().await;
    controller.stop().await;
    acs.stop().await;
}

/// The ACS knows nothing of transfers that are not its own.
fn saw_nothing(seen: &[Seen]) {
    let text = format!("{seen:?}");
    assert!(!text.contains("dragoman-usp-"), "a key of ours: {text}");
    let is_about = |seen: &&Seen| matches!(seen, Seen::Request(Request::TransferComplete(_)));
    assert!(!seen.iter().any(|seen| is_about(&seen)), "a TransferComplete of ours: {text}");
    assert!(!seen.iter().any(|seen| seen.is_inform_with("M Download")), "{text}");
    assert!(!seen.iter().any(|seen| matches!(seen, Seen::Violation(_))), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_none_is_told_as_such_and_an_activation_outlives_the_gateway() {
    let (broker, origin) = (Mosquitto::start(), Files::start().await.unwrap());
    let acs = Acs::start(AcsConfig::default()).await.unwrap();
    let setup = setup(&acs, &broker, &origin, free_port());
    let gateway = setup.start();
    let controller = controller(broker.port, Version::V5).await;
    let mut notices = controller.notifications();
    let fleet = fleet(&gateway, 1).await;
    assert!(controller.wait_for_agents(1, PATIENCE).await, "agents did not onboard");
    let device = fleet.device_ids().remove(0);
    let agent = device.endpoint_id();
    subscribe(&controller, &agent).await;
    let url = origin.put("garbage", "<html>it works</html>");
    operate(&controller, &agent, "Download()", "g", &[("URL", &url), ("AutoActivate", "true")]).await;
    let failure = told(&mut notices).await;
    assert!(failure.starts_with("Download() ") && failure.contains("9018"), "{failure}\n{}", setup.log());
    assert_eq!(told(&mut notices).await, "TransferComplete! 7022 g");
    assert_eq!(value(&controller, &agent, &format!("{ROW}Status")).await.as_deref(), Ok("ActivationFailed"));
    let seen = acs.seen(&device.endpoint_id());
    saw_nothing(&seen);
    // An Inform must have an event: of one with ours alone `7 TRANSFER COMPLETE` is left.
    assert!(seen.iter().any(|seen| seen.is_inform_with("7 TRANSFER COMPLETE")), "{seen:?}");
    let large = origin.put("large", vec![0; 600_000]);
    operate(&controller, &agent, "Download()", "l", &[("URL", &large), ("AutoActivate", "false")]).await;
    assert!(told(&mut notices).await.contains("larger than 500000"), "{}", setup.log());
    assert_eq!(told(&mut notices).await, "TransferComplete! 7022 l");
    let url = origin.put("fw", image("3.0.0", 200_000));
    operate(&controller, &agent, "Download()", "d", &[("URL", &url), ("AutoActivate", "false")]).await;
    assert_eq!(told(&mut notices).await, "Download() done");
    assert_eq!(told(&mut notices).await, "TransferComplete! 0 d");
    let window = [("TimeWindow.1.Start", "2"), ("TimeWindow.1.End", "60"), ("TimeWindow.1.Mode", "AnyTime")];
    operate(&controller, &agent, "Activate()", "a", &window).await;
    gateway.kill();
    drop(origin);
    let gateway = setup.start();
    assert_eq!(told(&mut notices).await, "Activate() done", "{}", setup.log());
    assert_eq!(told(&mut notices).await, "Boot! true");
    assert_eq!(value(&controller, &agent, VERSION).await.as_deref(), Ok("3.0.0"));
    saw_nothing(&acs.seen(&device.endpoint_id()));
    fleet.stop().await;
    gateway.kill();
    controller.stop().await;
    acs.stop().await;
}
