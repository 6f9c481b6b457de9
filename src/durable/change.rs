//! Entries of a device's durable state and changes to them.

use bytes::Bytes;
use compact_str::CompactString;

/// What an entry is about. The number is stored: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// The device itself: identity, capabilities, what discovery has reached. Key: empty.
    Device = 1,
    /// The shadow, one compressed blob per top-level object. Key: the object's name.
    Shadow = 2,
    /// A row of a `Device.LocalAgent.` table. Key: its path, such as `Controller.1`.
    LocalAgent = 3,
    /// A notification with NotifRetry that no controller has acknowledged yet. Key: its message id.
    Outbox = 4,
    /// An asynchronous operation that has not completed. Key: its Request instance.
    Operation = 5,
    /// Where connection requests go. Key: empty.
    Reach = 6,
    /// What the ACS has acknowledged last. Key: empty.
    Acknowledged = 7,
    /// What the devices of one firmware have in common: no device's, but the fleet's. Key: which firmware.
    Firmware = 8,
    /// When the device must act by itself next. Key: empty; values are in the order of time.
    Deadline = 9,
    /// Which rows controllers and roles of the configuration have: the fleet's. Key: empty.
    Rows = 10,
    /// The agent meets its controllers otherwise than the configuration says. Key: empty.
    Ways = 11,
    /// What is secret: stores keep it sealed where they have a key. Key: as of [`Kind::LocalAgent`] for what is so of
    /// a row; else a name without dots, such as of the credentials for connection requests.
    Secret = 12,
    /// The notification attributes that the ACS set and the CPE has. Key: empty.
    Attributes = 13,
    /// The firmware images of the device, and which of them the stage is to keep. Key: empty.
    Images = 14,
    /// Conflicts between masters, and who wrote lately what. Key: empty.
    Conflicts = 15,
    /// The operator's order to leave a device, or the fleet, to the ACS alone, and under which order a device has
    /// passed to it. Keys: `order`, `passed`.
    Bypass = 16,
    /// What comparing the ACS's RPCs with USP has shown. Key: empty.
    Comparison = 17,
}

impl Kind {
    pub const ALL: [Kind; 17] = [
        Kind::Device,
        Kind::Shadow,
        Kind::LocalAgent,
        Kind::Outbox,
        Kind::Operation,
        Kind::Reach,
        Kind::Acknowledged,
        Kind::Firmware,
        Kind::Deadline,
        Kind::Rows,
        Kind::Ways,
        Kind::Secret,
        Kind::Attributes,
        Kind::Images,
        Kind::Conflicts,
        Kind::Bypass,
        Kind::Comparison,
    ];

    /// The kind stored under a number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }
}

/// One entry as it stands in the store. The value starts with a format version of its writer's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub kind: Kind,
    pub key: CompactString,
    pub value: Bytes,
}

/// Some of a device's entries: those of a kind whose keys lie between two, both included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    pub kind: Kind,
    pub from: CompactString,
    pub to: CompactString,
}

impl Range {
    /// The entry of this key.
    pub fn one(kind: Kind, key: &str) -> Self {
        Self { kind, from: key.into(), to: key.into() }
    }

    /// All whose keys begin so.
    pub fn beginning(kind: Kind, prefix: &str) -> Self {
        Self { kind, from: prefix.into(), to: format!("{prefix}{}", char::MAX).into() }
    }

    pub fn holds(&self, entry: &Entry) -> bool {
        self.kind == entry.kind && self.from <= entry.key && entry.key <= self.to
    }
}

/// One change to a device's entries; all changes of one commit take effect together or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Put(Entry),
    Delete { kind: Kind, key: CompactString },
}

impl Change {
    pub fn put(kind: Kind, key: impl Into<CompactString>, value: impl Into<Bytes>) -> Self {
        Self::Put(Entry { kind, key: key.into(), value: value.into() })
    }

    pub fn delete(kind: Kind, key: impl Into<CompactString>) -> Self {
        Self::Delete { kind, key: key.into() }
    }
}

/// Names one commit, so that what depends on it can wait for it. Unique within a device's activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub u64);
