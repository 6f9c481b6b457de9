//! A gateway is taken over by the next process while CPEs and a controller are at work: nothing is refused, broken off,
//! lost or done twice.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dragoman::cwmp::rpc::{Array, GetParameterValues, Request};
use dragoman::identity::EndpointId;
use dragoman::sim::acs::{Acs, AcsConfig, Seen};
use dragoman::sim::controller::requests;
use dragoman::sim::cpe::{Fleet, FleetConfig, Model, Quirk, Quirks};
use dragoman::transport::mqtt::Version;
use dragoman::usp::message::Response;

use super::gateway::{BINARY, Gateway, Setup, acs_and_mqtt};
use super::mosquitto::{Mosquitto, free_port};
use super::usp::{PATIENCE, SSID, TR_181, controller, fleet, value};

/// The `[upgrade]` table for a folder of the test's own.
fn setup(acs: &Acs, broker: &Mosquitto, name: &str) -> Setup {
    let socket = std::env::temp_dir().join(format!("dragoman-{name}-{}.sock", std::process::id()));
    // Without parking sessions are short, and the log has all RPCs of each.
    let more = format!(
        "[device]\npark_seconds = 0\n[upgrade]\nsocket = '{}'\ndrain_seconds = 20\n",
        socket.display()
    );
    Setup::new(free_port(), &format!("{}{more}", acs_and_mqtt(&acs.url(), broker.port, "")))
}

