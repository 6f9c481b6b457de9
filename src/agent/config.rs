//! What the operator decides about virtual agents.

use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::identity::EndpointId;
use crate::policy::{CallSecret, Egress, Ownership, Stages};
use crate::translation::Rights;
use crate::usp::Certificate;

use super::local::Template;

/// A controller that agents know from the start.
#[derive(Debug, Clone)]
pub struct ControllerConfig {
    /// The number of its row, `Device.LocalAgent.Controller.{i}.`.
    pub instance: u32,
    /// Whether the operator has chosen the number.
    pub pinned: bool,
    pub endpoint_id: EndpointId,
    /// The names of its roles.
    pub roles: Vec<String>,
    /// Whether agents send it an OnBoardRequest until it has acknowledged one.
    pub onboard: bool,
    /// The certificates of which it must show one, by their places in [`AgentConfig::certificates`]; none: any.
    pub certificates: Vec<usize>,
    pub mtp: ControllerMtp,
}

/// A certificate that agents know from the start.
#[derive(Debug, Clone)]
pub struct CertificateConfig {
    /// The number of its row, `Device.LocalAgent.Certificate.{i}.`.
    pub instance: u32,
    pub certificate: Certificate,
}

impl CertificateConfig {
    /// What it is known by, whatever else the configuration names.
    pub fn fingerprint(&self) -> String {
        self.certificate.fingerprint("SHA-256").unwrap_or_default()
    }
}

/// Whom a certificate vouches for, as `Device.LocalAgent.ControllerTrust.Credential.{i}.` shows it.
#[derive(Debug, Clone)]
pub struct CredentialConfig {
    pub instance: u32,
    /// Its place in [`AgentConfig::certificates`].
    pub certificate: usize,
    /// The names of the roles that controllers inherit by it.
    pub roles: Vec<String>,
    pub allowed_uses: String,
}

/// How a controller is met, as `Device.LocalAgent.Controller.{i}.MTP.` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControllerMtp {
    /// `client` is its place in [`AgentConfig::mqtt`].
    Mqtt { client: usize, topic: String },
    /// `connection` is its place in [`AgentConfig::stomp`].
    Stomp { connection: usize, destination: String },
    WebSocket {
        host: String,
        port: u16,
        path: String,
        encrypted: bool,
        ping_ms: u64,
        /// The first wait and the longest.
        retry_ms: (u64, u64),
    },
}

/// An MQTT broker, as `Device.MQTT.Client.{i}.` shows it; times in milliseconds.
#[derive(Clone, PartialEq, Eq)]
pub struct MqttClient {
    /// The number of its row, and of that in `Device.LocalAgent.MTP.` which refers to it.
    pub instance: u32,
    pub mtp: u32,
    /// The operator's name for it.
    pub name: String,
    pub host: String,
    pub port: u16,
    pub encrypted: bool,
    /// Version 5.0; else 3.1.1.
    pub v5: bool,
    pub login: Option<(String, String)>,
    /// An agent's client id is this and its endpoint id.
    pub client_id_prefix: String,
    /// An agent's topic is this, the number of its share if there are any, and its endpoint id.
    pub topic_prefix: String,
    /// Over how many connections all agents are spread, unless each has its own.
    pub shares: Option<usize>,
    /// In seconds.
    pub keep_alive: u16,
    /// In seconds.
    pub session_expiry: u32,
    /// The first wait and the longest.
    pub retry_ms: (u64, u64),
}

/// Where controllers reach agents by WebSocket, as `Device.LocalAgent.MTP.{i}.WebSocket.` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebSocketListener {
    /// The number of its row in `Device.LocalAgent.MTP.`.
    pub mtp: u32,
    pub port: u16,
    pub encrypted: bool,
    /// An agent's path is what stands before its endpoint id and what stands behind it.
    pub path: (String, String),
    /// How often a Ping goes out, in seconds.
    pub ping: u64,
}

/// A STOMP broker, as `Device.STOMP.Connection.{i}.` shows it; times in milliseconds.
#[derive(Clone, PartialEq, Eq)]
pub struct StompConnection {
    /// The number of its row, and of that in `Device.LocalAgent.MTP.` which refers to it.
    pub instance: u32,
    pub mtp: u32,
    /// The operator's name for it.
    pub name: String,
    pub host: String,
    pub port: u16,
    pub encrypted: bool,
    pub login: Option<(String, String)>,
    pub virtual_host: String,
    /// Ours and the broker's; 0 is none.
    pub heart_beat_ms: (u64, u64),
    /// The first wait and the longest.
    pub retry_ms: (u64, u64),
    /// An agent's destination is this and its endpoint id; empty if only the broker knows.
    pub destination_prefix: String,
}

// Passwords stay out of logs.
impl fmt::Debug for MqttClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MqttClient({} {}:{})", self.name, self.host, self.port)
    }
}

impl fmt::Debug for StompConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StompConnection({}:{})", self.host, self.port)
    }
}

