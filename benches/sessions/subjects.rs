//! The relays that are compared, each with a stub ACS of its own behind it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use super::acs::Acs;
use super::bare::cores;
use crate::support::process::{Folder, Process, free_port, program};

/// A running relay.
pub struct Subject {
    pub name: &'static str,
    /// Where CPEs call.
    pub addresses: Arc<[SocketAddr]>,
    /// Where its metrics are, if it is a gateway.
    pub admin: Option<SocketAddr>,
    pub acs: Acs,
    pub process: Process,
}

impl Subject {
    fn of(name: &'static str, port: u16, acs: Acs, process: Process) -> Self {
        let addresses = Arc::new([SocketAddr::from(([127, 0, 0, 1], port))]);
        Self { name, addresses, admin: None, acs, process }
    }
}

/// haproxy as a relay of sessions: each CPE's connection has one to the ACS.
pub async fn haproxy(folder: &Folder) -> Subject {
    let (acs, port) = (Acs::start().await, free_port());
    let file = folder.write(
        "haproxy.cfg",
        &format!(
            "global\n  nbthread {}\ndefaults\n  mode http\n  option http-keep-alive\n  http-reuse never\n  \
             timeout connect 5s\n  timeout client 75s\n  timeout server 75s\nfrontend cpes\n  \
             bind 127.0.0.1:{port}\n  default_backend acs\nbackend acs\n  server acs {}\n",
            cores(),
            acs.address
        ),
    );
    let mut command = Command::new(program("haproxy", "haproxy"));
    let process = Process::listening(command.arg("-db").arg("-f").arg(file), port);
    Subject::of("haproxy, an ACS connection per session", port, acs, process)
}

/// nginx, which shares connections to the ACS among all.
pub async fn nginx(folder: &Folder) -> Subject {
    let (acs, port) = (Acs::start().await, free_port());
    let home = folder.0.display();
    let file = folder.write(
        "nginx.conf",
        &format!(
            "daemon off;\nworker_processes {};\npid {home}/nginx.pid;\nerror_log {home}/nginx.log;\n\
             events {{}}\nhttp {{\n  access_log off;\n  client_body_buffer_size 64k;\n  \
             proxy_buffers 8 16k;\n  client_body_temp_path {home}/b;\n  proxy_temp_path {home}/p;\n  \
             fastcgi_temp_path {home}/f;\n  uwsgi_temp_path {home}/u;\n  scgi_temp_path {home}/s;\n  \
             upstream acs {{ server {}; keepalive 64; }}\n  server {{\n    listen 127.0.0.1:{port};\n    \
             location / {{ proxy_pass http://acs; proxy_http_version 1.1; \
             proxy_set_header Connection \"\"; }}\n  }}\n}}\n",
            cores(),
            acs.address
        ),
    );
    let mut command = Command::new(program("nginx", "nginx-light"));
    let process = Process::listening(command.arg("-c").arg(file), port);
    Subject::of("nginx, pooled", port, acs, process)
}

/// The bare relay, in the way the argument says.
pub async fn bare(name: &'static str, role: &str, folder: &Folder) -> Subject {
    let acs = Acs::start().await;
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.arg(role).arg(acs.address.to_string());
    said(name, acs, &mut command, folder, role)
}

/// `dragoman serve`.
pub async fn dragoman(name: &'static str, folder: &Folder, store: &str, more: &str) -> Subject {
    let acs = Acs::start().await;
    let file = config(folder, store, &acs, &format!("[admin]\nlisten = \"127.0.0.1:0\"\n{more}"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_dragoman"));
    command.arg("serve").arg("--config").arg(file);
    let (process, line) = Process::saying(&mut command, &folder.0.join(format!("{store}.log")));
    let part = |key: &str| {
        let found = line.split_whitespace().find_map(|part| part.strip_prefix(key));
        found.and_then(|address| address.parse::<SocketAddr>().ok())
    };
    let cwmp = part("cwmp=").expect("the gateway says where it listens");
    Subject { name, addresses: Arc::new([cwmp]), admin: part("admin="), acs, process }
}

/// Gateways of the library, one for each core, in one process.
pub async fn dragomans(name: &'static str, role: &str, count: usize, folder: &Folder) -> Subject {
    let acs = Acs::start().await;
    let files = (0..count).map(|core| config(folder, &format!("{role}-{core}"), &acs, ""));
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.arg(role).args(files);
    said(name, acs, &mut command, folder, role)
}

fn said(name: &'static str, acs: Acs, command: &mut Command, folder: &Folder, log: &str) -> Subject {
    let (process, line) = Process::saying(command, &folder.0.join(format!("{log}.log")));
    let addresses = line.split_whitespace().map(|address| address.parse().expect("an address")).collect();
    Subject { name, addresses, admin: None, acs, process }
}

fn config(folder: &Folder, store: &str, acs: &Acs, more: &str) -> PathBuf {
    let text = format!(
        "[cwmp]\nlisten = \"127.0.0.1:0\"\n[acs]\nurl = \"http://{}/\"\n[store]\nfile = '{}'\n{more}",
        acs.address,
        folder.0.join(format!("{store}.db")).display()
    );
    folder.write(&format!("{store}.toml"), &text)
}
