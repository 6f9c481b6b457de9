//! What an agent says that it supports, by path.

use std::collections::BTreeSet;

use crate::usp::message::{GetSupportedDmResp, get_supported_dm_resp as resp};

/// The objects, parameters, commands and events of an agent.
#[derive(Debug, Default)]
pub(super) struct Model {
    paths: BTreeSet<String>,
    writable: BTreeSet<String>,
    /// Commands that go on after their response.
    later: BTreeSet<String>,
}

impl Model {
    pub fn of(response: &GetSupportedDmResp) -> Self {
        let mut model = Self::default();
        for object in response.req_obj_results.iter().flat_map(|result| &result.supported_objs) {
            model.object(object);
        }
        model
    }

    fn object(&mut self, object: &resp::SupportedObjectResult) {
        let path = &object.supported_obj_path;
        self.paths.insert(path.clone());
        if matches!(object.access(), resp::ObjAccessType::ObjAddDelete | resp::ObjAccessType::ObjAddOnly) {
            self.writable.insert(path.clone());
        }
        for param in &object.supported_params {
            let name = format!("{path}{}", param.param_name);
            if param.access() != resp::ParamAccessType::ParamReadOnly {
                self.writable.insert(name.clone());
            }
            self.paths.insert(name);
        }
        for command in &object.supported_commands {
            let name = format!("{path}{}", command.command_name);
            if command.command_type() == resp::CmdType::CmdAsync {
                self.later.insert(name.clone());
            }
            self.paths.insert(name);
        }
        let events = object.supported_events.iter();
        self.paths.extend(events.map(|event| format!("{path}{}", event.event_name)));
    }

    /// Whether a path in supported notation is there.
    pub fn has(&self, path: &str) -> bool {
        self.paths.contains(path)
    }

    /// Whether a parameter can be written, or rows be added to a table (`...Subscription.{i}.`).
    pub fn is_writable(&self, path: &str) -> bool {
        self.writable.contains(path)
    }

    /// Whether a command is asynchronous.
    pub fn is_later(&self, command: &str) -> bool {
        self.later.contains(command)
    }

    /// The parameters of an object.
    pub fn params<'m>(&'m self, object: &'m str) -> impl Iterator<Item = &'m str> {
        let below = self.paths.iter().filter_map(move |path| path.strip_prefix(object));
        below.filter(|name| !name.is_empty() && !name.contains('.') && !name.ends_with(['!', ')']))
    }
}
