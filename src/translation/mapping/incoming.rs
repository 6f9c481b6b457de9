//! What the CPE says, and what the ACS tells it, in TR-181 terms.

use crate::cwmp::rpc::{
    AddObject, Array, DeleteObject, EventStruct, Fault, GetParameterAttributesResponse,
    GetParameterNamesResponse, GetParameterValuesResponse, Inform, ParameterAttributeStruct,
    ParameterInfoStruct, ParameterValueStruct, Request, Response, SetParameterValues,
    SetParameterValuesFault, Text,
};

use super::table::Mapping;

impl Mapping {
    /// The CPE's response in TR-181 terms. What has no counterpart, and values that are none of their type,
    /// are left out; what has several is there several times. Instance numbers are the same on both sides.
    pub fn incoming(&self, response: &Response<'_>) -> Response<'static> {
        match response {
            Response::GetParameterValuesResponse(it) => {
                let parameter_list = Array(self.values_in(&it.parameter_list));
                Response::GetParameterValuesResponse(GetParameterValuesResponse { parameter_list })
            }
            Response::GetParameterNamesResponse(it) => {
                let names = it.parameter_list.iter().flat_map(|info| self.names(&info.name, info.writable));
                let list = names.map(|(name, writable)| ParameterInfoStruct { name: name.into(), writable });
                let parameter_list = Array(list.collect());
                Response::GetParameterNamesResponse(GetParameterNamesResponse { parameter_list })
            }
            Response::GetParameterAttributesResponse(it) => {
                let list = it.parameter_list.iter().flat_map(|one| self.attributes_in(one));
                let parameter_list = Array(list.collect());
                Response::GetParameterAttributesResponse(GetParameterAttributesResponse { parameter_list })
            }
            other => other.clone().into_owned(),
        }
    }

    /// An Inform whose parameters are in TR-181 terms, as of a [`Mapping::incoming`] response.
    pub fn inform(&self, inform: &Inform<'_>) -> Inform<'static> {
        let events = inform.event.iter().map(|event| EventStruct {
            event_code: owned(&event.event_code),
            command_key: owned(&event.command_key),
        });
        Inform {
            device_id: inform.device_id.clone(),
            event: Array(events.collect()),
            max_envelopes: inform.max_envelopes,
            current_time: owned(&inform.current_time),
            retry_count: inform.retry_count,
            parameter_list: Array(self.values_in(&inform.parameter_list)),
        }
    }

    /// A fault whose SetParameterValuesFault list names parameters in TR-181 terms. A parameter with several
    /// counterparts is blamed under each: which of them was set, only the plan knows. One without any keeps
    /// its name.
    pub fn fault(&self, fault: &Fault<'_>) -> Fault<'static> {
        let blamed = fault.set_parameter_values_fault.iter().flat_map(|blamed| {
            let mut names: Vec<String> = self.usp_sides(&blamed.parameter_name).map(|(_, usp)| usp).collect();
            if names.is_empty() {
                names.push(blamed.parameter_name.to_string());
            }
            names.into_iter().map(|name| SetParameterValuesFault {
                parameter_name: name.into(),
                fault_code: blamed.fault_code,
                fault_string: owned(&blamed.fault_string),
            })
        });
        Fault {
            fault_code: fault.fault_code,
            fault_string: owned(&fault.fault_string),
            set_parameter_values_fault: blamed.collect(),
        }
    }

    /// A request of the ACS in TR-181 terms, so that the shadow can follow it once the CPE has answered: with
    /// all counterparts of what SetParameterValues writes, or with the table or instance of AddObject and
    /// DeleteObject. `None` where nothing in TR-181 terms changes. The ParameterKey of such a request still
    /// takes effect on the CPE, so it is to be learnt from the original.
    pub fn observed(&self, request: &Request<'_>) -> Option<Request<'static>> {
        match request {
            Request::SetParameterValues(it) => {
                let parameter_list = Array(self.values_in(&it.parameter_list));
                let parameter_key = owned(&it.parameter_key);
                (!parameter_list.is_empty()).then_some(Request::SetParameterValues(SetParameterValues {
                    parameter_list,
                    parameter_key,
                }))
            }
            Request::AddObject(it) => {
                let object_name = self.created_in(&it.object_name)?;
                let parameter_key = owned(&it.parameter_key);
                Some(Request::AddObject(AddObject { object_name, parameter_key }))
            }
            Request::DeleteObject(it) => {
                let object_name = self.created_in(&it.object_name)?;
                let parameter_key = owned(&it.parameter_key);
                Some(Request::DeleteObject(DeleteObject { object_name, parameter_key }))
            }
            _ => None,
        }
    }

    /// What else changes when the CPE has taken a SetParameterValues of ours: counterparts of what it writes
    /// that were not `asked` for by name. In TR-181 terms; `said` is what [`Mapping::outgoing`] made of it.
    pub fn twins(
        &self,
        asked: &[Text<'static>],
        said: &SetParameterValues<'_>,
    ) -> Vec<ParameterValueStruct<'static>> {
        let mut all = self.values_in(&said.parameter_list);
        all.retain(|one| !asked.contains(&one.name));
        all
    }

    fn created_in(&self, object: &str) -> Option<Text<'static>> {
        let (_, usp) = self.usp_sides(object).find(|(rule, _)| rule.writable)?;
        Some(usp.into())
    }

    fn values_in(&self, list: &[ParameterValueStruct<'_>]) -> Vec<ParameterValueStruct<'static>> {
        list.iter().flat_map(|parameter| self.value_in(parameter)).collect()
    }

    /// One parameter: each counterpart for which the value is one.
    pub(in crate::translation) fn value_in(
        &self,
        parameter: &ParameterValueStruct<'_>,
    ) -> impl Iterator<Item = ParameterValueStruct<'static>> {
        self.usp_sides(&parameter.name).filter_map(|(rule, name)| {
            let value = rule.convert.to_usp(self, &parameter.value)?.into_owned();
            let value_type = rule.retyped.map(|(usp, _)| usp).or(parameter.value_type);
            let (name, value) = (name.into(), value.into());
            Some(ParameterValueStruct { name, value, value_type, value_span: 0..0 })
        })
    }

    fn attributes_in(
        &self,
        one: &ParameterAttributeStruct<'_>,
    ) -> impl Iterator<Item = ParameterAttributeStruct<'static>> {
        self.usp_sides(&one.name).map(|(_, name)| ParameterAttributeStruct {
            name: name.into(),
            notification: one.notification,
            access_list: Array(one.access_list.iter().map(owned).collect()),
        })
    }
}

fn owned(text: &Text<'_>) -> Text<'static> {
    Text::Owned(text.to_string())
}
