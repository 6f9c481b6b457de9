//! The file as written. Every table refuses keys that it does not know.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

use crate::identity::EndpointId;
use crate::policy::Stage;

use super::values::{
    Addresses, Broker, HostNames, Ouis, PostPath, Seconds, StompBroker, Trusted, Url, WebPlaces, WsUrl,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub cwmp: Cwmp,
    pub acs: Option<Acs>,
    pub connection_requests: Option<ConnectionRequests>,
    pub takeover: Option<Takeover>,
    pub store: Store,
    #[serde(default)]
    pub device: Device,
    /// MQTT brokers by name.
    #[serde(default)]
    pub mqtt: BTreeMap<String, Mqtt>,
    /// STOMP brokers by name.
    #[serde(default)]
    pub stomp: BTreeMap<String, Stomp>,
    #[serde(default)]
    pub controller: Vec<Controller>,
    #[serde(default)]
    pub role: Vec<Role>,
    #[serde(default)]
    pub credential: Vec<Credential>,
    #[serde(default)]
    pub ownership: Vec<Ownership>,
    #[serde(default)]
    pub stage: Vec<StageOf>,
    pub payload_security: Option<PayloadSecurity>,
    pub agent_certificates: Option<AgentCertificates>,
    #[serde(default)]
    pub egress: Egress,
    pub firmware: Option<Firmware>,
    pub websocket_server: Option<WebSocketServer>,
    pub admin: Option<Admin>,
    pub upgrade: Option<Upgrade>,
    pub capture: Option<Capture>,
    #[serde(default)]
    pub log: Log,
}

/// Where the next process takes over.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Upgrade {
    pub socket: PathBuf,
    pub drain_seconds: Option<Seconds>,
}

/// Where controllers may send agents.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Egress {
    #[serde(default)]
    pub allow: Vec<String>,
    /// Whom to trust there.
    pub ca: Option<PathBuf>,
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
}

/// Firmware for CPEs that speak only CWMP.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Firmware {
    pub directory: PathBuf,
    pub listen: SocketAddr,
    /// What CPEs call.
    pub url: Url,
    pub tls: Option<ServerTls>,
    pub max_image_bytes: Option<u64>,
    pub max_total_bytes: Option<u64>,
    pub max_downloads: Option<usize>,
    pub bytes_per_second: Option<u64>,
    pub fetch_seconds: Option<Seconds>,
    pub link_seconds: Option<Seconds>,
}

/// Where controllers reach agents by WebSocket.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WebSocketServer {
    pub listen: SocketAddr,
    pub path: Option<String>,
    pub tls: Option<ServerTls>,
    /// Controllers need no certificate: each is who it says it is.
    #[serde(default)]
    pub unauthenticated: bool,
    pub max_connections: Option<usize>,
    pub ping_seconds: Option<Seconds>,
}

/// The door for CPEs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cwmp {
    pub listen: SocketAddr,
    pub tls: Option<ServerTls>,
    pub authentication: Option<Authentication>,
    pub identity: Option<Identity>,
    pub front: Option<Front>,
    pub max_body_bytes: Option<usize>,
    pub max_connections: Option<usize>,
    pub max_handshakes: Option<usize>,
    pub handshake_seconds: Option<Seconds>,
    pub idle_seconds: Option<Seconds>,
}

