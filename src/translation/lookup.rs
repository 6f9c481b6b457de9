//! Requests that the instance index answers: GetInstances and GetSupportedDM. They are plans like the
//! others because they have to wait for the index where the device has not been discovered yet.

use crate::cwmp::rpc::{Fault, Response};
use crate::usp::message;

use super::instances::get_instances;
use super::local::is_local;
use super::plan::{Outcome, Plan, Step, View};
use super::supported_dm::get_supported_dm;

/// A question about the data model itself.
pub enum Lookup {
    Instances(message::GetInstances),
    SupportedDm(message::GetSupportedDm),
}

impl Plan for Lookup {
    fn next(&mut self, view: &mut View<'_>) -> Step {
        let response = match self {
            Self::Instances(request) => get_instances(request, view),
            Self::SupportedDm(request) => get_supported_dm(request, view),
        };
        Step::Done(Outcome::Response(response))
    }

    /// The index is at hand, so nothing is asked of the CPE.
    fn is_local(&self) -> bool {
        let (Self::Instances(message::GetInstances { obj_paths, .. })
        | Self::SupportedDm(message::GetSupportedDm { obj_paths, .. })) = self;
        obj_paths.iter().all(|path| is_local(path))
    }

    fn answered(&mut self, _: &mut View<'_>, _: &Response<'_>) {}

    fn faulted(&mut self, _: &mut View<'_>, _: &Fault<'_>) {}
}
