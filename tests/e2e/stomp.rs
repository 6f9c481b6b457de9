//! Agents at a real RabbitMQ. It takes seconds to start, so all stories share one and are told one by one.

use std::process::Command;

use dragoman::identity::EndpointId;
use dragoman::sim::acs::{Acs, AcsConfig};
use dragoman::sim::controller::{Controller, ControllerConfig, ControllerMtp, requests};
use dragoman::usp::message::Response;
use dragoman::usp::message::notify::Notification;

use super::gateway::{BINARY, CONTROLLER, Setup};
use super::rabbitmq::{PASSWORD, RabbitMq, USER};
use super::restart::restart_is_heard;
use super::usp::{PATIENCE, SSID, fleet, goodbye_is_said, persistent, value};

const DESTINATION: &str = "/queue/usp.controller.test";
const VALUE: &str = "subscribed";

#[tokio::test(flavor = "multi_thread")]
async fn agents_live_at_a_rabbitmq() {
    let mut broker = RabbitMq::start();
    let acs = Acs::start(AcsConfig::default()).await.unwrap();
    let login = format!("username = '{USER}'\npassword = '{PASSWORD}'");
    let setup = Setup::new(0, &tables(&acs, &format!("stomp://127.0.0.1:{}", broker.port), &login));
    let gateway = setup.start();
    let controller = controller(&broker).await;
    let fleet = fleet(&gateway, 2).await;
    assert!(controller.wait_for_agents(2, PATIENCE).await, "agents did not onboard");
    let agent = fleet.device_ids()[0].endpoint_id();
    fleet.set(0, SSID, "over stomp");
    assert_eq!(value(&controller, &agent, SSID).await.as_deref(), Ok("over stomp"));
    controller.request(&agent, requests::set(&[(SSID, "again")], false), PATIENCE).await.unwrap();
    assert_eq!(fleet.value(0, SSID).as_deref(), Some("again"));
    the_data_model_shows_the_broker(&controller, &agent, broker.port).await;
    restart_is_heard(&setup, &controller, &agent).await;
    a_notification_survives_the_broker(&controller, &agent, &mut broker).await;
    assert_eq!(value(&controller, &agent, SSID).await.as_deref(), Ok("changed"));
    fleet.stop().await;
    goodbye_is_said(gateway, &controller, &agent).await;
    controller.stop().await;
    by_certificate_and_from_the_command_line(&broker, &acs).await;
    acs.stop().await;
}

/// TP-469 6.1.
async fn the_data_model_shows_the_broker(controller: &Controller, agent: &EndpointId, port: u16) {
    let shown = value(controller, agent, "Device.STOMP.Connection.1.Port").await;
    assert_eq!(shown.as_deref(), Ok(port.to_string().as_str()));
    let own = value(controller, agent, "Device.LocalAgent.MTP.1.STOMP.Destination").await;
    assert_eq!(own, Ok(format!("/queue/usp.agent.{agent}")));
    let request = requests::get_supported_dm(&["Device.STOMP.", "Device.LocalAgent."], false);
    let answer = controller.request(agent, request, PATIENCE).await.unwrap();
    let Response::GetSupportedDmResp(resp) = answer else { panic!("{answer:?}") };
    let objects = resp.req_obj_results.into_iter().flat_map(|result| result.supported_objs);
    let supported: Vec<String> = objects
        .flat_map(|object| {
            let path = object.supported_obj_path;
            object.supported_params.into_iter().map(move |param| format!("{path}{}", param.param_name))
        })
        .collect();
    for wanted in [
        "Device.LocalAgent.Controller.{i}.MTP.{i}.STOMP.Reference",
        "Device.LocalAgent.Controller.{i}.MTP.{i}.STOMP.Destination",
        "Device.STOMP.ConnectionNumberOfEntries",
        "Device.STOMP.Connection.{i}.Alias",
        "Device.STOMP.Connection.{i}.Enable",
        "Device.STOMP.Connection.{i}.Status",
        "Device.STOMP.Connection.{i}.Host",
        "Device.STOMP.Connection.{i}.Port",
        "Device.STOMP.Connection.{i}.VirtualHost",
        "Device.STOMP.Connection.{i}.ServerRetryInitialInterval",
        "Device.STOMP.Connection.{i}.ServerRetryIntervalMultiplier",
        "Device.STOMP.Connection.{i}.ServerRetryMaxInterval",
    ] {
        assert!(supported.iter().any(|it| it == wanted), "{wanted} is not there: {supported:?}");
    }
}

