//! A mosquitto of the measurement's own.

use std::process::Command;

use super::process::{Folder, Process, free_port, program};

/// A running broker.
pub struct Mosquitto {
    pub port: u16,
    process: Process,
}

impl Mosquitto {
    /// Starts one that neither bounds its queues nor waits to fill its segments.
    pub fn start(folder: &Folder) -> Self {
        let port = free_port();
        let text = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\nmax_inflight_messages 0\n\
             max_queued_messages 0\nset_tcp_nodelay true\n"
        );
        let file = folder.write("mosquitto.conf", &text);
        let mut command = Command::new(program("mosquitto", "mosquitto"));
        Self { port, process: Process::listening(command.arg("-c").arg(file), port) }
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}
