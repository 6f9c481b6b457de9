//! Session contexts through the program and a real broker: segments of a large answer, payloads under TLS.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dragoman::payload_security::Keyring;
use dragoman::sim::acs::{Acs, AcsConfig};
use dragoman::sim::controller::{SessionConfig, requests};
use dragoman::transport::mqtt::Version;
use dragoman::usp::message::Response;
use dragoman::usp::record::session::Policy;
use dragoman::usp::record::{Payload, PayloadSecurity};
use rcgen::string::Ia5String;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};

use super::gateway::{CONTROLLER, Setup, acs_and_mqtt};
use super::mosquitto::{Mosquitto, folder};
use super::usp::{PATIENCE, SSID, controller, fleet, value};

const E2E: &str = "Device.LocalAgent.Controller.1.E2ESession.";

#[tokio::test(flavor = "multi_thread")]
async fn segmentation_a_large_get_resp_reaches_a_controller_that_takes_small_records_only() {
    let broker = Mosquitto::start();
    let acs = Acs::start(AcsConfig::default()).await.unwrap();
    let setup = Setup::new(0, &acs_and_mqtt(&acs.url(), broker.port, ""));
    let gateway = setup.start();
    let controller = controller(broker.port, Version::V5).await;
    let fleet = fleet(&gateway, 2).await;
    assert!(controller.wait_for_agents(2, PATIENCE).await, "agents did not onboard");
    let agent = fleet.device_ids()[0].endpoint_id();
    let whole = controller.request(&agent, requests::get(&["Device."], 0), PATIENCE).await.unwrap();
    controller.use_sessions(SessionConfig::default());
    let limit = requests::set(&[(&format!("{E2E}MaxUSPRecordSize"), "1024")], false);
    controller.request(&agent, limit, PATIENCE).await.unwrap();
    let answer = controller.request(&agent, requests::get(&["Device."], 0), PATIENCE).await.unwrap();
    let objects = |response: &Response| {
        let Response::GetResp(resp) = response else { panic!("no GetResp") };
        resp.req_path_results[0].resolved_path_results.len()
    };
    assert!(objects(&answer) >= objects(&whole) && objects(&whole) > 5);
    let seen = controller.session_statistics();
    assert!(seen.records > 5 && seen.largest <= 1_024, "{seen:?}");
    // The device comes and goes as it likes; the session stays.
    fleet.set(0, SSID, "changed");
    assert_eq!(value(&controller, &agent, SSID).await.as_deref(), Ok("changed"));
    assert_eq!(value(&controller, &agent, &format!("{E2E}Status")).await.as_deref(), Ok("Up"));
    // Another agent has a session of its own.
    let other = fleet.device_ids()[1].endpoint_id();
    assert!(value(&controller, &other, SSID).await.is_ok());
    fleet.stop().await;
    controller.stop().await;
    acs.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r_mtp_8_who_is_refused_a_session_hears_a_connect_record_before_anything_else() {
    for sharing in ["", "shared_connections = 1"] {
        let broker = Mosquitto::start();
        let acs = Acs::start(AcsConfig::default()).await.unwrap();
        let setup = Setup::new(0, &acs_and_mqtt(&acs.url(), broker.port, sharing));
        let gateway = setup.start();
        let controller = controller(broker.port, Version::V5).await;
        let fleet = fleet(&gateway, 1).await;
        assert!(controller.wait_for_agents(1, PATIENCE).await, "the agent did not onboard");
        let agent = fleet.device_ids()[0].endpoint_id();
        let forbid = requests::set(&[(&format!("{E2E}SessionMode"), "Forbid")], false);
        controller.request(&agent, forbid, PATIENCE).await.unwrap();
        controller.use_sessions(SessionConfig::default());
        let mut arrivals = controller.arrivals();
        let asked = requests::get(&[SSID], 0);
        let hearing = async {
            let mut heard = Vec::new();
            while heard.len() < 2 {
                let record = arrivals.recv().await.unwrap().record;
                if record.from_id == agent.as_str() {
                    heard.push(record.payload);
                }
            }
            heard
        };
        let asking = controller.request(&agent, asked, PATIENCE);
        let heard = tokio::select! {
            heard = hearing => heard,
            answer = asking => panic!("{answer:?}"),
        };
        assert!(matches!(heard[0], Payload::Disconnect { reason_code: 7106, .. }), "{heard:?}");
        assert!(matches!(heard[1], Payload::MqttConnect { .. }), "{heard:?}");
        fleet.stop().await;
        controller.stop().await;
        acs.stop().await;
    }
}

/// A CA for endpoints.
pub fn issuer() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "USP CA");
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Writes a CA, and the certificate and key of an endpoint, to files.
pub fn certificate(
    folder: &Path,
    issuer: &CertifiedIssuer<'_, KeyPair>,
    file: &str,
    name: &str,
) -> [PathBuf; 3] {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, file);
    let uri = Ia5String::try_from(format!("urn:bbf:usp:id:{name}")).unwrap();
    params.subject_alt_names.push(SanType::URI(uri));
    let files = ["ca", file, &format!("{file}-key")].map(|name| folder.join(format!("{name}.pem")));
    std::fs::write(&files[0], issuer.pem()).unwrap();
    std::fs::write(&files[1], params.signed_by(&key, issuer).unwrap().pem()).unwrap();
    std::fs::write(&files[2], key.serialize_pem()).unwrap();
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn r_e2e_41_tp_469_3_4_payloads_go_under_tls_through_a_broker_that_need_not_be_trusted() {
    let folder = folder("usp-pki");
    let issuer = issuer();
    let broker = Mosquitto::start();
    let acs = Acs::start(AcsConfig::default()).await.unwrap();
    // The agents are known by the OUI of their CPEs.
    let oui = "ops::00256D-*";
    let [ca, chain, key] = certificate(&folder, &issuer, "agents", oui);
    let tables = format!(
        "{}[payload_security]\nca = \"{}\"\ncertificate = \"{}\"\nkey = \"{}\"\n",
        acs_and_mqtt(&acs.url(), broker.port, ""),
        ca.display(),
        chain.display(),
        key.display()
    );
    let setup = Setup::new(0, &tables);
    let gateway = setup.start();
    let controller = controller(broker.port, Version::V5).await;
    let fleet = fleet(&gateway, 1).await;
    assert!(controller.wait_for_agents(1, PATIENCE).await, "agents did not onboard");
    let agent = fleet.device_ids()[0].endpoint_id();
    assert!(agent.as_str().starts_with(oui.trim_end_matches('*')), "{agent}");
    let [ca, chain, key] = certificate(&folder, &issuer, "controller", CONTROLLER);
    let keyring = Some(Arc::new(Keyring::load(&ca, &chain, &key, false).unwrap()));
    let policy = Policy { security: PayloadSecurity::Tls12, ..Policy::default() };
    controller.use_sessions(SessionConfig { policy, keyring });
    fleet.set(0, SSID, "secret");
    assert_eq!(value(&controller, &agent, SSID).await.as_deref(), Ok("secret"), "{}", setup.log());
    let set = requests::set(&[(SSID, "told in secret")], false);
    controller.request(&agent, set, PATIENCE).await.unwrap();
    assert_eq!(fleet.value(0, SSID).as_deref(), Some("told in secret"));
    let seen = controller.session_statistics();
    assert!(seen.secured == seen.records && seen.sealed >= 2, "{seen:?}");
    fleet.stop().await;
    controller.stop().await;
    acs.stop().await;
    std::fs::remove_dir_all(folder).unwrap();
}
