//! Which objects of Device:2 an agent holds itself, and what of each. Names, types, ranges, keys and access
//! are the standard's own table; here stands only which objects there are, who makes their rows, and
//! what this product leaves out.

use std::sync::OnceLock;

use crate::datamodel::ValueType;
use crate::datamodel::supported::{Access, Default, Kind, Row, Status, Supported, UniqueKey, generic};
use crate::translation::{OwnObject, OwnParam};

use super::ways::UNKNOWN_TIME;

/// Who makes and removes the rows of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rows {
    /// It is no table.
    One,
    /// The gateway: so many at most.
    Gateway(usize),
    /// Controllers, and the configuration: so many at most.
    Controllers(usize),
}

/// What is said of an object here.
struct Owned {
    path: &'static str,
    rows: Rows,
    /// Held only for devices that have no such object, or no such parameters, of their own.
    optional: bool,
    /// The only parameters that are held, where the rest of the object is the CPE's.
    only: &'static [&'static str],
    /// Parameters of the standard that are not there.
    without: &'static [&'static str],
    /// Parameters that only the gateway writes, whatever the standard lets controllers do.
    fixed: &'static [&'static str],
    /// Parameters that controllers cannot write but that must survive a restart.
    kept: &'static [&'static str],
    /// Parameters that change all the time, of which nobody is told: the standard leaves that to the agent.
    quiet: &'static [&'static str],
    /// Defaults where the standard leaves them to the implementation.
    defaults: &'static [(&'static str, &'static str)],
}

const PLAIN: Owned = Owned {
    path: "",
    rows: Rows::One,
    optional: false,
    only: &[],
    without: &[],
    fixed: &[],
    kept: &[],
    quiet: &[],
    defaults: &[],
};