/// Fronts through which CPEs come.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Front {
    pub trusted: Trusted,
    #[serde(default)]
    pub proxy_protocol: bool,
    #[serde(default)]
    pub forwarded: bool,
    #[serde(default)]
    pub client_cert: bool,
    #[serde(default)]
    pub client_certificate: ClientCertificate,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServerTls {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Whose client certificates are taken.
    pub client_ca: Option<PathBuf>,
    #[serde(default)]
    pub client_certificate: ClientCertificate,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ClientCertificate {
    #[default]
    Optional,
    Required,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Authentication {
    pub scheme: Scheme,
    pub realm: Option<String>,
    pub users: BTreeMap<String, String>,
}

/// What the credentials of a device call it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Identity {
    pub username: Option<OneOrMany>,
    pub certificate: Option<OneOrMany>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Scheme {
    Basic,
    Digest,
    DigestMd5Sess,
    DigestSha256,
}

/// The existing ACS, or one more of them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Acs {
    pub name: Option<String>,
    pub path: Option<PostPath>,
    pub host: Option<HostNames>,
    pub address: Option<Addresses>,
    pub oui: Option<Ouis>,
    pub product_class: Option<OneOrMany>,
    pub serial_number: Option<OneOrMany>,
    pub url: Option<Url>,
    pub ca: Option<PathBuf>,
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    pub username: Option<String>,
    pub password: Option<String>,
    #[serde(default)]
    pub keep_target: bool,
    #[serde(default)]
    pub keep_host: bool,
    #[serde(default)]
    pub redirects: WebPlaces,
    #[serde(default)]
    pub redirect_credentials: bool,
    #[serde(default)]
    pub forwarded: bool,
    #[serde(default)]
    pub client_cert: bool,
    pub when_down: Option<WhenDown>,
    pub answer_seconds: Option<Seconds>,
    pub connect_seconds: Option<Seconds>,
    /// Further ones, for some CPEs.
    #[serde(default)]
    pub route: Vec<Acs>,
}

/// Where the ACS's connection requests come, so that the ACS never learns the CPEs' own addresses.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConnectionRequests {
    pub listen: SocketAddr,
    pub url: Url,
    pub trusted: Option<Trusted>,
    pub answer_own_calls: Option<bool>,
    /// A secret of which CPEs get credentials where none are known.
    pub own_credentials_file: Option<PathBuf>,
}

/// CPEs that come since they have been told the gateway's URL.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Takeover {
    /// The URL that they have been told.
    pub url: Url,
    /// The one that they had; by default that of `[acs]`.
    pub acs_url: Option<Url>,
    #[serde(default)]
    pub other_urls: OtherUrls,
    /// After a factory reset they come here all the same.
    #[serde(default)]
    pub reset_leads_back: bool,
    /// The list of devices whose BOOTSTRAP is hidden.
    pub hide_bootstrap: Option<PathBuf>,
}

/// What becomes of a CPE that the ACS sends elsewhere.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum OtherUrls {
    #[default]
    Pass,
    Hold,
}

/// What a CPE gets while the ACS gives no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum WhenDown {
    Refuse,
    Answer,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Store {
    pub file: PathBuf,
    pub key_file: Option<PathBuf>,
}

/// How the gateway deals with each device.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Device {
    pub park_seconds: Option<Seconds>,
    pub request_timeout_seconds: Option<Seconds>,
    pub session_idle_seconds: Option<Seconds>,
    pub rest_after_seconds: Option<Seconds>,
    pub discovery: Option<bool>,
    pub discovery_calls: Option<bool>,
    pub notification_attributes: Option<bool>,
    pub fresh_seconds: Option<Seconds>,
    pub ownership_mode: Option<OwnershipMode>,
    pub overwrite_minutes: Option<u32>,
    pub stage: Option<Stage>,
    pub connection_request_username: Option<String>,
    pub connection_request_password: Option<String>,
    pub connection_request_retry_seconds: Option<Vec<Seconds>>,
}

/// What is done about writes to what another master owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum OwnershipMode {
    Off,
    Advise,
    Enforce,
}

/// Who may write some of the data model.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ownership {
    pub name: Option<String>,
    pub paths: Vec<String>,
    pub owner: String,
}

/// How far devices are on their way to USP. In texts `*` stands for any characters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StageOf {
    pub stage: Stage,
    pub oui: Option<String>,
    pub product_class: Option<String>,
    pub software_version: Option<String>,
}

/// One MQTT broker.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mqtt {
    pub broker: Broker,
    #[serde(default)]
    pub version: MqttVersion,
    pub username: Option<String>,
    pub password: Option<String>,
    pub ca: Option<PathBuf>,
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    /// None: a connection for each agent.
    pub shared_connections: Option<usize>,
    pub client_id_prefix: Option<String>,
    pub topic_prefix: Option<String>,
    pub keep_alive_seconds: Option<u16>,
    pub retry_seconds: Option<Seconds>,
    pub max_retry_seconds: Option<Seconds>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum MqttVersion {
    #[default]
    #[serde(rename = "5.0")]
    V5,
    #[serde(rename = "3.1.1")]
    V311,
}

