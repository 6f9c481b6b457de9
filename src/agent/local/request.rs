//! `Device.LocalAgent.Request.{i}.`: asynchronous operations until they are complete (R-OPR.0).

use serde::{Deserialize, Serialize};

use crate::datamodel::ValueType;
use crate::identity::EndpointId;

use super::table::{Access, Check, Column, Table};

/// Request:1 of TR-181.
pub(super) const REQUEST: Table = Table {
    path: "Device.LocalAgent.Request.",
    count: "Device.LocalAgent.RequestNumberOfEntries",
    columns: &[
        column("Alias", &Check::MaxLength(64)),
        column("Originator", &Check::Any),
        column("Command", &Check::Any),
        column("CommandKey", &Check::Any),
        column("Status", &Check::Any),
    ],
    keys: &[&["Alias"]],
    creatable: false,
    max_rows: 64,
};

const fn column(name: &'static str, check: &Check) -> Column {
    Column { name, value_type: ValueType::String, access: Access::ReadOnly, default: "", check: *check }
}

/// An asynchronous operation as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::agent) struct Operation {
    pub format: u32,
    /// Its row in the Request table.
    pub instance: u32,
    pub originator: EndpointId,
    /// The command's full path, such as `Device.IP.Diagnostics.IPPing()`.
    pub command: String,
    pub command_key: String,
    pub input_args: std::collections::BTreeMap<String, String>,
    /// Whether the CPE has been told and is at it: its completion is awaited.
    pub started: bool,
}