/// In byte order of their paths, so that an object stands before what is below it.
const OWNED: [Owned; 37] = [
    Owned {
        path: "Device.BulkData.",
        defaults: &[
            ("EncodingTypes", "JSON,CSV"),
            ("MaxNumberOfParameterReferences", "5000"),
            ("MaxNumberOfProfiles", "16"),
            ("MinReportingInterval", "1"),
            ("ParameterWildCardSupported", "true"),
            ("Protocols", "HTTP,MQTT,USPEventNotif"),
            ("Status", "Disabled"),
        ],
        ..PLAIN
    },
    Owned {
        path: "Device.BulkData.Profile.{i}.",
        rows: Rows::Controllers(16),
        kept: &["Controller"],
        defaults: &[("EncodingType", "JSON"), ("Protocol", "HTTP")],
        ..PLAIN
    },
    // RFC 4180 ends rows with CR LF; the tables of the standard lost it to a blank.
    Owned {
        path: "Device.BulkData.Profile.{i}.CSVEncoding.",
        defaults: &[("RowSeparator", "\r\n")],
        ..PLAIN
    },
    Owned {
        path: "Device.BulkData.Profile.{i}.HTTP.",
        without: &["PersistAcrossReboot"],
        defaults: &[("CompressionsSupported", "GZIP"), ("MethodsSupported", "POST,PUT")],
        ..PLAIN
    },
    Owned {
        path: "Device.BulkData.Profile.{i}.HTTP.RequestURIParameter.{i}.",
        rows: Rows::Controllers(32),
        ..PLAIN
    },
    Owned { path: "Device.BulkData.Profile.{i}.JSONEncoding.", ..PLAIN },
    Owned { path: "Device.BulkData.Profile.{i}.MQTT.", ..PLAIN },
    Owned { path: "Device.BulkData.Profile.{i}.Parameter.{i}.", rows: Rows::Controllers(256), ..PLAIN },
    Owned {
        path: "Device.DeviceInfo.",
        optional: true,
        only: &["ActiveFirmwareImage", "BootFirmwareImage", "FirmwareImageNumberOfEntries"],
        // The image that runs is the one that boots: the other is with the gateway until it is activated.
        fixed: &["BootFirmwareImage"],
        ..PLAIN
    },
    // What is in these rows is kept with the images, not row by row.
    Owned {
        path: "Device.DeviceInfo.FirmwareImage.{i}.",
        rows: Rows::Gateway(2),
        optional: true,
        fixed: &["Alias", "Available"],
        ..PLAIN
    },
    Owned {
        path: "Device.LocalAgent.",
        // Nothing is advertised by mDNS.
        fixed: &["AdvertisedDeviceSubtypes"],
        without: &["MonitorNumberOfEntries", "WatchdogNumberOfEntries"],
        quiet: &["UpTime"],
        ..PLAIN
    },
    Owned { path: "Device.LocalAgent.Certificate.{i}.", rows: Rows::Gateway(32), ..PLAIN },
    Owned {
        path: "Device.LocalAgent.Controller.{i}.",
        rows: Rows::Controllers(64),
        kept: &["InheritedRole"],
        defaults: &[("PeriodicNotifInterval", "86400")],
        ..PLAIN
    },
    Owned {
        path: "Device.LocalAgent.Controller.{i}.BootParameter.{i}.",
        rows: Rows::Controllers(64),
        ..PLAIN
    },
    // The gateway's own first values, where the standard's would forbid what it tests: with a
    // MaxRetransmitTries of 0 no record could be asked for again.
    Owned {
        path: "Device.LocalAgent.Controller.{i}.E2ESession.",
        defaults: &[
            ("MaxRetransmitTries", "3"),
            ("PayloadSecurity", "Plaintext"),
            ("SessionExpiration", "600"),
            ("SessionMode", "Allow"),
            ("Status", "Down"),
        ],
        ..PLAIN
    },
    Owned { path: "Device.LocalAgent.Controller.{i}.MTP.{i}.", rows: Rows::Controllers(8), ..PLAIN },
    Owned {
        path: "Device.LocalAgent.Controller.{i}.MTP.{i}.MQTT.",
        without: &["PublishRetainNotify", "PublishRetainResponse", "USPServiceRef"],
        ..PLAIN
    },
    Owned { path: "Device.LocalAgent.Controller.{i}.MTP.{i}.STOMP.", without: &["USPServiceRef"], ..PLAIN },
    Owned {
        path: "Device.LocalAgent.Controller.{i}.MTP.{i}.WebSocket.",
        without: &["USPServiceRef"],
        defaults: &[("KeepAliveInterval", "30"), ("Port", "443")],
        ..PLAIN
    },
    Owned {
        path: "Device.LocalAgent.ControllerTrust.",
        without: &["BannedRole", "ChallengeNumberOfEntries", "TOFUAllowed", "TOFUInactivityTimer"],
        ..PLAIN
    },
    Owned { path: "Device.LocalAgent.ControllerTrust.Credential.{i}.", rows: Rows::Controllers(32), ..PLAIN },
    Owned { path: "Device.LocalAgent.ControllerTrust.Role.{i}.", rows: Rows::Controllers(64), ..PLAIN },
    Owned {
        path: "Device.LocalAgent.ControllerTrust.Role.{i}.Permission.{i}.",
        rows: Rows::Controllers(128),
        ..PLAIN
    },
    Owned {
        path: "Device.LocalAgent.MTP.{i}.",
        rows: Rows::Controllers(16),
        // Nothing is advertised by mDNS.
        fixed: &["EnableMDNS"],
        defaults: &[("EnableMDNS", "false"), ("Status", "Down")],
        ..PLAIN
    },
    Owned { path: "Device.LocalAgent.MTP.{i}.MQTT.", ..PLAIN },
    Owned { path: "Device.LocalAgent.MTP.{i}.STOMP.", ..PLAIN },
    Owned {
        path: "Device.LocalAgent.MTP.{i}.WebSocket.",
        without: &["Interfaces"],
        // One listener serves all agents: where it is, is the operator's decision.
        fixed: &["EnableEncryption", "KeepAliveInterval", "Path", "Port"],
        ..PLAIN
    },
    Owned {
        path: "Device.LocalAgent.Request.{i}.",
        rows: Rows::Gateway(64),
        fixed: &["Alias"],
        kept: &["Originator", "Command", "CommandKey", "Status"],
        ..PLAIN
    },
    Owned {
        path: "Device.LocalAgent.Subscription.{i}.",
        rows: Rows::Controllers(256),
        kept: &["Recipient", "CreationDate"],
        ..PLAIN
    },
    Owned {
        path: "Device.LocalAgent.Threshold.{i}.",
        rows: Rows::Controllers(32),
        kept: &["Controller"],
        ..PLAIN
    },
    Owned { path: "Device.MQTT.", without: &["BrokerNumberOfEntries"], ..PLAIN },
    Owned {
        path: "Device.MQTT.Capabilities.",
        defaults: &[
            ("MaxNumberOfClientSubscriptions", "16"),
            ("ProtocolVersionsSupported", "3.1.1,5.0"),
            ("TransportProtocolSupported", "TCP/IP,TLS"),
        ],
        ..PLAIN
    },
    Owned {
        path: "Device.MQTT.Client.{i}.",
        rows: Rows::Controllers(16),
        without: &[
            "ALPN",
            "AuthenticationMethod",
            "Interface",
            "MaximumPacketSize",
            "PublishMessageExpiryInterval",
            "ReceiveMaximum",
            "RequestProblemInfo",
            "TopicAliasMaximum",
            "UserPropertyNumberOfEntries",
            "WillContentType",
            "WillDelayInterval",
            "WillEnable",
            "WillMessageExpiryInterval",
            "WillQoS",
            "WillResponseTopic",
            "WillRetain",
            "WillTopic",
            "WillValue",
        ],
        // R-MQTT.12: it is always asked for.
        fixed: &["RequestResponseInfo"],
        defaults: &[("ProtocolVersion", "5.0"), ("RequestResponseInfo", "true")],
        ..PLAIN
    },
    // What MQTTClientBase:1 asks for, of the connection that serves the row: agents on a shared one show the same.
    Owned {
        path: "Device.MQTT.Client.{i}.Stats.",
        without: &[
            "LastPublishMessageReceived",
            "LastPublishMessageSent",
            "PublishErrors",
            "PublishReceived",
            "PublishSent",
            "SubscribeSent",
            "UnSubscribeSent",
        ],
        quiet: &["ConnectionErrors", "MQTTMessagesReceived", "MQTTMessagesSent"],
        ..PLAIN
    },
    Owned {
        path: "Device.MQTT.Client.{i}.Subscription.{i}.",
        rows: Rows::Controllers(16),
        defaults: &[("Status", "Unsubscribed")],
        ..PLAIN
    },
    Owned { path: "Device.STOMP.", ..PLAIN },
    Owned {
        path: "Device.STOMP.Connection.{i}.",
        rows: Rows::Controllers(16),
        without: &["LastChangeDate"],
        defaults: &[("Status", "Disabled")],
        ..PLAIN
    },
];

