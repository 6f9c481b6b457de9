//! All tables of one device: their rows as a data model, and the changes that are not durable yet.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::agent::config::AgentConfig;
use crate::datamodel::{Instantiated, Source, Value, ValueType, WallTime, path};
use crate::durable::{Change, Entry, Kind};
use crate::identity::EndpointId;
use crate::translation::{Local, Refusal};
use crate::usp::ErrorCode;

use super::controller::CONTROLLER;
use super::mtp::{Params, agent_rows, controller_row};
use super::request::REQUEST;
use super::subscription::{SUBSCRIPTION, Subscription};
use super::table::{Access, Table};

/// `Device.LocalAgent.` of one device.
pub(in crate::agent) struct LocalAgent {
    model: Instantiated,
    /// Rows that changed since they were last made durable.
    changes: Vec<Change>,
    subscriptions: Vec<Subscription>,
    /// Instance numbers are not used twice while the agent is up.
    next: BTreeMap<&'static str, u32>,
    /// Whose request is being carried out: the recipient of the subscriptions it adds.
    asker: Option<EndpointId>,
    wall: WallTime,
}

const TABLES: [&Table; 3] = [&CONTROLLER, &REQUEST, &SUBSCRIPTION];

impl LocalAgent {
    /// Rebuilds the tables from what is stored and from the controllers that the configuration names.
    pub fn restore(endpoint: &EndpointId, config: &AgentConfig, entries: &[Entry]) -> Self {
        let mut local = Self {
            model: Instantiated::default(),
            changes: Vec::new(),
            subscriptions: Vec::new(),
            next: BTreeMap::new(),
            asker: None,
            wall: WallTime(0),
        };
        local.put("Device.LocalAgent.EndpointID", endpoint.as_str(), ValueType::String);
        local.put("Device.LocalAgent.SoftwareVersion", env!("CARGO_PKG_VERSION"), ValueType::String);
        local.put("Device.LocalAgent.SupportedProtocols", "MQTT,WebSocket", ValueType::String);
        local.put("Device.LocalAgent.UpTime", "0", ValueType::UnsignedInt);
        for table in TABLES {
            local.model.put_object(table.path, table.creatable);
        }
        for entry in entries.iter().filter(|entry| entry.kind == Kind::LocalAgent) {
            local.restore_row(entry);
        }
        local.place_controllers(config);
        local.place_mtps(config);
        for table in TABLES {
            local.recount(table);
        }
        local.read_subscriptions();
        local
    }

    fn restore_row(&mut self, entry: &Entry) {
        let Some((table, instance)) = entry.key.rsplit_once('.') else { return };
        let Some(table) = TABLES.iter().find(|known| short(known) == table) else { return };
        let Ok(row) = serde_json::from_slice::<Row>(&entry.value) else { return };
        let (Ok(instance), FORMAT) = (instance.parse::<u32>(), row.format) else { return };
        self.put_row(table, instance, &row.params);
    }

    /// Rows of known controllers keep their numbers, new ones get the next; who left the configuration goes.
    fn place_controllers(&mut self, config: &AgentConfig) {
        let rows: Vec<(u32, String)> = self
            .model
            .instances(CONTROLLER.path)
            .into_iter()
            .filter_map(|row| Some((row, self.controller_of(&controller_path(row))?.to_owned())))
            .collect();
        let named = |endpoint: &str| config.controllers.iter().any(|it| it.endpoint_id.as_str() == endpoint);
        for (row, _) in rows.iter().filter(|(_, endpoint)| !named(endpoint)) {
            self.remove_row(&CONTROLLER, *row);
        }
        for controller in &config.controllers {
            let endpoint = controller.endpoint_id.as_str();
            if rows.iter().all(|(_, known)| known != endpoint) {
                let row = self.fresh(&CONTROLLER);
                let params = [("EndpointID".to_owned(), endpoint.to_owned())].into();
                self.put_row(&CONTROLLER, row, &params);
                self.save(&CONTROLLER, row);
            }
        }
    }

