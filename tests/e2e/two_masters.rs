//! An ACS and a controller on one CPE: what each sees of the other.

use std::sync::Arc;
use std::time::Duration;

use dragoman::cwmp::rpc::{
    Array, GetParameterAttributes, ParameterValueStruct, Request as Rpc, Response as RpcResponse,
    SetParameterAttributes, SetParameterAttributesStruct, SetParameterValues,
};
use dragoman::identity::EndpointId;
use dragoman::sim::acs::{Acs, AcsConfig, Seen};
use dragoman::sim::controller::RequestError;
use dragoman::sim::controller::requests;
use dragoman::sim::cpe::{Fleet, FleetConfig, Model};
use dragoman::transport::mqtt::Version;
use dragoman::usp::message::notify::Notification;

use super::gateway::{BINARY, Gateway, Setup, acs_and_mqtt};
use super::mosquitto::{Mosquitto, free_port};
use super::usp::{PATIENCE, SSID, TR_181, controller, fleet, value};

const LANGUAGE: &str = "Device.UserInterface.CurrentLanguage";

fn active(name: &'static str) -> Rpc<'static> {
    let one = SetParameterAttributesStruct {
        name: name.into(),
        notification_change: true,
        notification: 2,
        ..SetParameterAttributesStruct::default()
    };
    Rpc::SetParameterAttributes(SetParameterAttributes { parameter_list: Array(vec![one]) })
}

fn attributes_of(seen: &[Seen], name: &str) -> Option<i32> {
    seen.iter().rev().find_map(|seen| match seen {
        Seen::Response { response: RpcResponse::GetParameterAttributesResponse(it), .. } => {
            it.parameter_list.iter().find(|known| known.name == name).map(|it| it.notification)
        }
        _ => None,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_on_the_cpe_is_told_at_once_and_the_acs_sees_nothing_of_the_controllers_watching() {
    let broker = Mosquitto::start();
    let acs = Acs::start(AcsConfig::default()).await.unwrap();
    let setup = Setup::new(0, &acs_and_mqtt(&acs.url(), broker.port, ""));
    let gateway = setup.start();
    let controller = controller(broker.port, Version::V5).await;
    let mut notices = controller.notifications();
    let fleet = fleet(&gateway, 1).await;
    assert!(controller.wait_for_agents(1, PATIENCE).await);
    let device = &fleet.device_ids()[0];
    let agent = device.endpoint_id();
    controller.request(&agent, requests::get(&[SSID], 0), PATIENCE).await.unwrap();
    controller
        .request(&agent, requests::subscribe("v", "ValueChange", &[SSID], true), PATIENCE)
        .await
        .unwrap();
    // Nobody asks the CPE anything: it tells by itself once it has been asked to.
    let told = tokio::time::timeout(PATIENCE, async {
        for number in 0.. {
            fleet.set(0, SSID, &format!("by itself {number}"));
            let notice = tokio::time::timeout(Duration::from_millis(500), notices.recv()).await;
            let Ok(Ok(notice)) = notice else { continue };
            if let Some(Notification::ValueChange(change)) = notice.notify.notification {
                return change.param_path;
            }
        }
        String::new()
    });
    assert_eq!(told.await.expect("not told"), SSID);
    acs.enqueue(
        &agent,
        Rpc::GetParameterAttributes(GetParameterAttributes { parameter_names: Array(vec![SSID.into()]) }),
    );
    fleet.inform_now(0);
    assert!(acs.until(&agent, PATIENCE, |seen| attributes_of(seen, SSID).is_some()).await);
    let seen = acs.seen(&agent);
    assert_eq!(attributes_of(&seen, SSID), Some(0), "the ACS set nothing");
    assert!(!seen.iter().any(|it| matches!(it, Seen::Inform { .. }) && it.value(SSID).is_some()), "{seen:?}");
    fleet.stop().await;
    controller.stop().await;
    acs.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_controller_writes_reaches_the_acs_that_watches_it_as_a_value_change() {
    let broker = Mosquitto::start();
    let acs = Acs::start(AcsConfig::default()).await.unwrap();
    let setup = Setup::new(0, &acs_and_mqtt(&acs.url(), broker.port, ""));
    let gateway = setup.start();
    let controller = controller(broker.port, Version::V5).await;
    let fleet = fleet(&gateway, 1).await;
    assert!(controller.wait_for_agents(1, PATIENCE).await);
    let device = &fleet.device_ids()[0];
    let agent = device.endpoint_id();
    acs.enqueue(&agent, active(LANGUAGE));
    fleet.inform_now(0);
    let set = |seen: &[Seen]| {
        seen.iter().any(|it| matches!(it, Seen::Response { rpc, .. } if rpc == "SetParameterAttributes"))
    };
    assert!(acs.until(&agent, PATIENCE, set).await);
    controller.request(&agent, requests::set(&[(LANGUAGE, "de")], false), PATIENCE).await.unwrap();
    let told = |it: &Seen| it.is_inform_with("4 VALUE CHANGE") && it.value(LANGUAGE) == Some("de");
    assert!(acs.until(&agent, PATIENCE, |seen| seen.iter().any(told)).await, "{:?}", acs.seen(&agent));
    // Told once: the next Inform is an ordinary one again.
    fleet.inform_now(0);
    let informs = |seen: &[Seen]| seen.iter().filter(|it| matches!(it, Seen::Inform { .. })).count();
    let before = informs(&acs.seen(&agent));
    assert!(acs.until(&agent, PATIENCE, |seen| informs(seen) > before || before > 4).await);
    let seen = acs.seen(&agent);
    assert_eq!(seen.iter().filter(|it| told(it)).count(), 1, "{seen:?}");
    fleet.stop().await;
    controller.stop().await;
    acs.stop().await;
}

/// Calls, as an ACS without credentials, until the answer is as wanted: while a session of the ACS's is open the CPE
/// itself would say 503, too.
async fn calls_until(acs: &Acs, agent: &EndpointId, status: u16) -> Result<u16, String> {
    let mut last = acs.connection_request(agent, None).await;
    for _ in 0..50 {
        if last == Ok(status) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        last = acs.connection_request(agent, None).await;
    }
    last
}

#[tokio::test(flavor = "multi_thread")]
async fn tr069_3_2_2_the_acs_calls_a_cpe_through_the_gateway_and_gets_its_session() {
    let broker = Mosquitto::start();
    let acs = Acs::start(AcsConfig::default()).await.unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let calls = format!(
        "{}[connection_requests]\nlisten = \"127.0.0.1:{port}\"\nurl = \"http://127.0.0.1:{port}/cr/\"\n\
         trusted = [\"127.0.0.1/32\"]\n",
        acs_and_mqtt(&acs.url(), broker.port, "")
    );
    let setup = Setup::new(0, &calls);
    let gateway = setup.start();
    let controller = controller(broker.port, Version::V5).await;
    let fleet = fleet(&gateway, 1).await;
    assert!(controller.wait_for_agents(1, PATIENCE).await);
    let agent = fleet.device_ids()[0].endpoint_id();
    let called = |seen: &[Seen]| seen.iter().filter(|it| it.is_inform_with("6 CONNECTION REQUEST")).count();
    // Long enough for whatever the gateway might call a new device for.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(called(&acs.seen(&agent)), 0, "the ACS sees a session that nobody has asked for");
    assert_eq!(calls_until(&acs, &agent, 200).await, Ok(200), "nobody has set credentials yet");
    assert!(acs.until(&agent, PATIENCE, |seen| called(seen) > 0).await);
    // The ACS sets them: from then on it proves itself to the gateway, and the gateway to the CPE.
    let set = |name: &'static str, value: &'static str| {
        ParameterValueStruct::new(name, value, dragoman::datamodel::ValueType::String)
    };
    let parameter_list = Array(vec![
        set("Device.ManagementServer.ConnectionRequestUsername", "acs"),
        set("Device.ManagementServer.ConnectionRequestPassword", "secret"),
    ]);
    let parameter_key = "".into();
    acs.enqueue(&agent, Rpc::SetParameterValues(SetParameterValues { parameter_list, parameter_key }));
    fleet.inform_now(0);
    let set = |seen: &[Seen]| {
        seen.iter().any(|it| matches!(it, Seen::Response { rpc, .. } if rpc == "SetParameterValues"))
    };
    assert!(acs.until(&agent, PATIENCE, set).await);
    assert_eq!(calls_until(&acs, &agent, 401).await, Ok(401), "a call without proof");
    assert_eq!(acs.connection_request(&agent, Some(("acs", "guess"))).await, Ok(401));
    let before = called(&acs.seen(&agent));
    assert_eq!(acs.connection_request(&agent, Some(("acs", "secret"))).await, Ok(200));
    assert!(acs.until(&agent, PATIENCE, |seen| called(seen) > before).await, "{:?}", acs.seen(&agent));
    fleet.stop().await;
    assert_eq!(acs.connection_request(&agent, Some(("acs", "secret"))).await, Ok(503), "nobody is there");
    controller.stop().await;
    acs.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_controller_reads_of_a_sleeping_cpe_does_not_trouble_the_acs() {
    let broker = Mosquitto::start();
    let acs = Acs::start(AcsConfig::default()).await.unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let tables = format!(
        "[cwmp.authentication]\nscheme = \"digest\"\nusers = {{ cpe = \"secret\" }}\n{}[connection_requests]\n\
         listen = \"127.0.0.1:{port}\"\nurl = \"http://127.0.0.1:{port}/cr/\"\n[device]\npark_seconds = 0\n",
        acs_and_mqtt(&acs.url(), broker.port, "")
    );
    let setup = Setup::new(0, &tables);
    let gateway = setup.start();
    let controller = controller(broker.port, Version::V5).await;
    let model = Arc::new(Model::parse(TR_181).unwrap());
    let mut config = FleetConfig::new(gateway.url(), model, 1);
    config.acs_credentials = Some(("cpe".into(), "secret".into()));
    let fleet = Fleet::start(config).await.unwrap();
    assert!(controller.wait_for_agents(1, PATIENCE).await, "{}", setup.log());
    let agent = fleet.device_ids()[0].endpoint_id();
    // The ACS has seen an Inform with nothing but what is in every one.
    let ends = |seen: &[Seen]| seen.iter().filter(|it| matches!(it, Seen::End)).count();
    for _ in 0..2 {
        let before = ends(&acs.seen(&agent));
        fleet.inform_now(0);
        assert!(acs.until(&agent, PATIENCE, |seen| ends(seen) > before).await);
    }
    let before = acs.seen(&agent).len();
    for number in 0..3 {
        fleet.set(0, SSID, &format!("read {number}"));
        assert_eq!(value(&controller, &agent, SSID).await, Ok(format!("read {number}")));
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let seen = acs.seen(&agent);
    assert_eq!(seen.len(), before, "the ACS was told of {:?}", &seen[before..]);
    assert_eq!(fleet.statistics().sessions_failed, 0, "{:?}", fleet.statistics().last_failure);
    fleet.stop().await;
    controller.stop().await;
    acs.stop().await;
}

/// What `dragoman conflicts` says beside the running gateway.
fn conflicts(setup: &Setup, more: &[&str]) -> String {
    let mut command = std::process::Command::new(BINARY);
    let output = command.args(["conflicts", "--config"]).arg(&setup.file).args(more).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_is_refused_what_the_acs_owns_and_operators_see_who_was_in_whose_way() {
    let broker = Mosquitto::start();
    let acs = Acs::start(AcsConfig::default()).await.unwrap();
    let rules = "[device]\nownership_mode = \"enforce\"\n\
                 [[ownership]]\nname = \"wifi\"\npaths = [\"Device.WiFi.\"]\nowner = \"acs\"\n\
                 [[ownership]]\npaths = [\"Device.UserInterface.\"]\nowner = \"self::test-controller\"\n";
    let setup = Setup::new(0, &format!("{}{rules}", acs_and_mqtt(&acs.url(), broker.port, "")));
    let gateway = setup.start();
    let controller = controller(broker.port, Version::V5).await;
    let fleet = fleet(&gateway, 1).await;
    assert!(controller.wait_for_agents(1, PATIENCE).await);
    let agent = fleet.device_ids()[0].endpoint_id();
    assert!(conflicts(&setup, &[]).contains("no conflicts"));
    let refused = controller.request(&agent, requests::set(&[(SSID, "mine")], false), PATIENCE).await;
    let Err(RequestError::Error(error)) = refused else { panic!("{refused:?}") };
    assert_eq!((error.err_code, error.param_errs[0].err_code), (7_006, 7_006));
    assert!(error.err_msg.contains("\"wifi\"") && error.err_msg.contains("acs"), "{error:?}");
    controller.request(&agent, requests::set(&[(LANGUAGE, "de")], false), PATIENCE).await.unwrap();
    let value = ParameterValueStruct::new(LANGUAGE, "fr", dragoman::datamodel::ValueType::String);
    let set = SetParameterValues { parameter_list: Array(vec![value]), parameter_key: "k".into() };
    acs.enqueue(&agent, Rpc::SetParameterValues(set));
    fleet.inform_now(0);
    let set = |seen: &[Seen]| {
        seen.iter().any(|it| matches!(it, Seen::Response { rpc, .. } if rpc == "SetParameterValues"))
    };
    assert!(acs.until(&agent, PATIENCE, set).await, "the ACS is never refused");
    let deadline = std::time::Instant::now() + PATIENCE;
    let mut table = String::new();
    while !table.contains("overwritten") && std::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(50)).await;
        table = conflicts(&setup, &["--device", agent.as_str()]);
    }
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 2, "{table}");
    assert!(lines[0].contains("denied") && lines[0].contains(SSID) && lines[0].contains("\"wifi\": acs"));
    assert!(lines[1].contains("\"de\" -> \"fr\"") && lines[1].contains("before: self::test-controller"));
    let json = conflicts(&setup, &["--format", "json"]);
    let first: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!((first["device"].as_str(), first["action"].as_str()), (Some(agent.as_str()), Some("denied")));
    let metrics = super::command_line::http_get(gateway.admin, "/metrics");
    for action in ["denied", "overwritten"] {
        let line = format!("dragoman_ownership_conflicts_total{{action=\"{action}\"}} 1");
        assert!(metrics.contains(&line), "{metrics}");
    }
    assert!(setup.log().contains(SSID) && !setup.log().contains("mine"));
    fleet.stop().await;
    controller.stop().await;
    acs.stop().await;
}

/// Gives an order to the running gateway; whether it was taken, and what was said.
async fn order(gateway: &Gateway, order: &[&str]) -> (bool, String) {
    let mut command = tokio::process::Command::new(BINARY);
    let output = command.args(order).args(["--admin", &gateway.admin.to_string()]).output().await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_released_cpe_has_what_the_acs_had_set_and_controllers_are_told_until_it_is_restored() {
    let broker = Mosquitto::start();
    let acs = Acs::start(AcsConfig::default()).await.unwrap();
    let setup = Setup::new(free_port(), &acs_and_mqtt(&acs.url(), broker.port, ""));
    let gateway = setup.start();
    let controller = controller(broker.port, Version::V5).await;
    let fleet = fleet(&gateway, 1).await;
    assert!(controller.wait_for_agents(1, PATIENCE).await);
    let agent = fleet.device_ids()[0].endpoint_id();
    let subscribe = requests::subscribe("v", "ValueChange", &[SSID], true);
    controller.request(&agent, subscribe, PATIENCE).await.unwrap();
    controller.request(&agent, requests::get(&[SSID], 0), PATIENCE).await.unwrap();
    let (taken, said) = order(&gateway, &["bypass", "--device", "os::nobody-1"]).await;
    assert!(!taken && said.contains("404"), "{said}");
    let (taken, said) = order(&gateway, &["release", "--all"]).await;
    assert!(!taken && said.contains("restored: 0, waiting: 1"), "{said}");
    let refused = controller.request(&agent, requests::get(&[SSID], 0), PATIENCE).await;
    let Err(RequestError::Error(error)) = refused else { panic!("{refused:?}") };
    assert!(error.err_code == 7_002 && error.err_msg.contains("bypass"), "{error:?}");
    let mut complete = String::new();
    for _ in 0..100 {
        fleet.inform_now(0);
        tokio::time::sleep(Duration::from_millis(100)).await;
        let (taken, said) = order(&gateway, &["bypass", "--status"]).await;
        assert!(taken, "{said}");
        complete = said;
        if complete.contains("restored: 1, waiting: 0") {
            break;
        }
    }
    assert!(complete.contains("order for all: release") && complete.contains("waiting: 0"), "{complete}");
    // What the CPE says itself passes: nothing is put in its mouth any more.
    let names = GetParameterAttributes { parameter_names: Array(vec![SSID.into()]) };
    acs.enqueue(&agent, Rpc::GetParameterAttributes(names));
    fleet.inform_now(0);
    assert!(acs.until(&agent, PATIENCE, |seen| attributes_of(seen, SSID).is_some()).await);
    assert_eq!(attributes_of(&acs.seen(&agent), SSID), Some(0), "{}", setup.log());
    // The order outlives the gateway.
    gateway.kill();
    let gateway = setup.start();
    let said = order(&gateway, &["bypass", "--status"]).await.1;
    assert!(said.contains("release") && said.contains("restored: 1"), "{said}");
    let refused = controller.request(&agent, requests::get(&[SSID], 0), PATIENCE).await;
    assert!(matches!(refused, Err(RequestError::Error(_))), "{refused:?}");
    assert!(order(&gateway, &["restore", "--all"]).await.0);
    fleet.inform_now(0);
    controller.request(&agent, requests::get(&[SSID], 0), PATIENCE).await.unwrap();
    fleet.stop().await;
    controller.stop().await;
    acs.stop().await;
}
