//! What a device at rest costs in memory: ten thousand simulated CPEs are brought in by CWMP sessions and
//! discovered, their agents meet a controller at mosquitto, and then nothing happens. The gateway's resident
//! memory before and after, over shared connections and with a connection for each agent.

#![expect(clippy::expect_used, reason = "a measurement that cannot be made must fail loudly")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use dragoman::identity::EndpointId;
use dragoman::sim::controller::{Controller, ControllerConfig, ControllerMtp};
use dragoman::sim::cpe::{Fleet, FleetConfig, Model};
use dragoman::transport::mqtt::Version;

mod support {
    pub mod broker;
    pub mod gateway;
    pub mod machine;
    pub mod metrics;
    pub mod process;
    pub mod table;
}
use support::broker::Mosquitto;
use support::gateway::Gateway;
use support::process::Folder;
use support::table::Row;
use support::{machine, metrics, table};

fn main() {
    machine::heading("resident memory of the gateway per device at rest", "cargo bench --bench memory");
    println!("devices  {DEVICES}, of {} parameters, onboarded by sessions of their own", parameters());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let shared = runtime.block_on(measure("shared", "shared_connections = 4\n", 4));
    let own = runtime.block_on(measure("own", "", DEVICES as u64));
    let row = |what: &str, (each, base): (f64, f64), goal: f64| Row {
        what: what.into(),
        ours: format!("{each:.1} KiB"),
        theirs: format!("{:.1} MiB", base / 1_024.0),
        ratio: Some(each / goal),
        wanted: 0.0..1.0,
    };
    let rows = [
        row("shared connections, after onboarding / 4 KiB", shared.onboarded, 4.0),
        row("shared connections, started with them / 4 KiB", shared.restarted, 4.0),
        row("a connection each, after onboarding / 24 KiB", own.onboarded, 24.0),
        row("a connection each, started with them / 24 KiB", own.restarted, 24.0),
    ];
    table::print("per device", "without any", &rows);
}

/// KiB per device, and of the gateway before there was one.
struct Measured {
    onboarded: (f64, f64),
    restarted: (f64, f64),
}

async fn measure(name: &str, sharing: &str, connections: u64) -> Measured {
    let folder = Folder::new(name);
    let store = folder.0.join("dragoman.db");
    let broker = Mosquitto::start(&folder);
    let controller = Controller::start(ControllerConfig {
        endpoint_id: EndpointId::parse(CONTROLLER).expect("an endpoint"),
        mtp: ControllerMtp::Mqtt {
            host: "127.0.0.1".into(),
            port: broker.port,
            version: Version::V5,
            topic: TOPIC.into(),
            login: None,
            agent_topic_prefix: "usp/agent".into(),
            tls: None,
        },
    });
    let controller = controller.await.expect("a controller at the broker");
    let config = format!(
        "[device]\nrest_after_seconds = 1\n[mqtt.main]\nbroker = \"mqtt://127.0.0.1:{}\"\n{sharing}\
         [[controller]]\nendpoint_id = \"{CONTROLLER}\"\nmqtt = {{ broker = \"main\", topic = \"{TOPIC}\" }}\n\
         [log]\nfilter = \"warn\"\n",
        broker.port
    );
    let gateway = Gateway::start(&folder, &store, &config);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = resident(gateway.process.id());
    let began = Instant::now();
    let fleet = onboard(&gateway, &controller).await;
    let took = began.elapsed().as_secs();
    until_connected(&gateway, connections).await;
    let onboarded = at_rest(&gateway).await;
    let sessions = fleet.statistics();
    println!(
        "counted  {name}: {} sessions well, {} failed, {took} s; {} MTP connections; the broker has {:.0} MiB",
        sessions.sessions_ok,
        sessions.sessions_failed,
        metrics::read(gateway.address("admin"), CONNECTIONS),
        resident(broker.id()) / 1_024.0
    );
    if let Some(why) = &sessions.last_failure {
        println!("last failure: {why} (every CPE came in later)");
    }
    fleet.stop().await;
    drop(gateway);
    let gateway = Gateway::start(&folder, &store, &config);
    until_connected(&gateway, connections).await;
    let restarted = at_rest(&gateway).await;
    controller.stop().await;
    let each = |after: f64| ((after - before) / DEVICES as f64, before);
    Measured { onboarded: each(onboarded), restarted: each(restarted) }
}

/// The fleet calls, is discovered, and every agent has its OnBoardRequest acknowledged.
async fn onboard(gateway: &Gateway, controller: &Controller) -> Fleet {
    let model = Arc::new(Model::parse(MODEL).expect("a data model"));
    let fleet = Fleet::start(FleetConfig {
        // Nobody calls a second time while this runs.
        periodic_ms: Some(86_400_000),
        start_spread_ms: SPREAD_MS,
        ..FleetConfig::new(format!("http://{}/", gateway.address("cwmp")), model, DEVICES)
    });
    let fleet = fleet.await.expect("a fleet");
    assert!(controller.wait_for_agents(DEVICES, PATIENCE).await, "not every agent was onboarded");
    fleet
}

async fn until_connected(gateway: &Gateway, connections: u64) {
    let began = Instant::now();
    while metrics::read(gateway.address("admin"), CONNECTIONS) < connections {
        assert!(began.elapsed() < PATIENCE, "not every connection came up");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// The resident memory once it has stopped moving.
async fn at_rest(gateway: &Gateway) -> f64 {
    let mut last = resident(gateway.process.id());
    for _ in 0..MOST_LOOKS {
        tokio::time::sleep(Duration::from_secs(10)).await;
        let now = resident(gateway.process.id());
        if (now - last).abs() < 0.005 * last {
            return now;
        }
        last = now;
    }
    last
}

/// In KiB.
fn resident(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("a running process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.trim().trim_end_matches(" kB").parse().expect("kilobytes")
}

fn parameters() -> usize {
    MODEL.lines().filter(|line| line.starts_with("Device.") && !line.contains(".,")).count()
}

const DEVICES: usize = 10_000;
const MODEL: &str = include_str!("../fixtures/models/tr181-small.csv");
const CONTROLLER: &str = "self::controller";
const TOPIC: &str = "usp/controller";
const CONNECTIONS: &str = "mtp_connections{protocol=\"mqtt\"}";
/// Over how long the first calls are spread.
const SPREAD_MS: u64 = 30_000;
const PATIENCE: Duration = Duration::from_secs(300);
/// Looks at the memory, ten seconds apart.
const MOST_LOOKS: usize = 6;
