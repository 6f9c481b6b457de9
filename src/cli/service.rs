//! What systemd is told of a service with `Type=notify`: that it is ready, and which process is the service now.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Says that this process serves. Nobody may listen.
pub(super) fn tell_ready() {
    tell(&format!("MAINPID={}\nREADY=1", std::process::id()));
}

/// Says that this process ends.
pub(super) fn tell_stopping() {
    tell("STOPPING=1");
}

fn tell(state: &str) {
    let Ok(name) = std::env::var("NOTIFY_SOCKET") else { return };
    let address = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&name),
    };
    let told = address
        .and_then(|address| UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address).map(drop));
    if let Err(error) = told {
        tracing::warn!(%error, "the service manager was not told");
    }
}
