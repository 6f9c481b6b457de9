//! The rows that the configuration gives to every agent: controllers, roles, MTPs. Made once and shared; an
//! agent's own changes are kept beside it and laid over it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::agent::config::{
    AgentConfig, CertificateConfig, ControllerConfig, ControllerMtp, MqttClient, RoleConfig, StompConnection,
};
use crate::agent::threshold::OPERATORS;
use crate::durable::{Entry, Kind};
use crate::identity::EndpointId;
use crate::translation::{Access, Rights};
use crate::usp::{Certificate, FINGERPRINTS, Shown};

use super::access;
use super::certificates::{CERTIFICATES, described};
use super::local_agent::CONTROLLERS;
use super::schema::Object;
use super::stored;
use super::tree::{Tree, as_reference};
use super::trust::CREDENTIALS;
use super::ways::{CLIENTS, CONNECTIONS, MTPS};

/// The tree that an agent has before anybody changes it.
#[derive(Debug, Clone)]
pub struct Template {
    pub(super) tree: Tree,
    /// Parameters that name the agent.
    named: Vec<Named>,
    /// What each controller may do as long as nobody changes it, by endpoint.
    access: BTreeMap<String, Arc<Access>>,
    /// By their rows.
    pub(super) certificates: BTreeMap<String, Certificate>,
    /// Controllers that must show a certificate.
    pinned: BTreeSet<String>,
    /// Whether a certificate gives roles.
    vouches: bool,
    /// Topics of agents stand below these.
    topic_prefixes: Vec<String>,
}

/// A parameter whose value holds the agent's endpoint id.
#[derive(Debug, Clone)]
struct Named {
    param: String,
    before: String,
    /// Where agents are spread over shares, the number of the agent's goes before the endpoint id.
    shares: Option<usize>,
    after: String,
}

impl Template {
    pub fn of(config: &AgentConfig) -> Self {
        let mut tree = Tree::new();
        tree.put("Device.LocalAgent.SoftwareVersion", env!("CARGO_PKG_VERSION"));
        tree.put("Device.LocalAgent.SupportedProtocols", "MQTT,STOMP,WebSocket");
        tree.put("Device.LocalAgent.SupportedNumberOfSubscriptions", "256");
        tree.put("Device.LocalAgent.SupportedThresholdOperator", OPERATORS);
        tree.put("Device.LocalAgent.SupportedFingerprintAlgorithms", FINGERPRINTS);
        place_roles(&mut tree, &config.roles);
        let mut named = Vec::new();
        for client in &config.mqtt {
            place_client(&mut tree, client, &mut named);
        }
        for connection in &config.stomp {
            place_connection(&mut tree, connection);
        }
        place_mtps(&mut tree, config, &mut named);
        let certificates = place_certificates(&mut tree, config);
        for controller in &config.controllers {
            place_controller(&mut tree, controller, config);
        }
        let mut access = BTreeMap::new();
        for controller in &config.controllers {
            let row = format!("{CONTROLLERS}{}.", controller.instance);
            access.insert(controller.endpoint_id.to_string(), Arc::new(access::compile(&row, &tree)));
        }
        let pinned = config.controllers.iter().filter(|it| !it.certificates.is_empty());
        let pinned = pinned.map(|it| it.endpoint_id.to_string()).collect();
        let vouches = !config.credentials.is_empty();
        let topic_prefixes = config.mqtt.iter().map(|client| client.topic_prefix.clone()).collect();
        Self { tree, named, access, certificates, pinned, vouches, topic_prefixes }
    }

    /// What a controller of the configuration may do as long as nobody changes it.
    pub fn access_of(&self, controller: &str) -> Option<&Access> {
        self.access.get(controller).map(Arc::as_ref)
    }

    /// Whether it matters what a controller of the configuration has shown.
    pub fn judges(&self, controller: &str, shown: &Shown) -> bool {
        *shown != Shown::Untold && (self.vouches || self.pinned.contains(controller))
    }

    /// Whether records for agents come to a topic.
    pub(super) fn is_of_agents(&self, topic: &str) -> bool {
        let below = |prefix: &String| topic.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'));
        self.topic_prefixes.iter().any(below)
    }