/// A role, as `Device.LocalAgent.ControllerTrust.Role.{i}.` shows it.
#[derive(Debug, Clone)]
pub struct RoleConfig {
    pub instance: u32,
    /// Whether the number is chosen, by the operator or because the role is built in.
    pub pinned: bool,
    pub name: String,
    pub permissions: Vec<PermissionConfig>,
    /// Who has it sees the values of `secured` parameters that it may read.
    pub secured: bool,
    /// The role of those that have no other.
    pub untrusted: bool,
}

/// One permission of a role.
#[derive(Debug, Clone)]
pub struct PermissionConfig {
    /// The higher one decides where targets overlap.
    pub order: u32,
    /// Paths, separated by commas.
    pub targets: String,
    /// On parameters, objects, instances, and commands and events.
    pub rights: [Rights; 4],
}

impl RoleConfig {
    /// The roles that are there without being configured: everything, reading, and nothing.
    pub fn built_in() -> Vec<Self> {
        let role = |instance, name: &str, targets: &str, rights| Self {
            instance,
            pinned: true,
            name: name.to_owned(),
            permissions: vec![PermissionConfig {
                order: 1,
                targets: targets.to_owned(),
                rights: [rights; 4],
            }],
            secured: false,
            untrusted: false,
        };
        let reads = Rights::READ.with(Rights::NOTIFY);
        vec![
            Self { secured: true, ..role(1, FULL_ACCESS, "Device.", Rights::ALL) },
            role(2, READ_ONLY, "Device.", reads),
            Self { untrusted: true, permissions: Vec::new(), ..role(3, UNTRUSTED, "", Rights::NONE) },
        ]
    }
}

/// The names of the roles that are there without being configured.
pub const FULL_ACCESS: &str = "full-access";
pub const READ_ONLY: &str = "read-only";
pub const UNTRUSTED: &str = "untrusted";

/// Settings of the agent core; times in milliseconds.
#[derive(Debug, Clone)]
pub struct AgentConfig {
    pub controllers: Vec<ControllerConfig>,
    pub roles: Vec<RoleConfig>,
    pub certificates: Vec<CertificateConfig>,
    pub credentials: Vec<CredentialConfig>,
    pub mqtt: Vec<MqttClient>,
    pub stomp: Vec<StompConnection>,
    pub listener: Option<WebSocketListener>,
    /// Where controllers may send agents.
    pub egress: Arc<Egress>,
    /// Who may write what of CPEs.
    pub ownership: Arc<Ownership>,
    /// Which devices controllers may change, and of which the ACS's RPCs are compared with USP.
    pub stages: Arc<Stages>,
    /// How long a request may wait for its device before its controller gets an error.
    pub request_timeout_ms: u64,
    /// How old a value may be that a Get is answered with; 0 is live: the CPE is asked each time.
    pub fresh_ms: u64,
    /// Whether the gateway may ask CPEs what they have. Without it agents answer for nothing of theirs.
    pub discovery: bool,
    /// Whether a CPE is called for that rather than asked in its next session.
    pub discovery_calls: bool,
    /// Whether CPEs are asked, by SetParameterAttributes, to tell at once of what controllers have subscribed to.
    pub notification_attributes: bool,
    /// Whether there is an ACS, which is told of what USP writes where it watches that.
    pub acs: bool,
    /// CPEs whose credentials for connection requests are not known get such as are made of this.
    pub call_secret: Option<CallSecret>,
    /// Whether a factory reset takes CPEs away from the gateway, so that no controller may bring it about.
    pub reset_departs: bool,
    /// Parameter and object names taken in one session by discovery.
    pub discovery_names_per_session: usize,
    /// Requests that may wait for one device; one more is refused with 7005.
    pub max_queue: usize,
    /// Whether there is a stage for firmware images.
    pub firmware: bool,
    /// Whether there is a shell that can do TLS for payloads.
    pub payload_security: bool,
    /// What a signature and its certificates add to a record that is signed, in bytes.
    pub signature_room: usize,
    /// Made of the above when it is first asked for.
    pub template: OnceLock<Arc<Template>>,
}

impl AgentConfig {
    /// The rows that every agent begins with.
    pub fn template(&self) -> Arc<Template> {
        Arc::clone(self.template.get_or_init(|| Arc::new(Template::of(self))))
    }
}

impl Default for AgentConfig {
    fn default() -> Self {
        Self {
            controllers: Vec::new(),
            roles: RoleConfig::built_in(),
            certificates: Vec::new(),
            credentials: Vec::new(),
            mqtt: Vec::new(),
            stomp: Vec::new(),
            listener: None,
            egress: Arc::default(),
            firmware: false,
            ownership: Arc::default(),
            stages: Arc::default(),
            request_timeout_ms: 60_000,
            fresh_ms: 0,
            discovery: true,
            discovery_calls: false,
            notification_attributes: false,
            acs: true,
            reset_departs: false,
            call_secret: None,
            discovery_names_per_session: 20_000,
            max_queue: 64,
            payload_security: false,
            signature_room: 0,
            template: OnceLock::new(),
        }
    }
}
