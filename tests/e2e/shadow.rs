//! Shadow mode, from CPEs of both data models to what the operator reads of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dragoman::cwmp::rpc::{
    Array, GetParameterNames, GetParameterValues, ParameterValueStruct, Request as Rpc, SetParameterValues,
};
use dragoman::datamodel::ValueType;
use dragoman::identity::EndpointId;
use dragoman::sim::acs::{Acs, AcsConfig, Seen};
use dragoman::sim::controller::requests;
use dragoman::sim::controller::{Controller, RequestError};
use dragoman::sim::cpe::{Fleet, FleetConfig, Model, Quirk, Quirks};
use dragoman::transport::mqtt::Version;
use serde_json::Value;

use super::gateway::{BINARY, Gateway, Setup, acs_and_mqtt};
use super::mosquitto::{Mosquitto, free_port};
use super::usp::{PATIENCE, SSID, TR_181, controller, value};

const TR_098: &str = include_str!("../../fixtures/models/tr098-small.csv");
const WLAN: &str = "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.";

/// One CPE with a serial number of its own.
async fn cpe(gateway: &Gateway, model: &str, serial: u64, quirks: Quirks) -> Fleet {
    let model = Arc::new(Model::parse(model).unwrap());
    let mut config = FleetConfig::new(gateway.url(), model, 1);
    config.first_serial = serial;
    config.quirks = quirks;
    Fleet::start(config).await.unwrap()
}

fn values(names: &[&str]) -> Rpc<'static> {
    let parameter_names = Array(names.iter().map(|name| name.to_string().into()).collect());
    Rpc::GetParameterValues(GetParameterValues { parameter_names })
}

fn set(name: &str, value: &str, of: ValueType) -> Rpc<'static> {
    let one = ParameterValueStruct::new(name.to_owned(), value.to_owned(), of);
    Rpc::SetParameterValues(SetParameterValues {
        parameter_list: Array(vec![one]),
        parameter_key: "k".into(),
    })
}

