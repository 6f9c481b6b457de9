//! What one CPE has: the fleet's model and what differs from it. Thousands of CPEs fit in a process
//! because most of them differ in a handful of values.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use compact_str::{CompactString, format_compact};

use crate::datamodel::{ValueType, path};

use super::model::{Model, Node, starting_with};

/// The instantiated data model of one CPE.
#[derive(Debug, Clone)]
pub(super) struct Data {
    model: Arc<Model>,
    values: BTreeMap<CompactString, CompactString>,
    added: BTreeMap<CompactString, Node>,
    /// Instances of the model that are gone.
    deleted: BTreeSet<CompactString>,
    /// The highest instance number that a table ever gave; numbers are not used again.
    given: BTreeMap<CompactString, u32>,
}

/// Why an instance cannot be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// The model does not say what an instance looks like.
    NoTemplate,
    TooMany,
}

impl Data {
    pub fn new(model: Arc<Model>) -> Self {
        Self {
            model,
            values: BTreeMap::new(),
            added: BTreeMap::new(),
            deleted: BTreeSet::new(),
            given: BTreeMap::new(),
        }
    }

    pub fn root(&self) -> &'static str {
        self.model.root()
    }

    pub fn node(&self, path: &str) -> Option<&Node> {
        self.entry(path).map(|(_, node)| node)
    }

    /// The node under the path, and if that is an object all that is below it, in order.
    pub fn at(&self, path: &str) -> Vec<(&str, &Node)> {
        if !path.is_empty() && !path::is_object(path) {
            return self.entry(path).into_iter().collect();
        }
        let of_model = self.model.starting_with(path).filter(|(name, _)| !self.is_deleted(name));
        let added = starting_with(&self.added, path);
        let mut found: Vec<(&str, &Node)> =
            of_model.chain(added).map(|(name, node)| (name.as_str(), node)).collect();
        if !self.added.is_empty() {
            found.sort_unstable_by_key(|(name, _)| *name);
        }
        found
    }

    /// The names of the parameters under a path.
    pub fn parameters(&self, path: &str) -> Vec<&str> {
        let all = self.at(path).into_iter();
        all.filter(|(_, node)| matches!(node, Node::Parameter { .. })).map(|(name, _)| name).collect()
    }

    /// A parameter's value, hidden ones too.
    pub fn value(&self, name: &str) -> Option<&str> {
        let Node::Parameter { value, .. } = self.node(name)? else { return None };
        Some(self.values.get(name).unwrap_or(value))
    }

    pub fn value_type(&self, name: &str) -> Option<ValueType> {
        match self.node(name)? {
            Node::Parameter { value_type, .. } => Some(*value_type),
            Node::Object { .. } => None,
        }
    }

    /// Writes a parameter, whether the ACS could or not. Returns whether that changed it.
    pub fn write(&mut self, name: &str, value: &str) -> bool {
        if self.value(name).is_none_or(|old| old == value) {
            return false;
        }
        self.values.insert(name.into(), value.into());
        true
    }

    /// The instance numbers of a table.
    pub fn instances(&self, table: &str) -> Vec<u32> {
        let all = self.at(table).into_iter().filter(|(name, _)| path::parent(name) == Some(table));
        all.filter_map(|(name, _)| path::instance(name)).collect()
    }

    /// Adds an instance to a table that exists and returns its number.
    pub fn add_instance(&mut self, table: &str) -> Result<u32, Full> {
        let template = self.model.template(table);
        if template.is_empty() {
            return Err(Full::NoTemplate);
        }
        let instances = self.instances(table);
        if instances.len() >= MAX_INSTANCES {
            return Err(Full::TooMany);
        }
        let highest = instances.into_iter().max().max(self.given.get(table).copied());
        let number = highest.map_or(1, |highest| highest + 1);
        for (rest, node) in template {
            self.added.insert(format_compact!("{table}{number}.{rest}"), node.clone());
        }
        // A template may have its parameters only; the instance itself can be deleted again.
        self.added.insert(format_compact!("{table}{number}."), Node::Object { writable: true });
        self.given.insert(table.into(), number);
        self.write(&format!("{table}{number}.Alias"), &format!("cpe-{number}"));
        self.count(table);
        Ok(number)
    }

    /// Deletes an instance with all below it.
    pub fn delete_instance(&mut self, instance: &str) {
        let number = path::instance(instance);
        let table = path::parent(instance).map(str::to_owned);
        self.values.retain(|name, _| !name.starts_with(instance));
        self.added.retain(|name, _| !name.starts_with(instance));
        if self.model.node(instance).is_some() {
            self.deleted.insert(instance.into());
        }
        if let (Some(number), Some(table)) = (number, table) {
            let highest = self.given.entry(table.as_str().into()).or_insert(0);
            *highest = number.max(*highest);
            self.count(&table);
        }
    }

    /// Keeps a table's `NumberOfEntries` parameter true, where it has one under the usual name.
    fn count(&mut self, table: &str) {
        let without_dot = table.strip_suffix('.').unwrap_or(table);
        let entries = self.instances(table).len();
        self.write(&format!("{without_dot}NumberOfEntries"), &entries.to_string());
    }

    fn entry(&self, path: &str) -> Option<(&str, &Node)> {
        let of_model = self.model.entry(path).filter(|_| !self.is_deleted(path));
        let found = of_model.or_else(|| self.added.get_key_value(path));
        found.map(|(name, node)| (name.as_str(), node))
    }

    fn is_deleted(&self, path: &str) -> bool {
        self.deleted.iter().any(|gone| path.starts_with(gone.as_str()))
    }
}

/// Instances of a table, so that an ACS in a loop does not fill the memory.
const MAX_INSTANCES: usize = 256;
