//! Agents that prove who they are by certificates of their own, and controllers that must.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dragoman::identity::EndpointId;
use dragoman::net::{Stream, TlsClient, TlsServer};
use dragoman::payload_security::Keyring;
use dragoman::sim::acs::{Acs, AcsConfig};
use dragoman::sim::controller::{Controller, ControllerConfig, ControllerMtp, SessionConfig, requests};
use dragoman::transport::mqtt::Version;
use dragoman::usp::message::Message;
use dragoman::usp::record::session::Policy;
use dragoman::usp::record::{Payload, PayloadSecurity, Record};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use super::gateway::{CONTROLLER, Setup, acs_and_mqtt};
use super::mosquitto::{Mosquitto, folder, free_port};
use super::own_ways::becomes;
use super::pki::Pki;
use super::usp::{PATIENCE, SSID, controller, fleet, value};

/// The CA of the gateway's own, which is there once it has started.
fn agents_ca(setup: &Setup) -> PathBuf {
    setup.folder.join("dragoman.db.agents-ca.pem")
}

/// A broker that takes agents by their certificates, on `port`, and lets each hear its own topic alone; on its
/// other port it takes anybody.
fn careful_broker(setup: &Setup, pki: &Pki, port: u16) -> Mosquitto {
    let rights = setup.folder.join("rights");
    let lines = "topic readwrite #\n\
                 pattern readwrite usp/agent/%u\npattern readwrite usp/agent/%u/#\n\
                 pattern write usp/controller/#\n";
    std::fs::write(&rights, lines).unwrap();
    Mosquitto::with(&format!(
        "acl_file {}\nlistener {port} 127.0.0.1\ncafile {}\ncertfile {}\nkeyfile {}\nrequire_certificate true\n\
         use_identity_as_username true\n",
        rights.display(),
        agents_ca(setup).display(),
        pki.path("broker"),
        pki.path("broker-key")
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn r_sec_10_tp469_4_1_each_agent_shows_a_broker_the_certificate_that_names_it() {
    let pki = Pki::new(&["broker"]);
    let acs = Acs::start(AcsConfig::default()).await.unwrap();
    let port = free_port();
    let tables = format!(
        "[agent_certificates]\n[acs]\nurl = \"{}\"\n[mqtt.main]\nbroker = \"mqtts://127.0.0.1:{port}\"\n\
         ca = \"{}\"\nretry_seconds = 0.2\n[[controller]]\nendpoint_id = \"{CONTROLLER}\"\n\
         mqtt = {{ broker = \"main\", topic = \"usp/controller/test\" }}\n",
        acs.url(),
        pki.path("ca")
    );
    let setup = Setup::new(0, &tables);
    let gateway = setup.start();
    let broker = careful_broker(&setup, &pki, port);
    let controller = controller(broker.port, Version::V5).await;
    let fleet = fleet(&gateway, 2).await;
    assert!(controller.wait_for_agents(2, PATIENCE).await, "agents did not onboard: {}", setup.log());
    for device in fleet.device_ids() {
        assert!(value(&controller, &device.endpoint_id(), SSID).await.is_ok(), "{}", setup.log());
    }
    // The CA is the same after a restart, so that the broker need not be told anything.
    gateway.kill();
    let before = std::fs::read(agents_ca(&setup)).unwrap();
    let gateway = setup.start();
    assert_eq!(std::fs::read(agents_ca(&setup)).unwrap(), before);
    let agent = fleet.device_ids()[0].endpoint_id();
    becomes(&controller, &agent, "Device.MQTT.Client.1.Status", "Connected").await;
    assert_eq!(gateway.terminate(), Some(0));
    fleet.stop().await;
    controller.stop().await;
    acs.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tp469_4_1_a_way_that_a_controller_leads_to_tls_shows_the_agents_certificate() {
    let pki = Pki::new(&["broker"]);
    let acs = Acs::start(AcsConfig::default()).await.unwrap();
    let (plain, secure) = (Mosquitto::start(), free_port());
    let tables = format!(
        "[agent_certificates]\n[egress]\nallow = [\"mqtts://127.0.0.1:{secure}\"]\nca = \"{}\"\n{}",
        pki.path("ca"),
        acs_and_mqtt(&acs.url(), plain.port, "")
    );
    let setup = Setup::new(0, &tables);
    let gateway = setup.start();
    let careful = careful_broker(&setup, &pki, secure);
    let first = controller(plain.port, Version::V5).await;
    let fleet = fleet(&gateway, 2).await;
    assert!(first.wait_for_agents(2, PATIENCE).await, "agents did not onboard: {}", setup.log());
    let agent = fleet.device_ids()[0].endpoint_id();
    let port = secure.to_string();
    let client = "Device.MQTT.Client.1.";
    let (at, by) = (format!("{client}BrokerPort"), format!("{client}TransportProtocol"));
    let set = requests::set(&[(&at, port.as_str()), (&by, "TLS")], false);
    first.request(&agent, set, PATIENCE).await.unwrap();
    let moved = controller(careful.port, Version::V5).await;
    becomes(&moved, &agent, &format!("{client}Status"), "Connected").await;
    assert!(value(&moved, &agent, SSID).await.is_ok(), "{}", setup.log());
    let other = fleet.device_ids()[1].endpoint_id();
    assert!(value(&first, &other, SSID).await.is_ok(), "an agent that nobody changed");
    // By what it has of its own, not by what it had in memory.
    fleet.stop().await;
    gateway.kill();
    let gateway = setup.start();
    becomes(&moved, &agent, &at, &port).await;
    assert_eq!(gateway.terminate(), Some(0));
    first.stop().await;
    moved.stop().await;
    acs.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r_ws_9_a_controller_that_asks_for_certificates_by_wss_gets_each_agents_own() {
    let pki = Pki::new(&["controller"]);
    let acs = Acs::start(AcsConfig::default()).await.unwrap();
    let listen = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let setup = Setup::new(
        0,
        &format!(
            "[agent_certificates]\n[acs]\nurl = \"{}\"\n[[controller]]\nendpoint_id = \"{CONTROLLER}\"\n\
             websocket = {{ url = \"wss://{listen}/usp\", ca = \"{}\", retry_seconds = 0.1 }}\n",
            acs.url(),
            pki.path("ca")
        ),
    );
    let gateway = setup.start();
    let (chain, key) = (pki.file("controller"), pki.file("controller-key"));
    let tls = Some(TlsServer::new(&chain, &key, Some(&agents_ca(&setup)), true).unwrap());
    let mtp = ControllerMtp::WebSocketServer { listen, path: "/usp".into(), tls };
    let endpoint_id = EndpointId::parse(CONTROLLER).unwrap();
    let controller = Controller::start(ControllerConfig { endpoint_id, mtp }).await.unwrap();
    let fleet = fleet(&gateway, 2).await;
    assert!(controller.wait_for_agents(2, PATIENCE).await, "agents did not onboard: {}", setup.log());
    assert!(value(&controller, &fleet.device_ids()[1].endpoint_id(), SSID).await.is_ok());
    fleet.stop().await;
    controller.stop().await;
    acs.stop().await;
}

/// The keyring of the controller: who it is, and whom it trusts.
fn keyring(folder: &std::path::Path, name: &str, ca: &std::path::Path) -> Option<Arc<Keyring>> {
    let (chain, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}-key.pem")));
    Some(Arc::new(Keyring::load(ca, &chain, &key, false).unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
async fn r_sec_4_r_e2e_43_payload_security_goes_by_each_agents_certificate_and_by_the_controllers_rows() {
    let (folder, issuer) = (folder("usp-pki"), super::sessions::issuer());
    let [ca, mine, _] = super::sessions::certificate(&folder, &issuer, "mine", CONTROLLER);
    super::sessions::certificate(&folder, &issuer, "other", CONTROLLER);
    let broker = Mosquitto::start();
    let acs = Acs::start(AcsConfig::default()).await.unwrap();
    let tables = format!(
        "{}[agent_certificates]\n[payload_security]\nca = \"{}\"\n[[credential]]\ncertificate = \"{}\"\n\
         role = \"read-only\"\n",
        acs_and_mqtt(&acs.url(), broker.port, ""),
        ca.display(),
        ca.display()
    );
    let setup = Setup::new(0, &tables);
    let gateway = setup.start();
    let controller = controller(broker.port, Version::V5).await;
    let fleet = fleet(&gateway, 1).await;
    assert!(controller.wait_for_agents(1, PATIENCE).await, "agents did not onboard: {}", setup.log());
    let agent = fleet.device_ids()[0].endpoint_id();
    let security = || Policy { security: PayloadSecurity::Tls12, ..Policy::default() };
    let speak_as = |name: &str| {
        let keyring = keyring(&folder, name, &agents_ca(&setup));
        controller.use_sessions(SessionConfig { policy: security(), keyring });
    };
    let inherited = "Device.LocalAgent.Controller.1.InheritedRole";
    assert_eq!(value(&controller, &agent, inherited).await.as_deref(), Ok(""), "by a broker's word");
    speak_as("mine");
    fleet.set(0, SSID, "secret");
    assert_eq!(value(&controller, &agent, SSID).await.as_deref(), Ok("secret"), "{}", setup.log());
    let role = "Device.LocalAgent.ControllerTrust.Role.2";
    assert_eq!(value(&controller, &agent, inherited).await.as_deref(), Ok(role));
    // From now on it must be this certificate, wherever one is shown.
    let pem = std::fs::read_to_string(mine).unwrap();
    let row = "Device.LocalAgent.Controller.1.";
    let add = requests::operate(&format!("{row}AddMyCertificate()"), "", &[("Certificate", &pem)]);
    controller.request(&agent, add, PATIENCE).await.unwrap();
    let kept = value(&controller, &agent, &format!("{row}Credential")).await;
    assert_eq!(kept.as_deref(), Ok("Device.LocalAgent.Certificate.101"));
    speak_as("other");
    let answer = controller.request(&agent, requests::get(&[SSID], 0), Duration::from_secs(3)).await;
    assert!(answer.is_err(), "another certificate than that of its row is taken");
    let started = Instant::now();
    while !setup.log().contains("another certificate than those of its row") {
        assert!(started.elapsed() < PATIENCE, "the log does not say why: {}", setup.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    speak_as("mine");
    becomes(&controller, &agent, SSID, "secret").await;
    fleet.stop().await;
    controller.stop().await;
    acs.stop().await;
    std::fs::remove_dir_all(folder).unwrap();
}

/// A controller that comes to an agent by WebSocket with the certificate of `name`, and asks for what its row
/// says of roles.
async fn come(folder: &std::path::Path, port: u16, agent: &EndpointId, name: &str) -> Result<String, String> {
    let file = |name: &str| folder.join(format!("{name}.pem"));
    let (chain, key) = (file(name), file(&format!("{name}-key")));
    let tls = TlsClient::new(&file("ca"), Some((&chain, &key))).unwrap();
    let stream =
        Stream::connect("127.0.0.1", port, Some(&tls), PATIENCE).await.map_err(|it| it.to_string())?;
    let target = agent.as_str().replace('%', "%25");
    let mut request =
        format!("wss://127.0.0.1:{port}/usp/{target}?eid={CONTROLLER}").into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "v1.usp".parse().unwrap());
    let opened = tokio_tungstenite::client_async(request, stream).await;
    let (mut socket, _) = opened.map_err(|error| error.to_string())?;
    let us = EndpointId::parse(CONTROLLER).unwrap();
    let get = requests::get(&["Device.LocalAgent.Controller.1.InheritedRole"], 0);
    let message = Message::request("roles", get).encode();
    let record = Record::plain(&us, agent, message).encode();
    socket.send(Frame::Binary(record)).await.map_err(|error| error.to_string())?;
    let answered = async {
        loop {
            let frame = socket.next().await.ok_or("it is closed")?.map_err(|error| error.to_string())?;
            let Frame::Binary(bytes) = frame else { continue };
            let Payload::NoSession(payload) = Record::decode(bytes).unwrap().payload else { continue };
            let message = Message::decode(payload).unwrap();
            if message.msg_id == "roles" {
                return Ok(format!("{:?}", message.body));
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(5), answered)
        .await
        .map_err(|_| "there is no answer".to_owned())?
}

#[tokio::test(flavor = "multi_thread")]
async fn r_sec_4_r_sec_25_a_controller_that_comes_by_websocket_has_the_roles_of_its_ca_and_no_others() {
    let (folder, issuer, port) = (folder("usp-pki"), super::sessions::issuer(), free_port());
    let stranger = super::sessions::issuer();
    for within in ["stranger", "server"] {
        std::fs::create_dir_all(folder.join(within)).unwrap();
    }
    let [ca, mine, _] = super::sessions::certificate(&folder, &issuer, "mine", CONTROLLER);
    super::sessions::certificate(&folder, &issuer, "other", CONTROLLER);
    super::sessions::certificate(&folder, &issuer, "somebody", "self::somebody");
    let [_, chain, key] =
        super::sessions::certificate(&folder.join("stranger"), &stranger, "unknown", CONTROLLER);
    std::fs::copy(chain, folder.join("unknown.pem")).unwrap();
    std::fs::copy(key, folder.join("unknown-key.pem")).unwrap();
    let pki = Pki::within(folder.join("server"), &["gateway"]);
    let (broker, acs) = (Mosquitto::start(), Acs::start(AcsConfig::default()).await.unwrap());
    // The server's CA is another than that of controllers; a client looks into one file.
    let trusted = std::fs::read_to_string(&ca).unwrap() + &std::fs::read_to_string(pki.file("ca")).unwrap();
    std::fs::write(folder.join("clients.pem"), std::fs::read(&ca).unwrap()).unwrap();
    std::fs::write(&ca, trusted).unwrap();
    let tables = format!(
        "{}role = []\ncertificates = ['{}']\n[[credential]]\ncertificate = '{}'\nrole = 'read-only'\n\
         [websocket_server]\nlisten = '127.0.0.1:{port}'\n[websocket_server.tls]\ncertificate = '{}'\n\
         key = '{}'\nclient_ca = '{}'\nclient_certificate = 'required'\n",
        acs_and_mqtt(&acs.url(), broker.port, ""),
        mine.display(),
        folder.join("clients.pem").display(),
        pki.path("gateway"),
        pki.path("gateway-key"),
        folder.join("clients.pem").display()
    );
    let setup = Setup::new(0, &tables);
    let gateway = setup.start();
    let fleet = fleet(&gateway, 1).await;
    let agent = fleet.device_ids()[0].endpoint_id();
    let started = Instant::now();
    let answer = loop {
        match come(&folder, port, &agent, "mine").await {
            Ok(answer) => break answer,
            Err(why) => assert!(started.elapsed() < PATIENCE, "{why}: {}", setup.log()),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(answer.contains("Device.LocalAgent.ControllerTrust.Role.2"), "{answer}");
    // Of the same CA, but not the one that is named; of somebody else; of a CA that nobody knows.
    assert_eq!(come(&folder, port, &agent, "other").await.err().as_deref(), Some("there is no answer"));
    assert!(come(&folder, port, &agent, "somebody").await.unwrap_err().contains("403"));
    assert!(come(&folder, port, &agent, "unknown").await.is_err());
    fleet.stop().await;
    acs.stop().await;
    drop(pki);
    std::fs::remove_dir_all(folder).unwrap();
}
