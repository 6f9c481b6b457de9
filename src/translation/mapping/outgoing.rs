//! A plan's request as the CPE understands it, and what cannot be said to it.

use std::fmt;

use crate::cwmp::rpc::{
    AddObject, Array, DeleteObject, Fault, GetParameterAttributes, GetParameterNames, GetParameterValues,
    ParameterValueStruct, Request, SetParameterAttributes, SetParameterValues, SetParameterValuesFault, Text,
};
use crate::datamodel::path;

use super::table::Mapping;

/// A request that must not reach the CPE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmapped {
    /// Never empty; paths in TR-181 terms.
    pub refused: Vec<Refused>,
    /// The request is a SetParameterValues, whose faults name each parameter (TR-069 A.3.2.1).
    pub sets_values: bool,
}

/// A path that cannot be said to the CPE, or a value for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub path: String,
    /// Of CWMP: 9005 of a path without counterpart, 9007 of a value without.
    pub fault_code: u32,
    pub why: &'static str,
}

impl Unmapped {
    /// The fault that a CPE with a TR-181 data model would answer with.
    pub fn fault(&self) -> Fault<'static> {
        if !self.sets_values {
            let code = self.refused.first().map_or(NO_NAME, |refused| refused.fault_code);
            return Fault { fault_string: self.to_string().into(), ..Fault::of(code) };
        }
        let list = self.refused.iter().map(|refused| SetParameterValuesFault {
            parameter_name: refused.path.clone().into(),
            fault_code: refused.fault_code,
            fault_string: refused.why.into(),
        });
        Fault { set_parameter_values_fault: list.collect(), ..Fault::of(INVALID_ARGUMENTS) }
    }
}

impl fmt::Display for Unmapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.refused.as_slice() {
            [] => f.write_str(WHY_NO_NAME),
            [first, rest @ ..] => {
                write!(f, "{}: {}", first.path, first.why)?;
                if rest.is_empty() { Ok(()) } else { write!(f, " (and {} more)", rest.len()) }
            }
        }
    }
}

impl std::error::Error for Unmapped {}

