//! Bulk data over HTTP to a collector that asks for credentials, with a real CPE's values.

use dragoman::sim::controller::requests;
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
    let row = format!("{resp:?}")
        .split("instantiated_path: \"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned();
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