/// A notification is told, not acknowledged, and told again after the broker was gone.
async fn a_notification_survives_the_broker(
    controller: &Controller,
    agent: &EndpointId,
    broker: &mut RabbitMq,
) {
    let mut notices = controller.notifications();
    let mut subscribe = requests::subscribe(VALUE, "ValueChange", &[SSID], true);
    persistent(&mut subscribe);
    controller.request(agent, subscribe, PATIENCE).await.unwrap();
    value(controller, agent, SSID).await.unwrap();
    controller.answer_notify(false);
    controller.request(agent, requests::set(&[(SSID, "changed")], false), PATIENCE).await.unwrap();
    let mut told = async || loop {
        // The retries of R-NOT.1 grow while the broker starts, which takes long on a busy machine.
        let notice = tokio::time::timeout(4 * PATIENCE, notices.recv()).await.expect("not told").unwrap();
        if let Some(Notification::ValueChange(change)) = notice.notify.notification {
            assert_eq!(change.param_value, "changed");
            return notice.msg_id;
        }
    };
    let first = told().await;
    broker.kill();
    controller.answer_notify(true);
    broker.start_node();
    assert_eq!(told().await, first, "the notification was lost with the broker");
}

/// TP-469 6.11, with a client certificate in place of a password; and `dragoman usp` as the controller.
async fn by_certificate_and_from_the_command_line(broker: &RabbitMq, acs: &Acs) {
    let file = |name: &str| broker.pki.path(name);
    let identity = format!(
        "ca = '{}'\ncertificate = '{}'\nkey = '{}'",
        file("ca"),
        file("gateway"),
        file("gateway-key")
    );
    let setup = Setup::new(0, &tables(acs, &format!("stomps://127.0.0.1:{}", broker.secure), &identity));
    let gateway = setup.start();
    let controller = controller(broker).await;
    let fleet = fleet(&gateway, 1).await;
    assert!(controller.wait_for_agents(1, PATIENCE).await, "agents did not onboard: {}", setup.log());
    let agent = fleet.device_ids()[0].endpoint_id();
    fleet.set(0, SSID, "by certificate");
    assert_eq!(value(&controller, &agent, SSID).await.as_deref(), Ok("by certificate"));
    controller.stop().await;
    let stomp = format!("stomp://127.0.0.1:{}", broker.port);
    let arguments = ["usp", "--stomp", &stomp, "--destination", DESTINATION, "--endpoint-id", CONTROLLER];
    let mut command = Command::new(BINARY);
    command.args(arguments).args(["--username", USER, "--password", PASSWORD]);
    command.args(["get", agent.as_str(), SSID]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("by certificate"), "{output:?}");
    fleet.stop().await;
}

async fn controller(broker: &RabbitMq) -> Controller {
    let mtp = ControllerMtp::Stomp {
        host: "127.0.0.1".into(),
        port: broker.port,
        destination: DESTINATION.into(),
        login: Some((USER.into(), PASSWORD.into())),
        virtual_host: Some("/".into()),
        agent_destination_prefix: "/queue/usp.agent.".into(),
        tls: None,
    };
    let endpoint_id = EndpointId::parse(CONTROLLER).unwrap();
    Controller::start(ControllerConfig { endpoint_id, mtp }).await.unwrap()
}

fn tables(acs: &Acs, broker: &str, more: &str) -> String {
    format!(
        "[acs]\nurl = \"{}\"\n[stomp.main]\nbroker = \"{broker}\"\n{more}\n\
         outgoing_heartbeat_seconds = 1\nincoming_heartbeat_seconds = 1\nretry_seconds = 0.2\n\
         [[controller]]\nendpoint_id = \"{CONTROLLER}\"\n\
         stomp = {{ broker = \"main\", destination = \"{DESTINATION}\" }}\n",
        acs.url()
    )
}