impl Mapping {
    /// A plan's request, in TR-181 terms, as the CPE understands it. Names to get that already are the CPE's
    /// own stay (discovery walks the CPE's tree), and so do requests that name no path.
    ///
    /// Parameters that are one on the CPE are asked for once; set to different values they are refused. The
    /// error tells all that cannot be said: nothing of the request was sent, so the plan can be given
    /// [`Unmapped::fault`] as the CPE's answer.
    pub fn outgoing(&self, request: Request<'static>) -> Result<Request<'static>, Unmapped> {
        let sets_values = matches!(request, Request::SetParameterValues(_));
        self.request(request).map_err(|refused| Unmapped { refused, sets_values })
    }

    fn request(&self, request: Request<'static>) -> Result<Request<'static>, Vec<Refused>> {
        match request {
            Request::GetParameterValues(GetParameterValues { parameter_names }) => {
                let parameter_names = Array(self.names_out(&parameter_names)?);
                Ok(Request::GetParameterValues(GetParameterValues { parameter_names }))
            }
            Request::GetParameterAttributes(GetParameterAttributes { parameter_names }) => {
                let parameter_names = Array(self.names_out(&parameter_names)?);
                Ok(Request::GetParameterAttributes(GetParameterAttributes { parameter_names }))
            }
            Request::SetParameterAttributes(SetParameterAttributes { mut parameter_list }) => {
                for one in &mut parameter_list.0 {
                    one.name = self.name_out(&one.name).map_err(|refused| vec![refused])?;
                }
                Ok(Request::SetParameterAttributes(SetParameterAttributes { parameter_list }))
            }
            Request::SetParameterValues(SetParameterValues { parameter_list, parameter_key }) => {
                let parameter_list = Array(self.values_out(&parameter_list)?);
                Ok(Request::SetParameterValues(SetParameterValues { parameter_list, parameter_key }))
            }
            Request::GetParameterNames(it) => {
                let parameter_path = self.name_out(&it.parameter_path).map_err(|refused| vec![refused])?;
                Ok(Request::GetParameterNames(GetParameterNames { parameter_path, ..it }))
            }
            Request::AddObject(it) => {
                let object_name = self.object_out(&it.object_name).map_err(|refused| vec![refused])?;
                Ok(Request::AddObject(AddObject { object_name, ..it }))
            }
            Request::DeleteObject(it) => {
                let object_name = self.object_out(&it.object_name).map_err(|refused| vec![refused])?;
                Ok(Request::DeleteObject(DeleteObject { object_name, ..it }))
            }
            other => Ok(other),
        }
    }

    /// All names, each once.
    fn names_out(&self, names: &[Text<'static>]) -> Result<Vec<Text<'static>>, Vec<Refused>> {
        let mut said: Vec<Text<'static>> = Vec::with_capacity(names.len());
        let mut refused = Vec::new();
        for name in names {
            match self.name_out(name) {
                Ok(name) if said.contains(&name) => {}
                Ok(name) => said.push(name),
                Err(why) => refused.push(why),
            }
        }
        if refused.is_empty() { Ok(said) } else { Err(refused) }
    }

    fn name_out(&self, name: &Text<'static>) -> Result<Text<'static>, Refused> {
        if name.starts_with(CPE_ROOT) {
            return Ok(name.clone());
        }
        self.to_cpe(name).map(Into::into).ok_or_else(|| no_name(name))
    }

    /// A table to which can be added, or an instance that can be deleted.
    fn object_out(&self, name: &Text<'static>) -> Result<Text<'static>, Refused> {
        let (rule, cpe) = self.cpe_side(name).ok_or_else(|| no_name(name))?;
        if !rule.writable || !path::is_object(name) {
            let why = "the device's data model, TR-098, has no such instances to be created or deleted";
            return Err(Refused { path: name.to_string(), fault_code: NO_NAME, why });
        }
        Ok(cpe.into())
    }

    fn values_out(
        &self,
        list: &[ParameterValueStruct<'static>],
    ) -> Result<Vec<ParameterValueStruct<'static>>, Vec<Refused>> {
        let mut said: Vec<ParameterValueStruct<'static>> = Vec::with_capacity(list.len());
        let mut refused = Vec::new();
        for parameter in list {
            match self.value_out(parameter) {
                Err(why) => refused.push(why),
                Ok(one) => match said.iter().find(|known| known.name == one.name) {
                    None => said.push(one),
                    Some(known) if known.value == one.value => {}
                    Some(_) => {
                        let why =
                            "the device has one parameter for this and another one that is set otherwise";
                        refused.push(no_value(&parameter.name, why));
                    }
                },
            }
        }
        if refused.is_empty() { Ok(said) } else { Err(refused) }
    }

    /// One parameter as the CPE understands it.
    pub(in crate::translation) fn value_out(
        &self,
        parameter: &ParameterValueStruct<'static>,
    ) -> Result<ParameterValueStruct<'static>, Refused> {
        let (rule, name) = self.cpe_side(&parameter.name).ok_or_else(|| no_name(&parameter.name))?;
        let value = rule.convert.to_cpe(self, &parameter.value).ok_or_else(|| {
            no_value(&parameter.name, "the device's data model, TR-098, has no word for this value")
        })?;
        let value_type = rule.retyped.map(|(_, cpe)| cpe).or(parameter.value_type);
        let value = value.into_owned().into();
        Ok(ParameterValueStruct { name: name.into(), value, value_type, value_span: 0..0 })
    }
}

fn no_name(path: &str) -> Refused {
    Refused { path: path.to_owned(), fault_code: NO_NAME, why: WHY_NO_NAME }
}

fn no_value(path: &str, why: &'static str) -> Refused {
    Refused { path: path.to_owned(), fault_code: INVALID_VALUE, why }
}

const WHY_NO_NAME: &str = "the device's data model, TR-098, has no counterpart of this";
/// The root of paths that are not translated.
const CPE_ROOT: &str = "InternetGatewayDevice.";
/// CWMP faults (TR-069 A.5).
const INVALID_ARGUMENTS: u32 = 9003;
const NO_NAME: u32 = 9005;
const INVALID_VALUE: u32 = 9007;
