//! What a Get costs that is answered from the shadow of a device at rest: records go into the fleet in this
//! process and answers come out, without a broker. CPU time of the whole process, the store's threads too.

#![expect(clippy::expect_used, reason = "a measurement that cannot be made must fail loudly")]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use dragoman::agent::{AgentConfig, ControllerConfig, ControllerMtp, FULL_ACCESS, LinkKey};
use dragoman::datamodel::supported::{Kind as RowKind, Supported};
use dragoman::datamodel::{Instantiated, Source, Value, WallTime, path};
use dragoman::durable::{Change, Kind};
use dragoman::identity::{DeviceId, EndpointId};
use dragoman::mtp::AgentSide;
use dragoman::observe::Metrics;
use dragoman::proxy::ProxyConfig;
use dragoman::runtime::{
    Alarms, Bypasses, Clock, Firmwares, Fittings, Fleet, FleetConfig, Mtp, Mtps, Routes,
};
use dragoman::store::{Embedded, EmbeddedConfig, Store};
use dragoman::usp::Shown;
use dragoman::usp::message::{self, Message, MessageBody, Request, Response};
use dragoman::usp::record::{Payload, Record};
use tokio::sync::{Semaphore, mpsc};

mod support {
    pub mod machine;
    pub mod own;
}
use support::{machine, own};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let number = |name: &str, default: usize| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (devices, gets) = (number("DEVICES", 10_000), number("GETS", 100_000));
    machine::heading("Gets answered from the shadow, in process", "cargo bench --bench reads");
    println!(
        "devices  {devices} in an embedded store, 500 to 3000 parameters each; {gets} Gets, {WINDOW} at once"
    );
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(measure(devices, gets));
}

