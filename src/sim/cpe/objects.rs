//! AddObject and DeleteObject (TR-069 A.3.2.6, A.3.2.7).

use crate::cwmp::rpc::{AddObject, AddObjectResponse, DeleteObject, DeleteObjectResponse, Fault};
use crate::datamodel::path;

use super::core::Cpe;
use super::data::Full;
use super::model::Node;

impl Cpe {
    /// Adds an instance to a writable table: 9005 if there is no such table, 9004 if it is full.
    pub(super) fn add_object(
        &mut self,
        request: &AddObject<'_>,
    ) -> Result<AddObjectResponse, Fault<'static>> {
        let table: &str = &request.object_name;
        match self.data.node(table) {
            Some(Node::Object { writable: true }) if path::instance(table).is_none() => {}
            _ => return Err(Fault::of(9005)),
        }
        let instance_number = self.data.add_instance(table).map_err(|full| match full {
            Full::NoTemplate => Fault::of(9002),
            Full::TooMany => Fault::of(9004),
        })?;
        self.keep_parameter_key(&request.parameter_key);
        Ok(AddObjectResponse { instance_number, status: 0 })
    }

    /// Deletes an instance that can be deleted, with all below it: else 9005.
    pub(super) fn delete_object(
        &mut self,
        request: &DeleteObject<'_>,
    ) -> Result<DeleteObjectResponse, Fault<'static>> {
        let instance: &str = &request.object_name;
        match self.data.node(instance) {
            Some(Node::Object { writable: true }) if path::instance(instance).is_some() => {}
            _ => return Err(Fault::of(9005)),
        }
        self.data.delete_instance(instance);
        self.attributes.retain(|name, _| !name.starts_with(instance));
        self.changed.retain(|name| !name.starts_with(instance));
        self.keep_parameter_key(&request.parameter_key);
        Ok(DeleteObjectResponse { status: 0 })
    }
}
