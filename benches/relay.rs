//! What relaying costs: CPU time of the relaying process for a CWMP session of five steps (Inform and its
//! response, empty POST and GetParameterValues, its response and 204), of dragoman beside haproxy, nginx
//! and a relay that is nothing but HTTP. Load and ACS run in this process, the relays in their own.

#![expect(clippy::expect_used, reason = "a measurement that cannot be made must fail loudly")]

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use dragoman::cwmp::soap;

mod support {
    pub mod cpu;
    pub mod machine;
    pub mod metrics;
    pub mod process;
    pub mod table;
    pub mod usage;
}
mod sessions {
    pub mod acs;
    pub mod bare;
    pub mod bodies;
    pub mod http;
    pub mod load;
    pub mod subjects;
}
use sessions::bare::{self, Spread};
use sessions::load::DEVICES;
use sessions::subjects::{self, Subject};
use sessions::{bodies, load};
use support::process::Folder;
use support::table::Row;
use support::{cpu, machine, metrics, table, usage};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let rest = || arguments.iter().skip(1);
    let acs = || rest().next().and_then(|acs| acs.parse().ok()).expect("the ACS's address");
    match arguments.first().map(String::as_str) {
        Some(BARE) => bare::relay(Spread::Stealing, acs()),
        Some(BARE_PER_CORE) => bare::relay(Spread::PerCore, acs()),
        Some(GATEWAYS) => bare::gateways(rest().map(Into::into).collect()),
        _ => compare(),
    }
}

fn compare() {
    machine::heading("CPU time of the relaying process per CWMP session", "cargo bench --bench relay");
    println!(
        "measured median of {ROUNDS} rounds of {SESSIONS} sessions over {DEVICES} devices, in turn; \
         in brackets the least and the most"
    );
    let (inform, response) = (bodies::inform(0), bodies::response());
    println!("bodies   Inform {} bytes, GetParameterValuesResponse {} bytes", inform.len(), response.len());
    let decoding = decoding(&[inform, bodies::inform_response(), bodies::request(), response]);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let folder = Folder::new("relay");
    let mut measured = runtime.block_on(async {
        let mut subjects = start(&folder).await;
        let mut times: Vec<Vec<Duration>> = vec![Vec::new(); subjects.len()];
        for round in 0..=ROUNDS {
            for (subject, times) in subjects.iter().zip(&mut times) {
                let time = measure(subject).await;
                // The first round makes the devices known.
                times.extend((round > 0).then_some(time));
            }
        }
        for subject in &subjects {
            judge(subject);
        }
        subjects.drain(..).map(|it| it.name).zip(times).collect::<Vec<_>>()
    });
    for (_, times) in &mut measured {
        times.sort();
    }
    print(&measured, decoding);
}

async fn start(folder: &Folder) -> Vec<Subject> {
    let at_rest = "[device]\nrest_after_seconds = 0\n";
    vec![
        subjects::haproxy(folder).await,
        subjects::nginx(folder).await,
        subjects::bare("bare relay", BARE, folder).await,
        subjects::dragoman("dragoman", folder, "awake", "").await,
        subjects::bare("bare relay, a runtime per core", BARE_PER_CORE, folder).await,
        subjects::dragomans("dragoman, a runtime per core", GATEWAYS, bare::cores(), folder).await,
        subjects::dragoman("dragoman, each device from the store", folder, "at-rest", at_rest).await,
    ]
}

async fn measure(subject: &Subject) -> Duration {
    let before = usage::cpu_of_tree(subject.process.id());
    load::run(subject.addresses.clone(), SESSIONS).await;
    // What is left to do when the CPEs have gone is part of it.
    tokio::time::sleep(Duration::from_millis(100)).await;
    usage::cpu_of_tree(subject.process.id()) - before
}

