//! One gateway with a controller over each MTP, on a runtime of its own.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use dragoman::app::Gateway;
use dragoman::config::Settings;
use dragoman::conformance::{
    self, FirmwareFile, Mtp, Number, Outcome, Secrets, Setup, SetupConfig, Tag, Tap,
};
use dragoman::identity::EndpointId;
use dragoman::net::TlsServer;
use dragoman::sim::acs::{Acs, AcsConfig};
use dragoman::sim::broker::{Broker, BrokerConfig};
use dragoman::sim::collector::{Collector, CollectorConfig};
use dragoman::sim::controller::{Controller, ControllerConfig, ControllerMtp};
use dragoman::sim::cpe::{Fleet, FleetConfig, Model, image};
use dragoman::sim::files::Files;
use dragoman::transport::mqtt::Version;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::brokers::{AtRabbitMq, free_port};
use super::pki::Pki;

/// What all tests share; it lives as long as the process.
struct World {
    runtime: Handle,
    url: String,
    controllers: [Controller; 3],
    model: Arc<Model>,
    collector: Collector,
    secure_collector: Collector,
    /// With an image that asks for a password.
    files: Files,
    /// Where checks play a broker; the last with TLS.
    taps: Vec<Tap>,
    secure_tap: Tap,
    /// Checks under way: waits are to be the agent's, not those of a busy machine.
    room: Semaphore,
    serial: AtomicU64,
    /// Of the controllers.
    secrets: Option<[Secrets; 3]>,
    _parts: (Gateway, Broker, Acs),
}

static WORLD: LazyLock<World> = LazyLock::new(|| World::start("plain"));

/// One in which contexts have payload security.
static SECURED: LazyLock<World> = LazyLock::new(|| World::start(SECURED_NAME));

/// The checks that need it.
const WITH_SECRETS: &[Number] =
    &[Number(2, 7), Number(2, 8), Number(3, 3), Number(3, 4), Number(3, 5), Number(3, 7), Number(3, 13)];

fn world_of(number: Number) -> &'static World {
    if WITH_SECRETS.contains(&number) { &SECURED } else { &WORLD }
}

/// Conditional checks that the world has all for.
const COMPLETE: &[Number] =
    &[Number(7, 2), Number(9, 3), Number(9, 4), Number(9, 5), Number(9, 6), Number(9, 7)];
/// The image that devices can load.
const IMAGE: &str = "firmware-2.0.bin";
const NEW_VERSION: &str = "2.0.0";
const IMAGE_BYTES: usize = 100_000;
const SECURED_NAME: &str = "secured";
/// How agents are met, and by which controller.
const MTPS: [(Mtp, &str); 3] =
    [(Mtp::Mqtt5, OVER_MQTT), (Mtp::WebSocket, OVER_WEBSOCKET), (Mtp::Stomp, OVER_STOMP)];
const OVER_MQTT: &str = "self::conformance-mqtt";
const OVER_WEBSOCKET: &str = "self::conformance-websocket";
const OVER_STOMP: &str = "self::conformance-stomp";
const PATIENCE: Duration = Duration::from_secs(20);
const QUIET: Duration = Duration::from_millis(1_500);
/// Checks under way at a time.
const AT_ONCE: usize = 24;
const TR_181: &str = include_str!("../../fixtures/models/tr181-small.csv");

