//! What passes through the gateway is captured, and played back on both sides of another one.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dragoman::capture::Script;
use dragoman::cwmp::rpc::{Array, ParameterValueStruct, Request as Rpc, SetParameterValues};
use dragoman::datamodel::ValueType;
use dragoman::net::HttpUrl;
use dragoman::sim::acs::{Acs, AcsConfig};
use dragoman::sim::controller::requests;
use dragoman::sim::cpe::{Fleet, FleetConfig, Model, Quirk, Quirks};
use dragoman::sim::replay::{ReplayAcs, ReplayAcsConfig, ReplayCpeConfig, Report, play};

use dragoman::transport::mqtt::Version;

use super::gateway::{BINARY, Gateway, Setup, mqtt};
use super::mosquitto::{Mosquitto, folder};
use super::usp::{PATIENCE, SSID, TR_181, controller, fleet};

/// Two sessions each of two CPEs with odd prefixes, blanks and compression; the ACS sets a passphrase of the first, and
/// reads it.
const FIXTURE: &str = "fixtures/captures/odd-prefixes.jsonl";
const PASSPHRASE: &str = "Device.WiFi.AccessPoint.1.Security.KeyPassphrase";

/// Where CPEs must show who they are.
const AUTHENTICATION: &str =
    "[cwmp.authentication]\nscheme = \"digest\"\nusers = { cpe = \"their own secret\" }\n";

fn tail(acs: &str, captures: &Path, more: &str) -> String {
    let captures = captures.display();
    format!("[acs]\nurl = \"{acs}\"\n[device]\npark_seconds = 0\n[capture]\ndirectory = '{captures}'\n{more}")
}

fn credentials(more: &str) -> Option<(String, String)> {
    (!more.is_empty()).then(|| ("cpe".to_owned(), "their own secret".to_owned()))
}

async fn capture(gateway: &Gateway, order: &[&str]) -> String {
    let mut command = tokio::process::Command::new(BINARY);
    let output =
        command.arg("capture").args(order).args(["--admin", &gateway.admin.to_string()]).output().await;
    let output = output.unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{said}");
    said
}

/// Lets two CPEs have two sessions each, and gives the file that was made of them.
async fn captured(captures: &Path, more: &str) -> PathBuf {
    let acs = Acs::start(AcsConfig::default()).await.unwrap();
    let setup = Setup::new(0, &tail(&acs.url(), captures, more));
    let gateway = setup.start();
    let said = capture(
        &gateway,
        &["start", "--serial", "00256D-00000007", "--serial", "00256D-00000008", "--sessions", "4"],
    )
    .await;
    assert!(said.contains("running"), "{said}");
    let parameter = ParameterValueStruct::new(PASSPHRASE, "a new secret & more", ValueType::String);
    let set = SetParameterValues { parameter_list: Array(vec![parameter]), parameter_key: "k1".into() };
    let names = |names: &[&'static str]| {
        let parameter_names = Array(names.iter().map(|name| (*name).into()).collect());
        Rpc::GetParameterValues(dragoman::cwmp::rpc::GetParameterValues { parameter_names })
    };
    acs.on_every_session(vec![names(&["Device.ManagementServer.", "Device.WiFi.AccessPoint.1.Security."])]);
    let config = FleetConfig {
        first_serial: 7,
        acs_credentials: credentials(more),
        quirks: Quirks::of(&[Quirk::OddPrefixes, Quirk::Padded, Quirk::Gzip]),
        ..FleetConfig::new(gateway.url(), Arc::new(Model::parse(TR_181).unwrap()), 2)
    };
    let fleet = Fleet::start(config).await.unwrap();
    let agent = fleet.device_ids()[0].endpoint_id();
    acs.enqueue(&agent, Rpc::SetParameterValues(set));
    let (mut listed, mut again) = (String::new(), vec![0, 1]);
    let deadline = std::time::Instant::now() + PATIENCE;
    while !listed.contains("  sessions  ") {
        assert!(std::time::Instant::now() < deadline, "the capture does not end: {listed}\n{}", setup.log());
        again.retain(|index| {
            let once = fleet.statistics().per_cpe[*index] == 1;
            if once {
                fleet.inform_now(*index);
            }
            !once
        });
        tokio::time::sleep(Duration::from_millis(100)).await;
        listed = capture(&gateway, &["list"]).await;
    }
    fleet.stop().await;
    acs.stop().await;
    PathBuf::from(listed.split_whitespace().last().unwrap())
}

