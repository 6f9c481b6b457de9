//! A mosquitto of the test's own.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running broker; dropping it ends it.
pub struct Mosquitto {
    child: Child,
    pub port: u16,
    folder: PathBuf,
}

impl Mosquitto {
    pub fn start() -> Self {
        Self::with("")
    }

    /// With more lines in its configuration.
    pub fn with(more: &str) -> Self {
        Self::at(free_port(), more)
    }

    /// At a port, where one was before it.
    pub fn at(port: u16, more: &str) -> Self {
        let folder = folder("mosquitto");
        let file = folder.join("mosquitto.conf");
        let common = "allow_anonymous true\nmax_inflight_messages 0\nmax_queued_messages 0";
        let text = format!("{common}\nlistener {port} 127.0.0.1\n{more}");
        std::fs::write(&file, text).unwrap();
        let child = run(&file);
        wait_for_port(port);
        Self { child, port, folder }
    }

    /// As `kill -9`: sessions and messages that it had are gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again after [`Mosquitto::kill`].
    pub fn start_again(&mut self) {
        self.child = run(&self.folder.join("mosquitto.conf"));
        wait_for_port(self.port);
    }
}

fn run(config: &Path) -> Child {
    let program = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto", "/usr/bin/mosquitto"];
    let program = program.into_iter().find(|path| Path::new(path).exists());
    Command::new(program.expect("mosquitto is not installed: see scripts/test"))
        .arg("-c")
        .arg(config)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("mosquitto does not start")
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A port that nobody had a moment ago. It is below those that the system gives to clients: a client that keeps trying
/// a port of those can end up connected to itself there.
pub fn free_port() -> u16 {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    loop {
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let spread = std::process::id().wrapping_mul(2_654_435_761) >> 8;
        let port = u16::try_from(20_000 + spread.wrapping_add(number) % 12_000).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A folder of the test's own.
pub fn folder(name: &str) -> PathBuf {
    static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("dragoman-{name}-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

pub fn wait_for_port(port: u16) {
    wait_for_port_within(port, Duration::from_secs(10));
}

pub fn wait_for_port_within(port: u16, patience: Duration) {
    let started = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(started.elapsed() < patience, "nothing listens on port {port}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