impl World {
    fn start(name: &'static str) -> Self {
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
            let world = runtime.block_on(Self::build(runtime.handle().clone(), name));
            sender.send(world).unwrap();
            runtime.block_on(std::future::pending::<()>());
        });
        receiver.recv().expect("the world could not be built")
    }

    async fn build(runtime: Handle, name: &str) -> Self {
        let acs = Acs::start(AcsConfig::default()).await.unwrap();
        let broker = Broker::start(BrokerConfig::default()).await.unwrap();
        let at = broker.address();
        let mqtt = ControllerMtp::Mqtt {
            host: at.ip().to_string(),
            port: at.port(),
            version: Version::V5,
            topic: "usp/controller/conformance".into(),
            login: None,
            agent_topic_prefix: "usp/agent".into(),
            tls: None,
        };
        let mqtt = controller(OVER_MQTT, mqtt).await;
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let websocket = ControllerMtp::WebSocketServer { listen, path: "/usp".into(), tls: None };
        let websocket = controller(OVER_WEBSOCKET, websocket).await;
        let rabbitmq = AtRabbitMq::new(name);
        let stomp = controller(OVER_STOMP, rabbitmq.controller()).await;
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("conformance").join(name);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let pki = (name == SECURED_NAME).then(|| Pki::new(&folder));
        let collector = collector(None).await;
        let secure_collector = collector_with_tls(&folder).await;
        let (taps, secure_tap) = taps(&folder).await;
        let files = Files::start().await.unwrap();
        files.put(IMAGE, image(NEW_VERSION, IMAGE_BYTES));
        files.ask_login(IMAGE);
        let file_port = free_port();
        let text = format!(
            "{}[firmware]\ndirectory = '{}'\nlisten = \"127.0.0.1:{file_port}\"\n\
             url = \"http://127.0.0.1:{file_port}/\"\n[websocket_server]\nlisten = \"127.0.0.1:{}\"\npath = \"/agents/{{endpoint}}\"\n\
             [cwmp]\nlisten = \"127.0.0.1:0\"\n[acs]\nurl = \"{}\"\n[store]\nfile = '{}'\n\
             [device]\npark_seconds = 5\nconnection_request_retry_seconds = [0, 0.2, 0.5, 1, 2]\n\
             [mqtt.main]\nbroker = \"mqtt://{at}\"\nretry_seconds = 0.2\nshared_connections = 2\n\
             [[controller]]\nendpoint_id = \"{OVER_MQTT}\"\n\
             mqtt = {{ broker = \"main\", topic = \"usp/controller/conformance\" }}\n\
             [[controller]]\nendpoint_id = \"{OVER_WEBSOCKET}\"\n\
             websocket = {{ url = \"ws://{}/usp\", retry_seconds = 1 }}\n\
             [[controller]]\nendpoint_id = \"{OVER_STOMP}\"\n{}\n{}{}",
            egress(&folder, [collector.url(), secure_collector.url(), &files.url("")], &taps, &secure_tap),
            folder.join("firmware").display(),
            free_port(),
            acs.url(),
            folder.join("dragoman.db").display(),
            websocket.address().unwrap(),
            rabbitmq.way(),
            rabbitmq.table(),
            pki.as_ref().map(Pki::table).unwrap_or_default(),
        );
        let settings = Settings::parse(&folder.join("dragoman.toml"), &text).unwrap();
        let gateway = Gateway::start(settings).await.unwrap();
        Self {
            runtime,
            url: format!("http://{}/", gateway.cwmp),
            controllers: [mqtt, websocket, stomp],
            model: Arc::new(Model::parse(TR_181).unwrap()),
            collector,
            secure_collector,
            files,
            taps,
            secure_tap,
            room: Semaphore::new(AT_ONCE),
            // At the broker that both share their agents are not to be the same ones.
            serial: AtomicU64::new(if name == SECURED_NAME { 100_001 } else { 1 }),
            secrets: pki.map(|pki| MTPS.map(|(_, it)| pki.secrets(it))),
            _parts: (gateway, broker, acs),
        }
    }

    /// A CPE that has just called for the first time.
    async fn device(&self) -> (Fleet, EndpointId) {
        let mut config = FleetConfig::new(self.url.clone(), Arc::clone(&self.model), 1);
        config.first_serial = self.serial.fetch_add(1, Ordering::Relaxed);
        config.retry_ms = 200;
        config.loads_images = true;
        let fleet = Fleet::start(config).await.unwrap();
        let agent = fleet.device_ids()[0].endpoint_id();
        let started = Instant::now();
        while !self.controllers.iter().all(|it| it.agents().contains(&agent)) {
            assert!(started.elapsed() < PATIENCE, "{agent} did not show up");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        (fleet, agent)
    }

    /// The surroundings of a check over an MTP; the next one's controller is the second one.
    async fn setup(&self, mtp: Mtp, agent: EndpointId) -> Arc<Setup> {
        let place = MTPS.iter().position(|(it, _)| *it == mtp).unwrap();
        let known =
            |place: usize| (self.controllers[place].clone(), EndpointId::parse(MTPS[place].1).unwrap());
        let (controller, endpoint_id) = known(place);
        let config = SetupConfig {
            controller,
            endpoint_id,
            second: Some(known((place + 1) % MTPS.len())),
            agent,
            mtp,
            tap: Some(self.taps[self.serial.fetch_add(1, Ordering::Relaxed) as usize % AT_ONCE].clone()),
            secure_tap: Some(self.secure_tap.clone()),
            agent_host: Some("127.0.0.1".to_owned()),
            agent_tls: None,
            patience: PATIENCE,
            quiet: QUIET,
            may_clear: true,
            may_reboot: true,
            slow: false,
            secrets: self.secrets.as_ref().map(|it| it[place].clone()),
            firmware: Some(FirmwareFile {
                url: self.files.url(IMAGE),
                version: NEW_VERSION.to_owned(),
                size: Some(IMAGE_BYTES as u64),
                credentials: Some(("user".into(), "password".into())),
            }),
            collector: Some(self.collector.clone()),
            secure_collector: Some(self.secure_collector.clone()),
        };
        Arc::new(Setup::learn(config).await.expect("the agent does not say what it supports"))
    }
}

pub async fn collector(tls: Option<TlsServer>) -> Collector {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    Collector::start(CollectorConfig { listen, tls, url: None }).await.unwrap()
}

