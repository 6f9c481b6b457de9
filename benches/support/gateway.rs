//! `dragoman serve` as a process of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::process::{Folder, Process};

/// A running gateway.
pub struct Gateway {
    pub process: Process,
    /// What it said when it was ready.
    said: String,
}

impl Gateway {
    /// Starts it over a store; `more` is what its configuration has besides.
    pub fn start(folder: &Folder, store: &Path, more: &str) -> Self {
        let text = format!(
            "[cwmp]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[store]\nfile = '{}'\n{more}",
            store.display()
        );
        let file = folder.write("dragoman.toml", &text);
        let mut command = Command::new(env!("CARGO_BIN_EXE_dragoman"));
        command.arg("serve").arg("--config").arg(file);
        let (process, said) = Process::saying(&mut command, &folder.0.join("dragoman.log"));
        Self { process, said }
    }

    /// Where it listens for CPEs (`cwmp`) or for operators (`admin`).
    pub fn address(&self, door: &str) -> SocketAddr {
        let mut parts = self.said.split_whitespace().filter_map(|part| part.split_once('='));
        let found = parts.find(|(known, _)| *known == door).and_then(|(_, address)| address.parse().ok());
        found.expect("the gateway says where it listens")
    }
}
