//! `dragoman serve` as a process.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::mosquitto::folder;

/// A running gateway; dropping it kills it.
pub struct Gateway {
    child: Child,
    pub cwmp: SocketAddr,
    pub admin: SocketAddr,
}

/// Its configuration in a folder of its own, which lives as long as the store is needed.
pub struct Setup {
    pub folder: PathBuf,
    pub file: PathBuf,
}

pub const BINARY: &str = env!("CARGO_BIN_EXE_dragoman");
pub const CONTROLLER: &str = "self::test-controller";

impl Setup {
    /// `tail` follows the tables that every test needs: `[acs]` and `[mqtt.*]` as the test wants them.
    pub fn new(cwmp_port: u16, tail: &str) -> Self {
        let folder = folder("gateway");
        let file = folder.join("dragoman.toml");
        let store = folder.join("dragoman.db");
        let text = format!(
            "[cwmp]\nlisten = \"127.0.0.1:{cwmp_port}\"\n[store]\nfile = '{}'\nkey_file = '{}'\n\
             [admin]\nlisten = \"127.0.0.1:0\"\n{tail}",
            store.display(),
            folder.join("store.key").display()
        );
        std::fs::write(&file, text).unwrap();
        Self { folder, file }
    }

    pub fn start(&self) -> Gateway {
        self.run(&["serve", "--config"])
    }

    /// Starts one in the place of the one that runs.
    pub fn take_over(&self) -> Gateway {
        self.run(&["serve", "--take-over", "--config"])
    }

    fn run(&self, more: &[&str]) -> Gateway {
        let log =
            std::fs::OpenOptions::new().create(true).append(true).open(self.folder.join("log")).unwrap();
        let child = Command::new(BINARY)
            .args(more)
            .arg(&self.file)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        Gateway::of(child).unwrap_or_else(|| panic!("the gateway did not start: {}", self.log()))
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Setup {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.folder);
        } else {
            eprintln!("the gateway's log:\n{}", self.log());
        }
    }
}

impl Gateway {
    /// Waits until it is ready; `None` if it ends before.
    pub fn of(mut child: Child) -> Option<Self> {
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let part = |name: &str| {
            let found = line.split_whitespace().find_map(|part| part.strip_prefix(name));
            found.and_then(|address| address.parse().ok())
        };
        match part("cwmp=").zip(part("admin=")) {
            Some((cwmp, admin)) => Some(Self { cwmp, admin, child }),
            None => {
                let _ = child.kill();
                let _ = child.wait();
                None
            }
        }
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Its exit code, once it has ended by itself.
    pub async fn ended(mut self) -> Option<i32> {
        let started = Instant::now();
        while !self.has_ended() {
            assert!(started.elapsed() < Duration::from_secs(30), "the gateway does not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.child.wait().unwrap().code()
    }

    /// As `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// As `kill`, then waits for the end; returns the exit code.
    pub fn terminate(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(started.elapsed() < Duration::from_secs(20), "the gateway does not stop");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}/", self.cwmp)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The tables for an ACS and a controller at a broker.
pub fn acs_and_mqtt(acs: &str, broker: u16, more: &str) -> String {
    format!("[acs]\nurl = \"{acs}\"\n{}", mqtt(broker, more))
}

pub fn mqtt(broker: u16, more: &str) -> String {
    format!(
        "[mqtt.main]\nbroker = \"mqtt://127.0.0.1:{broker}\"\nretry_seconds = 0.2\n{more}\n\
         [[controller]]\nendpoint_id = \"{CONTROLLER}\"\n\
         mqtt = {{ broker = \"main\", topic = \"usp/controller/test\" }}\n"
    )
}