/// Where agents may report to, and where they may be sent.
fn egress(folder: &Path, collectors: [&str; 3], taps: &[Tap], secure: &Tap) -> String {
    let places = taps.iter().map(|tap| (tap, ""));
    let places = places.chain([(secure, "s")]).flat_map(|(tap, secure)| {
        ["mqtt", "stomp"].map(|scheme| format!("{scheme}{secure}://{}", tap.address()))
    });
    let places = places.chain(collectors.map(str::to_owned));
    let places: Vec<String> = places.map(|place| format!("\"{place}\"")).collect();
    let ca = folder.join("collector-ca.pem");
    format!("[egress]\nallow = [{}]\nca = '{}'\n", places.join(", "), ca.display())
}

/// One whose certificate is signed by a CA that is left in the folder.
async fn collector_with_tls(folder: &Path) -> Collector {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "test CA");
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(folder.join("collector-ca.pem"), issuer.pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let (chain, key_file) = (folder.join("collector.pem"), folder.join("collector-key.pem"));
    std::fs::write(&chain, params.signed_by(&key, &issuer).unwrap().pem()).unwrap();
    std::fs::write(&key_file, key.serialize_pem()).unwrap();
    collector(Some(TlsServer::new(&chain, &key_file, None, false).unwrap())).await
}

/// Places for agents without TLS, and one with it, with the collector's certificate.
async fn taps(folder: &Path) -> (Vec<Tap>, Tap) {
    let (chain, key) = (folder.join("collector.pem"), folder.join("collector-key.pem"));
    let tls = TlsServer::new(&chain, &key, None, false).unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut taps = Vec::new();
    for _ in 0..AT_ONCE {
        taps.push(Tap::bind(any, None).await.unwrap());
    }
    (taps, Tap::bind(any, Some(tls)).await.unwrap())
}

async fn controller(endpoint_id: &str, mtp: ControllerMtp) -> Controller {
    let endpoint_id = EndpointId::parse(endpoint_id).unwrap();
    Controller::start(ControllerConfig { endpoint_id, mtp }).await.unwrap()
}

/// Runs a check over an MTP against a CPE of its own. Only what is conditional may say that it does not apply.
async fn passes(number: Number, mtp: Mtp) -> Result<(), String> {
    let check = conformance::find(number).expect("no such check");
    let world = world_of(number);
    let _room = world.room.acquire().await.unwrap();
    let (fleet, agent) = world.device().await;
    let setup = world.setup(mtp, agent).await;
    let finished = conformance::run(check, &setup).await;
    fleet.stop().await;
    let how = format!("TP-469 {number} over {}, {:.1} s", mtp.name(), finished.took.as_secs_f32());
    match finished.outcome {
        Outcome::Pass => println!("{how}: pass"),
        Outcome::NotApplicable { reason } if check.tapped || COMPLETE.contains(&number) => {
            return Err(format!("{how}: it has what it takes, but {reason}"));
        }
        Outcome::NotApplicable { reason } if check.tag != Tag::Mandatory => println!("{how}: {reason}"),
        Outcome::NotApplicable { reason } => return Err(format!("{how}: it is mandatory, but {reason}")),
        Outcome::Fail { why, exchange } => return Err(format!("{how}: {why}\n{exchange}")),
    }
    Ok(())
}

/// Runs a check over all MTPs. One that is known to fail must do so, lest the list falls behind.
pub async fn check(section: u16, place: u16) {
    let number = Number(section, place);
    let begun = BEGUN.lock().unwrap().remove(&number);
    let begun = begun.unwrap_or_else(|| begin(number));
    let mut failures = Vec::new();
    for check in begun {
        failures.extend(check.await.expect("the check broke").err());
    }
    match KNOWN.iter().find(|(known, _)| *known == number) {
        Some((_, why)) => assert!(!failures.is_empty(), "it passes now; take it out of KNOWN: {why}"),
        None => assert!(failures.is_empty(), "{}", failures.join("\n\n")),
    }
}

type Begun = [JoinHandle<Result<(), String>>; MTPS.len()];

/// Checks wait most of their time. Unless tests are named at the command line all are begun at once, so
/// that they wait together.
static BEGUN: LazyLock<Mutex<HashMap<Number, Begun>>> = LazyLock::new(|| {
    let named = std::env::args().skip(1).any(|argument| !argument.starts_with('-'));
    let all = conformance::all().iter().filter(|check| check.can_run() && !named);
    Mutex::new(all.map(|check| (check.number, begin(check.number))).collect())
});

fn begin(number: Number) -> Begun {
    MTPS.map(|(mtp, _)| world_of(number).runtime.spawn(passes(number, mtp)))
}

/// What the agent is known to lack.
const KNOWN: &[(Number, &str)] = &[];
