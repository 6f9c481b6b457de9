//! Programs that are measured or measured against: found, started, ended, and the CPU time they used.

#![expect(
    clippy::disallowed_methods,
    reason = "waiting for programs is all that this does, and without one of them there is nothing to measure"
)]

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running program; dropping it ends it.
pub struct Process {
    child: Child,
    /// The rest of its standard output, kept open: a program must not die of a line that nobody reads.
    _output: Option<BufReader<std::process::ChildStdout>>,
}

impl Process {
    /// Starts a program that listens on this port, and waits until it does.
    ///
    /// # Panics
    ///
    /// If it does not start, or does not listen within ten seconds.
    pub fn listening(command: &mut Command, port: u16) -> Self {
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let process = Self { child: child.expect("the program starts"), _output: None };
        let started = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(started.elapsed() < Duration::from_secs(10), "nothing listens: {command:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
        process
    }

    /// Starts a program and returns the first line of its output, which says where it listens. What it logs
    /// goes to `log`.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn saying(command: &mut Command, log: &Path) -> (Self, String) {
        let log = std::fs::File::create(log).expect("a file for the log");
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().expect("the program starts");
        let mut output = BufReader::new(child.stdout.take().expect("its output"));
        let mut line = String::new();
        output.read_line(&mut line).expect("a line of its output");
        assert!(!line.is_empty(), "it did not start: {command:?}");
        (Self { child, _output: Some(output) }, line)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A master is asked, so that it ends its workers; who does not listen is ended.
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).stderr(Stdio::null()).status();
        let asked = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && asked.elapsed() < Duration::from_secs(15) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The path of a program, or the end of this one with the name of the Debian package that has it.
pub fn program(name: &str, package: &str) -> PathBuf {
    let folders = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"];
    let found = folders.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.exists());
    found.unwrap_or_else(|| {
        eprintln!("{name} is not installed; on Debian: apt-get install --no-install-recommends {package}");
        std::process::exit(2)
    })
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("its address").port()
}

/// A folder of this run's own, removed when this is dropped.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("dragoman-bench-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        Self(folder)
    }

    /// Writes a file and returns its path.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.0.join(name);
        std::fs::write(&file, text).expect("a file");
        file
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
