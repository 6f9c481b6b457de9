//! MQTT with mutual TLS: gateway and broker show certificates of one CA.

use std::path::Path;

use dragoman::sim::acs::{Acs, AcsConfig};
use dragoman::transport::mqtt::Version;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use super::gateway::{CONTROLLER, Setup};
use super::mosquitto::{Mosquitto, folder, free_port};
use super::usp::{PATIENCE, SSID, controller, fleet, value};

#[tokio::test(flavor = "multi_thread")]
async fn agents_reach_a_broker_that_asks_for_their_certificate() {
    let folder = folder("pki");
    let file = |name: &str| folder.join(format!("{name}.pem")).display().to_string();
    certificates(&folder);
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
    let started = std::time::Instant::now();
    while !stranger.log().contains("MQTT connection could not be made")
        && !stranger.log().contains("mqtt connection could not be made")
    {
        assert!(started.elapsed() < PATIENCE, "no word of the refusal: {}", stranger.log());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    strangers.stop().await;
    fleet.stop().await;
    controller.stop().await;
    acs.stop().await;
    std::fs::remove_dir_all(folder).unwrap();
}

/// A CA and what it signed, in `ca.pem`, `broker.pem`, `broker-key.pem`, `gateway.pem`, `gateway-key.pem`.
pub fn certificates(folder: &Path) {
    let write = |name: &str, text: String| std::fs::write(folder.join(format!("{name}.pem")), text).unwrap();
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // OpenSSL takes a certificate whose subject is its issuer's for one that signed itself.
    params.distinguished_name.push(DnType::CommonName, "test CA");
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    write("ca", issuer.pem());
    for leaf in ["broker", "gateway"] {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, leaf);
        write(leaf, params.signed_by(&key, &issuer).unwrap().pem());
        write(&format!("{leaf}-key"), key.serialize_pem());
    }
}
