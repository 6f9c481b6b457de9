//! Diagnostics as asynchronous commands: the inputs and `DiagnosticsState=Requested` by one
//! SetParameterValues, the outputs by GetParameterValues once the CPE has said `8 DIAGNOSTICS COMPLETE`.

use std::collections::BTreeMap;

use crate::cwmp::rpc::{Array, Fault, ParameterValueStruct, Request, Response, SetParameterValues};
use crate::datamodel::ValueType;
use crate::usp::ErrorCode;

use super::fault;
use super::local::Refusal;
use super::plan::{NO_KEY, Outcome, Plan, Step, View};
use super::reading::Reading;

/// A diagnostic of the data model.
#[derive(Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The command of TR-181 for USP.
    pub command: &'static str,
    /// The object of TR-181 for CWMP.
    object: &'static str,
    inputs: &'static [(&'static str, ValueType)],
    mandatory: &'static [&'static str],
    outputs: &'static [&'static str],
}

const DIAGNOSTICS: [Diagnostic; 1] = [Diagnostic {
    command: "Device.IP.Diagnostics.IPPing()",
    object: "Device.IP.Diagnostics.IPPing.",
    inputs: &[
        ("Interface", ValueType::String),
        ("ProtocolVersion", ValueType::String),
        ("Host", ValueType::String),
        ("NumberOfRepetitions", ValueType::UnsignedInt),
        ("Timeout", ValueType::UnsignedInt),
        ("DataBlockSize", ValueType::UnsignedInt),
        ("DSCP", ValueType::UnsignedInt),
    ],
    mandatory: &["Host"],
    outputs: &[
        "IPAddressUsed",
        "SuccessCount",
        "FailureCount",
        "AverageResponseTime",
        "MinimumResponseTime",
        "MaximumResponseTime",
        "AverageResponseTimeDetailed",
        "MinimumResponseTimeDetailed",
        "MaximumResponseTimeDetailed",
    ],
}];

impl Diagnostic {
    /// All that there are.
    pub(super) fn commands() -> impl Iterator<Item = &'static str> {
        DIAGNOSTICS.iter().map(|known| known.command)
    }

    /// All that there are.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        DIAGNOSTICS.iter()
    }

    /// The object of TR-181 that CWMP has for it.
    pub fn object(&self) -> &'static str {
        self.object
    }

    /// The parameters that are set for these arguments, but for the state.
    pub fn inputs(&self, args: &BTreeMap<String, String>) -> impl Iterator<Item = String> {
        let given = self.inputs.iter().filter(|(name, _)| args.contains_key(*name));
        given.map(|(name, _)| format!("{}{name}", self.object))
    }

    pub fn of(command: &str) -> Option<&'static Self> {
        DIAGNOSTICS.iter().find(|known| known.command == command)
    }

    /// Checks input arguments (R-OPR.5); those that are not known are ignored (R-OPR.6).
    pub fn check(&self, args: &BTreeMap<String, String>) -> Result<(), Refusal> {
        if let Some(missing) = self.mandatory.iter().find(|name| !args.contains_key(**name)) {
            let why = format!("{} needs the argument {missing}", self.command);
            return Err(Refusal::new(ErrorCode::INVALID_COMMAND_ARGUMENTS, why));
        }
        let wrong = self
            .inputs
            .iter()
            .find(|(name, value_type)| args.get(*name).is_some_and(|value| !value_type.accepts(value)));
        match wrong {
            Some((name, value_type)) => {
                let why = format!("{name} is of type {}", value_type.xsd());
                Err(Refusal::new(ErrorCode::INVALID_COMMAND_ARGUMENTS, why))
            }
            None => Ok(()),
        }
    }

    /// Starts it on the CPE.
    pub fn start(&'static self, args: &BTreeMap<String, String>) -> DiagnosticStart {
        let mut list: Vec<(String, String, ValueType)> = self
            .inputs
            .iter()
            .filter_map(|(name, value_type)| {
                Some((format!("{}{name}", self.object), args.get(*name)?.clone(), *value_type))
            })
            .collect();
        list.push((format!("{}DiagnosticsState", self.object), "Requested".into(), ValueType::String));
        DiagnosticStart { list, asked: false, result: None }
    }

    /// Reads what came of it; silent while the CPE is at it.
    pub fn finish(&'static self) -> DiagnosticFinish {
        DiagnosticFinish { diagnostic: self, reading: None }
    }
}