    fn place_mtps(&mut self, config: &AgentConfig) {
        let mut rows: Vec<(String, Params)> = Vec::new();
        for (number, params) in (1..).zip(agent_rows(&config.controllers)) {
            rows.push((format!("Device.LocalAgent.MTP.{number}."), params));
        }
        let count = rows.len().to_string();
        self.put("Device.LocalAgent.MTPNumberOfEntries", &count, ValueType::UnsignedInt);
        for controller in &config.controllers {
            let Some(row) = self.row_of(&controller.endpoint_id) else { continue };
            self.put(&format!("{row}MTPNumberOfEntries"), "1", ValueType::UnsignedInt);
            rows.push((format!("{row}MTP.1."), controller_row(&controller.mtp)));
        }
        for (row, params) in rows {
            for (name, value, value_type) in params {
                self.put(&format!("{row}{name}"), &value, value_type);
            }
        }
    }

    /// The endpoint of a controller's row, such as a subscription's Recipient names.
    pub fn controller_of(&self, row: &str) -> Option<&str> {
        self.model.value(&format!("{}EndpointID", as_object(row)))
    }

    /// The row of a controller.
    pub fn row_of(&self, controller: &EndpointId) -> Option<String> {
        let mut rows = self.model.instances(CONTROLLER.path).into_iter().map(controller_path);
        rows.find(|row| self.controller_of(row) == Some(controller.as_str()))
    }

    /// Least wait and multiplier (in thousandths) of retries to a controller (R-NOT.1).
    pub fn retry_of(&self, controller: &EndpointId) -> (u64, u64) {
        let row = self.row_of(controller).unwrap_or_default();
        let number = |name: &str| self.model.value(&format!("{row}{name}"))?.parse::<u64>().ok();
        let wait = number("USPNotifRetryMinimumWaitInterval").unwrap_or(5);
        (wait, number("USPNotifRetryIntervalMultiplier").unwrap_or(2_000))
    }

    /// Who asks and what time it is, for the requests that follow.
    pub fn acting_for(&mut self, asker: Option<&EndpointId>, wall: WallTime) {
        self.asker = asker.cloned();
        self.wall = wall;
    }

    pub fn set_up_time(&mut self, seconds: u64) {
        self.put("Device.LocalAgent.UpTime", &seconds.to_string(), ValueType::UnsignedInt);
    }

    /// The subscriptions that are enabled.
    pub fn subscriptions(&self) -> &[Subscription] {
        &self.subscriptions
    }

    /// Takes the changes that are to be made durable.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// A restart of the device ends the subscriptions that are not persistent; time ends others.
    pub fn end_subscriptions(&mut self, ends: impl Fn(&Subscription) -> bool) {
        let ended: Vec<u32> = self.subscriptions.iter().filter(|it| ends(it)).map(|it| it.instance).collect();
        for instance in ended {
            self.remove_row(&SUBSCRIPTION, instance);
        }
    }

    /// Adds the Request row of an operation and gives its path.
    pub fn add_request(&mut self, params: &BTreeMap<String, String>) -> Option<(u32, String)> {
        if self.model.instances(REQUEST.path).len() >= REQUEST.max_rows {
            return None;
        }
        let instance = self.fresh(&REQUEST);
        self.put_row(&REQUEST, instance, params);
        self.recount(&REQUEST);
        self.save(&REQUEST, instance);
        Some((instance, format!("{}{instance}.", REQUEST.path)))
    }

    pub fn set_request_status(&mut self, instance: u32, status: &str) {
        self.put(&format!("{}{instance}.Status", REQUEST.path), status, ValueType::String);
        self.save(&REQUEST, instance);
    }

    pub fn remove_request(&mut self, instance: u32) {
        self.remove_row(&REQUEST, instance);
    }

    fn put(&mut self, name: &str, text: &str, value_type: ValueType) {
        let value =
            Value { text: text.into(), value_type: Some(value_type), at: self.wall, source: Source::Write };
        self.model.set_value(name, value);
    }

    fn put_row(&mut self, table: &Table, instance: u32, params: &BTreeMap<String, String>) {
        let row = format!("{}{instance}.", table.path);
        self.model.put_object(&row, table.creatable);
        for column in table.columns {
            let text = match params.get(column.name) {
                Some(text) => text.clone(),
                None if column.name == "Alias" => format!("cpe-{instance}"),
                None => column.default.to_owned(),
            };
            let name = format!("{row}{}", column.name);
            self.model.put_param(&name, column.access == Access::ReadWrite);
            self.put(&name, &text, column.value_type);
        }
    }

    fn remove_row(&mut self, table: &'static Table, instance: u32) {
        self.fresh_after(table, instance);
        self.model.remove(&format!("{}{instance}.", table.path));
        self.changes.push(Change::delete(Kind::LocalAgent, format!("{}.{instance}", short(table))));
        self.recount(table);
        self.read_subscriptions();
    }

