//! The ParameterKey (TR-069 A.3.2.1): the ACS tells by it that nobody but it has changed the CPE, so that what the
//! gateway changes carries the ACS's last one.

use crate::cwmp::rpc::{Inform, Request};

use super::core::Agent;
use super::io::Output;

/// Gives an RPC of ours the key, if it carries one.
pub(super) fn put_key(request: &mut Request<'static>, key: &str) {
    match request {
        Request::SetParameterValues(it) => it.parameter_key = key.to_owned().into(),
        Request::AddObject(it) => it.parameter_key = key.to_owned().into(),
        Request::DeleteObject(it) => it.parameter_key = key.to_owned().into(),
        _ => {}
    }
}

/// The key that an RPC of the ACS's leaves on the CPE.
pub fn key_of<'r>(request: &'r Request<'_>) -> Option<&'r str> {
    match request {
        Request::SetParameterValues(it) => Some(&it.parameter_key),
        Request::AddObject(it) => Some(&it.parameter_key),
        Request::DeleteObject(it) => Some(&it.parameter_key),
        _ => None,
    }
}

impl Agent {
    /// The Inform tells it; a CPE that leaves it out has what the ACS was seen to set.
    pub(super) fn key_by(&mut self, inform: &Inform<'_>) {
        let told =
            inform.parameter_list.iter().find(|it| it.name.ends_with(".ManagementServer.ParameterKey"));
        let key = told.map_or_else(|| self.stored.last_key.clone(), |it| it.value.to_string());
        self.note_key(&key);
    }

    fn note_key(&mut self, key: &str) {
        if !key.is_empty() && self.stored.last_key != key {
            self.stored.last_key = key.to_owned();
        }
        self.parameter_key = Some(key.to_owned());
    }

    /// The CPE has carried out an RPC of the ACS's.
    pub(super) fn key_by_acs(&mut self, request: &Request<'_>, out: &mut Vec<Output>) {
        let Some(key) = key_of(request) else { return };
        let before = self.stored.last_key.clone();
        self.note_key(key);
        if before != self.stored.last_key {
            let change = self.stored.change();
            self.persist(vec![change], out);
        }
    }
}
