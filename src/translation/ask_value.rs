//! Reads one parameter for the gateway itself: its value is the outcome, and the shadow does not learn it.

use std::collections::BTreeMap;

use crate::cwmp::rpc::{Array, Fault, GetParameterValues, Request, Response};
use crate::usp::ErrorCode;

use super::fault;
use super::plan::{Outcome, Plan, Step, View};

/// A question on its way.
pub struct AskValue {
    name: String,
    asked: bool,
    result: Option<Outcome>,
}

impl AskValue {
    pub fn new(name: String) -> Self {
        Self { name, asked: false, result: None }
    }
}

impl Plan for AskValue {
    fn next(&mut self, _: &mut View<'_>) -> Step {
        if self.asked {
            let none = || Outcome::error(ErrorCode::INTERNAL_ERROR, "the device did not say");
            return Step::Done(self.result.take().unwrap_or_else(none));
        }
        self.asked = true;
        let parameter_names = Array(vec![self.name.clone().into()]);
        Step::Call(Request::GetParameterValues(GetParameterValues { parameter_names }))
    }

    fn answered(&mut self, _: &mut View<'_>, response: &Response<'_>) {
        let Response::GetParameterValuesResponse(read) = response else { return };
        let found = read.parameter_list.iter().find(|it| it.name == self.name.as_str());
        self.result =
            found.map(|it| Outcome::Completed(BTreeMap::from([(self.name.clone(), it.value.to_string())])));
    }

    fn faulted(&mut self, _: &mut View<'_>, fault: &Fault<'_>) {
        self.result = Some(Outcome::error(ErrorCode::COMMAND_FAILURE, fault::text(fault)));
    }

    fn is_repeatable(&self) -> bool {
        true
    }

    fn repeat(&mut self) {
        self.asked = false;
    }
}
