//! Reads a list of parameters from the CPE: one GetParameterValues of exactly the missing names, split to
//! what the CPE can bear. A refused list is read in halves until the parameter to blame is found (quirks
//! B07, B10).

use std::collections::{BTreeMap, VecDeque};

use crate::cwmp::rpc::{Array, Fault, GetParameterValues, Request, Response};
use crate::datamodel::{Source, Value};

use super::plan::View;

/// A reading on its way.
#[derive(Debug, Default)]
pub(super) struct Reading {
    waiting: VecDeque<Vec<String>>,
    asked: Vec<String>,
    /// Parameters that the CPE would not give, with its fault.
    refused: BTreeMap<String, (u32, String)>,
}

impl Reading {
    pub fn of(mut names: Vec<String>) -> Self {
        names.sort_unstable();
        names.dedup();
        let waiting = names.chunks(MAX_NAMES).map(<[String]>::to_vec).collect();
        Self { waiting, ..Self::default() }
    }

    /// The next RPC, or `None` when all has been read.
    pub fn next(&mut self) -> Option<Request<'static>> {
        self.asked = self.waiting.pop_front()?;
        let names = self.asked.iter().map(|name| name.clone().into()).collect();
        Some(Request::GetParameterValues(GetParameterValues { parameter_names: Array(names) }))
    }

    /// Keeps what came, whatever was asked for (quirk B09).
    pub fn answered(&mut self, view: &mut View<'_>, response: &Response<'_>) {
        let asked = std::mem::take(&mut self.asked);
        let Response::GetParameterValuesResponse(response) = response else {
            return self.refuse(asked, 9002, "the answer is not that of GetParameterValues");
        };
        for parameter in response.parameter_list.iter() {
            let value = Value {
                text: parameter.value.as_ref().into(),
                value_type: parameter.value_type,
                at: view.wall,
                source: Source::Read,
            };
            view.cpe.set_value(&parameter.name, value);
        }
        let came =
            |name: &String| response.parameter_list.iter().any(|parameter| parameter.name == name.as_str());
        // With few names asked the check is cheap; a full chunk is small by MAX_NAMES.
        let lost = asked.into_iter().filter(|name| !came(name)).collect();
        self.refuse(lost, 9005, "the device left it out of its answer");
    }

    /// A list is read in halves; a single name that the CPE has not is forgotten.
    pub fn faulted(&mut self, view: &mut View<'_>, fault: &Fault<'_>) {
        let mut asked = std::mem::take(&mut self.asked);
        let splits = matches!(fault.fault_code, 9002..=9005);
        if splits && asked.len() > 1 {
            let second = asked.split_off(asked.len() / 2);
            self.waiting.push_front(second);
            self.waiting.push_front(asked);
        } else {
            if fault.fault_code == NO_SUCH_NAME {
                asked.iter().for_each(|name| view.cpe.forget_param(name));
            }
            self.refuse(asked, fault.fault_code, &fault.fault_string);
        }
    }

    /// The answer was lost: the same names are asked for again.
    pub fn repeat(&mut self) {
        let asked = std::mem::take(&mut self.asked);
        if !asked.is_empty() {
            self.waiting.push_front(asked);
        }
    }

    pub fn refusal(&self, name: &str) -> Option<&(u32, String)> {
        self.refused.get(name)
    }

    fn refuse(&mut self, names: Vec<String>, code: u32, why: &str) {
        self.refused.extend(names.into_iter().map(|name| (name, (code, why.to_owned()))));
    }
}

/// Names in one GetParameterValues.
const MAX_NAMES: usize = 128;
/// CWMP's invalid parameter name (TR-069 A.5.1).
const NO_SUCH_NAME: u32 = 9005;