/// One STOMP broker.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stomp {
    pub broker: StompBroker,
    pub username: Option<String>,
    pub password: Option<String>,
    pub ca: Option<PathBuf>,
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    pub virtual_host: Option<String>,
    pub destination_prefix: Option<String>,
    pub outgoing_heartbeat_seconds: Option<Seconds>,
    pub incoming_heartbeat_seconds: Option<Seconds>,
    pub retry_seconds: Option<Seconds>,
    pub max_retry_seconds: Option<Seconds>,
}

/// A USP controller.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Controller {
    pub endpoint_id: EndpointId,
    /// The number of its row; by default its place in the file.
    pub instance: Option<u32>,
    pub role: Option<OneOrMany>,
    pub onboard: Option<bool>,
    /// Files of the certificates of which it must show one.
    #[serde(default)]
    pub certificates: Vec<PathBuf>,
    pub mqtt: Option<ControllerMqtt>,
    pub stomp: Option<ControllerStomp>,
    pub websocket: Option<ControllerWebSocket>,
}

/// A certificate that vouches for controllers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Credential {
    pub certificate: PathBuf,
    /// Without it controllers are known by it and inherit nothing.
    pub role: Option<OneOrMany>,
    #[serde(default)]
    pub allowed_uses: AllowedUses,
}

/// Whom a CA may authenticate, beside giving access to the transport.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum AllowedUses {
    #[serde(rename = "MTP-only")]
    Transport,
    #[default]
    #[serde(rename = "MTP-and-USP")]
    Controllers,
    #[serde(rename = "MTP-and-broker")]
    Brokers,
}

/// One name, or a list of them.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    pub fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

/// A role beside those that are built in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Role {
    pub name: String,
    pub instance: Option<u32>,
    #[serde(default)]
    pub secured: bool,
    #[serde(default)]
    pub untrusted: bool,
    #[serde(default)]
    pub permission: Vec<Permission>,
}

/// Rights on targets, each written `rwxn`; left out, there are none.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Permission {
    pub targets: Vec<String>,
    pub order: Option<u32>,
    pub param: Option<String>,
    pub obj: Option<String>,
    pub instantiated_obj: Option<String>,
    pub command_event: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ControllerMqtt {
    /// Which of the brokers.
    pub broker: String,
    pub topic: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ControllerStomp {
    /// Which of the brokers.
    pub broker: String,
    pub destination: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ControllerWebSocket {
    pub url: WsUrl,
    pub ca: Option<PathBuf>,
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    pub ping_seconds: Option<Seconds>,
    pub retry_seconds: Option<Seconds>,
    pub max_retry_seconds: Option<Seconds>,
}

/// TLS within session contexts, and signatures of records.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PayloadSecurity {
    pub ca: PathBuf,
    /// One for all agents; absent, each has its own.
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    #[serde(default)]
    pub sign_records: bool,
}

/// The CA that issues a certificate to each agent; without files, one of the gateway's own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AgentCertificates {
    pub ca: Option<PathBuf>,
    pub key: Option<PathBuf>,
    /// How long what it issues is valid.
    pub days: Option<u32>,
}

/// Captures of traffic, which operators order.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Capture {
    pub directory: PathBuf,
    /// Paths whose values are replaced too.
    #[serde(default)]
    pub redact: Vec<String>,
    #[serde(default)]
    pub pseudonymise: bool,
    #[serde(default)]
    pub opaque: bool,
    pub max_bytes: Option<u64>,
    pub max_total_bytes: Option<u64>,
    pub max_files: Option<usize>,
    pub max_minutes: Option<u32>,
}

/// Metrics and health.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Admin {
    pub listen: SocketAddr,
    /// Who orders must show what stands in it.
    pub token_file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Log {
    pub filter: Option<String>,
    #[serde(default)]
    pub format: Format,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    #[default]
    Text,
    Json,
}
