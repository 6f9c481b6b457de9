//! GetParameterNames (TR-069 A.3.2.3).

use crate::cwmp::rpc::{Array, Fault, GetParameterNames, GetParameterNamesResponse, ParameterInfoStruct};
use crate::datamodel::path;

use super::core::Cpe;
use super::model::Node;

impl Cpe {
    /// What is under a path; the object itself too, unless only the next level was asked for.
    pub(super) fn names(
        &self,
        request: &GetParameterNames<'_>,
    ) -> Result<GetParameterNamesResponse<'static>, Fault<'static>> {
        let asked: &str = &request.parameter_path;
        let is_partial = asked.is_empty() || path::is_object(asked);
        let found = self.data.at(asked);
        if found.is_empty() {
            return Err(Fault::of(9005));
        }
        if !is_partial && request.next_level {
            return Err(Fault::of(9003));
        }
        let wanted = |name: &str| !request.next_level || path::parent(name).unwrap_or("") == asked;
        let found = found.into_iter().filter(|(name, _)| wanted(name));
        let list = found.map(|(name, node)| ParameterInfoStruct {
            name: name.to_owned().into(),
            writable: match node {
                Node::Object { writable } | Node::Parameter { writable, .. } => *writable,
            },
        });
        Ok(GetParameterNamesResponse { parameter_list: Array(list.collect()) })
    }
}