    /// Whether the onboarding to a controller of the configuration is complete, by what is stored of its row or
    /// else by the configuration. `false` where only the agent can tell.
    pub fn is_onboarding_complete(&self, controller: &EndpointId, entries: &[Entry]) -> bool {
        let endpoint_of = |row: &String| self.tree.value(&format!("{row}EndpointID"));
        let mut rows = self.tree.rows(CONTROLLERS).into_iter();
        let Some(row) = rows.find(|row| endpoint_of(row) == Some(controller.as_str())) else { return false };
        let kept = entries.iter().filter(|entry| entry.kind == Kind::LocalAgent).filter_map(stored::read);
        match kept.filter(|kept| kept.row == row).last() {
            Some(kept) if kept.gone || kept.params.contains_key("EndpointID") => false,
            Some(kept) if kept.params.contains_key("OnBoardingComplete") => {
                kept.params["OnBoardingComplete"] == "true"
            }
            _ => self.tree.is(&format!("{row}OnBoardingComplete")),
        }
    }

    /// What of it is different for every agent: its client ids, topics, destinations and paths.
    pub(super) fn fill(&self, tree: &mut Tree, endpoint: &EndpointId) {
        for Named { param, before, shares, after } in &self.named {
            let share = shares.map(|shares| format!("{}/", endpoint.share_of(shares))).unwrap_or_default();
            tree.put(param, &format!("{before}{share}{endpoint}{after}"));
        }
    }
}

fn place_roles(tree: &mut Tree, roles: &[RoleConfig]) {
    let table = "Device.LocalAgent.ControllerTrust.Role.";
    let mut secured = Vec::new();
    for role in roles {
        let row = role_row(role);
        put(tree, &row, &[("Enable", "true"), ("Name", &role.name)]);
        for (number, permission) in (1..).zip(&role.permissions) {
            let [param, obj, instantiated, command_event] =
                permission.rights.map(|it: Rights| it.to_string());
            let order = permission.order.to_string();
            let columns = [
                ("Enable", "true"),
                ("Order", order.as_str()),
                ("Targets", permission.targets.as_str()),
                ("Param", param.as_str()),
                ("Obj", obj.as_str()),
                ("InstantiatedObj", instantiated.as_str()),
                ("CommandEvent", command_event.as_str()),
            ];
            put(tree, &format!("{row}Permission.{number}."), &columns);
        }
        if role.secured {
            secured.push(format!("{table}{}", role.instance));
        }
        if role.untrusted {
            tree.put("Device.LocalAgent.ControllerTrust.UntrustedRole", as_reference(&row));
        }
    }
    tree.put("Device.LocalAgent.ControllerTrust.SecuredRoles", &secured.join(","));
}

/// The certificates that agents know, and those among them that vouch for controllers.
fn place_certificates(tree: &mut Tree, config: &AgentConfig) -> BTreeMap<String, Certificate> {
    let mut certificates = BTreeMap::new();
    for CertificateConfig { instance, certificate } in &config.certificates {
        let row = format!("{CERTIFICATES}{instance}.");
        if let Some(object) = Object::of(&row) {
            let mut params = described(certificate);
            params.insert("Enable".into(), "true".into());
            tree.put_row(object, &row, &params);
        }
        certificates.insert(row, certificate.clone());
    }
    for credential in &config.credentials {
        let named = config.roles.iter().filter(|role| credential.roles.contains(&role.name));
        let roles: Vec<String> = named.map(|role| as_reference(&role_row(role)).to_owned()).collect();
        let columns = [
            ("Enable", "true"),
            ("Credential", &certificate_reference(config, credential.certificate)),
            ("Role", &roles.join(",")),
            ("AllowedUses", &credential.allowed_uses),
        ];
        put(tree, &format!("{CREDENTIALS}{}.", credential.instance), &columns);
    }
    certificates
}

fn certificate_reference(config: &AgentConfig, place: usize) -> String {
    let instance = config.certificates.get(place).map(|it| it.instance);
    instance.map(|instance| format!("{CERTIFICATES}{instance}")).unwrap_or_default()
}