/// The start of a diagnostic on its way.
pub struct DiagnosticStart {
    list: Vec<(String, String, ValueType)>,
    asked: bool,
    result: Option<Outcome>,
}

impl Plan for DiagnosticStart {
    fn next(&mut self, view: &mut View<'_>) -> Step {
        if let Some(result) = self.result.take() {
            return Step::Done(result);
        }
        if self.asked {
            let why = "the command was not carried out";
            return Step::Done(Outcome::error(ErrorCode::COMMAND_FAILURE, why));
        }
        self.asked = true;
        // Arguments of later versions of the model are left out where the device has no such parameter.
        let has = |name: &str| view.cpe.param(name).is_some() || name.ends_with("DiagnosticsState");
        let list = self.list.iter().filter(|(name, ..)| has(name));
        let list = list.map(|(name, value, value_type)| {
            ParameterValueStruct::new(name.clone(), value.clone(), *value_type)
        });
        let parameter_list = Array(list.collect());
        let parameter_key = NO_KEY;
        Step::Call(Request::SetParameterValues(SetParameterValues { parameter_list, parameter_key }))
    }

    fn answered(&mut self, _: &mut View<'_>, _: &Response<'_>) {
        self.result = Some(Outcome::Silent);
    }

    fn faulted(&mut self, _: &mut View<'_>, fault: &Fault<'_>) {
        self.result = Some(Outcome::error(ErrorCode::COMMAND_FAILURE, fault::text(fault)));
    }

    /// The CPE begins when the session ends.
    fn ends_session(&self) -> bool {
        true
    }

    /// Asking twice begins it anew.
    fn is_repeatable(&self) -> bool {
        true
    }

    fn repeat(&mut self) {
        self.asked = false;
    }
}

/// The reading of results on its way.
pub struct DiagnosticFinish {
    diagnostic: &'static Diagnostic,
    reading: Option<Reading>,
}

impl DiagnosticFinish {
    fn name(&self, output: &str) -> String {
        format!("{}{output}", self.diagnostic.object)
    }

    fn outcome(&self, view: &View<'_>) -> Outcome {
        let state = view.cpe.value(&self.name("DiagnosticsState")).unwrap_or("");
        match state {
            // Still at it: its event will come.
            "Requested" => return Outcome::Silent,
            "None" | "" => {
                let why = "the device has forgotten the diagnostic";
                return Outcome::error(ErrorCode::COMMAND_FAILURE, why);
            }
            _ => {}
        }
        let outputs = self.diagnostic.outputs.iter().filter_map(|output| {
            Some(((*output).to_owned(), view.cpe.value(&self.name(output))?.to_owned()))
        });
        let mut outputs: BTreeMap<String, String> = outputs.collect();
        // TR-181 for USP: Status is Complete or the error that CWMP has in DiagnosticsState.
        let status = if state.starts_with("Complete") { "Complete" } else { state };
        outputs.insert("Status".into(), status.to_owned());
        Outcome::Completed(outputs)
    }
}

impl Plan for DiagnosticFinish {
    fn next(&mut self, view: &mut View<'_>) -> Step {
        if self.reading.is_none() {
            let mut names: Vec<String> = self.diagnostic.outputs.iter().map(|it| self.name(it)).collect();
            names.retain(|name| view.cpe.param(name).is_some());
            names.push(self.name("DiagnosticsState"));
            self.reading = Some(Reading::of(names));
        }
        match self.reading.as_mut().and_then(Reading::next) {
            Some(request) => Step::Call(request),
            None => Step::Done(self.outcome(view)),
        }
    }

    fn answered(&mut self, view: &mut View<'_>, response: &Response<'_>) {
        if let Some(reading) = &mut self.reading {
            reading.answered(view, response);
        }
    }

    fn faulted(&mut self, view: &mut View<'_>, fault: &Fault<'_>) {
        if let Some(reading) = &mut self.reading {
            reading.faulted(view, fault);
        }
    }

    fn is_repeatable(&self) -> bool {
        true
    }

    fn repeat(&mut self) {
        if let Some(reading) = &mut self.reading {
            reading.repeat();
        }
    }
}