/// Plays a capture on both sides of a gateway that knows nothing: what the CPE saw, and what the ACS saw.
async fn played(text: &str, more: &str) -> (Report, Report) {
    let script = Script::read(text.as_bytes()).unwrap();
    let listen = "127.0.0.1:0".parse().unwrap();
    let acs = ReplayAcs::start(&script, ReplayAcsConfig { listen, tls: None, timed: false }).await.unwrap();
    let captures = folder("captures");
    let setup = Setup::new(0, &tail(&acs.url(), &captures, more));
    let gateway = setup.start();
    let url = HttpUrl::parse(&gateway.url()).unwrap();
    let seen =
        play(&script, &ReplayCpeConfig { url, tls: None, credentials: credentials(more), timed: false })
            .await;
    (seen, acs.stop())
}

fn expect_none(report: &Report, exchanges: usize) {
    assert_eq!((report.differences(), report.rows.len()), (0, exchanges), "{}", report.lines().join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_captured_of_a_cpe_holds_no_secret_and_is_played_back_on_both_sides() {
    let captures = folder("captures");
    let file = captured(&captures, "").await;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&file), 0o600);
    let text = std::fs::read_to_string(&file).unwrap();
    for secret in ["a new secret", "correct horse", "dragoman=a", "acs-session=1"] {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
    assert!(text.contains("dragoman=cookie-") && text.contains(">redacted-"), "{text}");
    if let Some(copy) = std::env::var_os("DRAGOMAN_KEEP_CAPTURE") {
        std::fs::copy(&file, copy).unwrap();
    }
    let (cpe, acs) = played(&text, "").await;
    expect_none(&cpe, 13);
    expect_none(&acs, 13);
    std::fs::remove_dir_all(captures).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_proves_a_cpe_is_not_in_its_capture_and_is_made_anew_for_a_replay() {
    let captures = folder("captures");
    let text = std::fs::read_to_string(captured(&captures, AUTHENTICATION).await).unwrap();
    assert!(text.contains("\\\"redacted\\\"") && text.contains("username=\\\"cpe\\\""), "{text}");
    let (cpe, acs) = played(&text, AUTHENTICATION).await;
    // In each session the Inform is sent once without a proof: that the door answers, not the ACS.
    expect_none(&cpe, 17);
    expect_none(&acs, 13);
    std::fs::remove_dir_all(captures).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_controller_asks_and_is_answered_is_captured_without_what_is_hidden() {
    let captures = folder("captures");
    let broker = Mosquitto::start();
    let hidden = "redact = [\"Device.WiFi.SSID.\"]\n";
    let acs = Acs::start(AcsConfig::default()).await.unwrap();
    let setup = Setup::new(0, &(tail(&acs.url(), &captures, hidden) + &mqtt(broker.port, "")));
    let gateway = setup.start();
    let controller = controller(broker.port, Version::V5).await;
    let fleet = fleet(&gateway, 1).await;
    assert!(controller.wait_for_agents(1, PATIENCE).await);
    let agent = fleet.device_ids()[0].endpoint_id();
    capture(&gateway, &["start", "--device", agent.as_str()]).await;
    let asked = [SSID, "Device.DeviceInfo.SoftwareVersion"];
    controller.request(&agent, requests::get(&asked, 0), PATIENCE).await.unwrap();
    capture(&gateway, &["stop", "1"]).await;
    let mut listed = String::new();
    while !listed.contains("  stopped  ") {
        tokio::time::sleep(Duration::from_millis(50)).await;
        listed = capture(&gateway, &["list"]).await;
    }
    let text = std::fs::read_to_string(listed.split_whitespace().last().unwrap()).unwrap();
    let of = |way: &str, kind: &str| {
        let is_it = |line: &&str| line.contains(&format!("\"way\":\"{way}\"")) && line.contains(kind);
        text.lines().find(is_it).unwrap_or_else(|| panic!("no {way} {kind} in {text}")).to_owned()
    };
    assert!(of("in", "\"type\":\"GET\"").contains("\"mtp\":\"mqtt\""));
    let answer = of("out", "\"type\":\"GET_RESP\"");
    assert!(
        answer.contains(&format!("[\"{SSID}\",\"redacted-")) && answer.contains("SoftwareVersion\",\"1"),
        "{answer}"
    );
    fleet.stop().await;
    controller.stop().await;
    acs.stop().await;
    std::fs::remove_dir_all(captures).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capture_among_the_fixtures_is_played_as_it_was_recorded() {
    let (cpe, acs) = played(&std::fs::read_to_string(FIXTURE).unwrap(), "").await;
    expect_none(&cpe, 13);
    expect_none(&acs, 13);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_as_recorded_is_found_on_the_side_that_sees_it() {
    let text = std::fs::read_to_string(FIXTURE).unwrap();
    // As if the gateway had told each of the two sides something else before.
    let changed = |leg: &str, way: &str, from: &str, to: &str| {
        let prefix = format!("\"leg\":\"{leg}\",\"way\":\"{way}\"");
        let lines = text.lines().map(|line| match line.contains(&prefix) {
            true => line.replacen(from, to, 1) + "\n",
            false => line.to_owned() + "\n",
        });
        let changed = lines.collect::<String>();
        assert_ne!(changed, text);
        changed
    };
    let (cpe, acs) = played(&changed("cpe", "answer", "<MaxEnvelopes>1<", "<MaxEnvelopes>2<"), "").await;
    assert_eq!((cpe.differences(), acs.differences()), (4, 0), "{}", cpe.lines().join("\n"));
    assert!(cpe.lines().join("\n").contains("<MaxEnvelopes>2<"), "{}", cpe.lines().join("\n"));
    let (cpe, acs) = played(&changed("acs", "request", "2 PERIODIC", "2 PERIODIK"), "").await;
    assert_eq!((cpe.differences(), acs.differences()), (0, 2), "{}", acs.lines().join("\n"));
    let (cpe, _) = played(&changed("cpe", "answer", "\"status\":204", "\"status\":200"), "").await;
    assert!(cpe.lines().join("\n").contains("200 -> 204    DIFFERS"), "{}", cpe.lines().join("\n"));
    // What is not asked for is missed, and what the capture has no session for is told.
    let (cpe, acs) = played(&changed("cpe", "request", "\\n    00000007", "\\n    00000009"), "").await;
    assert!(cpe.differences() > 0);
    let told = acs.lines().join("\n");
    assert!(told.contains("no such request") && told.contains("was not opened"), "{told}");
}

#[test]
fn a_file_that_cannot_be_played_is_refused_with_line_and_reason() {
    let folder = folder("captures");
    let file = folder.join("cut.jsonl");
    let text = std::fs::read_to_string(FIXTURE).unwrap();
    std::fs::write(&file, &text[..text.len() - 10]).unwrap();
    for side in [&["cpe", "--acs", "http://127.0.0.1:1/"][..], &["acs", "--listen", "127.0.0.1:0"][..]] {
        let mut command = std::process::Command::new(BINARY);
        let output = command.arg("sim").args(side).arg("--replay").arg(&file).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains("line ") && said.contains("cut off"), "{said}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}