/// What `dragoman shadow` says beside the running gateway, line by line.
fn told(setup: &Setup, more: &[&str]) -> Vec<Value> {
    let mut command = std::process::Command::new(BINARY);
    let command = command.args(["shadow", "--format", "json", "--config"]).arg(&setup.file).args(more);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Once the agent answers for the CPE, what it has is known.
async fn known(controller: &Controller, agent: &EndpointId, path: &str) {
    let deadline = Instant::now() + PATIENCE;
    while value(controller, agent, path).await.is_err() {
        assert!(Instant::now() < deadline, "{path} of {agent} is not known");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Lets the ACS ask this, and waits until the device's score has so many items.
async fn does(setup: &Setup, acs: &Acs, fleet: &Fleet, agent: &EndpointId, rpcs: Vec<Rpc<'static>>) -> Value {
    let compared = |lines: &[Value]| lines.first().and_then(|it| it["compared"].as_u64()).unwrap_or(0);
    let device = ["--device", agent.as_str()];
    let before = compared(&told(setup, &device));
    let answered = |seen: &[Seen]| {
        seen.iter().filter(|it| matches!(it, Seen::Response { .. } | Seen::Fault { .. })).count()
    };
    let wanted = answered(&acs.seen(agent)) + rpcs.len();
    rpcs.into_iter().for_each(|rpc| assert!(acs.enqueue(agent, rpc)));
    fleet.inform_now(0);
    assert!(acs.until(agent, PATIENCE, |seen| answered(seen) >= wanted).await, "{:?}", acs.seen(agent));
    let deadline = Instant::now() + PATIENCE;
    loop {
        let lines = told(setup, &device);
        if compared(&lines) > before || Instant::now() > deadline {
            return lines.into_iter().next().unwrap_or_default();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_acs_is_compared_controllers_only_read_and_the_score_opens_a_model_for_writing() {
    let broker = Mosquitto::start();
    let acs = Acs::start(AcsConfig::default()).await.unwrap();
    let stage = "[[stage]]\nstage = \"shadow\"\noui = \"*\"\n";
    let setup = Setup::new(free_port(), &format!("{}{stage}", acs_and_mqtt(&acs.url(), broker.port, "")));
    let gateway = setup.start();
    let controller = controller(broker.port, Version::V5).await;
    let faults = vec!["SetParameterValues=9001@Device.UserInterface.".parse().unwrap()];
    let odd = Quirks { faults, ..Quirks::of(&[Quirk::WordBooleans]) };
    let plain = cpe(&gateway, TR_181, 1, Quirks::default()).await;
    let odd = cpe(&gateway, &TR_181.replace("1.4.2", "1.4.3-odd"), 2, odd).await;
    let older = cpe(&gateway, TR_098, 3, Quirks::default()).await;
    assert!(controller.wait_for_agents(3, PATIENCE).await, "{}", setup.log());
    let of = |fleet: &Fleet| fleet.device_ids()[0].endpoint_id();
    let agents = [of(&plain), of(&odd), of(&older)];
    for agent in &agents {
        known(&controller, agent, SSID).await;
    }
    assert!(told(&setup, &[]).is_empty(), "the ACS has asked nothing yet");

    // A CPE that keeps to the standard: USP would have shown and done the same.
    let rpcs = vec![
        values(&["Device.WiFi."]),
        Rpc::GetParameterNames(GetParameterNames { parameter_path: "Device.IP.".into(), next_level: false }),
        set(SSID, "the ACS's", ValueType::String),
    ];
    let line = does(&setup, &acs, &plain, &agents[0], rpcs).await;
    assert_eq!((line["score"].as_f64(), line["differing"].as_u64()), (Some(1.0), Some(0)), "{line}");
    assert!(line["compared"].as_u64().unwrap() > 60 && line["software_version"] == "1.4.2", "{line}");

    // One that writes booleans its own way, and refuses: the refusal would be the controller's too.
    let language = "Device.UserInterface.CurrentLanguage";
    let rpcs =
        vec![values(&["Device.WiFi.SSID.1.", "Device.WiFi.SSID.2."]), set(language, "de", ValueType::String)];
    let line = does(&setup, &acs, &odd, &agents[1], rpcs).await;
    assert_eq!((line["differing"].as_u64(), line["classes"]["value"].as_u64()), (Some(2), Some(2)), "{line}");
    assert_eq!(line["worst"][0]["path"], "Device.WiFi.SSID.{i}.Enable", "{line}");
    let difference = &told(&setup, &["--device", agents[1].as_str()])[1];
    assert_eq!((difference["class"].as_str(), difference["cwmp"].as_str()), (Some("value"), Some("True")));

    // TR-098: what has no counterpart is told, the rest agrees.
    let names = [format!("{WLAN}SSID"), format!("{WLAN}Enable"), format!("{WLAN}MaxBitRate")];
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let rpcs = vec![values(&names), set(names[0], "of the ACS", ValueType::String)];
    let line = does(&setup, &acs, &older, &agents[2], rpcs).await;
    assert_eq!((line["compared"].as_u64(), line["differing"].as_u64()), (Some(4), Some(1)), "{line}");
    assert_eq!(line["classes"]["unmapped"].as_u64(), Some(1), "{line}");

    // By model, and beside the device: the odd firmware has a score of its own.
    assert_eq!(told(&setup, &[]).len(), 3);
    assert_eq!(told(&setup, &["--model", "00256D/*/1.4.3*"]).len(), 1);
    let metrics = super::command_line::http_get(gateway.admin, "/metrics");
    let counted = metrics.lines().filter(|line| line.starts_with("dragoman_shadow_compared_total{")).count();
    assert_eq!(counted, 3, "{metrics}");
    assert!(metrics.contains("dragoman_shadow_differences_total{class=\"unmapped\",model="), "{metrics}");

    // Controllers read; their writes are refused before the CPE hears of them.
    for agent in &agents {
        assert!(value(&controller, agent, SSID).await.is_ok());
        let refused = controller.request(agent, requests::set(&[(SSID, "mine")], false), PATIENCE).await;
        let Err(RequestError::Error(error)) = refused else { panic!("{refused:?}") };
        assert!(error.err_code == 7_006 && error.err_msg.contains("shadow mode"), "{error:?}");
    }
    assert_eq!(value(&controller, &agents[2], SSID).await, Ok("of the ACS".into()));

    // Then it is opened: the same firmware, at the stage that was earned.
    gateway.kill();
    let text = std::fs::read_to_string(&setup.file).unwrap();
    let opened = "[[stage]]\nstage = \"write\"\nsoftware_version = \"1.4.2\"\n[[stage]]";
    std::fs::write(&setup.file, text.replacen("[[stage]]", opened, 1)).unwrap();
    let gateway = setup.start();
    let set = |value: &str| requests::set(&[(SSID, value)], false);
    controller.request(&agents[0], set("mine"), PATIENCE).await.unwrap();
    assert_eq!(value(&controller, &agents[0], SSID).await, Ok("mine".into()));
    assert!(controller.request(&agents[1], set("mine"), PATIENCE).await.is_err());
    assert_eq!(told(&setup, &[]).len(), 3, "scores outlive the gateway");
    for fleet in [plain, odd, older] {
        fleet.stop().await;
    }
    drop(gateway);
    controller.stop().await;
    acs.stop().await;
}