async fn measure(devices: usize, gets: usize) {
    let folder = std::env::temp_dir().join(format!("dragoman-reads-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let config = EmbeddedConfig { file: folder.join("state.db"), key_file: None };
    let store = Arc::new(Embedded::open(&config).expect("a store"));
    let models: Vec<Vec<Change>> = (0..MODELS).map(|at| shadow(500 + 2_500 * at / (MODELS - 1))).collect();
    let bytes = |changes: &Vec<Change>| changes.iter().map(size).sum::<usize>();
    let all: Vec<EndpointId> = (0..devices).map(|number| device(number).endpoint_id()).collect();
    let mut on_disk = 0;
    for (number, endpoint) in all.iter().enumerate() {
        let mut changes = vec![entry(number)];
        changes.extend(models[number % MODELS].iter().cloned());
        on_disk += bytes(&changes);
        store.commit(endpoint, changes).await.expect("stored");
    }
    println!("stored   {:.1} KiB per device", on_disk as f64 / devices as f64 / 1_024.0);
    drop(store);
    let store = Arc::new(Embedded::open(&config).expect("a store"));
    let (fleet, mut answers) = fleet(store).await;
    let driver = Driver { fleet, window: Arc::new(Semaphore::new(WINDOW)) };
    let window = Arc::clone(&driver.window);
    let check = tokio::spawn(async move {
        let (mut answered, mut values) = (0_usize, 0_usize);
        while let Some(record) = answers.recv().await {
            window.add_permits(1);
            answered += 1;
            if answered % 1_000 == 1 {
                values += check(record);
            }
        }
        (answered, values)
    });
    let before = own::resident();
    println!("{:<52} {:>12} {:>12}", "", "CPU per Get", "Gets/s");
    driver.run("one parameter, any device", &all, gets, &["Device.WiFi.SSID.1.SSID"]).await;
    let rest = own::resident();
    driver.run("one object, any device", &all, gets, &["Device.WiFi.SSID.2."]).await;
    driver.run("one parameter, one hot device", &all[..1], gets, &["Device.WiFi.SSID.1.SSID"]).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    println!("active   {} tasks when all was answered", driver.fleet.active());
    let grown = rest.saturating_sub(before) as f64 / devices as f64;
    println!("resident {grown:.0} bytes per device more after each was read once or more than before");
    drop(driver);
    let (answered, values) = check.await.expect("answers");
    println!("answers  {answered}, {values} values looked at");
    let _ = std::fs::remove_dir_all(&folder);
}

struct Driver {
    fleet: Fleet<Embedded>,
    window: Arc<Semaphore>,
}

impl Driver {
    async fn run(&self, what: &str, devices: &[EndpointId], gets: usize, paths: &[&str]) {
        let from = EndpointId::parse(CONTROLLER).expect("an endpoint");
        let records: Vec<Bytes> = devices.iter().map(|to| get(&from, to, paths)).collect();
        let mut random = 1_u64;
        let (cpu, clock) = (own::of_process(), Instant::now());
        for _ in 0..gets {
            self.window.acquire().await.expect("open").forget();
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = usize::try_from(random >> 33).expect("a number") % devices.len();
            self.fleet.record(&devices[at], records[at].clone(), Shown::Untold);
        }
        let all = self.window.acquire_many(WINDOW as u32).await.expect("open");
        let (cpu, clock) = (own::of_process() - cpu, clock.elapsed());
        drop(all);
        let each = cpu.as_secs_f64() * 1e6 / gets as f64;
        println!("{what:<52} {each:>9.1} us {:>12.0}", gets as f64 / clock.as_secs_f64());
    }
}

async fn fleet(store: Arc<Embedded>) -> (Fleet<Embedded>, mpsc::UnboundedReceiver<Bytes>) {
    let controller = EndpointId::parse(CONTROLLER).expect("an endpoint");
    let metrics = Arc::new(Metrics::default());
    let mtps = Mtps::new(HashMap::from([(controller.clone(), 0)]), Arc::clone(&metrics));
    let (sender, answers) = mpsc::unbounded_channel();
    let hand = Mtp::InProcess(Box::new(move |_, _, record| {
        let _ = sender.send(record);
    }));
    mtps.fill(Fittings { mtps: vec![(LinkKey::Mqtt(1), hand)], ..Fittings::default() });
    let mtp = ControllerMtp::Mqtt { client: 0, topic: "usp/controller".into() };
    let roles = vec![FULL_ACCESS.to_owned()];
    let known = ControllerConfig {
        instance: 1,
        pinned: true,
        endpoint_id: controller,
        roles,
        onboard: true,
        certificates: Vec::new(),
        mtp,
    };
    let agent = AgentConfig { controllers: vec![known], fresh_ms: 86_400_000, ..AgentConfig::default() };
    let fleet = Fleet::new(FleetConfig {
        agent: Arc::new(agent),
        proxy: Arc::new(ProxyConfig::default()),
        acs: dragoman::runtime::AcsServers::default(),
        keyring: None,
        stage: None,
        collector: dragoman::collector::Collector::new(std::sync::Arc::default(), None),
        recorder: Default::default(),
        alarms: Alarms::default(),
        bypasses: Bypasses::open(Arc::clone(&store)).await.expect("readable"),
        firmwares: Arc::new(Firmwares::open(Arc::clone(&store)).await.expect("readable")),
        store,
        mtps,
        metrics,
        clock: Clock::start(),
        routes: Arc::new(Routes::default()),
        rest_after_ms: 30_000,
        connection_request: dragoman::connection_request::Limits::default(),
    });
    (fleet, answers)
}

fn device(number: usize) -> DeviceId {
    DeviceId {
        manufacturer: "ACME".into(),
        oui: "00256D".into(),
        product_class: "Box".into(),
        serial_number: format!("{number:09}"),
    }
}

/// The device entry and one row of the agent's own tables, as the agent stores them.
fn entry(number: usize) -> Change {
    let device = serde_json::json!({
        "format": 1, "device": device(number), "root": "Device.", "discovery_left": [],
        "onboarded": [CONTROLLER], "software_version": "1.2.3", "booted_at": 0,
    });
    Change::put(Kind::Device, "", device.to_string())
}

/// A shadow with so many parameters, spread over the standard's common objects.
fn shadow(parameters: usize) -> Vec<Change> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
    let at = WallTime(u64::try_from(now).expect("milliseconds"));
    let rows = Supported::device2().rows().iter().filter(|row| row.kind == RowKind::Param);
    let rows =
        rows.filter(|row| TOPS.contains(&path::top_level(row.path)) && row.path.matches("{i}").count() < 3);
    let rows: Vec<_> = rows.collect();
    let mut model = Instantiated::default();
    let mut count = 0;
    'full: for instance in 1..100 {
        for row in rows.iter().filter(|row| instance == 1 || row.path.contains("{i}")) {
            // Tables with tables in them have few instances.
            let name = row.path.replacen("{i}", &instance.to_string(), 1).replace("{i}", "1");
            let text = match row.value_type() {
                Some(value_type) if value_type.is_number() => (count * 7_919 % 100_000).to_string(),
                Some(dragoman::datamodel::ValueType::Boolean) => "1".into(),
                _ => format!("value {}", count * 31 % 9_973),
            };
            model.put_param(&name, false);
            let value_type = row.value_type();
            model.set_value(&name, Value { text: text.into(), value_type, at, source: Source::Read });
            count += 1;
            if count >= parameters && instance > 2 {
                break 'full;
            }
        }
    }
    let blobs = model.take_changes().into_iter();
    blobs.map(|(top, blob)| Change::put(Kind::Shadow, top, blob.expect("not empty"))).collect()
}

fn size(change: &Change) -> usize {
    match change {
        Change::Put(entry) => entry.key.len() + entry.value.len(),
        Change::Delete { .. } => 0,
    }
}

fn get(from: &EndpointId, to: &EndpointId, paths: &[&str]) -> Bytes {
    let param_paths = paths.iter().map(|path| (*path).to_owned()).collect();
    let request = Request::Get(message::Get { param_paths, max_depth: 0 });
    Record::plain(from, to, Message::request("get-1", request).encode()).encode()
}

/// How many values an answer holds; anything but an answer with values is a broken measurement.
fn check(record: Bytes) -> usize {
    let record = Record::decode(record).expect("a record");
    let Payload::NoSession(payload) = record.payload else { panic!("no payload") };
    let message = Message::decode(payload).expect("a message");
    let MessageBody::Response(Response::GetResp(resp)) = message.body else { panic!("{message:?}") };
    let objects = resp.req_path_results.iter().flat_map(|result| &result.resolved_path_results);
    let values = objects.map(|object| object.result_params.len()).sum();
    assert!(values > 0, "no values: {resp:?}");
    values
}

const CONTROLLER: &str = "self::controller";
/// Gets that wait for their answers at once.
const WINDOW: usize = 64;
/// Devices that differ in size.
const MODELS: usize = 16;
const TOPS: [&str; 14] = [
    "DeviceInfo",
    "DHCPv4",
    "DNS",
    "Ethernet",
    "Firewall",
    "Hosts",
    "IP",
    "NAT",
    "PPP",
    "QoS",
    "Routing",
    "Time",
    "Users",
    "WiFi",
];
