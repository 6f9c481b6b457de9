//! Requests in the detail that checks need: which settings are required, what may be partial.

use crate::usp::message::{Add, Delete, GetSupportedDm, Operate, Request, Set, add, set};

/// An object to create or update, with its settings.
#[derive(Debug, Clone)]
pub(super) struct Row {
    path: String,
    settings: Vec<(String, String, bool)>,
}

impl Row {
    pub fn at(path: impl Into<String>) -> Self {
        Self { path: path.into(), settings: Vec::new() }
    }

    /// A setting that may fail alone.
    pub fn with(mut self, param: &str, value: impl Into<String>) -> Self {
        self.settings.push((param.to_owned(), value.into(), false));
        self
    }

    /// A setting that fails the object.
    pub fn must(mut self, param: &str, value: impl Into<String>) -> Self {
        self.settings.push((param.to_owned(), value.into(), true));
        self
    }

    fn create(self) -> add::CreateObject {
        let settings = self.settings.into_iter();
        let param_settings =
            settings.map(|(param, value, required)| add::CreateParamSetting { param, value, required });
        add::CreateObject { obj_path: self.path, param_settings: param_settings.collect() }
    }

    fn update(self) -> set::UpdateObject {
        let settings = self.settings.into_iter();
        let param_settings =
            settings.map(|(param, value, required)| set::UpdateParamSetting { param, value, required });
        set::UpdateObject { obj_path: self.path, param_settings: param_settings.collect() }
    }
}

pub(super) fn add(allow_partial: bool, rows: impl IntoIterator<Item = Row>) -> Request {
    Request::Add(Add { allow_partial, create_objs: rows.into_iter().map(Row::create).collect() })
}

pub(super) fn set(allow_partial: bool, rows: impl IntoIterator<Item = Row>) -> Request {
    Request::Set(Set { allow_partial, update_objs: rows.into_iter().map(Row::update).collect() })
}

pub(super) fn delete(allow_partial: bool, paths: &[&str]) -> Request {
    let obj_paths = paths.iter().map(|path| (*path).to_owned()).collect();
    Request::Delete(Delete { allow_partial, obj_paths })
}

pub(super) fn operate(command: &str, key: &str, send_resp: bool, arguments: &[(&str, &str)]) -> Request {
    let arguments = arguments.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Request::Operate(Operate {
        command: command.to_owned(),
        command_key: key.to_owned(),
        send_resp,
        input_args: arguments.collect(),
    })
}

/// Which lists of GetSupportedDM are wanted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Lists {
    pub commands: bool,
    pub events: bool,
    pub params: bool,
    pub keys: bool,
}

impl Lists {
    pub const ALL: Self = Self { commands: true, events: true, params: true, keys: true };
    pub const NONE: Self = Self { commands: false, events: false, params: false, keys: false };
}

pub(super) fn supported_dm(paths: &[&str], first_level_only: bool, lists: Lists) -> Request {
    Request::GetSupportedDm(GetSupportedDm {
        obj_paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        first_level_only,
        return_commands: lists.commands,
        return_events: lists.events,
        return_params: lists.params,
        return_unique_key_sets: lists.keys,
    })
}
