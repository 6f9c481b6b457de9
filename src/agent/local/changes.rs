//! Changes that controllers ask for: checked against the schema, the keys and what references lead to, then
//! carried out.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::agent::command;
use crate::agent::threshold;
use crate::agent::trigger::check_settings;
use crate::datamodel::supported::{Access, Misfit};
use crate::datamodel::{Instantiated, path};
use crate::translation::{Local, OwnObject, Permission, Refusal, Rights};
use crate::usp::ErrorCode;
use crate::usp::path::{PathExpr, split_list};

use super::local_agent::{CONTROLLERS, LocalAgent, SUBSCRIPTIONS, THRESHOLDS};
use super::schema::{Column, Object, supported};
use super::tree::{as_object, as_reference};
use super::{addresses, keys, references};

impl Local for LocalAgent {
    fn model(&self) -> &Instantiated {
        &self.tree.model
    }

    fn supported(&self) -> Cow<'static, [OwnObject]> {
        Cow::Borrowed(supported(self.has_firmware_images()))
    }

    fn commands(&self) -> &'static [&'static str] {
        command::paths(self.firmware)
    }

    fn events(&self) -> &'static [&'static str] {
        command::events(self.firmware)
    }

    fn check_set(&self, param: &str, value: &str) -> Result<(), Refusal> {
        let (object, column) = cell(param)?;
        let row = path::parent(param).unwrap_or("");
        if column.access != Access::ReadWrite {
            let why = format!("{} cannot be changed", column.name);
            return Err(Refusal::new(ErrorCode::NON_WRITEABLE_PARAMETER, why));
        }
        // R-KEY.1: what identifies a row stays.
        if object.keys.iter().any(|key| !key.functional && key.params.contains(&column.name)) {
            let why = format!("{} is a unique key, which does not change", column.name);
            return Err(Refusal::new(ErrorCode::NON_WRITEABLE_PARAMETER, why));
        }
        self.check_value(object, column, value)?;
        if object.path.starts_with(THRESHOLDS) {
            let said = |name: &str| self.tree.value(&format!("{row}{name}")).unwrap_or("");
            let (reference, named) = match column.name {
                "ReferencePath" => (value, said("ThresholdParam")),
                "ThresholdParam" => (said("ReferencePath"), value),
                _ => ("", ""),
            };
            threshold::check(reference, named).map_err(|why| Refusal::new(ErrorCode::INVALID_VALUE, why))?;
        }
        let change = BTreeMap::from([(column.name.to_owned(), value.to_owned())]);
        keys::check(&self.tree, object, row, &change)
    }

    fn set(&mut self, param: &str, value: &str) {
        self.put(param, value);
    }

    fn check_add(&self, table: &str) -> Result<(), Refusal> {
        match Object::of_table(table) {
            Some(object) if !object.is_creatable() => {
                let why = format!("the rows of {table} are made by the gateway");
                Err(Refusal::new(ErrorCode::NON_CREATABLE_OBJECT, why))
            }
            Some(object) if self.tree.model.instances(table).len() >= object.max_rows() => {
                let why = format!("{table} holds {} rows at most", object.max_rows());
                Err(Refusal::new(ErrorCode::RESOURCES_EXCEEDED, why))
            }
            Some(_) => Ok(()),
            None => Err(Refusal::new(ErrorCode::OBJECT_IS_NOT_A_TABLE, format!("{table} is no table"))),
        }
    }

    fn check_setting(&self, table: &str, param: &str, value: &str) -> Result<(), Refusal> {
        let (object, column) = cell(&format!("{table}1.{param}"))?;
        if column.access == Access::ReadOnly {
            let why = format!("{param} cannot be set");
            return Err(Refusal::new(ErrorCode::NON_WRITEABLE_PARAMETER, why));
        }
        self.check_value(object, column, value)
    }

    fn add(&mut self, table: &str, settings: &[(&str, &str)]) -> Result<String, Refusal> {
        self.check_add(table)?;
        let Some(object) = Object::of_table(table) else {
            return Err(Refusal::new(ErrorCode::OBJECT_IS_NOT_A_TABLE, format!("{table} is no table")));
        };
        let instance = self.fresh(table);
        let row = format!("{table}{instance}.");
        let mut params: BTreeMap<String, String> =
            settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        if table == SUBSCRIPTIONS {
            let recipient = self.asker.as_ref().and_then(|asker| self.row_of(asker)).unwrap_or_default();
            params.insert("Recipient".into(), as_reference(&recipient).to_owned());
            params.insert("CreationDate".into(), self.tree.wall.to_string());
        }
        // Rows that a controller's rights decide about say whose they are.
        if object.column("Controller").is_some() {
            let asker = self.asker.as_ref().and_then(|asker| self.row_of(asker)).unwrap_or_default();
            params.insert("Controller".into(), as_reference(&asker).to_owned());
        }
        if object.path.ends_with(".Controller.{i}.MTP.{i}.") && !params.contains_key("Order") {
            // A new way is the last that is tried.
            let orders = self.tree.rows(table).into_iter();
            let last = orders.filter_map(|row| self.tree.number(&format!("{row}Order"))).max();
            params.insert("Order".into(), (last.unwrap_or(0) + 1).to_string());
        }
        if table == THRESHOLDS {
            let said = |name: &str| params.get(name).map_or("", String::as_str);
            threshold::check(said("ReferencePath"), said("ThresholdParam"))
                .map_err(|why| Refusal::new(ErrorCode::INVALID_VALUE, why))?;
        }
        keys::give(&self.tree, object, table, instance, &mut params);
        keys::check(&self.tree, object, &row, &params)?;
        self.tree.put_row(object, &row, &params);
        self.touch(&row);
        Ok(row)
    }

    fn check_delete(&self, instance: &str) -> Result<(), Refusal> {
        match path::parent(instance).and_then(Object::of_table) {
            Some(object) if object.is_creatable() => Ok(()),
            _ => {
                let why = format!("{instance} is kept by the gateway");
                Err(Refusal::new(ErrorCode::PERMISSION_DENIED, why))
            }
        }
    }

    fn delete(&mut self, instance: &str) {
        let below = self.tree.model.objects_below(instance);
        let rows: Vec<String> = below.filter(|it| path::instance(it).is_some()).map(str::to_owned).collect();
        self.tree.remove_row(instance);
        for row in rows.iter().map(String::as_str).chain([instance]) {
            self.touch(row);
        }
        // Strong references to what is gone go too, and with a controller what is its own.
        for dangling in references::to(&self.tree, instance) {
            let whose = dangling
                .name
                .strip_suffix(".Recipient")
                .or_else(|| dangling.name.strip_suffix(".Controller"));
            match whose {
                Some(row) => self.delete(&format!("{row}.")),
                None => self.put(&dangling.name, &dangling.without),
            }
        }
    }

    fn unique_keys(&self, instance: &str) -> BTreeMap<String, String> {
        let names = Object::of(instance).into_iter().flat_map(|object| &object.keys);
        let names = names.flat_map(|key| key.params.iter());
        let values = names.filter_map(|name| {
            Some(((*name).to_owned(), self.tree.value(&format!("{instance}{name}"))?.to_owned()))
        });
        values.collect()
    }
}

