//! `Device.LocalAgent.Subscription.{i}.`: who wants to be told of what.

use crate::datamodel::{Instantiated, ValueType, WallTime, path};
use crate::translation::names_object;
use crate::usp::path::PathExpr;

use super::table::{Access, Check, Column, Table, split_references};

/// Subscriptions:1 of TR-181.
pub(super) const SUBSCRIPTION: Table = Table {
    path: "Device.LocalAgent.Subscription.",
    count: "Device.LocalAgent.SubscriptionNumberOfEntries",
    columns: &[
        text("Alias", Access::WriteOnce, "", Check::MaxLength(64)),
        flag("Enable", "false"),
        text("ID", Access::ReadWrite, "", Check::MaxLength(64)),
        text("Recipient", Access::ReadOnly, "", Check::Any),
        text("NotifType", Access::ReadWrite, "", Check::OneOf(&NotifType::NAMES)),
        text("ReferenceList", Access::ReadWrite, "", Check::References),
        Column {
            name: "CreationDate",
            value_type: ValueType::DateTime,
            access: Access::ReadOnly,
            default: "0001-01-01T00:00:00Z",
            check: Check::Any,
        },
        flag("Persistent", "false"),
        number("TimeToLive"),
        flag("NotifRetry", "false"),
        number("NotifExpiration"),
    ],
    keys: &[&["Recipient", "ID"], &["Alias"]],
    creatable: true,
    max_rows: 256,
};

const fn text(name: &'static str, access: Access, default: &'static str, check: Check) -> Column {
    Column { name, value_type: ValueType::String, access, default, check }
}

const fn flag(name: &'static str, default: &'static str) -> Column {
    let (access, check) = (Access::ReadWrite, Check::Any);
    Column { name, value_type: ValueType::Boolean, access, default, check }
}

const fn number(name: &'static str) -> Column {
    let (access, check) = (Access::ReadWrite, Check::Any);
    Column { name, value_type: ValueType::UnsignedInt, access, default: "0", check }
}

/// What a subscription is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::agent) enum NotifType {
    ValueChange,
    ObjectCreation,
    ObjectDeletion,
    OperationComplete,
    Event,
}

impl NotifType {
    pub const NAMES: [&'static str; 5] =
        ["ValueChange", "ObjectCreation", "ObjectDeletion", "OperationComplete", "Event"];

    /// Whether it is about parameters and objects of the data model.
    pub fn is_about_data(self) -> bool {
        matches!(self, Self::ValueChange | Self::ObjectCreation | Self::ObjectDeletion)
    }

    fn parse(name: &str) -> Option<Self> {
        let all = [
            Self::ValueChange,
            Self::ObjectCreation,
            Self::ObjectDeletion,
            Self::OperationComplete,
            Self::Event,
        ];
        let at = Self::NAMES.iter().position(|known| *known == name)?;
        all.get(at).copied()
    }
}

/// A row that is enabled and complete, ready for matching.
#[derive(Debug, Clone)]
pub(in crate::agent) struct Subscription {
    pub instance: u32,
    pub id: String,
    /// The path of the controller's row.
    pub recipient: String,
    pub notif_type: NotifType,
    pub persistent: bool,
    pub notif_retry: bool,
    /// How long a notification is retried, in seconds; 0 is for ever.
    pub notif_expiration: u64,
    /// When the subscription itself ends.
    pub ends_at: Option<WallTime>,
    references: Vec<Reference>,
}

#[derive(Debug, Clone)]
struct Reference {
    /// The object, or the parameter where there is no leaf.
    expr: PathExpr,
    /// `Boot!` or `IPPing()`.
    leaf: Option<String>,
}

impl Subscription {
    /// Reads a row; `None` for one that is disabled or lacks something.
    pub fn read(local: &Instantiated, instance: u32, created: WallTime) -> Option<Self> {
        let value = |name: &str| local.value(&format!("{}{instance}.{name}", SUBSCRIPTION.path));
        let is = |name: &str| value(name).is_some_and(|value| matches!(value, "true" | "1"));
        let seconds = |name: &str| value(name).and_then(|value| value.parse::<u64>().ok()).unwrap_or(0);
        if !is("Enable") {
            return None;
        }
        let ttl = seconds("TimeToLive");
        Some(Self {
            instance,
            id: value("ID")?.to_owned(),
            recipient: value("Recipient")?.to_owned(),
            notif_type: NotifType::parse(value("NotifType")?)?,
            persistent: is("Persistent"),
            notif_retry: is("NotifRetry"),
            notif_expiration: seconds("NotifExpiration"),
            ends_at: (ttl > 0).then_some(WallTime(created.0.saturating_add(ttl.saturating_mul(1_000)))),
            references: split_references(value("ReferenceList")?).filter_map(Reference::parse).collect(),
        })
    }

    /// Whether a change of this parameter is its matter.
    pub fn wants_value(&self, param: &str, model: &Instantiated) -> bool {
        self.notif_type == NotifType::ValueChange
            && self.references.iter().any(|reference| reference.names_param(param, model))
    }

    /// Whether an instance that came or went is its matter.
    pub fn wants_object(&self, notif_type: NotifType, instance: &str, model: &Instantiated) -> bool {
        let table = path::parent(instance).unwrap_or("");
        self.notif_type == notif_type
            && self.references.iter().any(|reference| {
                let named = |object| names_object(&reference.expr, object, model);
                reference.expr.param.is_none() && (named(table) || named(instance))
            })
    }

    /// Whether an event, or the end of a command, is its matter: `object` and its `leaf`.
    pub fn wants_leaf(&self, notif_type: NotifType, object: &str, leaf: &str, model: &Instantiated) -> bool {
        self.notif_type == notif_type
            && self.references.iter().any(|reference| match &reference.leaf {
                Some(wanted) => wanted == leaf && names_object(&reference.expr, object, model),
                None => reference.names_object_or_above(object, model),
            })
    }

    /// The paths whose values its watching needs.
    pub fn watched(&self) -> impl Iterator<Item = &PathExpr> {
        let values = self.notif_type == NotifType::ValueChange;
        self.references.iter().filter(move |_| values).map(|reference| &reference.expr)
    }
}

impl Reference {
    fn parse(text: &str) -> Option<Self> {
        let (object, leaf) = match text.rsplit_once('.') {
            Some((object, leaf)) if leaf.ends_with(['!', ')']) => (format!("{object}."), Some(leaf)),
            _ => (text.to_owned(), None),
        };
        Some(Self { expr: PathExpr::parse(&object).ok()?, leaf: leaf.map(str::to_owned) })
    }

    fn names_param(&self, param: &str, model: &Instantiated) -> bool {
        let object = path::parent(param).unwrap_or("");
        match &self.expr.param {
            Some(name) => name == path::name(param) && names_object(&self.expr, object, model),
            None => self.names_object_or_above(object, model),
        }
    }

    fn names_object_or_above(&self, object: &str, model: &Instantiated) -> bool {
        let mut at = Some(object);
        while let Some(object) = at {
            if self.leaf.is_none() && self.expr.param.is_none() && names_object(&self.expr, object, model) {
                return true;
            }
            at = path::parent(object);
        }
        false
    }
}