    fn save(&mut self, table: &Table, instance: u32) {
        let row = format!("{}{instance}.", table.path);
        let params = self.model.params_of(&row).filter_map(|(name, param)| {
            Some((path::name(name).to_owned(), param.value.as_ref()?.text.to_string()))
        });
        let row = Row { format: FORMAT, params: params.collect() };
        let value = Bytes::from(serde_json::to_vec(&row).unwrap_or_default());
        self.changes.push(Change::put(Kind::LocalAgent, format!("{}.{instance}", short(table)), value));
        self.read_subscriptions();
    }

    fn recount(&mut self, table: &Table) {
        let count = self.model.instances(table.path).len().to_string();
        self.put(table.count, &count, ValueType::UnsignedInt);
    }

    fn fresh(&mut self, table: &'static Table) -> u32 {
        let highest = self.model.instances(table.path).last().copied().unwrap_or(0);
        let next = self.next.get(table.path).copied().unwrap_or(1).max(highest + 1);
        self.next.insert(table.path, next + 1);
        next
    }

    fn fresh_after(&mut self, table: &'static Table, used: u32) {
        let next = self.next.entry(table.path).or_insert(1);
        *next = (*next).max(used + 1);
    }

    fn read_subscriptions(&mut self) {
        let rows = self.model.instances(SUBSCRIPTION.path).into_iter();
        let read = rows.filter_map(|row| {
            let created = self.model.param(&format!("{}{row}.CreationDate", SUBSCRIPTION.path));
            let at = created.and_then(|param| WallTime::parse(param.value.as_ref()?.text.as_str()));
            Subscription::read(&self.model, row, at.unwrap_or(self.wall))
        });
        self.subscriptions = read.collect();
    }

    /// The row and column that a parameter's path names.
    fn cell(&self, param: &str) -> Option<(&'static Table, u32, &'static super::table::Column)> {
        let row = path::parent(param)?;
        let instance = path::instance(row)?;
        let table = TABLES.into_iter().find(|table| path::parent(row) == Some(table.path))?;
        Some((table, instance, table.column(path::name(param))?))
    }

    fn settings_with_defaults(
        &self,
        table: &Table,
        instance: u32,
        settings: &[(&str, &str)],
    ) -> BTreeMap<String, String> {
        let mut params: BTreeMap<String, String> =
            settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        if table.path == SUBSCRIPTION.path {
            let recipient = self.asker.as_ref().and_then(|asker| self.row_of(asker)).unwrap_or_default();
            // References to rows have no dot at their end (TR-106 3.2.4).
            params.insert("Recipient".into(), recipient.trim_end_matches('.').to_owned());
            params.insert("CreationDate".into(), self.wall.to_string());
            // R-ADD.5: keys that the controller left out are ours to give.
            params.entry("ID".into()).or_insert_with(|| format!("cpe-{instance}"));
        }
        params
    }

    fn duplicate_of(&self, table: &Table, params: &BTreeMap<String, String>, except: u32) -> Option<String> {
        for key in table.keys {
            let wanted: Option<Vec<&String>> = key.iter().map(|name| params.get(*name)).collect();
            let Some(wanted) = wanted else { continue };
            for instance in self.model.instances(table.path).into_iter().filter(|row| *row != except) {
                let row = format!("{}{instance}.", table.path);
                let same = key
                    .iter()
                    .zip(&wanted)
                    .all(|(name, wanted)| self.model.value(&format!("{row}{name}")) == Some(wanted.as_str()));
                if same {
                    return Some(row);
                }
            }
        }
        None
    }
}

impl Local for LocalAgent {
    fn model(&self) -> &Instantiated {
        &self.model
    }

    fn check_set(&self, param: &str, value: &str) -> Result<(), Refusal> {
        let Some((table, instance, column)) = self.cell(param) else {
            let why = format!("there is no parameter {param} that could be set");
            return Err(Refusal::new(ErrorCode::UNSUPPORTED_PARAMETER, why));
        };
        if column.access != Access::ReadWrite {
            let why = format!("{} cannot be changed", column.name);
            return Err(Refusal::new(ErrorCode::NON_WRITEABLE_PARAMETER, why));
        }
        column.check(value)?;
        let row = format!("{}{instance}.", table.path);
        let mut params: BTreeMap<String, String> = self
            .model
            .params_of(&row)
            .filter_map(|(name, param)| {
                Some((path::name(name).to_owned(), param.value.as_ref()?.text.to_string()))
            })
            .collect();
        params.insert(column.name.to_owned(), value.to_owned());
        match self.duplicate_of(table, &params, instance) {
            Some(other) => {
                Err(Refusal::new(ErrorCode::DUPLICATE_KEY, format!("{other} has this unique key")))
            }
            None => Ok(()),
        }
    }

