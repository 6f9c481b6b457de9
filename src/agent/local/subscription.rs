//! `Device.LocalAgent.Subscription.{i}.`: who wants to be told of what.

use crate::datamodel::{Instantiated, WallTime, path};
use crate::translation::names_object;
use crate::usp::path::{PathExpr, split_list};

use super::local_agent::SUBSCRIPTIONS;
use super::tree::Tree;

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
    /// Whether it is about parameters and objects of the data model.
    pub fn is_about_data(self) -> bool {
        matches!(self, Self::ValueChange | Self::ObjectCreation | Self::ObjectDeletion)
    }

    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "ValueChange" => Self::ValueChange,
            "ObjectCreation" => Self::ObjectCreation,
            "ObjectDeletion" => Self::ObjectDeletion,
            "OperationComplete" => Self::OperationComplete,
            "Event" => Self::Event,
            _ => return None,
        })
    }
}

/// What ends a subscription's row, whether it is enabled or not.
#[derive(Debug, Clone, Copy)]
pub(in crate::agent) struct Lifetime {
    pub instance: u32,
    /// By its TimeToLive.
    pub ends_at: Option<WallTime>,
    pub persistent: bool,
}

impl Lifetime {
    pub fn read(tree: &Tree, instance: u32) -> Self {
        let row = format!("{SUBSCRIPTIONS}{instance}.");
        let ttl = tree.number(&format!("{row}TimeToLive")).filter(|seconds| *seconds > 0);
        let created =
            tree.value(&format!("{row}CreationDate")).and_then(WallTime::parse).unwrap_or(tree.wall);
        let ends_at = ttl.map(|seconds| WallTime(created.0.saturating_add(seconds.saturating_mul(1_000))));
        Self { instance, ends_at, persistent: tree.is(&format!("{row}Persistent")) }
    }
}

/// What is done when a subscription fires (`TriggerAction`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::agent) enum TriggerAction {
    Notify,
    Config,
    NotifyAndConfig,
}

impl TriggerAction {
    pub fn notifies(self) -> bool {
        self != Self::Config
    }

    pub fn configures(self) -> bool {
        self != Self::Notify
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
    pub trigger_action: TriggerAction,
    pub notif_retry: bool,
    /// How long a notification is retried, in seconds; 0 is for ever.
    pub notif_expiration: u64,
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
    pub fn read(tree: &Tree, instance: u32) -> Option<Self> {
        let row = format!("{SUBSCRIPTIONS}{instance}.");
        let value = |name: &str| tree.value(&format!("{row}{name}"));
        let is = |name: &str| tree.is(&format!("{row}{name}"));
        let seconds = |name: &str| tree.number(&format!("{row}{name}")).unwrap_or(0);
        if !is("Enable") {
            return None;
        }
        Some(Self {
            instance,
            id: value("ID")?.to_owned(),
            recipient: value("Recipient")?.to_owned(),
            notif_type: NotifType::parse(value("NotifType")?)?,
            trigger_action: match value("TriggerAction") {
                Some("Config") => TriggerAction::Config,
                Some("NotifyAndConfig") => TriggerAction::NotifyAndConfig,
                _ => TriggerAction::Notify,
            },
            notif_retry: is("NotifRetry"),
            notif_expiration: seconds("NotifExpiration"),
            references: split_list(value("ReferenceList")?).filter_map(Reference::parse).collect(),
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