/// An object as the agent holds it.
#[derive(Debug)]
pub(super) struct Object {
    /// In supported notation.
    pub path: &'static str,
    pub rows: Rows,
    /// Held only for devices that have none.
    pub is_optional: bool,
    pub columns: Vec<Column>,
    pub keys: Vec<UniqueKey<'static>>,
    /// The parameter that enables a row.
    pub enable: Option<&'static str>,
    /// The name of the parameter, in the object that holds the table, that counts its rows.
    pub count: Option<&'static str>,
}

/// A parameter of it.
#[derive(Debug)]
pub(super) struct Column {
    pub name: &'static str,
    pub row: &'static Row,
    pub access: Access,
    pub default: &'static str,
    /// Whether it is in the stored form of its row.
    pub is_stored: bool,
    /// Whether nobody is told when it changes.
    pub is_quiet: bool,
}

impl Object {
    /// The object of a path of the instantiated model, if it is one of ours.
    pub fn of(object: &str) -> Option<&'static Self> {
        let general = generic(object);
        let all = Self::all();
        all.binary_search_by(|known| known.path.cmp(general.as_str())).ok().and_then(|at| all.get(at))
    }

    /// The object whose rows stand in a table (`Device.LocalAgent.Subscription.`).
    pub fn of_table(table: &str) -> Option<&'static Self> {
        Self::of(&format!("{table}{{i}}."))
    }

    /// All of them, in byte order.
    pub fn all() -> &'static [Self] {
        static ALL: OnceLock<Vec<Object>> = OnceLock::new();
        ALL.get_or_init(|| OWNED.iter().filter_map(Owned::compile).collect())
    }

    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    pub fn is_creatable(&self) -> bool {
        matches!(self.rows, Rows::Controllers(_))
    }

    pub fn is_table(&self) -> bool {
        self.rows != Rows::One
    }

    pub fn max_rows(&self) -> usize {
        match self.rows {
            Rows::One => 1,
            Rows::Gateway(most) | Rows::Controllers(most) => most,
        }
    }

    /// The objects that are there as soon as this one is, and the tables.
    pub fn parts(&self) -> impl Iterator<Item = &'static Self> {
        let path = self.path;
        Self::all().iter().filter(move |known| {
            let below = known.path.strip_prefix(path);
            let name = below.map(|below| below.trim_end_matches("{i}.").trim_end_matches('.'));
            name.is_some_and(|name| !name.is_empty() && !name.contains('.'))
        })
    }
}

