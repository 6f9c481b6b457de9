//! Writes parameters for nobody in particular: what was there before a work of ours.

use crate::cwmp::rpc::{Array, Fault, ParameterValueStruct, Request, Response, SetParameterValues};
use crate::datamodel::ValueType;
use crate::usp::ErrorCode;

use super::fault;
use super::plan::{NO_KEY, Outcome, Plan, Step, View};

/// A write on its way. Carried out twice it does no harm.
pub struct Write {
    list: Vec<(String, String, Option<ValueType>)>,
    asked: bool,
    result: Option<Outcome>,
}

impl Write {
    pub fn new(list: Vec<(String, String, Option<ValueType>)>) -> Self {
        Self { list, asked: false, result: None }
    }
}

impl Plan for Write {
    fn next(&mut self, _: &mut View<'_>) -> Step {
        if self.asked || self.list.is_empty() {
            return Step::Done(self.result.take().unwrap_or(Outcome::Silent));
        }
        self.asked = true;
        let list = self.list.iter().map(|(name, value, value_type)| {
            ParameterValueStruct::new(name.clone(), value.clone(), value_type.unwrap_or(ValueType::String))
        });
        let parameter_list = Array(list.collect());
        Step::Call(Request::SetParameterValues(SetParameterValues { parameter_list, parameter_key: NO_KEY }))
    }

    fn answered(&mut self, _: &mut View<'_>, _: &Response<'_>) {
        self.result = Some(Outcome::Silent);
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
