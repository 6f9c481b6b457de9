//! TLS at every side of the gateway: CPEs, ACS, brokers, controllers.

use std::net::SocketAddr;

use dragoman::identity::EndpointId;
use dragoman::sim::acs::{Acs, AcsConfig, Seen};
use dragoman::sim::controller::{Controller, ControllerConfig, ControllerMtp};
use dragoman::transport::http::client_cert;
use dragoman::transport::mqtt::Version;

use super::gateway::{CONTROLLER, Setup};
use super::mosquitto::{Mosquitto, free_port};
use super::pki::{Pki, foreign_ca};
use super::relay::{odd, odd_inform};
use super::usp::{PATIENCE, SSID, controller, fleet, value};

#[tokio::test(flavor = "multi_thread")]
async fn agents_reach_a_broker_that_asks_for_their_certificate() {
    let pki = Pki::new(&["broker", "gateway"]);
    let file = |name: &str| pki.path(name);
    let secure = free_port();
    let broker = Mosquitto::with(&format!(
        "listener {secure} 127.0.0.1\ncafile {}\ncertfile {}\nkeyfile {}\nrequire_certificate true\n",
        file("ca"),
        file("broker"),
        file("broker-key")
    ));
    let acs = Acs::start(AcsConfig::default()).await.unwrap();
    let tables = |identity: &str| {
        format!(
            "[acs]\nurl = \"{}\"\n[mqtt.main]\nbroker = \"mqtts://127.0.0.1:{secure}\"\nca = \"{}\"\n{identity}\n\
             retry_seconds = 0.2\n[[controller]]\nendpoint_id = \"{CONTROLLER}\"\n\
             mqtt = {{ broker = \"main\", topic = \"usp/controller/test\" }}\n",
            acs.url(),
            file("ca")
        )
    };
    let identity = format!("certificate = \"{}\"\nkey = \"{}\"", file("gateway"), file("gateway-key"));
    let setup = Setup::new(0, &tables(&identity));
    let gateway = setup.start();
    let controller = controller(broker.port, Version::V5).await;
    let fleet = fleet(&gateway, 2).await;
    assert!(controller.wait_for_agents(2, PATIENCE).await, "agents did not onboard: {}", setup.log());
    let agent = fleet.device_ids()[0].endpoint_id();
    assert!(value(&controller, &agent, SSID).await.is_ok());
    // Without a certificate the broker lets nobody in, and the log says so.
    let stranger = Setup::new(0, &tables(""));
    let other = stranger.start();
    let strangers = super::usp::fleet(&other, 1).await;
    until_logged(&stranger, "mqtt connection could not be made").await;
    strangers.stop().await;
    fleet.stop().await;
    controller.stop().await;
    acs.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_reach_a_controller_by_wss_and_trust_only_its_ca() {
    let pki = Pki::new(&["controller"]);
    foreign_ca(&pki.file("foreign"));
    let acs = Acs::start(AcsConfig::default()).await.unwrap();
    let listen = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let tls = Some(pki.server("controller"));
    let mtp = ControllerMtp::WebSocketServer { listen, path: "/usp".into(), tls };
    let endpoint_id = EndpointId::parse(CONTROLLER).unwrap();
    let controller = Controller::start(ControllerConfig { endpoint_id, mtp }).await.unwrap();
    let tables = |ca: &str| {
        format!(
            "[acs]\nurl = \"{}\"\n[[controller]]\nendpoint_id = \"{CONTROLLER}\"\n\
             websocket = {{ url = \"wss://{listen}/usp\", ca = \"{}\", retry_seconds = 0.2 }}\n",
            acs.url(),
            pki.path(ca)
        )
    };
    let setup = Setup::new(0, &tables("ca"));
    let gateway = setup.start();
    let fleet = fleet(&gateway, 2).await;
    assert!(controller.wait_for_agents(2, PATIENCE).await, "agents did not onboard: {}", setup.log());
    let agent = fleet.device_ids()[0].endpoint_id();
    fleet.set(0, SSID, "over wss");
    assert_eq!(value(&controller, &agent, SSID).await.as_deref(), Ok("over wss"));
    let wrong = Setup::new(0, &tables("foreign"));
    let other = wrong.start();
    let strangers = super::usp::fleet(&other, 1).await;
    until_logged(&wrong, "websocket connection could not be made").await;
    assert!(wrong.log().contains("UnknownIssuer"), "the log does not say why: {}", wrong.log());
    strangers.stop().await;
    fleet.stop().await;
    controller.stop().await;
    acs.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acs_is_reached_by_https_and_one_of_another_ca_is_refused_with_the_reason() {
    let pki = Pki::new(&["acs"]);
    foreign_ca(&pki.file("foreign"));
    let acs = Acs::start(AcsConfig { tls: Some(pki.server("acs")), ..AcsConfig::default() }).await.unwrap();
    assert!(acs.url().starts_with("https://"));
    let tables = |ca: &str| format!("[acs]\nurl = \"{}\"\nca = \"{}\"\n", acs.url(), pki.path(ca));
    let setup = Setup::new(0, &tables("ca"));
    let gateway = setup.start();
    let fleet = fleet(&gateway, 1).await;
    let informed = |seen: &[Seen]| seen.iter().any(|it| it.is_inform_with("1 BOOT"));
    assert!(acs.until(&fleet.device_ids()[0].endpoint_id(), PATIENCE, informed).await, "{}", setup.log());
    fleet.stop().await;
    let wrong = Setup::new(0, &tables("foreign"));
    let other = wrong.start();
    let before = acs.cpes();
    let strangers = super::usp::fleet(&other, 1).await;
    until_logged(&wrong, "UnknownIssuer").await;
    let log = wrong.log();
    let line = log.lines().find(|line| line.contains("UnknownIssuer")).unwrap();
    assert!(line.contains("the ACS did not answer") && line.contains("127.0.0.1"), "{line}");
    assert_eq!(acs.cpes(), before, "an ACS of another CA was told of a CPE");
    strangers.stop().await;
    acs.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cpe_needs_its_certificate_where_one_is_required_and_the_acs_is_told_of_it() {
    let pki = Pki::new(&["gateway", "00256D-CPE"]);
    let acs = Acs::start(AcsConfig::default()).await.unwrap();
    let setup = Setup::new(
        0,
        &format!(
            "[cwmp.tls]\ncertificate = \"{}\"\nkey = \"{}\"\nclient_ca = \"{}\"\n\
             client_certificate = \"required\"\n[acs]\nurl = \"{}\"\nclient_cert = true\n",
            pki.path("gateway"),
            pki.path("gateway-key"),
            pki.path("ca"),
            acs.url()
        ),
    );
    let gateway = setup.start();
    let port = gateway.cwmp.port();
    let from = [127, 0, 0, 1];
    assert!(pki.inform(from, port, None, &odd_inform("TLS1")).await.is_err(), "let in without a certificate");
    let (answer, _) = pki.inform(from, port, Some("00256D-CPE"), &odd_inform("TLS2")).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(acs.cpes(), [odd("TLS2")]);
    let seen = acs.seen(&odd("TLS2"));
    let Some(Seen::Inform { headers, .. }) = seen.first() else { panic!("no Inform") };
    let certificates: Vec<_> = headers.iter().filter(|(name, _)| name == "client-cert").collect();
    assert_eq!(certificates.len(), 1, "the CPE's own word was relayed too");
    assert_eq!(certificates[0].1, client_cert(&pki.der("00256D-CPE")));
    assert!(headers.iter().all(|(name, _)| name != "forwarded"), "the ACS is told only what it asked for");
    acs.stop().await;
}

async fn until_logged(setup: &Setup, words: &str) {
    let started = std::time::Instant::now();
    while !setup.log().contains(words) {
        assert!(started.elapsed() < PATIENCE, "no word of {words}: {}", setup.log());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}
