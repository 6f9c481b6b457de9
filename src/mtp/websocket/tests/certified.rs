//! The listener, and agents that go to controllers, with controllers that prove who they are by certificates.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::SinkExt as _;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::sync::CancellationToken;

use super::super::*;
use crate::identity::EndpointId;
use crate::mtp::AgentSide;
use crate::net::{Anchors, HttpUrl, Stream, TlsClient, TlsServer};
use crate::observe::Metrics;
use crate::sim::controller::{Controller, ControllerConfig, ControllerMtp};
use crate::usp::record::Record;
use crate::usp::{Certificate, Shown};

type Issuer = CertifiedIssuer<'static, KeyPair>;

#[derive(Default)]
struct Side(Mutex<Vec<Shown>>);

impl AgentSide for Side {
    fn record(&self, _: &EndpointId, _: Bytes, shown: Shown) {
        self.0.lock().unwrap().push(shown);
    }

    fn connected(&self, _: &EndpointId, _: &EndpointId) {}

    fn knows(&self, _: &EndpointId) -> bool {
        true
    }

    fn changed(&self, _: &EndpointId) {}
}

/// A listener whose CA has a CA below it, and another CA beside it.
struct World {
    folder: PathBuf,
    root: Issuer,
    between: Issuer,
    other: Issuer,
    side: Arc<Side>,
    address: std::net::SocketAddr,
    stop: CancellationToken,
}

