//! Get requests answered from the shadow, from end to end: through mosquitto to agents of devices at rest and
//! back, beside an agent that only returns a ready answer of the same size through the same broker. Every
//! answer is looked into.

#![expect(clippy::expect_used, reason = "a measurement that cannot be made must fail loudly")]

use std::collections::HashMap;
use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dragoman::identity::EndpointId;
use dragoman::transport::mqtt::{Event, Publish};
use dragoman::usp::message::{Get, Message, MessageBody, Request, Response};
use dragoman::usp::record::{Payload, Record};

mod support {
    pub mod broker;
    pub mod gateway;
    pub mod machine;
    pub mod metrics;
    pub mod process;
    pub mod table;
    pub mod usage;
}
mod requests {
    pub mod devices;
    pub mod link;
}
use requests::devices::{self, LEAST, MOST, endpoint, serial};
use requests::link::{self, ECHO, ECHOED, Link};
use support::broker::Mosquitto;
use support::gateway::Gateway;
use support::process::{Folder, Process};
use support::table::Row;
use support::{machine, metrics, table, usage};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [role, port, size] if role == "echo" => {
            let (port, size) = (port.parse().expect("a port"), size.parse().expect("a size"));
            runtime.block_on(link::echo(port, size));
        }
        _ => runtime.block_on(compare()),
    }
}

async fn compare() {
    machine::heading("Get requests answered from the shadow, through mosquitto", "cargo bench --bench gets");
    println!("devices  {DEVICES} of {LEAST} to {MOST} parameters, written into the store by the library");
    println!(
        "measured median of {ROUNDS} rounds of {REQUESTS} requests, {AT_A_TIME} under way, in turn with the echo"
    );
    let folder = Folder::new("gets");
    let store = folder.0.join("dragoman.db");
    devices::write(&store, DEVICES, CONTROLLER).await;
    let broker = Mosquitto::start(&folder);
    let mut load = Load::open(broker.port).await;
    let gateway = Gateway::start(&folder, &store, &config(broker.port));
    load.meet_all().await;
    let size = load.size_of_an_answer().await;
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.arg("echo").arg(broker.port.to_string()).arg(size.to_string());
    let (echo, _) = Process::saying(&mut command, &folder.0.join("echo.log"));
    println!("answers  {size} bytes");
    let mut rounds: Vec<[Round; 3]> = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push([
            load.round(&gateway.process, &broker, Load::ask_at_random).await,
            load.round(&gateway.process, &broker, Load::ask_hot).await,
            load.round(&echo, &broker, Load::ask_echo).await,
        ]);
    }
    let dropped: u64 = ["too much waits for the broker", "a record for nobody here"]
        .iter()
        .map(|why| {
            metrics::read(gateway.address("admin"), &format!("usp_dropped_total{{outcome=\"{why}\"}}"))
        })
        .sum();
    assert_eq!(dropped, 0, "records were dropped");
    print(&rounds);
}

fn config(broker: u16) -> String {
    format!(
        "[device]\nrest_after_seconds = 0\nfresh_seconds = 86400\n\
         [mqtt.main]\nbroker = \"mqtt://127.0.0.1:{broker}\"\nshared_connections = 4\n\
         [[controller]]\nendpoint_id = \"{CONTROLLER}\"\nonboard = false\n\
         mqtt = {{ broker = \"main\", topic = \"{TOPIC}\" }}\n\
         [log]\nfilter = \"warn\"\n"
    )
}

/// What one round took.
#[derive(Clone, Copy)]
struct Round {
    rate: f64,
    /// CPU time per request of the agents' process and of the broker, in microseconds.
    agents: f64,
    broker: f64,
}

/// The controller's side.
struct Load {
    link: Link,
    controller: EndpointId,
    /// Where agents are reached, as their Connect records told.
    topics: HashMap<EndpointId, String>,
    /// The devices of requests under way, by message id.
    asked: HashMap<String, usize>,
    next: u64,
}

impl Load {
    async fn open(port: u16) -> Self {
        Self {
            link: Link::open(port, "load", &[TOPIC, ECHOED]).await,
            controller: EndpointId::parse(CONTROLLER).expect("an endpoint"),
            topics: HashMap::new(),
            asked: HashMap::new(),
            next: 0,
        }
    }