/// Every session reached the ACS; of the gateways, every body was decoded, and nothing that was known already
/// was stored again.
fn judge(subject: &Subject) {
    let sessions = (ROUNDS + 1) * SESSIONS;
    assert_eq!(subject.acs.sessions(), sessions, "{}: sessions at the ACS", subject.name);
    let Some(admin) = subject.admin else { return };
    let count = |metric: &str| metrics::read(admin, metric);
    let (decoded, opaque) =
        (count("cwmp_bodies_total{outcome=\"decoded\"}"), count("cwmp_bodies_total{outcome=\"opaque\"}"));
    let commits = count("store_commits_total{outcome=\"ok\"}");
    println!(
        "counted  {}: {sessions} sessions, {} ACS connections, {decoded} bodies decoded, {opaque} opaque, \
         {commits} commits",
        subject.name,
        subject.acs.connections()
    );
    assert_eq!(decoded, 4 * sessions as u64, "every body was decoded");
    assert_eq!(opaque, 0);
    assert!(commits <= 3 * DEVICES as u64, "what does not change is not committed");
}

/// The time that decoding these bodies once takes.
fn decoding(bodies: &[String]) -> Duration {
    let limits = soap::Limits::default();
    let bodies: Vec<Bytes> = bodies.iter().map(|body| Bytes::from(body.clone())).collect();
    let mut rounds: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let begin = cpu::of_main_thread();
            for body in (0..DECODED).flat_map(|_| &bodies) {
                let text = soap::decode_charset(body, Some("text/xml; charset=\"utf-8\"")).expect("text");
                black_box(soap::decode(&text, &limits).expect("an envelope"));
            }
            (cpu::of_main_thread() - begin) / DECODED
        })
        .collect();
    rounds.sort();
    rounds[ROUNDS / 2]
}

fn print(measured: &[(&'static str, Vec<Duration>)], decoding: Duration) {
    let each = |time: Duration| time.as_secs_f64() * 1e6 / SESSIONS as f64;
    for (name, times) in measured {
        let (least, most) = (each(times[0]), each(times[ROUNDS - 1]));
        println!("{name:<40} {:>6.0} us [{least:.0} to {most:.0}]", each(times[ROUNDS / 2]));
    }
    let decoding = decoding.as_secs_f64() * 1e6;
    println!("{:<40} {decoding:>6.0} us", "decoding the four bodies");
    let of = |name: &str| {
        let found = measured.iter().find(|(known, _)| known.starts_with(name)).expect("it was measured");
        each(found.1[ROUNDS / 2])
    };
    let row = |ours: (&str, f64), theirs: (&str, f64), most: f64| Row {
        what: format!("{} / {}", ours.0, theirs.0),
        ours: format!("{:.0} us", ours.1),
        theirs: format!("{:.0} us", theirs.1),
        ratio: Some(ours.1 / theirs.1),
        wanted: 0.0..most,
    };
    let (dragoman, bare) = (of("dragoman"), of("bare relay"));
    let per_core = (of("bare relay, a runtime"), of("dragoman, a runtime"));
    let anything = f64::INFINITY;
    let rows = [
        row(("dragoman", dragoman), ("bare relay + decoding", bare + decoding), 1.15),
        row(("dragoman", dragoman), ("haproxy", of("haproxy")), 1.5),
        row(("dragoman", dragoman), ("nginx", of("nginx")), anything),
        row(("from the store", of("dragoman, each")), ("awake", dragoman), anything),
        row(("bare, per core", per_core.0), ("bare, stealing", bare), anything),
        row(("dragoman, per core", per_core.1), ("dragoman, stealing", dragoman), anything),
    ];
    table::print("per session", "per session", &rows);
}

const BARE: &str = "bare-stealing";
const BARE_PER_CORE: &str = "bare-per-core";
const GATEWAYS: &str = "gateway-per-core";
const SESSIONS: usize = 3_000;
/// Odd, so that there is a middle.
const ROUNDS: usize = 7;
/// How often the bodies are decoded in a round.
const DECODED: u32 = 2_000;
