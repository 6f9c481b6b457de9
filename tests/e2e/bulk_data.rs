//! Bulk data over HTTP to a collector that asks for credentials, with a real CPE's values, and over MQTT to a client
//! that is not ours.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use dragoman::identity::EndpointId;
use dragoman::sim::controller::{Controller, requests};
use dragoman::transport::mqtt::Version;
use dragoman::usp::message::Response;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::gateway::{Setup, mqtt};
use super::mosquitto::Mosquitto;
use super::usp::{PATIENCE, controller, fleet};

/// Takes one request and answers it; returns its head and body.
async fn serve(collector: &TcpListener, answer: &str) -> (String, String) {
    let (mut stream, _) = collector.accept().await.unwrap();
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4_096];
        let count = stream.read(&mut chunk).await.unwrap();
        assert!(count > 0, "cut off: {}", String::from_utf8_lossy(&bytes));
        bytes.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
        });
        if body.len() >= length.expect("a length") {
            stream.write_all(answer.as_bytes()).await.unwrap();
            return (head.to_owned(), body.to_owned());
        }
    }
}

const CHALLENGE: &str = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"bdc\", nonce=\"abc\", \
     qop=\"auth\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const TAKEN: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn tp469_10_1_reports_reach_a_collector_that_is_allowed_and_no_other() {
    let (broker, collector) = (Mosquitto::start(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let place = format!("http://{}/reports/", collector.local_addr().unwrap());
    let tables = format!("[egress]\nallow = [\"{place}\"]\n{}", mqtt(broker.port, ""));
    let setup = Setup::new(0, &tables);
    let gateway = setup.start();
    let controller = controller(broker.port, Version::V5).await;
    let fleet = fleet(&gateway, 1).await;
    assert!(controller.wait_for_agents(1, PATIENCE).await, "agents did not onboard");
    let agent = fleet.device_ids()[0].endpoint_id();
    let ask = |request| controller.request(&agent, request, PATIENCE);
    let profile = |url: String| {
        let (table, enable) = ("Device.BulkData.Profile.", ("Enable", "true"));
        let settings = [enable, ("ReportingInterval", "2"), ("HTTP.Username", "u"), ("HTTP.Password", "p")];
        let mut settings = settings.to_vec();
        settings.push(("HTTP.URL", url.leak()));
        requests::add(table, &settings)
    };
    let Response::AddResp(resp) = ask(profile(format!("{place}x"))).await.unwrap() else { panic!() };
    let row = created(&Response::AddResp(resp));
    let parameter = [("Name", "Host"), ("Reference", "Device.DeviceInfo.ManufacturerOUI")];
    ask(requests::add(&format!("{row}Parameter."), &parameter)).await.unwrap();
    ask(requests::set(&[("Device.BulkData.Enable", "true")], false)).await.unwrap();
    let served = async {
        let (head, _) = serve(&collector, CHALLENGE).await;
        let again = serve(&collector, TAKEN).await;
        (head, again)
    };
    let (asked, (head, body)) = tokio::time::timeout(PATIENCE, served).await.expect("no report came");
    assert!(asked.starts_with("POST /reports/x?oui=00256D&pc="), "R-BULK.1: {asked}");
    assert!(!asked.to_ascii_lowercase().contains("authorization"), "credentials for nobody who asked");
    assert!(head.contains("username=\"u\"") && !head.contains("\"p\""), "{head}");
    assert!(body.contains("CollectionTime"), "{body}");
    // The CPE may be reached later than the first interval ends: that report is without its values.
    let valued = async {
        let mut report = body;
        while !report.contains("\"Host\":\"00256D\"") {
            report = serve(&collector, TAKEN).await.1;
        }
    };
    tokio::time::timeout(PATIENCE, valued).await.expect("no report held the CPE's values");
    let next = tokio::time::timeout(PATIENCE, serve(&collector, TAKEN)).await.expect("no report after it");
    assert!(next.1.contains("CollectionTime"));
    // A place that the operator has not allowed is refused with the reason.
    let refused = ask(profile("http://127.0.0.1:9/".to_owned())).await.expect_err("it was taken");
    assert!(refused.to_string().contains("egress policy does not allow"), "{refused}");
    fleet.stop().await;
    controller.stop().await;
}

/// The path of the one object that was created.
fn created(response: &Response) -> String {
    let text = format!("{response:?}");
    text.split("instantiated_path: \"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

/// mosquitto_sub, which prints so many messages and ends, or ends when nothing comes. `Retained` ones of before are
/// among them.
struct Subscriber(Child);

impl Subscriber {
    fn start(port: u16, count: u32) -> Self {
        let (port, count) = (port.to_string(), count.to_string());
        let seconds = PATIENCE.as_secs().to_string();
        let program = Command::new("mosquitto_sub")
            .args(["-V", "mqttv5", "-h", "127.0.0.1", "-p", &port, "-C", &count, "-W", &seconds])
            .args(["-t", "reports/#", "-q", "2", "-F", "%t|%q|%r|%C|%p"])
            .stdout(Stdio::piped())
            .spawn();
        Self(program.expect("mosquitto_sub is not installed: see scripts/test"))
    }

    /// The messages: topic, QoS, retain, content type and payload.
    async fn end(self) -> Vec<Vec<String>> {
        let output = tokio::task::spawn_blocking(|| self.0.wait_with_output().unwrap()).await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| line.splitn(5, '|').map(str::to_owned).collect()).collect()
    }
}

/// Reports every second over an MQTT client to a topic.
async fn report_over(controller: &Controller, agent: &EndpointId, settings: &[(&str, &str)]) -> String {
    let ask = |request| async { controller.request(agent, request, PATIENCE).await.unwrap() };
    let mut all = vec![("Protocol", "MQTT"), ("ReportingInterval", "1")];
    all.extend(settings);
    let row = created(&ask(requests::add("Device.BulkData.Profile.", &all)).await);
    let parameter = [("Name", "Who"), ("Reference", "Device.LocalAgent.EndpointID")];
    ask(requests::add(&format!("{row}Parameter."), &parameter)).await;
    ask(requests::set(&[("Device.BulkData.Enable", "true")], false)).await;
    ask(requests::set(&[(&format!("{row}Enable"), "true")], false)).await;
    row
}

#[tokio::test(flavor = "multi_thread")]
async fn tp469_10_13_reports_reach_an_mqtt_client_over_a_shared_connection_and_over_one_of_their_own() {
    let (broker, other) = (Mosquitto::start(), Mosquitto::start());
    let port = other.port;
    let egress = format!("[egress]\nallow = [\"mqtt://127.0.0.1:{port}\"]\n");
    let setup = Setup::new(0, &format!("{egress}{}", mqtt(broker.port, "shared_connections = 1\n")));
    let gateway = setup.start();
    let controller = controller(broker.port, Version::V5).await;
    let fleet = fleet(&gateway, 1).await;
    assert!(controller.wait_for_agents(1, PATIENCE).await, "agents did not onboard");
    let agent = fleet.device_ids()[0].endpoint_id();
    let said = |name: &str| format!("\"{name}\":\"{agent}\"");
    // Over the connection that all agents share.
    let here = Subscriber::start(broker.port, 2);
    let shared = [("MQTT.Reference", "Device.MQTT.Client.1"), ("MQTT.PublishTopic", "reports/shared")];
    let encoding = [("MQTT.PublishQoS", "1"), ("EncodingType", "JSON")];
    let row = report_over(&controller, &agent, &[shared, encoding].concat()).await;
    let messages = here.end().await;
    assert_eq!(messages.len(), 2, "{}", setup.log());
    for message in &messages {
        assert_eq!(&message[..4], ["reports/shared", "1", "0", "application/json; charset=UTF-8"]);
        assert!(message[4].contains(&said("Who")), "{message:?}");
    }
    // A topic at which agents listen is none for reports.
    for topic in ["usp/agent/0/os::somebody", "usp/controller/test"] {
        let theirs = [(&*format!("{row}MQTT.PublishTopic"), topic)];
        let refused = controller.request(&agent, requests::set(&theirs, false), PATIENCE).await;
        let refused = refused.expect_err("it was taken").to_string();
        assert!(refused.contains("where reports have no place"), "{refused}");
    }
    controller.request(&agent, requests::delete(&[&row], false), PATIENCE).await.unwrap();
    // Over a client of its own, whose broker goes away for a while.
    let client = [("Enable", "true"), ("BrokerAddress", "127.0.0.1"), ("BrokerPort", &port.to_string())];
    let client = requests::add("Device.MQTT.Client.", &[&client[..], &[("ConnectRetryTime", "1")]].concat());
    let client = created(&controller.request(&agent, client, PATIENCE).await.unwrap());
    let there = Subscriber::start(port, 1);
    let own = [("MQTT.Reference", &*client), ("MQTT.PublishTopic", "reports/own"), ("MQTT.PublishQoS", "2")];
    let more = [("MQTT.PublishRetain", "true"), ("NumberOfRetainedFailedReports", "-1")];
    report_over(&controller, &agent, &[&own[..], &more].concat()).await;
    let messages = there.end().await;
    assert_eq!(messages.len(), 1, "{}", setup.log());
    assert_eq!(&messages[0][..3], ["reports/own", "2", "0"], "{messages:?}");
    drop(other);
    tokio::time::sleep(Duration::from_millis(3_500)).await;
    let other = Mosquitto::at(port, "");
    let there = Subscriber::start(port, 1);
    let messages = there.end().await;
    assert_eq!(messages.len(), 1, "{}", setup.log());
    let reports = messages[0][4].matches(&said("Who")).count();
    assert!(reports >= 3, "reports of the outage are lost: {messages:?}");
    // It is retained: who comes later has it as well.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let late = Subscriber::start(port, 1).end().await;
    assert_eq!(late[0][2], "1", "{late:?}");
    fleet.stop().await;
    controller.stop().await;
    assert_eq!(gateway.terminate(), Some(0));
    drop((broker, other));
}
