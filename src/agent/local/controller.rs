//! `Device.LocalAgent.Controller.{i}.`: the controllers that the configuration names. Their rows keep their
//! numbers over restarts, since subscriptions refer to them.

use crate::datamodel::ValueType;

use super::table::{Access, Check, Column, Table};

/// Controller:1 of TR-181, without the objects of MTPs that are not there.
pub(super) const CONTROLLER: Table = Table {
    path: "Device.LocalAgent.Controller.",
    count: "Device.LocalAgent.ControllerNumberOfEntries",
    columns: &[
        Column {
            name: "Alias",
            value_type: ValueType::String,
            access: Access::WriteOnce,
            default: "",
            check: Check::MaxLength(64),
        },
        Column {
            name: "EndpointID",
            value_type: ValueType::String,
            access: Access::ReadOnly,
            default: "",
            check: Check::Any,
        },
        Column {
            name: "Enable",
            value_type: ValueType::Boolean,
            access: Access::ReadOnly,
            default: "true",
            check: Check::Any,
        },
        Column {
            name: "ControllerCode",
            value_type: ValueType::String,
            access: Access::ReadWrite,
            default: "",
            check: Check::MaxLength(128),
        },
        Column {
            name: "ProvisioningCode",
            value_type: ValueType::String,
            access: Access::ReadWrite,
            default: "",
            check: Check::MaxLength(64),
        },
        Column {
            name: "USPNotifRetryMinimumWaitInterval",
            value_type: ValueType::UnsignedInt,
            access: Access::ReadWrite,
            default: "5",
            check: Check::Range(1, 65_535),
        },
        Column {
            name: "USPNotifRetryIntervalMultiplier",
            value_type: ValueType::UnsignedInt,
            access: Access::ReadWrite,
            default: "2000",
            check: Check::Range(1_000, 65_535),
        },
    ],
    keys: &[&["EndpointID"], &["Alias"]],
    creatable: false,
    max_rows: 64,
};