/// The inodes of the sockets on which a process listens at a port, as the kernel shows them.
fn listening(port: u16) -> Vec<String> {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let wanted = format!(":{port:04X}");
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let rows = rows.filter(|row| row.len() > 9 && row[1].ends_with(&wanted) && row[3] == "0A");
    rows.map(|row| row[9].to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn three_upgrades_under_load_lose_refuse_and_repeat_nothing() {
    let broker = Mosquitto::start();
    let acs = Acs::start(AcsConfig::default()).await.unwrap();
    let setup = setup(&acs, &broker, "load");
    let mut gateway = setup.start();
    let controller = Arc::new(controller(broker.port, Version::V5).await);
    let parameter_names = Array(vec!["Device.DeviceInfo.".into()]);
    let read = Request::GetParameterValues(GetParameterValues { parameter_names });
    acs.on_every_session(vec![read.clone(), read.clone(), read]);
    // Half of the CPEs go on over another connection with each POST, so that most come to the process that has not
    // got their session.
    let (cpes, roaming) =
        (cpes(&gateway, 1, &[]).await, cpes(&gateway, 1_001, &[Quirk::NewConnection]).await);
    assert!(controller.wait_for_agents(2 * CPES, PATIENCE).await);
    let agents: Vec<_> =
        cpes.device_ids().iter().take(2).chain(roaming.device_ids().iter().take(2)).cloned().collect();
    let agents: Vec<_> = agents.iter().map(|device| device.endpoint_id()).collect();
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let workers: Vec<_> = agents
        .iter()
        .take(4)
        .cloned()
        .map(|agent| {
            let (controller, stop, answered) =
                (Arc::clone(&controller), Arc::clone(&stop), Arc::clone(&answered));
            tokio::spawn(async move {
                let mut round = 0;
                while !stop.load(Ordering::Relaxed) {
                    round += 1;
                    let name = format!("round {round}");
                    let set = requests::set(&[(SSID, &name)], false);
                    let answer = controller.request(&agent, set, PATIENCE).await;
                    assert!(matches!(answer, Ok(Response::SetResp(_))), "{agent}, {name}: {answer:?}");
                    let read = value(&controller, &agent, SSID).await;
                    assert_eq!(read.as_deref(), Ok(name.as_str()), "{agent}");
                    answered.fetch_add(2, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let (port, inodes) = (gateway.cwmp.port(), listening(gateway.cwmp.port()));
    assert_eq!(inodes.len(), 1);
    for round in 0..3 {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let next = setup.take_over();
        assert_eq!((next.cwmp, next.admin), (gateway.cwmp, gateway.admin));
        assert_eq!(gateway.ended().await, Some(0), "round {round}: {}", setup.log());
        assert_eq!(listening(port), inodes, "round {round}: it is another socket");
        gateway = next;
        let before = answered.load(Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        assert!(answered.load(Ordering::Relaxed) > before, "round {round}: nothing goes on");
    }
    stop.store(true, Ordering::Relaxed);
    for worker in workers {
        worker.await.unwrap();
    }
    cpes.stop().await;
    roaming.stop().await;
    let sessions = acs.cpes().iter().map(|cpe| ended_well(&acs, cpe)).sum::<usize>();
    let log = setup.log();
    let written = log.matches("SetParameterValues").count();
    assert_eq!(written, answered.load(Ordering::Relaxed) / 2, "a Set was carried out twice, or not at all");
    for wrong in
        ["superseded", "cpe-gone", "timed-out", "acs-failed", "was refused", "was dropped", "broken off"]
    {
        assert!(!log.contains(wrong), "{wrong}: {log}");
    }
    println!("{sessions} sessions, {} requests over three upgrades", answered.load(Ordering::Relaxed));
    assert!(sessions > 200, "there was hardly any load: {sessions}");
    gateway.kill();
    acs.stop().await;
}

const CPES: usize = 25;

/// CPEs that call again and again.
async fn cpes(gateway: &Gateway, first_serial: u64, quirks: &[Quirk]) -> Fleet {
    let model = Arc::new(Model::parse(TR_181).unwrap());
    let mut config = FleetConfig::new(gateway.url(), model, CPES);
    (config.periodic_ms, config.start_spread_ms, config.first_serial) = (Some(1_000), 500, first_serial);
    config.quirks = Quirks::of(quirks);
    Fleet::start(config).await.unwrap()
}

/// How many sessions the ACS had with a CPE: each but the last came to its end, and none is a retry.
fn ended_well(acs: &Acs, cpe: &EndpointId) -> usize {
    let (mut open, mut sessions) = (false, 0);
    for seen in acs.seen(cpe) {
        match seen {
            Seen::Inform { retry_count, .. } => {
                assert_eq!(retry_count, 0, "{cpe}: a session has failed before this one");
                assert!(!open, "{cpe}: a session was broken off");
                (open, sessions) = (true, sessions + 1);
            }
            Seen::End => open = false,
            Seen::Violation(what) => panic!("{cpe}: {what}"),
            _ => {}
        }
    }
    sessions
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_cannot_start_leaves_the_running_one_as_it_was_and_says_why() {
    let broker = Mosquitto::start();
    let acs = Acs::start(AcsConfig::default()).await.unwrap();
    let setup = setup(&acs, &broker, "wrong");
    let gateway = setup.start();
    let good = std::fs::read_to_string(&setup.file).unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let _taken = std::net::TcpListener::bind(taken).unwrap();
    for (wrong, why) in [
        (good.replace("[acs]", "[acz]"), "acz"),
        (
            good.replace("[acs]", "[cwmp.tls]\ncertificate = \"none.pem\"\nkey = \"none.pem\"\n[acs]"),
            "none.pem",
        ),
        (good.replace("dragoman.db", "other.db"), "its store is"),
        (
            good.replace("[admin]\nlisten = \"127.0.0.1:0\"", &format!("[admin]\nlisten = \"{taken}\"")),
            "operators",
        ),
    ] {
        assert_ne!(wrong, good, "{why}");
        std::fs::write(&setup.file, wrong).unwrap();
        let ended = Command::new(BINARY).args(["upgrade", "--config"]).arg(&setup.file).output().unwrap();
        assert!(!ended.status.success());
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(said.contains(why) && said.contains("goes on as before"), "{why}: {said}");
    }
    std::fs::write(&setup.file, good).unwrap();
    let controller = controller(broker.port, Version::V5).await;
    let cpes = fleet(&gateway, 1).await;
    assert!(controller.wait_for_agents(1, PATIENCE).await, "{}", setup.log());
    cpes.stop().await;
    gateway.kill();
    acs.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_killed_in_the_hand_over_the_other_serves() {
    let broker = Mosquitto::start();
    let acs = Acs::start(AcsConfig::default()).await.unwrap();
    let setup = setup(&acs, &broker, "kill");
    let controller = controller(broker.port, Version::V5).await;
    let mut gateway = setup.start();
    let cpes = fleet(&gateway, 2).await;
    assert!(controller.wait_for_agents(2, PATIENCE).await);
    let agent = cpes.device_ids()[0].endpoint_id();
    for milliseconds in [20, 120, 300, 450] {
        // The one that takes over.
        let mut next = begun(&setup);
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        let _ = next.kill();
        let _ = next.wait();
        serves(&controller, &agent, &setup).await;
        if gateway.has_ended() {
            gateway = setup.start();
        }
    }
    for milliseconds in [20, 120, 300, 450] {
        // The one that leaves.
        let next = begun(&setup);
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        gateway.kill();
        gateway = match Gateway::of(next) {
            Some(next) => next,
            // It was too early: there was nobody to take over from, which it has said.
            None => setup.start(),
        };
        serves(&controller, &agent, &setup).await;
    }
    cpes.stop().await;
    gateway.kill();
    acs.stop().await;
}

fn begun(setup: &Setup) -> Child {
    let log = std::fs::OpenOptions::new().append(true).open(setup.folder.join("log")).unwrap();
    Command::new(BINARY)
        .args(["serve", "--take-over", "--config"])
        .arg(&setup.file)
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// Requests are answered; those that were with the dead one may be lost with it.
async fn serves(controller: &dragoman::sim::controller::Controller, agent: &EndpointId, setup: &Setup) {
    let started = Instant::now();
    loop {
        let get = requests::get(&[SSID], 0);
        if controller.request(agent, get, Duration::from_secs(3)).await.is_ok() {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "nobody serves: {}", setup.log());
    }
}
