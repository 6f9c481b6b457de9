//! The agent's own objects as a data model that follows the schema: rows come and go whole, with the objects
//! that belong to them, their parameters at defaults, and their number counted.

use std::collections::BTreeMap;

use crate::datamodel::supported::Access;
use crate::datamodel::{Instantiated, Source, Value, ValueType, WallTime, path};

use super::schema::Object;

/// The objects, by the rules of the schema.
#[derive(Debug, Clone, Default)]
pub(in crate::agent) struct Tree {
    pub model: Instantiated,
    /// When what is put now is put.
    pub wall: WallTime,
}

impl Tree {
    /// The objects that are always there, without rows.
    pub fn new() -> Self {
        let mut tree = Self::default();
        let always = |object: &&Object| !object.path.contains("{i}") && !object.is_optional;
        for object in Object::all().iter().filter(always) {
            tree.put_object(object, object.path);
        }
        tree
    }

    /// Holds an optional object, or holds it no more.
    pub(super) fn hold(&mut self, object: &Object, on: bool) {
        if on {
            self.put_object(object, object.path);
        } else {
            self.model.remove(object.path);
        }
    }

    /// Adds a row with its parts; values that are not given are the defaults.
    pub(super) fn put_row(&mut self, object: &Object, row: &str, params: &BTreeMap<String, String>) {
        self.put_object(object, row);
        for (name, value) in params {
            self.put(&format!("{row}{name}"), value);
        }
        if let Some(table) = path::parent(row) {
            self.recount(object, table);
        }
    }

    /// Sets a parameter of the schema; others are ignored, since no writer may make up names.
    pub fn put(&mut self, name: &str, text: &str) {
        let object = path::parent(name).and_then(Object::of);
        let Some(column) = object.and_then(|object| object.column(path::name(name))) else { return };
        self.write(name, text, column.row.value_type());
    }

    pub fn remove_row(&mut self, row: &str) {
        self.model.remove(row);
        if let Some((object, table)) = Object::of(row).zip(path::parent(row)) {
            self.recount(object, table);
        }
    }

    pub fn value(&self, name: &str) -> Option<&str> {
        self.model.value(name)
    }

    pub fn is(&self, name: &str) -> bool {
        self.value(name).is_some_and(|value| matches!(value, "true" | "1"))
    }

    pub fn number(&self, name: &str) -> Option<u64> {
        self.value(name)?.parse().ok()
    }

    /// The rows of a table, by path, in the order of their numbers.
    pub fn rows(&self, table: &str) -> Vec<String> {
        self.model.instances(table).into_iter().map(|number| format!("{table}{number}.")).collect()
    }

    /// The items of a list of references, as objects with a dot at their end.
    pub fn references(&self, name: &str) -> Vec<String> {
        let items = self.value(name).unwrap_or("").split(',').map(str::trim);
        items.filter(|item| !item.is_empty()).map(as_object).collect()
    }

    fn put_object(&mut self, object: &Object, at: &str) {
        self.model.put_object(at, object.is_creatable());
        let number = path::instance(at);
        for column in &object.columns {
            let name = format!("{at}{}", column.name);
            self.model.put_param(&name, column.access == Access::ReadWrite);
            match (column.name, number) {
                ("Alias", Some(number)) => {
                    self.write(&name, &format!("cpe-{number}"), column.row.value_type())
                }
                _ => self.write(&name, column.default, column.row.value_type()),
            }
        }
        for part in object.parts() {
            let name = part.path[object.path.len()..].trim_end_matches("{i}.");
            match part.is_table() {
                true => {
                    self.model.put_object(&format!("{at}{name}"), part.is_creatable());
                }
                false => self.put_object(part, &format!("{at}{name}")),
            }
        }
    }

    fn recount(&mut self, object: &Object, table: &str) {
        let Some((holder, count)) = path::parent(table).zip(object.count) else { return };
        if !self.model.has_object(holder) {
            // It went first.
            return;
        }
        let rows = self.model.instances(table).len().to_string();
        self.put(&format!("{holder}{count}"), &rows);
    }

    fn write(&mut self, name: &str, text: &str, value_type: Option<ValueType>) {
        let value = Value { text: text.into(), value_type, at: self.wall, source: Source::Write };
        self.model.set_value(name, value);
    }
}

/// The row that holds a parameter or object of the schema: the nearest instance, or the top-level object.
pub(super) fn row_of(name: &str) -> &str {
    let mut at = Some(name);
    while let Some(object) = at {
        if path::instance(object).is_some() {
            return object;
        }
        at = path::parent(object);
    }
    let top = name.match_indices('.').nth(1).map_or(name.len(), |(at, _)| at + 1);
    &name[..top]
}

/// References to rows are written without a dot at their end (TR-106 3.2.4), and read with or without it.
pub(in crate::agent) fn as_object(reference: &str) -> String {
    if reference.ends_with('.') { reference.to_owned() } else { format!("{reference}.") }
}

/// A row as a reference to it.
pub(super) fn as_reference(row: &str) -> &str {
    row.trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_comes_with_its_parts_and_is_counted() {
        let mut tree = Tree::new();
        let controller = Object::of_table("Device.LocalAgent.Controller.").unwrap();
        let row = "Device.LocalAgent.Controller.4.";
        tree.put_row(controller, row, &[("EndpointID".into(), "self::c".into())].into());
        assert_eq!(tree.value("Device.LocalAgent.ControllerNumberOfEntries"), Some("1"));
        assert_eq!(tree.value(&format!("{row}USPNotifRetryIntervalMultiplier")), Some("2000"));
        assert_eq!(tree.value(&format!("{row}BootParameterNumberOfEntries")), Some("0"));
        assert!(tree.model.is_writable_object(&format!("{row}BootParameter.")));
        assert!(!tree.model.is_writable_object("Device.LocalAgent.Request."));
        tree.remove_row(row);
        assert_eq!(tree.value("Device.LocalAgent.ControllerNumberOfEntries"), Some("0"));
        assert!(!tree.model.has_object(row));
    }

    #[test]
    fn parameters_belong_to_the_nearest_row() {
        let row = "Device.LocalAgent.Controller.1.";
        assert_eq!(row_of("Device.LocalAgent.Controller.1.E2ESession.SessionMode"), row);
        assert_eq!(row_of("Device.LocalAgent.Controller.1.MTP.2.MQTT.Topic"), format!("{row}MTP.2."));
        assert_eq!(row_of("Device.LocalAgent.ControllerTrust.UntrustedRole"), "Device.LocalAgent.");
    }
}