/// The row of an MQTT broker, as an agent that is alone on its connection has it.
fn place_client(tree: &mut Tree, client: &MqttClient, named: &mut Vec<Named>) {
    let row = format!("{CLIENTS}{}.", client.instance);
    let (user, password) = client.login.clone().unwrap_or_default();
    let columns = [
        ("Enable", "true"),
        ("Name", &client.name),
        ("ProtocolVersion", if client.v5 { "5.0" } else { "3.1.1" }),
        ("BrokerAddress", &client.host),
        ("BrokerPort", &client.port.to_string()),
        ("TransportProtocol", if client.encrypted { "TLS" } else { "TCP/IP" }),
        ("CleanSession", "false"),
        ("CleanStart", "false"),
        ("KeepAliveTime", &client.keep_alive.to_string()),
        ("SessionExpiryInterval", &client.session_expiry.to_string()),
        ("Username", &user),
        ("Password", &password),
        ("ConnectRetryTime", &seconds(client.retry_ms.0)),
        ("ConnectRetryMaxInterval", &seconds(client.retry_ms.1)),
    ];
    put(tree, &row, &columns);
    put(tree, &format!("{row}Subscription.1."), &[("Enable", "true"), ("QoS", "1")]);
    let before = client.client_id_prefix.clone();
    named.push(Named { param: format!("{row}ClientID"), before, shares: None, after: String::new() });
    let before = format!("{}/", client.topic_prefix);
    // In MQTT 3.1.1 the topic for answers follows our own (R-MQTT.25).
    let after = if client.v5 { String::new() } else { "/#".to_owned() };
    named.push(Named { param: format!("{row}Subscription.1.Topic"), before, shares: client.shares, after });
}

/// The row of a STOMP broker.
fn place_connection(tree: &mut Tree, connection: &StompConnection) {
    let (ours, theirs) = connection.heart_beat_ms;
    let (user, password) = connection.login.clone().unwrap_or_default();
    let columns = [
        ("Enable", "true"),
        ("Host", &connection.host),
        ("Port", &connection.port.to_string()),
        ("Username", &user),
        ("Password", &password),
        ("VirtualHost", &connection.virtual_host),
        ("EnableEncryption", &connection.encrypted.to_string()),
        ("EnableHeartbeats", &((ours, theirs) != (0, 0)).to_string()),
        ("OutgoingHeartbeat", &ours.to_string()),
        ("IncomingHeartbeat", &theirs.to_string()),
        ("ServerRetryInitialInterval", &seconds(connection.retry_ms.0)),
        // Waits grow twofold.
        ("ServerRetryIntervalMultiplier", "2000"),
        ("ServerRetryMaxInterval", &seconds(connection.retry_ms.1)),
    ];
    put(tree, &format!("{CONNECTIONS}{}.", connection.instance), &columns);
}

/// A row of `Device.LocalAgent.MTP.` for each broker, and one for the gateway's listener.
fn place_mtps(tree: &mut Tree, config: &AgentConfig, named: &mut Vec<Named>) {
    let whole = |param: String, before: &str, shares: Option<usize>, after: &str| Named {
        param,
        before: before.to_owned(),
        shares,
        after: after.to_owned(),
    };
    for client in &config.mqtt {
        let row = place_mtp(tree, client.mtp, "MQTT");
        tree.put(&format!("{row}MQTT.Reference"), &format!("{CLIENTS}{}", client.instance));
        tree.put(&format!("{row}MQTT.PublishQoS"), "1");
        let topic = format!("{row}MQTT.ResponseTopicConfigured");
        named.push(whole(topic, &format!("{}/", client.topic_prefix), client.shares, ""));
    }
    for broker in &config.stomp {
        let row = place_mtp(tree, broker.mtp, "STOMP");
        tree.put(&format!("{row}STOMP.Reference"), &connection_reference(broker));
        if !broker.destination_prefix.is_empty() {
            named.push(whole(format!("{row}STOMP.Destination"), &broker.destination_prefix, None, ""));
        }
    }
    if let Some(listener) = &config.listener {
        let row = place_mtp(tree, listener.mtp, "WebSocket");
        tree.put(&format!("{row}WebSocket.Port"), &listener.port.to_string());
        tree.put(&format!("{row}WebSocket.EnableEncryption"), &listener.encrypted.to_string());
        tree.put(&format!("{row}WebSocket.KeepAliveInterval"), &listener.ping.to_string());
        named.push(whole(format!("{row}WebSocket.Path"), &listener.path.0, None, &listener.path.1));
    }
}