fn ca(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn key() -> KeyPair {
    KeyPair::generate().unwrap()
}

fn der(pem: &str) -> Bytes {
    Certificate::from_pem(pem).unwrap().der().clone()
}

impl World {
    async fn new(required: bool) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("dragoman-listener-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let root = CertifiedIssuer::self_signed(ca("root"), key()).unwrap();
        let between = CertifiedIssuer::signed_by(ca("between"), key(), &root).unwrap();
        let other = CertifiedIssuer::self_signed(ca("other"), key()).unwrap();
        let file = |name: &str| folder.join(name);
        std::fs::write(file("root"), other.pem() + &root.pem()).unwrap();
        let server = key();
        let certificate =
            CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&server, &root).unwrap();
        std::fs::write(file("server"), certificate.pem()).unwrap();
        std::fs::write(file("server-key"), server.serialize_pem()).unwrap();
        let tls = TlsServer::new(&file("server"), &file("server-key"), Some(&file("root")), required);
        let config = ListenerConfig {
            listen: std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into(),
            tls: Some(tls.unwrap()),
            anchors: Some(Anchors::load(&file("root")).unwrap()),
            unauthenticated: !required,
            path: ("/usp/".into(), String::new()),
            ping: Duration::from_secs(60),
            max_connections: 8,
        };
        let (side, stop) = (Arc::new(Side::default()), CancellationToken::new());
        let opened = Listener::open(config, side.clone(), Arc::new(Metrics::default()), stop.clone());
        let (_, address) = opened.await.unwrap();
        Self { folder, root, between, other, side, address, stop }
    }

    /// Comes as `eid`, with the certificate of `name` that `issuer` signed, and `more` behind it.
    async fn visit(&self, eid: &str, shows: Option<(&str, &Issuer, &[&Issuer])>) -> Result<Shown, u16> {
        let file = |name: &str| self.folder.join(name);
        if let Some((name, issuer, more)) = shows {
            let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
            let uri = format!("urn:bbf:usp:id:{name}");
            params.subject_alt_names.push(SanType::URI(uri.as_str().try_into().unwrap()));
            let own = key();
            let pem = params.signed_by(&own, issuer).unwrap().pem();
            let chain = more.iter().fold(pem, |all, issuer| all + &issuer.pem());
            std::fs::write(file("own"), chain).unwrap();
            std::fs::write(file("own-key"), own.serialize_pem()).unwrap();
        }
        let (own, own_key) = (file("own"), file("own-key"));
        let identity = shows.is_some().then_some((own.as_path(), own_key.as_path()));
        let client = TlsClient::new(&file("root"), identity).unwrap();
        let port = self.address.port();
        let stream = Stream::connect("127.0.0.1", port, Some(&client), PATIENCE).await.map_err(|_| 0_u16)?;
        let uri = format!("wss://127.0.0.1:{port}/usp/os::00256D-1?eid={eid}");
        let mut request = uri.into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "v1.usp".parse().unwrap());
        let mut peer = match tokio_tungstenite::client_async(request, stream).await {
            Ok((peer, _)) => peer,
            Err(Error::Http(response)) => return Err(response.status().as_u16()),
            Err(_) => return Err(0),
        };
        let (from, to) = (EndpointId::parse(eid).unwrap(), EndpointId::parse("os::00256D-1").unwrap());
        let record = Record::plain(&from, &to, Bytes::from_static(b"message")).encode();
        peer.send(Message::Binary(record)).await.unwrap();
        let heard = async {
            loop {
                if let Some(shown) = self.side.0.lock().unwrap().pop() {
                    return shown;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        Ok(tokio::time::timeout(PATIENCE, heard).await.expect("the agent hears nothing"))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

const PATIENCE: Duration = Duration::from_secs(10);
const CONTROLLER: &str = "self::ctl";

#[tokio::test]
async fn r_sec_10a_r_sec_25_records_come_with_the_path_that_was_verified_and_nothing_beside_it() {
    let world = World::new(true).await;
    let (root, between, other) = (&world.root, &world.between, &world.other);
    let shown = world.visit(CONTROLLER, Some((CONTROLLER, between, &[other, between]))).await.unwrap();
    let Shown::Path(path) = shown else { panic!("{shown:?}") };
    // What is sent along without being needed would give the roles of a CA that vouches for nothing.
    assert_eq!(path[1..], [der(&between.pem()), der(&root.pem())]);
    assert!(Certificate::from_der(&path[0]).unwrap().is_of(CONTROLLER));
    let shown = world.visit(CONTROLLER, Some((CONTROLLER, other, &[root]))).await.unwrap();
    let Shown::Path(path) = shown else { panic!("{shown:?}") };
    assert_eq!(path[1..], [der(&other.pem())]);
    // The certificate is somebody's, but not that controller's.
    let somebody = world.visit(CONTROLLER, Some(("self::other", root, &[]))).await;
    assert_eq!(somebody, Err(403));
    let unknown = CertifiedIssuer::self_signed(ca("root"), key()).unwrap();
    assert_eq!(world.visit(CONTROLLER, Some((CONTROLLER, &unknown, &[]))).await, Err(0));
    assert_eq!(world.visit(CONTROLLER, None).await, Err(0), "a certificate is required");
}

#[tokio::test]
async fn where_certificates_are_optional_a_controller_without_one_has_shown_none() {
    let world = World::new(false).await;
    assert_eq!(world.visit(CONTROLLER, None).await, Ok(Shown::Nothing));
    assert_eq!(world.visit(CONTROLLER, Some(("self::other", &world.root, &[]))).await, Err(403));
}

impl World {
    /// Goes to a controller whose certificate is the host's and has these names besides; `pinned` is whether it must
    /// show that one, or another. `None` if the agent does not speak with it.
    async fn go(&self, names: &[&str], pinned: Option<bool>) -> Option<Shown> {
        let file = |name: &str| self.folder.join(name);
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        for name in names {
            let uri = format!("urn:bbf:usp:id:{name}");
            params.subject_alt_names.push(SanType::URI(uri.as_str().try_into().unwrap()));
        }
        let own = key();
        let pem = params.signed_by(&own, &self.between).unwrap().pem();
        std::fs::write(file("own"), pem.clone() + &self.between.pem()).unwrap();
        std::fs::write(file("own-key"), own.serialize_pem()).unwrap();
        let (us, agent) =
            (EndpointId::parse(CONTROLLER).unwrap(), EndpointId::parse("os::00256D-1").unwrap());
        let mtp = ControllerMtp::WebSocketServer {
            listen: std::net::SocketAddr::from(([127, 0, 0, 1], 0)),
            path: "/usp".into(),
            tls: Some(TlsServer::new(&file("own"), &file("own-key"), None, false).unwrap()),
        };
        let controller = Controller::start(ControllerConfig { endpoint_id: us.clone(), mtp }).await.unwrap();
        let address = controller.address().unwrap();
        let config = WebSocketConfig {
            controller: us.clone(),
            url: HttpUrl::parse_ws(&format!("wss://{address}/usp")).unwrap(),
            tls: Some(TlsClient::new(&file("root"), None).unwrap()),
            ping: PATIENCE,
            retry_ms: (50, 50),
            retry_multiplier: 1_000,
            must_show: pinned.map(|own| vec![der(&if own { pem } else { self.root.pem() })]),
        };
        let (side, metrics) = (self.side.clone(), Arc::new(Metrics::default()));
        let link = WebSocketLink::start(&agent, Arc::new(config), side, metrics, &self.stop);
        let tried = async {
            while !link.is_up() && link.state().phase != crate::agent::Phase::Refused {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, tried).await.expect("the agent does not come");
        let is_up = link.is_up();
        while is_up && !controller.agents().contains(&agent) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Who else speaks on the connection is not heard.
        for from in [EndpointId::parse("self::other").unwrap(), us] {
            controller
                .send_raw(&agent, Record::plain(&from, &agent, Bytes::from_static(b"message")).encode())
                .await;
        }
        let heard = async {
            while is_up && self.side.0.lock().unwrap().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, heard).await.expect("the agent hears nothing");
        link.stop();
        controller.stop().await;
        let heard = std::mem::take(&mut *self.side.0.lock().unwrap());
        assert_eq!(heard.len(), usize::from(is_up));
        heard.into_iter().next()
    }
}

#[tokio::test]
async fn r_sec_0a_r_sec_4_an_agent_sees_whose_certificate_it_is_at_the_controller_that_it_goes_to() {
    let world = World::new(true).await;
    let Some(Shown::Path(path)) = world.go(&[CONTROLLER], None).await else { panic!("nothing is shown") };
    assert_eq!(path[1..], [der(&world.between.pem()), der(&world.root.pem())]);
    assert!(Certificate::from_der(&path[0]).unwrap().is_of(CONTROLLER));
    // A host's: it can be one of those that the controller must show, and gives no roles.
    let Some(Shown::Path(path)) = world.go(&[], Some(true)).await else { panic!("nothing is shown") };
    assert_eq!(path.len(), 1);
    assert_eq!(world.go(&[CONTROLLER], Some(false)).await, None, "it is not the one of its row");
    assert_eq!(world.go(&["self::other"], None).await, None, "it is another endpoint's");
}