/// Whether a parameter is one of those of whose changes nobody is told.
pub(in crate::agent) fn is_quiet(name: &str) -> bool {
    let object = crate::datamodel::path::parent(name).and_then(Object::of);
    let column = object.and_then(|object| object.column(crate::datamodel::path::name(name)));
    column.is_some_and(|column| column.is_quiet)
}

/// The schema in the words of GetSupportedDM, with or without what is optional.
pub(super) fn supported(with_optional: bool) -> &'static [OwnObject] {
    static ALL: [OnceLock<Vec<OwnObject>>; 2] = [OnceLock::new(), OnceLock::new()];
    ALL[usize::from(with_optional)].get_or_init(|| {
        let held = Object::all().iter().filter(|object| with_optional || !object.is_optional);
        let objects = held.map(|object| OwnObject {
            path: object.path.to_owned(),
            creatable: object.is_creatable(),
            params: object.columns.iter().map(Column::supported).collect(),
        });
        objects.collect()
    })
}

impl Column {
    fn supported(&self) -> OwnParam {
        let value_type = self.row.value_type().unwrap_or(ValueType::String);
        OwnParam {
            name: self.name.to_owned(),
            writable: self.access != Access::ReadOnly,
            value_type,
            quiet: self.is_quiet,
        }
    }
}

impl Owned {
    fn compile(&self) -> Option<Object> {
        let standard = Supported::device2();
        let row = standard.find(self.path)?;
        let wanted = |row: &&Row| row.kind == Kind::Param && row.status != Status::Obsoleted;
        let columns = standard.children(self.path).filter(wanted).filter_map(|row| self.column(row));
        Some(Object {
            path: self.path,
            rows: self.rows,
            is_optional: self.optional,
            columns: columns.collect(),
            keys: row.unique_keys().collect(),
            enable: row.enable(),
            count: row.entries(),
        })
    }

    fn column(&self, row: &'static Row) -> Option<Column> {
        let name = crate::datamodel::path::name(row.path);
        if self.without.contains(&name) || !(self.only.is_empty() || self.only.contains(&name)) {
            return None;
        }
        let access = if self.fixed.contains(&name) { Access::ReadOnly } else { row.access };
        let own = self.defaults.iter().find(|(known, _)| *known == name).map(|(_, default)| *default);
        let is_stored = access != Access::ReadOnly || self.kept.contains(&name);
        let default = own.unwrap_or_else(|| default_of(row));
        let is_quiet = self.quiet.contains(&name);
        Some(Column { name, row, access, default, is_stored, is_quiet })
    }
}

/// The standard's default of a new object, or the least that its type has.
fn default_of(row: &'static Row) -> &'static str {
    match row.default() {
        Some(Default::Object(value) | Default::Factory(value) | Default::Implementation(value)) => value,
        _ if row.is_list => "",
        _ => match row.item_type {
            Some(ValueType::Boolean) => "false",
            Some(ValueType::DateTime) => UNKNOWN_TIME,
            Some(known) if known.is_number() => match row.ranges().next().and_then(|it| it.split_once(':')) {
                Some((least, _)) if !least.is_empty() => least,
                _ => "0",
            },
            _ => row.enums().next().unwrap_or(""),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_said_of_objects_is_about_parameters_of_the_standard() {
        let standard = Supported::device2();
        for owned in &OWNED {
            assert!(standard.find(owned.path).is_some(), "{} is not the standard's", owned.path);
            let defaults = owned.defaults.iter().map(|(name, _)| name);
            for name in owned
                .only
                .iter()
                .chain(owned.without)
                .chain(owned.fixed)
                .chain(owned.kept)
                .chain(owned.quiet)
                .chain(defaults)
            {
                assert!(standard.find(&format!("{}{name}", owned.path)).is_some(), "{}{name}", owned.path);
            }
        }
        assert!(OWNED.is_sorted_by(|a, b| a.path < b.path));
    }

    #[test]
    fn defaults_are_values_of_their_parameters() {
        for object in Object::all() {
            for column in &object.columns {
                let checked = column.row.check(column.default);
                // The ID of a subscription is given when a row is added.
                let given = column.name == "ID";
                assert!(checked.is_ok() || given, "{}{}: {checked:?}", object.path, column.name);
            }
        }
    }
}