fn place_mtp(tree: &mut Tree, number: u32, protocol: &str) -> String {
    let row = format!("{MTPS}{number}.");
    put(tree, &row, &[("Enable", "true"), ("Protocol", protocol)]);
    row
}

/// As a reference to the row of a STOMP broker.
fn connection_reference(broker: &StompConnection) -> String {
    format!("{CONNECTIONS}{}", broker.instance)
}

fn place_controller(tree: &mut Tree, controller: &ControllerConfig, config: &AgentConfig) {
    let row = format!("Device.LocalAgent.Controller.{}.", controller.instance);
    let named = config.roles.iter().filter(|role| controller.roles.contains(&role.name));
    let assigned: Vec<String> = named.map(|role| as_reference(&role_row(role)).to_owned()).collect();
    let shown = controller.certificates.iter().map(|place| certificate_reference(config, *place));
    let columns = [
        ("Enable", "true"),
        ("EndpointID", controller.endpoint_id.as_str()),
        ("Credential", &shown.collect::<Vec<_>>().join(",")),
        ("AssignedRole", &assigned.join(",")),
        // Who is not to get an OnBoardRequest counts as onboarded.
        ("OnBoardingComplete", if controller.onboard { "false" } else { "true" }),
    ];
    put(tree, &row, &columns);
    let mtp = format!("{row}MTP.1.");
    put(tree, &mtp, &[("Enable", "true"), ("Protocol", protocol(&controller.mtp)), ("Order", "1")]);
    match &controller.mtp {
        ControllerMtp::Mqtt { client, topic } => {
            tree.put(&format!("{mtp}MQTT.Topic"), topic);
            if let Some(client) = config.mqtt.get(*client) {
                tree.put(&format!("{mtp}MQTT.AgentMTPReference"), &format!("{MTPS}{}", client.mtp));
            }
        }
        ControllerMtp::Stomp { connection, destination } => {
            if let Some(broker) = config.stomp.get(*connection) {
                tree.put(&format!("{mtp}STOMP.Reference"), &connection_reference(broker));
            }
            tree.put(&format!("{mtp}STOMP.Destination"), destination);
        }
        ControllerMtp::WebSocket { host, port, path, encrypted, ping_ms, retry_ms } => {
            tree.put(&format!("{mtp}WebSocket.Host"), host);
            tree.put(&format!("{mtp}WebSocket.Port"), &port.to_string());
            tree.put(&format!("{mtp}WebSocket.Path"), path);
            tree.put(&format!("{mtp}WebSocket.EnableEncryption"), &encrypted.to_string());
            tree.put(&format!("{mtp}WebSocket.KeepAliveInterval"), &seconds(*ping_ms));
            let wait = format!("{mtp}WebSocket.SessionRetryMinimumWaitInterval");
            tree.put(&wait, &seconds(retry_ms.0));
        }
    }
}

/// Of milliseconds; the standard has no shorter time than a second.
fn seconds(ms: u64) -> String {
    ms.div_ceil(1_000).max(1).to_string()
}

fn protocol(mtp: &ControllerMtp) -> &'static str {
    match mtp {
        ControllerMtp::Mqtt { .. } => "MQTT",
        ControllerMtp::Stomp { .. } => "STOMP",
        ControllerMtp::WebSocket { .. } => "WebSocket",
    }
}

fn role_row(role: &RoleConfig) -> String {
    format!("Device.LocalAgent.ControllerTrust.Role.{}.", role.instance)
}

fn put(tree: &mut Tree, row: &str, columns: &[(&str, &str)]) {
    let params: BTreeMap<String, String> =
        columns.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    if let Some(object) = Object::of(row) {
        tree.put_row(object, row, &params);
    }
}