    fn set(&mut self, param: &str, value: &str) {
        let Some((table, instance, column)) = self.cell(param) else { return };
        self.put(param, value, column.value_type);
        self.save(table, instance);
    }

    fn check_add(&self, table: &str) -> Result<(), Refusal> {
        match TABLES.into_iter().find(|known| known.path == table) {
            Some(known) if !known.creatable => {
                let why = format!("{table} is kept by the gateway's configuration");
                Err(Refusal::new(ErrorCode::NON_CREATABLE_OBJECT, why))
            }
            Some(known) if self.model.instances(table).len() >= known.max_rows => {
                let why = format!("{table} holds {} rows at most", known.max_rows);
                Err(Refusal::new(ErrorCode::RESOURCES_EXCEEDED, why))
            }
            Some(_) => Ok(()),
            None => Err(Refusal::new(ErrorCode::OBJECT_IS_NOT_A_TABLE, format!("{table} is no table"))),
        }
    }

    fn check_setting(&self, table: &str, param: &str, value: &str) -> Result<(), Refusal> {
        let table = TABLES.into_iter().find(|known| known.path == table);
        let Some(column) = table.and_then(|table| table.column(param)) else {
            let why = format!("there is no parameter {param}");
            return Err(Refusal::new(ErrorCode::UNSUPPORTED_PARAMETER, why));
        };
        if column.access == Access::ReadOnly {
            let why = format!("{param} cannot be set");
            return Err(Refusal::new(ErrorCode::NON_WRITEABLE_PARAMETER, why));
        }
        column.check(value)
    }

    fn add(&mut self, table: &str, settings: &[(&str, &str)]) -> Result<String, Refusal> {
        self.check_add(table)?;
        let Some(table) = TABLES.into_iter().find(|known| known.path == table) else {
            return Err(Refusal::new(ErrorCode::OBJECT_IS_NOT_A_TABLE, format!("{table} is no table")));
        };
        let instance = self.fresh(table);
        let params = self.settings_with_defaults(table, instance, settings);
        if let Some(other) = self.duplicate_of(table, &params, instance) {
            return Err(Refusal::new(ErrorCode::DUPLICATE_KEY, format!("{other} has this unique key")));
        }
        self.put_row(table, instance, &params);
        self.recount(table);
        self.save(table, instance);
        Ok(format!("{}{instance}.", table.path))
    }

    fn check_delete(&self, instance: &str) -> Result<(), Refusal> {
        let table = TABLES.into_iter().find(|table| path::parent(instance) == Some(table.path));
        match table {
            Some(table) if table.creatable => Ok(()),
            _ => {
                let why = format!("{instance} is kept by the gateway");
                Err(Refusal::new(ErrorCode::PERMISSION_DENIED, why))
            }
        }
    }

    fn delete(&mut self, instance: &str) {
        let table = TABLES.into_iter().find(|table| path::parent(instance) == Some(table.path));
        if let Some((table, number)) = table.zip(path::instance(instance)) {
            self.remove_row(table, number);
        }
    }

    fn unique_keys(&self, instance: &str) -> BTreeMap<String, String> {
        let table = TABLES.into_iter().find(|table| path::parent(instance) == Some(table.path));
        let names = table.into_iter().flat_map(|table| table.keys.iter().flat_map(|key| key.iter()));
        let values = names.filter_map(|name| {
            Some(((*name).to_owned(), self.model.value(&format!("{instance}{name}"))?.to_owned()))
        });
        values.collect()
    }
}

/// A row as it is stored.
#[derive(serde::Serialize, serde::Deserialize)]
struct Row {
    format: u32,
    params: BTreeMap<String, String>,
}

const FORMAT: u32 = 1;

/// A table's name without what all have in common.
fn short(table: &Table) -> &'static str {
    table.path.trim_start_matches("Device.LocalAgent.").trim_end_matches('.')
}

fn controller_path(row: u32) -> String {
    format!("{}{row}.", CONTROLLER.path)
}

fn as_object(row: &str) -> String {
    if row.ends_with('.') { row.to_owned() } else { format!("{row}.") }
}
