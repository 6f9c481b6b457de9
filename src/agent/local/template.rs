//! The rows that the configuration gives to every agent: controllers, roles, MTPs. Made once and shared; an
//! agent's own changes are kept beside it and laid over it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::agent::config::{AgentConfig, ControllerConfig, ControllerMtp, RoleConfig, StompConnection};
use crate::identity::EndpointId;
use crate::translation::{Access, Rights};

use super::access;
use super::local_agent::CONTROLLERS;
use super::schema::Object;
use super::tree::{Tree, as_reference};

/// The tree that an agent has before anybody changes it.
#[derive(Debug, Clone)]
pub struct Template {
    pub(super) tree: Tree,
    /// Parameters that hold an agent's STOMP destination, and what it begins with.
    destinations: Vec<(String, String)>,
    /// What each controller may do as long as nobody changes it, by endpoint.
    access: BTreeMap<String, Arc<Access>>,
}

impl Template {
    pub fn of(config: &AgentConfig) -> Self {
        let mut tree = Tree::new();
        tree.put("Device.LocalAgent.SoftwareVersion", env!("CARGO_PKG_VERSION"));
        tree.put("Device.LocalAgent.SupportedProtocols", "MQTT,STOMP,WebSocket");
        tree.put("Device.LocalAgent.SupportedNumberOfSubscriptions", "256");
        place_roles(&mut tree, &config.roles);
        for (number, connection) in (1..).zip(&config.stomp) {
            place_connection(&mut tree, number, connection);
        }
        let destinations = place_mtps(&mut tree, config);
        for controller in &config.controllers {
            place_controller(&mut tree, controller, &config.roles);
        }
        let mut access = BTreeMap::new();
        for controller in &config.controllers {
            let row = format!("{CONTROLLERS}{}.", controller.instance);
            access.insert(controller.endpoint_id.to_string(), Arc::new(access::compile(&row, &tree)));
        }
        Self { tree, destinations, access }
    }

    /// What a controller of the configuration may do as long as nobody changes it.
    pub fn access_of(&self, controller: &str) -> Option<&Access> {
        self.access.get(controller).map(Arc::as_ref)
    }

    /// What of it is different for every agent: its STOMP destinations.
    pub(super) fn fill(&self, tree: &mut Tree, endpoint: &EndpointId) {
        for (name, prefix) in self.destinations.iter().filter(|(_, prefix)| !prefix.is_empty()) {
            tree.put(name, &format!("{prefix}{endpoint}"));
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

/// The row of a STOMP broker; who reads it does so over the connection, most likely.
fn place_connection(tree: &mut Tree, number: u32, connection: &StompConnection) {
    let (ours, theirs) = connection.heart_beat_ms;
    let seconds = |ms: u64| ms.div_ceil(1_000).to_string();
    let columns = [
        ("Enable", "true"),
        ("Status", "Enabled"),
        ("Host", &connection.host),
        ("Port", &connection.port.to_string()),
        ("Username", &connection.username),
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
    put(tree, &format!("{CONNECTIONS}{number}."), &columns);
}

/// A row of `Device.LocalAgent.MTP.` for each protocol that is used, for STOMP for each broker.
fn place_mtps(tree: &mut Tree, config: &AgentConfig) -> Vec<(String, String)> {
    let mut ways: Vec<(&str, Option<usize>)> = config
        .controllers
        .iter()
        .map(|controller| match &controller.mtp {
            ControllerMtp::Stomp { connection, .. } => (protocol(&controller.mtp), Some(*connection)),
            mtp => (protocol(mtp), None),
        })
        .collect();
    ways.sort_unstable();
    ways.dedup();
    let mut destinations = Vec::new();
    for (number, (protocol, connection)) in (1..).zip(ways) {
        let columns = [("Enable", "true"), ("Status", "Up"), ("Protocol", protocol), ("EnableMDNS", "false")];
        let row = format!("Device.LocalAgent.MTP.{number}.");
        put(tree, &row, &columns);
        if let Some(index) = connection {
            tree.put(&format!("{row}STOMP.Reference"), &connection_reference(index));
            let prefix = config.stomp.get(index).map(|broker| broker.destination_prefix.clone());
            destinations.push((format!("{row}STOMP.Destination"), prefix.unwrap_or_default()));
        }
    }
    destinations
}

/// As a reference to the row of a STOMP broker, by its place in the configuration.
fn connection_reference(index: usize) -> String {
    format!("{CONNECTIONS}{}", index + 1)
}

fn place_controller(tree: &mut Tree, controller: &ControllerConfig, roles: &[RoleConfig]) {
    let row = format!("Device.LocalAgent.Controller.{}.", controller.instance);
    let named = roles.iter().filter(|role| controller.roles.contains(&role.name));
    let assigned: Vec<String> = named.map(|role| as_reference(&role_row(role)).to_owned()).collect();
    let columns = [
        ("Enable", "true"),
        ("EndpointID", controller.endpoint_id.as_str()),
        ("AssignedRole", &assigned.join(",")),
        // Who is not to get an OnBoardRequest counts as onboarded.
        ("OnBoardingComplete", if controller.onboard { "false" } else { "true" }),
    ];
    put(tree, &row, &columns);
    let mtp = format!("{row}MTP.1.");
    put(tree, &mtp, &[("Enable", "true"), ("Protocol", protocol(&controller.mtp)), ("Order", "1")]);
    match &controller.mtp {
        ControllerMtp::Mqtt { topic } => tree.put(&format!("{mtp}MQTT.Topic"), topic),
        ControllerMtp::Stomp { connection, destination } => {
            tree.put(&format!("{mtp}STOMP.Reference"), &connection_reference(*connection));
            tree.put(&format!("{mtp}STOMP.Destination"), destination);
        }
        ControllerMtp::WebSocket { host, port, path, encrypted } => {
            tree.put(&format!("{mtp}WebSocket.Host"), host);
            tree.put(&format!("{mtp}WebSocket.Port"), &port.to_string());
            tree.put(&format!("{mtp}WebSocket.Path"), path);
            tree.put(&format!("{mtp}WebSocket.EnableEncryption"), &encrypted.to_string());
        }
    }
}

fn protocol(mtp: &ControllerMtp) -> &'static str {
    match mtp {
        ControllerMtp::Mqtt { .. } => "MQTT",
        ControllerMtp::Stomp { .. } => "STOMP",
        ControllerMtp::WebSocket { .. } => "WebSocket",
    }
}

const CONNECTIONS: &str = "Device.STOMP.Connection.";

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
