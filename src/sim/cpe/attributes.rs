//! SetParameterAttributes and GetParameterAttributes (TR-069 A.3.2.4, A.3.2.5).

use compact_str::CompactString;

use crate::cwmp::rpc::{
    Array, Fault, GetParameterAttributes, GetParameterAttributesResponse, ParameterAttributeStruct,
    SetParameterAttributes, SetParameterAttributesResponse, Text,
};

use super::core::Cpe;

/// The attributes of a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attributes {
    /// 0: none, 1: passive, 2: active.
    pub notification: i32,
    pub access_list: Vec<CompactString>,
}

impl Cpe {
    /// What a change of the parameter brings about: 0 nothing, 1 a word in the next Inform, 2 an Inform.
    pub(super) fn notification(&self, name: &str) -> i32 {
        self.attributes_of(name).notification
    }

    pub(super) fn attributes(
        &self,
        request: &GetParameterAttributes<'_>,
    ) -> Result<GetParameterAttributesResponse<'static>, Fault<'static>> {
        let mut list = Vec::new();
        for asked in request.parameter_names.iter() {
            if self.data.at(asked).is_empty() {
                return Err(Fault::of(9005));
            }
            list.extend(self.data.parameters(asked).into_iter().map(|name| {
                let Attributes { notification, access_list } = self.attributes_of(name);
                let access_list = access_list.iter().map(|who| Text::Owned(who.to_string()));
                ParameterAttributeStruct {
                    name: name.to_owned().into(),
                    notification,
                    access_list: Array(access_list.collect()),
                }
            }));
        }
        Ok(GetParameterAttributesResponse { parameter_list: Array(list) })
    }

    /// Sets the attributes of parameters and of all those that now are under partial paths; all or none.
    pub(super) fn set_attributes(
        &mut self,
        request: &SetParameterAttributes<'_>,
    ) -> Result<SetParameterAttributesResponse, Fault<'static>> {
        for asked in request.parameter_list.iter() {
            if self.data.at(&asked.name).is_empty() {
                return Err(Fault::of(9005));
            }
            if asked.notification_change && !(0..=2).contains(&asked.notification) {
                return Err(Fault::of(9003));
            }
        }
        for asked in request.parameter_list.iter() {
            let names = self.data.parameters(&asked.name).into_iter();
            let names: Vec<CompactString> = names.map(CompactString::from).collect();
            for name in names {
                let mut attributes = self.attributes_of(&name);
                if asked.notification_change {
                    attributes.notification = asked.notification;
                }
                if asked.access_list_change {
                    attributes.access_list = asked.access_list.iter().map(|who| (&**who).into()).collect();
                }
                self.attributes.insert(name, attributes);
            }
        }
        Ok(SetParameterAttributesResponse {})
    }

    fn attributes_of(&self, name: &str) -> Attributes {
        self.attributes.get(name).cloned().unwrap_or_else(|| {
            let forced = name.strip_prefix(self.data.root()).is_some_and(|rest| ACTIVE.contains(&rest));
            Attributes { notification: if forced { 2 } else { 0 }, access_list: vec!["Subscriber".into()] }
        })
    }
}

/// Parameters whose changes are told at once without being asked for it (TR-181, TR-098: forced active
/// notification).
const ACTIVE: [&str; 3] =
    ["DeviceInfo.SoftwareVersion", "DeviceInfo.ProvisioningCode", "ManagementServer.ConnectionRequestURL"];
