//! The rows that the configuration gives to every agent: controllers, roles, MTPs. Made once and shared; an
//! agent's own changes are kept beside it and laid over it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::agent::config::{AgentConfig, ControllerConfig, ControllerMtp, RoleConfig};
use crate::translation::{Access, Rights};

use super::access;
use super::local_agent::CONTROLLERS;
use super::schema::Object;
use super::tree::{Tree, as_reference};

/// The tree that an agent has before anybody changes it.
#[derive(Debug, Clone)]
pub struct Template {
    pub(super) tree: Tree,
    /// What each controller may do as long as nobody changes it, by endpoint.
    access: BTreeMap<String, Arc<Access>>,
}

impl Template {
    pub fn of(config: &AgentConfig) -> Self {
        let mut tree = Tree::new();
        tree.put("Device.LocalAgent.SoftwareVersion", env!("CARGO_PKG_VERSION"));
        tree.put("Device.LocalAgent.SupportedProtocols", "MQTT,WebSocket");
        tree.put("Device.LocalAgent.SupportedNumberOfSubscriptions", "256");
        place_roles(&mut tree, &config.roles);
        place_mtps(&mut tree, &config.controllers);
        for controller in &config.controllers {
            place_controller(&mut tree, controller, &config.roles);
        }
        let mut access = BTreeMap::new();
        for controller in &config.controllers {
            let row = format!("{CONTROLLERS}{}.", controller.instance);
            access.insert(controller.endpoint_id.to_string(), Arc::new(access::compile(&row, &tree)));
        }
        Self { tree, access }
    }

    /// What a controller of the configuration may do as long as nobody changes it.
    pub fn access_of(&self, controller: &str) -> Option<&Access> {
        self.access.get(controller).map(Arc::as_ref)
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

/// A row of `Device.LocalAgent.MTP.` for each protocol that is used.
fn place_mtps(tree: &mut Tree, controllers: &[ControllerConfig]) {
    let mut protocols: Vec<&str> = controllers.iter().map(|controller| protocol(&controller.mtp)).collect();
    protocols.sort_unstable();
    protocols.dedup();
    for (number, protocol) in (1..).zip(protocols) {
        let columns = [("Enable", "true"), ("Status", "Up"), ("Protocol", protocol), ("EnableMDNS", "false")];
        put(tree, &format!("Device.LocalAgent.MTP.{number}."), &columns);
    }
}

fn place_controller(tree: &mut Tree, controller: &ControllerConfig, roles: &[RoleConfig]) {
    let row = format!("Device.LocalAgent.Controller.{}.", controller.instance);
    let named = roles.iter().filter(|role| controller.roles.contains(&role.name));
    let assigned: Vec<String> = named.map(|role| as_reference(&role_row(role)).to_owned()).collect();
    let columns = [
        ("Enable", "true"),
        ("EndpointID", controller.endpoint_id.as_str()),
        ("AssignedRole", &assigned.join(",")),
    ];
    put(tree, &row, &columns);
    let mtp = format!("{row}MTP.1.");
    put(tree, &mtp, &[("Enable", "true"), ("Protocol", protocol(&controller.mtp)), ("Order", "1")]);
    match &controller.mtp {
        ControllerMtp::Mqtt { topic } => tree.put(&format!("{mtp}MQTT.Topic"), topic),
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
