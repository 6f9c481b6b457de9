//! `Device.LocalAgent.MTP.{i}.` and `Controller.{i}.MTP.{i}.`: how agents and controllers meet. Both follow
//! from the configuration, so controllers can only read them.

use crate::agent::config::{ControllerConfig, ControllerMtp};
use crate::datamodel::ValueType;

/// The parameters of these rows: path below the table's row, value, type.
pub(super) type Params = Vec<(String, String, ValueType)>;

/// The rows of `Device.LocalAgent.MTP.`, one for each protocol that is used.
pub(super) fn agent_rows(controllers: &[ControllerConfig]) -> Vec<Params> {
    let mut protocols: Vec<&str> = controllers.iter().map(|controller| protocol(&controller.mtp)).collect();
    protocols.sort_unstable();
    protocols.dedup();
    let rows = (1..).zip(protocols).map(|(number, protocol)| {
        vec![
            text("Alias", &format!("cpe-{number}")),
            flag("Enable", true),
            text("Status", "Up"),
            text("Protocol", protocol),
            flag("EnableMDNS", false),
        ]
    });
    rows.collect()
}

/// The one row of a controller's MTP table.
pub(super) fn controller_row(mtp: &ControllerMtp) -> Params {
    let mut row = vec![
        text("Alias", "cpe-1"),
        flag("Enable", true),
        text("Protocol", protocol(mtp)),
        ("Order".into(), "1".into(), ValueType::UnsignedInt),
    ];
    match mtp {
        ControllerMtp::Mqtt { topic } => row.push(text("MQTT.Topic", topic)),
        ControllerMtp::WebSocket { host, port, path, encrypted } => {
            row.push(text("WebSocket.Host", host));
            row.push(("WebSocket.Port".into(), port.to_string(), ValueType::UnsignedInt));
            row.push(text("WebSocket.Path", path));
            row.push(flag("WebSocket.EnableEncryption", *encrypted));
        }
    }
    row
}

fn protocol(mtp: &ControllerMtp) -> &'static str {
    match mtp {
        ControllerMtp::Mqtt { .. } => "MQTT",
        ControllerMtp::WebSocket { .. } => "WebSocket",
    }
}

fn text(name: &str, value: &str) -> (String, String, ValueType) {
    (name.into(), value.into(), ValueType::String)
}

fn flag(name: &str, value: bool) -> (String, String, ValueType) {
    (name.into(), value.to_string(), ValueType::Boolean)
}
