//! What people type, and how the gateway is watched and stopped.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};

use super::gateway::{BINARY, Setup};

pub fn http_get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn the_example_configuration_is_accepted_and_a_wrong_key_is_shown_with_its_line() {
    let folder = super::mosquitto::folder("config");
    let example = Command::new(BINARY).args(["config", "example"]).output().unwrap();
    let text = String::from_utf8(example.stdout).unwrap();
    let file = folder.join("x.toml");
    std::fs::write(&file, &text).unwrap();
    let checked = Command::new(BINARY).args(["config", "check"]).arg(&file).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    std::fs::write(&file, text.replace("[store]", "[stroe]")).unwrap();
    let refused = Command::new(BINARY).args(["config", "check"]).arg(&file).output().unwrap();
    let why = String::from_utf8(refused.stderr).unwrap();
    let line = text.lines().position(|line| line.starts_with("[store]")).unwrap() + 1;
    assert!(!refused.status.success());
    assert!(why.contains(&format!("x.toml:{line}:")) && why.contains("stroe"), "{why}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn health_and_metrics_are_served_and_sigterm_ends_in_order() {
    let setup = Setup::new(0, "");
    let gateway = setup.start();
    assert!(http_get(gateway.admin, "/healthz").starts_with("HTTP/1.1 200"));
    assert!(http_get(gateway.admin, "/readyz").starts_with("HTTP/1.1 200"));
    let metrics = http_get(gateway.admin, "/metrics");
    assert!(metrics.contains("dragoman_cwmp_session_seconds_count 0") && metrics.contains("# EOF"));
    assert!(http_get(gateway.admin, "/nope").starts_with("HTTP/1.1 404"));
    assert_eq!(gateway.terminate(), Some(0));
}

#[test]
fn the_sandbox_tells_its_story_to_the_end() {
    let run = Command::new(BINARY).args(["sandbox", "--once"]).output().unwrap();
    let transcript = String::from_utf8(run.stdout).unwrap();
    assert!(run.status.success(), "{transcript}\n{}", String::from_utf8_lossy(&run.stderr));
    assert!(transcript.contains("The end"), "{transcript}");
}

#[test]
fn quirks_and_faults_of_simulated_cpes_are_listed_and_a_wrong_one_is_shown_with_what_there_is() {
    let sim = |more: &[&str]| {
        let fixed = ["sim", "cpe", "--acs-url", "http://127.0.0.1:1/", "--model"];
        let model = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/models/tr181-small.csv");
        let output = Command::new(BINARY).args(fixed).arg(model).args(more).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(said).unwrap())
    };
    let (_, help) = sim(&["--help"]);
    for quirk in dragoman::sim::cpe::Quirk::ALL {
        assert!(
            help.contains(quirk.name()) && help.contains(quirk.what()),
            "{} is not in the help",
            quirk.name()
        );
    }
    for (wrong, says) in [
        (["--quirk", "no-cookie"], "no-cookies"),
        (["--fault", "GetValues=9002"], "GetParameterValues"),
        (["--every", "sleep=1"], "diagnostics"),
        (["--change", "Device.Nothing=1"], "no parameter 'Device.Nothing'"),
        (["--cut-before-answer", "Get"], "no RPC 'Get'"),
    ] {
        let (taken, said) = sim(&wrong);
        assert!(!taken && said.contains(says), "{wrong:?}: {said}");
    }
    let right = ["--quirk", "gzip", "--quirk", "slow", "--fault", "Reboot=9001", "--duration-seconds", "0"];
    let (taken, said) = sim(&right);
    assert!(taken, "{said}");
}

#[test]
fn conformance_lists_its_checks_and_says_why_it_cannot_begin() {
    let run = |arguments: &[&str]| {
        let output = Command::new(BINARY).arg("conformance").args(arguments).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(said).unwrap())
    };
    let (good, list) = run(&["--list", "--only", "1.3,3.*"]);
    assert!(good && list.starts_with("1.3 ") && list.contains("\n3.1 "), "{list}");
    assert!(!list.contains("\n2."), "{list}");
    let (good, said) = run(&["--list", "--only", "one"]);
    assert!(!good && said.contains("'one' is no number of a check"), "{said}");
    let (good, said) = run(&[]);
    assert!(!good && said.contains("--agent"), "{said}");
    let broker = "mqtt://127.0.0.1:1";
    let (good, said) = run(&["--agent", "os::00256D-1", "--mqtt", broker]);
    assert!(!good && said.contains("failed to connect to the broker at 127.0.0.1:1"), "{said}");
}

/// Runs a command whose output nobody reads; returns its status and what it says on the standard error.
fn unread(arguments: &[&str]) -> (Option<i32>, String) {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let child = Command::new(BINARY).args(arguments).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn who_reads_the_output_may_go_and_the_command_ends_without_a_word() {
    let folder = super::mosquitto::folder("gone");
    let file = folder.join("x.toml");
    std::fs::write(&file, "[cwmp]\nlisten = \"127.0.0.1:0\"\n[store]\nfile = \"x.db\"\n").unwrap();
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/models/tr181-small.csv");
    for arguments in [
        &["config", "example"][..],
        &["config", "check", file.to_str().unwrap()],
        &["conformance", "--list"],
        &["sim", "acs", "--listen", "127.0.0.1:0"],
        &["sim", "broker", "--listen", "127.0.0.1:0"],
        &["sim", "cpe", "--acs-url", "http://127.0.0.1:1/", "--model", model],
        &["sandbox", "--cpes", "2"],
    ] {
        assert_eq!(unread(arguments), (Some(141), String::new()), "{arguments:?}");
    }
    for arguments in [&["--help"][..], &["--version"]] {
        let (_, said) = unread(arguments);
        assert_eq!(said, "", "{arguments:?}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}