impl LocalAgent {
    pub(super) fn check_value(&self, object: &Object, column: &Column, value: &str) -> Result<(), Refusal> {
        column.row.check(value).map_err(|misfit| {
            let code = match misfit {
                Misfit::Type(_) => ErrorCode::INVALID_TYPE,
                _ => ErrorCode::INVALID_VALUE,
            };
            Refusal::new(code, format!("{} {misfit}", column.name))
        })?;
        self.check_meaning(object, column, value)
            .map_err(|why| Refusal::new(ErrorCode::INVALID_VALUE, format!("{}: {why}", column.name)))
    }

    /// What the standard says of a value in words.
    fn check_meaning(&self, object: &Object, column: &Column, value: &str) -> Result<(), String> {
        addresses::check(object.path, column.name, value, &self.egress)?;
        threshold::check_column(column.name, value)?;
        match column.name {
            "PayloadSecurity" if value == "TLS" && !self.payload_security => {
                Err("the gateway has no certificate for the security of payloads".to_owned())
            }
            "Alias" if !value.starts_with(|first: char| first.is_ascii_alphabetic()) => {
                Err("an alias begins with a letter".into())
            }
            "Targets" => {
                Permission::new(0, value, [Rights::NONE; 4]).map(|_| ()).map_err(|error| error.to_string())
            }
            "Param" | "Obj" | "InstantiatedObj" | "CommandEvent"
                if object.path.ends_with("Permission.{i}.") =>
            {
                value.parse::<Rights>().map(|_| ()).map_err(|error| error.to_string())
            }
            "PublishTopic" => self.check_report_topic(value),
            "ReferenceList" => check_references(value),
            "TriggerConfigSettings" => check_settings(value),
            _ => self.check_strong_reference(column, value),
        }
    }

    /// Reports are no records, and must not come to where they could be taken for some.
    fn check_report_topic(&self, topic: &str) -> Result<(), String> {
        let controllers = self.tree.rows(CONTROLLERS).into_iter();
        let mut mtps = controllers.flat_map(|row| self.tree.rows(&format!("{row}MTP.")));
        let is_theirs = |mtp: String| self.tree.value(&format!("{mtp}MQTT.Topic")) == Some(topic);
        match !topic.is_empty() && (self.template.is_of_agents(topic) || mtps.any(is_theirs)) {
            true => Err(format!("{topic} is a topic of USP, where reports have no place")),
            false => Ok(()),
        }
    }

    /// A strong reference leads to a row that is there, where the table is ours.
    fn check_strong_reference(&self, column: &Column, value: &str) -> Result<(), String> {
        let Some(tables) = references::strong_targets(column.row) else { return Ok(()) };
        for item in value.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let row = as_object(item);
            let ours = tables.clone().any(|table| Object::of_table(table).is_some());
            let right_table = tables.clone().any(|table| path::parent(&row) == Some(table));
            if ours && !(right_table && self.tree.model.has_object(&row)) {
                return Err(format!("there is no row {item}"));
            }
        }
        Ok(())
    }
}

/// The object and column that a parameter's path names.
fn cell(param: &str) -> Result<(&'static Object, &'static Column), Refusal> {
    let object = path::parent(param).and_then(Object::of);
    let cell = object.and_then(|object| Some((object, object.column(path::name(param))?)));
    cell.ok_or_else(|| {
        let why = format!("there is no parameter {param} that could be set");
        Refusal::new(ErrorCode::UNSUPPORTED_PARAMETER, why)
    })
}

fn check_references(list: &str) -> Result<(), String> {
    for reference in split_list(list) {
        let object = match reference.rsplit_once('.') {
            Some((object, leaf)) if leaf.ends_with(['!', ')']) => format!("{object}."),
            _ => reference.to_owned(),
        };
        PathExpr::parse(&object).map_err(|error| format!("{reference}: {error}"))?;
    }
    Ok(())
}