    /// Waits until every agent has said where it is, and then until all are at rest again.
    async fn meet_all(&mut self) {
        while self.topics.len() < DEVICES {
            for event in self.link.events().await {
                if let Event::Message(publish) = event
                    && let Ok(record) = Record::decode(publish.payload)
                    && let Payload::MqttConnect { subscribed_topic, .. } = record.payload
                {
                    let agent = EndpointId::parse(&record.from_id).expect("an endpoint");
                    self.topics.insert(agent, subscribed_topic);
                }
            }
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
    }

    async fn size_of_an_answer(&mut self) -> usize {
        self.ask(0);
        loop {
            for event in self.link.events().await {
                if let Event::Message(publish) = event {
                    let size = publish.payload.len();
                    if self.answered(publish) {
                        return size;
                    }
                }
            }
        }
    }

    async fn round(&mut self, agents: &Process, broker: &Mosquitto, ask: fn(&mut Self)) -> Round {
        let cpu = || (usage::cpu_of_tree(agents.id()), usage::cpu_of_tree(broker.id()));
        let (before, began) = (cpu(), Instant::now());
        let (mut sent, mut done) = (0, 0);
        while done < REQUESTS {
            while sent < REQUESTS && sent - done < AT_A_TIME {
                ask(self);
                sent += 1;
            }
            for event in self.link.events().await {
                if let Event::Message(publish) = event {
                    done += usize::from(self.answered(publish));
                }
            }
        }
        let (took, after) = (began.elapsed(), cpu());
        let each = |time: Duration| time.as_secs_f64() * 1e6 / REQUESTS as f64;
        let rate = REQUESTS as f64 / took.as_secs_f64();
        Round { rate, agents: each(after.0 - before.0), broker: each(after.1 - before.1) }
    }

    fn ask_at_random(&mut self) {
        self.ask(random(self.next) % DEVICES);
    }

    fn ask_hot(&mut self) {
        self.ask(0);
    }

    fn ask(&mut self, device: usize) {
        self.next += 1;
        let (agent, id) = (endpoint(device), self.next.to_string());
        let get = Get { param_paths: vec!["Device.DeviceInfo.".into()], max_depth: 0 };
        let message = Message::request(&id, Request::Get(get)).encode();
        let record = Record::plain(&self.controller, &agent, message).encode();
        self.asked.insert(id, device);
        self.link.publish(&self.topics[&agent], record, TOPIC);
    }

    fn ask_echo(&mut self) {
        self.next += 1;
        let request = Bytes::from(vec![b'x'; 100]);
        self.link.publish(&format!("{ECHO}/{}", self.next % DEVICES as u64), request, ECHOED);
    }

    /// Whether it is an answer; if so it must be the right one.
    fn answered(&mut self, publish: Publish) -> bool {
        if publish.topic == ECHOED {
            return true;
        }
        let record = Record::decode(publish.payload).expect("a record");
        let Payload::NoSession(message) = record.payload else { return false };
        let message = Message::decode(message).expect("a message");
        let MessageBody::Response(Response::GetResp(response)) = message.body else {
            panic!("no answer to a Get: {message:?}")
        };
        let device = self.asked.remove(&message.msg_id).expect("an answer to what was asked");
        assert_eq!(record.from_id, endpoint(device).as_str());
        let found = response.req_path_results.iter().flat_map(|result| &result.resolved_path_results);
        let found: Vec<_> = found.flat_map(|result| &result.result_params).collect();
        assert!(found.len() >= 8, "{response:?}");
        assert!(found.iter().any(|(name, value)| *name == "SerialNumber" && *value == &serial(device)));
        true
    }
}

/// Spreads numbers evenly: splitmix64.
fn random(number: u64) -> usize {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    usize::try_from((mixed ^ (mixed >> 31)) >> 1).expect("64 bits")
}

fn print(rounds: &[[Round; 3]]) {
    let median = |of: &dyn Fn(&[Round; 3]) -> f64| {
        let mut all: Vec<f64> = rounds.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    for (index, name) in ["devices at rest", "one hot device", "echo"].iter().enumerate() {
        println!(
            "{name:<18} {:>7.0} /s   agents {:>6.0} us   broker {:>5.0} us of CPU each",
            median(&|it| it[index].rate),
            median(&|it| it[index].agents),
            median(&|it| it[index].broker)
        );
    }
    let row = |what: &str, index: usize| Row {
        what: format!("{what} / echo"),
        ours: format!("{:.0} /s", median(&|it| it[index].rate)),
        theirs: format!("{:.0} /s", median(&|it| it[2].rate)),
        ratio: Some(median(&|it| it[index].rate / it[2].rate)),
        wanted: 0.8..f64::INFINITY,
    };
    table::print("dragoman", "echo", &[row("devices at rest, uniformly", 0), row("one hot device", 1)]);
}

const DEVICES: usize = 10_000;
const CONTROLLER: &str = "self::controller";
const TOPIC: &str = "usp/controller";
const REQUESTS: usize = 4_000;
/// Requests under way at a time.
const AT_A_TIME: usize = 64;
/// Odd, so that there is a middle.
const ROUNDS: usize = 5;
