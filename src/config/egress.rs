//! `[egress]` and `[websocket_server]` as meant: where controllers may send agents, and where they come to them.

use crate::agent::WebSocketListener;
use crate::mtp::mqtt::MqttConfig;
use crate::mtp::stomp::StompConfig;
use crate::mtp::websocket::{ListenerConfig, WebSocketConfig};
use crate::net::{Anchors, TlsClient};
use crate::policy;

use super::file;
use super::settings::{Refusal, client_tls, refuse, server_tls};
use super::values::Seconds;

/// The policy, and whom to trust where it leads.
pub(super) struct Egress {
    pub policy: policy::Egress,
    pub tls: Option<TlsClient>,
}

/// What the configuration itself names is allowed without being said again.
pub(super) fn egress(
    egress: &file::Egress,
    mqtt: &[MqttConfig],
    stomp: &[StompConfig],
    websocket: &[WebSocketConfig],
) -> Result<Egress, Refusal> {
    let places = policy::Egress::of(egress.allow.iter().map(String::as_str));
    let mut policy = places.or_else(|error| refuse("egress.allow", error))?;
    for broker in mqtt {
        policy.add(if broker.tls.is_some() { "mqtts" } else { "mqtt" }, &broker.host, broker.port, "");
    }
    for broker in stomp {
        policy.add(if broker.tls.is_some() { "stomps" } else { "stomp" }, &broker.host, broker.port, "");
    }
    for controller in websocket {
        let url = &controller.url;
        policy.add(if url.tls { "wss" } else { "ws" }, &url.host, url.port, &url.target);
    }
    let secure = |place: &String| {
        ["mqtts:", "stomps:", "wss:", "https:"].iter().any(|scheme| place.starts_with(scheme))
    };
    let (ca, certificate, key) = (egress.ca.clone(), egress.certificate.clone(), egress.key.clone());
    let tls = client_tls("egress", egress.allow.iter().any(secure), ca, certificate, key)?;
    Ok(Egress { policy, tls })
}

/// The listener, and what controllers may read of it.
pub(super) struct Listener {
    pub server: ListenerConfig,
    shown: WebSocketListener,
}

impl Listener {
    /// What controllers may read of it, behind the MTPs that are there.
    pub fn shown(&self, mtps_before: usize) -> WebSocketListener {
        WebSocketListener { mtp: u32::try_from(mtps_before + 1).unwrap_or(1), ..self.shown.clone() }
    }
}

pub(super) fn listener(server: &file::WebSocketServer) -> Result<Listener, Refusal> {
    let template = server.path.as_deref().unwrap_or("/usp/{endpoint}");
    let path = match template.split_once("{endpoint}") {
        Some((before, after)) if before.starts_with('/') && !template.contains(['?', '#', '%']) => {
            (before.to_owned(), after.to_owned())
        }
        _ => {
            return refuse(
                "websocket_server.path",
                "is a path with {endpoint} in it, such as /usp/{endpoint}",
            );
        }
    };
    let unauthenticated = unauthenticated(server)?;
    let tls = match &server.tls {
        Some(tls) => Some(server_tls("websocket_server.tls", tls, true)?),
        None => None,
    };
    let ping = server.ping_seconds.unwrap_or(Seconds::of(60)).0.max(Seconds::of(1).0);
    let shown = WebSocketListener {
        mtp: 1,
        port: server.listen.port(),
        encrypted: tls.is_some(),
        path: path.clone(),
        ping: ping.as_secs(),
    };
    let anchors = server.tls.as_ref().and_then(|tls| tls.client_ca.as_deref()).map(Anchors::load);
    let anchors = anchors.transpose().or_else(|error| refuse("websocket_server.tls.client_ca", error))?;
    let most = server.max_connections.unwrap_or(DEFAULT_CONNECTIONS);
    let listen = server.listen.into();
    let server = ListenerConfig { listen, tls, anchors, unauthenticated, path, ping, max_connections: most };
    Ok(Listener { server, shown })
}

/// Whether controllers may come without a certificate that names them. Beyond this machine that is for the
/// operator to say.
fn unauthenticated(server: &file::WebSocketServer) -> Result<bool, Refusal> {
    let required = |tls: &file::ServerTls| tls.client_certificate == file::ClientCertificate::Required;
    let certain = server.tls.as_ref().is_some_and(required);
    match (certain, server.unauthenticated) {
        (true, true) => refuse(
            "websocket_server.unauthenticated",
            "contradicts client_certificate = \"required\" in websocket_server.tls",
        ),
        (false, false) if !server.listen.ip().is_loopback() => refuse(
            "websocket_server",
            "lets whoever knows a controller's endpoint id speak as that controller, beyond this machine. \
             Require client certificates (websocket_server.tls with client_ca and client_certificate = \
             \"required\"), listen on a loopback address, or say unauthenticated = true",
        ),
        _ => Ok(!certain),
    }
}

const DEFAULT_CONNECTIONS: usize = 100_000;
