//! CPEs behind a real haproxy that ends their TLS, set up by the file that we deliver.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dragoman::sim::acs::{Acs, AcsConfig, Seen};
use dragoman::transport::http::client_cert;

use super::gateway::{Gateway, Setup};
use super::mosquitto::{folder, free_port, wait_for_port};
use super::pki::{Pki, post};
use super::relay::{odd, odd_inform};
use super::usp::PATIENCE;

/// A running haproxy; dropping it ends it.
struct Haproxy {
    child: Child,
    folder: PathBuf,
    tcp: u16,
    http: u16,
}

impl Haproxy {
    /// As deploy/haproxy.cfg says, but for addresses and files.
    fn start(pki: &Pki, tcp: &Gateway, http: &Gateway) -> Self {
        let ports = (free_port(), free_port());
        let mut text = include_str!("../../deploy/haproxy.cfg").to_owned();
        for (from, to) in [
            ("0.0.0.0:7548", format!("127.0.0.1:{}", ports.0)),
            ("0.0.0.0:7549", format!("127.0.0.1:{}", ports.1)),
            ("server dragoman 127.0.0.1:7547", format!("server dragoman {}", tcp.cwmp)),
            ("server dragoman-http 127.0.0.1:7547", format!("server dragoman-http {}", http.cwmp)),
            ("/etc/haproxy/gateway.pem", pki.path("front-both")),
            ("/etc/haproxy/cpe-ca.pem", pki.path("ca")),
            ("maxconn 100000", "maxconn 200".into()),
        ] {
            assert!(text.contains(from), "deploy/haproxy.cfg says nothing of {from}");
            text = text.replace(from, &to);
        }
        let folder = folder("haproxy");
        let file = folder.join("haproxy.cfg");
        std::fs::write(&file, text).unwrap();
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let known = ["/usr/sbin/haproxy", "/usr/local/sbin/haproxy", "/usr/bin/haproxy"];
        let program = known.into_iter().find(|path| Path::new(path).exists());
        let child = Command::new(program.expect("haproxy is not installed: see scripts/test"))
            .args(["-db", "-f"])
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let haproxy = Self { child, folder, tcp: ports.0, http: ports.1 };
        wait_for_port(ports.0);
        wait_for_port(ports.1);
        haproxy
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}", std::fs::read_to_string(self.folder.join("log")).unwrap_or_default());
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A gateway that trusts haproxy, which says this, and tells the ACS all that it knows.
fn setup(acs: &Acs, says: &str) -> Setup {
    Setup::new(
        0,
        &format!(
            "[cwmp.front]\ntrusted = [\"127.0.0.1/32\"]\n{says}\n\
             [acs]\nurl = \"{}\"\nforwarded = true\nclient_cert = true\n[device]\nsession_idle_seconds = 1\n",
            acs.url()
        ),
    )
}

/// The headers with which an Inform reached the ACS.
fn headers(acs: &Acs, serial: &str, name: &str) -> Vec<String> {
    let seen = acs.seen(&odd(serial));
    let Some(Seen::Inform { headers, .. }) = seen.into_iter().find(|it| matches!(it, Seen::Inform { .. }))
    else {
        panic!("no Inform of {serial}");
    };
    headers.into_iter().filter(|(key, _)| key == name).map(|(_, value)| value).collect()
}

async fn logged(setup: &Setup, line: &str) {
    let started = Instant::now();
    while !setup.log().contains(line) {
        assert!(started.elapsed() < PATIENCE, "the log does not say '{line}'");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What a CPE of 2008 gets that speaks TLS 1.0 and nothing newer, from 127.0.0.9.
fn by_tls_1_0(port: u16, inform: &str) -> String {
    let mut client = Command::new("openssl")
        .args(["s_client", "-quiet", "-tls1", "-cipher", "ALL:@SECLEVEL=0", "-bind", "127.0.0.9:0"])
        .args(["-connect", &format!("127.0.0.1:{port}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl is not installed: see scripts/test");
    let mut stdin = client.stdin.take().unwrap();
    stdin.write_all(post(inform).as_bytes()).unwrap();
    let mut answer = String::new();
    let _ = client.stdout.take().unwrap().read_to_string(&mut answer);
    drop(stdin);
    client.wait().unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn cpes_behind_haproxy_are_known_by_their_own_address_and_certificate() {
    let pki = Pki::new(&["front", "00256D-CPE"]);
    let acs = Acs::start(AcsConfig::default()).await.unwrap();
    let tcp = setup(&acs, "proxy_protocol = true");
    let http = setup(&acs, "forwarded = true\nclient_cert = true");
    let (at_tcp, at_http) = (tcp.start(), http.start());
    let haproxy = Haproxy::start(&pki, &at_tcp, &at_http);
    let certificate = client_cert(&pki.der("00256D-CPE"));
    for (way, port, setup, certificates) in
        [("T", haproxy.tcp, &tcp, vec![]), ("H", haproxy.http, &http, vec![certificate])]
    {
        let serial = format!("{way}1");
        let known = pki.inform([127, 0, 0, 5], port, Some("00256D-CPE"), &odd_inform(&serial)).await;
        let (answer, source) = known.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        logged(setup, &format!("client=127.0.0.5:{source} tls certificate=00256D-CPE via 127.0.0.1")).await;
        let forwarded = headers(&acs, &serial, "forwarded");
        let expected = format!("for=\"127.0.0.5:{source}\";proto=https;host=\"gw.example:7548\"");
        assert_eq!(forwarded, [expected]);
        assert_eq!(headers(&acs, &serial, "client-cert"), certificates);

        let serial = format!("{way}2");
        let inform = odd_inform(&serial);
        let answer = tokio::task::spawn_blocking(move || by_tls_1_0(port, &inform)).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "TLS 1.0: {answer}");
        assert!(headers(&acs, &serial, "forwarded")[0].starts_with("for=\"127.0.0.9:"));
        assert!(headers(&acs, &serial, "client-cert").is_empty());
    }
    acs.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_required_certificate_may_be_one_that_haproxy_verified() {
    let pki = Pki::new(&["front", "00256D-CPE"]);
    let acs = Acs::start(AcsConfig::default()).await.unwrap();
    let required = "client_certificate = \"required\"";
    let tcp = setup(&acs, &format!("proxy_protocol = true\n{required}"));
    let http = setup(&acs, &format!("client_cert = true\n{required}"));
    let (at_tcp, at_http) = (tcp.start(), http.start());
    let haproxy = Haproxy::start(&pki, &at_tcp, &at_http);
    for port in [haproxy.tcp, haproxy.http] {
        for (identity, status) in [(Some("00256D-CPE"), "200"), (None, "403")] {
            let (answer, _) = pki.inform([127, 0, 0, 5], port, identity, &odd_inform("R1")).await.unwrap();
            assert_eq!(answer.split(' ').nth(1), Some(status), "{answer}");
        }
    }
    acs.stop().await;
}
