//! The gateway dies behind a real haproxy: CPEs reach their ACS all the same, and come back to the gateway with it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dragoman::sim::acs::{Acs, AcsConfig, Seen};
use dragoman::sim::cpe::{Fleet, FleetConfig, Model};

use super::gateway::{Gateway, Setup};
use super::mosquitto::{folder, free_port, wait_for_port};
use super::usp::{PATIENCE, TR_181};

const CPES: usize = 10;

/// haproxy as deploy/haproxy-fail-open.cfg says, but for addresses; dropping it ends it.
struct Front {
    child: Child,
    folder: PathBuf,
    port: u16,
}

impl Front {
    fn start(gateway: &Gateway, acs: &str) -> Self {
        let (port, folder) = (free_port(), folder("fail-open"));
        let mut text = include_str!("../../deploy/haproxy-fail-open.cfg").to_owned();
        for (from, to) in [
            ("0.0.0.0:7550", format!("127.0.0.1:{port}")),
            ("127.0.0.1:7547", gateway.cwmp.to_string()),
            ("port 9090", format!("port {}", gateway.admin.port())),
            ("192.0.2.10:7547", acs.to_owned()),
            ("/run/haproxy/admin.sock", folder.join("admin.sock").display().to_string()),
            ("maxconn 100000", "maxconn 200".into()),
        ] {
            assert!(text.contains(from), "deploy/haproxy-fail-open.cfg says nothing of {from}");
            text = text.replace(from, &to);
        }
        let file = folder.join("haproxy.cfg");
        std::fs::write(&file, text).unwrap();
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let known = ["/usr/sbin/haproxy", "/usr/local/sbin/haproxy", "/usr/bin/haproxy"];
        let program = known.into_iter().find(|path| Path::new(path).exists());
        let child = Command::new(program.expect("haproxy is not installed: see scripts/test"))
            .args(["-db", "-f"])
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let front = Self { child, folder, port };
        wait_for_port(port);
        front
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}", std::fs::read_to_string(self.folder.join("log")).unwrap_or_default());
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Informs by which way they came to the ACS: through the gateway, which says for whom, or not.
fn informs(acs: &Acs) -> (Vec<BTreeSet<String>>, Vec<usize>) {
    let (mut who, mut count) = (vec![BTreeSet::new(), BTreeSet::new()], vec![0, 0]);
    for cpe in acs.cpes() {
        for seen in acs.seen(&cpe) {
            if let Seen::Inform { headers, .. } = seen {
                let way = usize::from(!headers.iter().any(|(name, _)| name == "forwarded"));
                count[way] += 1;
                who[way].insert(cpe.to_string());
            }
        }
    }
    (who, count)
}

/// Waits until all CPEs have come that way more often than they had.
async fn all_come(acs: &Acs, way: usize, before: usize, what: &str) -> Duration {
    let started = Instant::now();
    loop {
        let (who, count) = informs(acs);
        if who[way].len() == CPES && count[way] >= before + CPES {
            return started.elapsed();
        }
        assert!(started.elapsed() < PATIENCE, "{what}: {count:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cpes_reach_their_acs_without_the_gateway_and_come_back_to_it_without_a_bootstrap() {
    let acs = Acs::start(AcsConfig::default()).await.unwrap();
    let port = free_port();
    let tables = format!(
        "[cwmp.front]\ntrusted = [\"127.0.0.1/32\"]\nproxy_protocol = true\n\
         [acs]\nurl = \"{}\"\nforwarded = true\n[device]\ndiscovery = false\n",
        acs.url()
    );
    let setup = Setup::new(port, &tables);
    let gateway = setup.start();
    // It comes back where haproxy looks for it.
    let text = std::fs::read_to_string(&setup.file).unwrap();
    let admin = format!("[admin]\nlisten = \"{}\"", gateway.admin);
    std::fs::write(&setup.file, text.replace("[admin]\nlisten = \"127.0.0.1:0\"", &admin)).unwrap();
    let address = acs.url();
    let address = address.trim_start_matches("http://").split('/').next().unwrap().to_owned();
    let front = Front::start(&gateway, &address);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let model = Arc::new(Model::parse(TR_181).unwrap());
    let mut config = FleetConfig::new(format!("http://127.0.0.1:{}/", front.port), model, CPES);
    (config.periodic_ms, config.retry_ms, config.start_spread_ms) = (Some(400), 300, 200);
    let cpes = Fleet::start(config).await.unwrap();
    all_come(&acs, 0, 0, "through the gateway").await;
    assert_eq!(informs(&acs).1[1], 0, "a CPE has passed the gateway by");
    gateway.kill();
    let took = all_come(&acs, 1, 0, "without the gateway").await;
    println!("all {CPES} CPEs were at the ACS {took:?} after the death of the gateway");
    assert!(took < Duration::from_secs(8), "it took {took:?}");
    let before = informs(&acs).1[0];
    let _gateway = setup.start();
    let took = all_come(&acs, 0, before, "after the gateway's return").await;
    println!("all {CPES} CPEs were at the gateway {took:?} after its return");
    cpes.stop().await;
    for cpe in acs.cpes() {
        let seen = acs.seen(&cpe);
        let bootstraps = seen.iter().filter(|it| {
            matches!(it, Seen::Inform { events, .. } if events.iter().any(|(code, _)| code == "0 BOOTSTRAP"))
        });
        assert!(bootstraps.count() <= 1, "{cpe} has begun anew: {seen:?}");
        let wrong: Vec<_> = seen.iter().filter(|it| matches!(it, Seen::Violation(_))).collect();
        assert!(wrong.is_empty(), "{cpe}: {wrong:?}");
    }
    acs.stop().await;
}
