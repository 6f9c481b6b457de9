//! GetParameterValues and SetParameterValues (TR-069 A.3.2.1, A.3.2.2).

use std::collections::BTreeSet;

use crate::cwmp::fault;
use crate::cwmp::rpc::{
    Array, Fault, GetParameterValues, GetParameterValuesResponse, ParameterValueStruct, SetParameterValues,
    SetParameterValuesFault, SetParameterValuesResponse,
};
use crate::datamodel::{ValueType, WallTime, path};

use super::core::{BOOTSTRAP, Cpe};
use super::diagnostics;
use super::model::Node;

impl Cpe {
    /// Reads parameters and all those under partial paths; one unknown name fails all of them (9005).
    pub(super) fn values(
        &self,
        request: &GetParameterValues<'_>,
        now: WallTime,
    ) -> Result<GetParameterValuesResponse<'static>, Fault<'static>> {
        let mut list = Vec::new();
        for asked in request.parameter_names.iter() {
            if self.data.at(asked).is_empty() {
                return Err(Fault::of(9005));
            }
            for name in self.data.parameters(asked) {
                list.extend(self.read(name, now));
            }
        }
        Ok(GetParameterValuesResponse { parameter_list: Array(list) })
    }

    /// A parameter as the ACS sees it: passwords are empty, and times go on.
    pub(super) fn read(&self, name: &str, now: WallTime) -> Option<ParameterValueStruct<'static>> {
        let value_type = self.data.value_type(name)?;
        let value = match name.strip_prefix(self.data.root()) {
            Some("DeviceInfo.UpTime") => (now.0.saturating_sub(self.booted_at.0) / 1_000).to_string(),
            Some("Time.CurrentLocalTime") => now.to_string(),
            _ if HIDDEN.contains(&path::name(name)) => String::new(),
            _ => self.data.value(name)?.to_owned(),
        };
        Some(ParameterValueStruct::new(name.to_owned(), value, value_type))
    }

    /// Writes all of the list, or nothing and says of each parameter why (9003).
    pub(super) fn set_values(
        &mut self,
        request: &SetParameterValues<'_>,
    ) -> Result<SetParameterValuesResponse, Fault<'static>> {
        let mut names = BTreeSet::new();
        let mut refused = Vec::new();
        for parameter in request.parameter_list.iter() {
            let judged = if names.insert(&*parameter.name) {
                self.judge(parameter)
            } else {
                Err((9003, "stands twice"))
            };
            if let Err((fault_code, why)) = judged {
                refused.push(SetParameterValuesFault {
                    parameter_name: parameter.name.clone().into_owned().into(),
                    fault_code,
                    fault_string: format!("{}: {why}", fault::name(fault_code)).into(),
                });
            }
        }
        if !refused.is_empty() {
            return Err(Fault { set_parameter_values_fault: refused, ..Fault::of(9003) });
        }
        for parameter in request.parameter_list.iter() {
            self.set_value(&parameter.name, &parameter.value);
        }
        self.keep_parameter_key(&request.parameter_key);
        Ok(SetParameterValuesResponse { status: 0 })
    }

    /// Keeps the key of the last change by an ACS (A.3.2.1).
    pub(super) fn keep_parameter_key(&mut self, key: &str) {
        let name = self.rooted("ManagementServer.ParameterKey");
        self.data.write(&name, key);
    }

    fn judge(&self, parameter: &ParameterValueStruct<'_>) -> Result<(), (u32, &'static str)> {
        let Some(Node::Parameter { writable, value_type, .. }) = self.data.node(&parameter.name) else {
            return Err((9005, "there is no such parameter"));
        };
        if !writable {
            return Err((9008, "it is read-only"));
        }
        if parameter.value_type.is_some_and(|given| given != *value_type) {
            return Err((9006, "it has another type"));
        }
        if !value_type.accepts(&parameter.value) || !is_time_or_other(*value_type, &parameter.value) {
            return Err((9007, "it is no value of its type"));
        }
        if !diagnostics::may_set(&parameter.name, &parameter.value) {
            return Err((9007, "only Requested, Canceled and None can be set"));
        }
        Ok(())
    }

    fn set_value(&mut self, name: &str, value: &str) {
        let changed = self.data.write(name, value);
        if changed && name.strip_prefix(self.data.root()) == Some("ManagementServer.URL") {
            // To another ACS it is a new device (TR-069 table 8).
            self.raise(BOOTSTRAP, "");
        }
        self.after.extend(diagnostics::requested(name, value));
    }
}

/// Whether a `dateTime` begins as one: more is not asked for.
fn is_time_or_other(value_type: ValueType, value: &str) -> bool {
    value_type != ValueType::DateTime || value.as_bytes().get(10) == Some(&b'T')
}

/// Last names of parameters that read as empty, as the data models want it.
const HIDDEN: [&str; 8] = [
    "Password",
    "ConnectionRequestPassword",
    "STUNPassword",
    "KeyPassphrase",
    "SAEPassphrase",
    "PreSharedKey",
    "WEPKey",
    "RadiusSecret",
];
