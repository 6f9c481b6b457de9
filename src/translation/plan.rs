//! What all plans have in common.

use crate::cwmp::rpc::{Fault, Request, Response};
use crate::datamodel::{Firmware, Instantiated, WallTime};
use crate::usp::{ErrorCode, message};

use super::access::{Access, Models, Rights, Sort};
use super::attend::Attended;
use super::local::{Local, is_own};
use super::resolve::Sight;

/// What a plan sees of its device: the CPE's shadow, and what the gateway itself holds for it.
pub struct View<'v> {
    pub cpe: &'v mut Instantiated,
    /// `Device.LocalAgent.`: answered by the gateway, never asked of the CPE.
    pub local: &'v mut dyn Local,
    /// What the one who asked may do; of work of our own, everything.
    pub access: &'v Access,
    pub wall: WallTime,
}

impl View<'_> {
    pub fn models(&self) -> Models<'_> {
        Models { cpe: self.cpe, local: self.local.model() }
    }

    /// The CPE's model as the one who asked may search it.
    pub(super) fn cpe_sight(&self) -> Sight<'_> {
        Sight { model: self.cpe, models: self.models(), access: self.access }
    }

    /// The gateway's own objects, likewise.
    pub(super) fn local_sight(&self) -> Sight<'_> {
        Sight { model: self.local.model(), ..self.cpe_sight() }
    }

    /// The model that holds a path, likewise.
    pub(super) fn sight(&self, path: &str) -> Sight<'_> {
        if self.is_own(path) { self.local_sight() } else { self.cpe_sight() }
    }

    /// Whether a path is the gateway's own on this device.
    pub(super) fn is_own(&self, path: &str) -> bool {
        is_own(path, self.local.model())
    }

    /// Whether the one who asked has a right.
    pub(super) fn may(&self, right: Rights, sort: Sort, path: &str) -> bool {
        self.access.may(right, sort, path, self.models())
    }
}

/// What a plan needs next.
pub enum Step {
    /// This RPC, whose answer the plan must get before it is asked again.
    Call(Request<'static>),
    Done(Outcome),
}

/// How a plan ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    Response(message::Response),
    Error(message::Error),
    /// Nobody is to be told: work of our own.
    Silent,
    /// An asynchronous operation has these output arguments.
    Completed(std::collections::BTreeMap<String, String>),
}

impl Outcome {
    /// An Error message for the request as a whole.
    pub fn error(code: ErrorCode, why: impl Into<String>) -> Self {
        Self::Error(message::Error { err_code: code.0, err_msg: why.into(), param_errs: Vec::new() })
    }
}

/// A USP request on its way through CWMP.
pub trait Plan: Send {
    fn next(&mut self, view: &mut View<'_>) -> Step;
    fn answered(&mut self, view: &mut View<'_>, response: &Response<'_>);
    fn faulted(&mut self, view: &mut View<'_>, fault: &Fault<'_>);
    /// Whether it needs nothing of the CPE: it is carried out at once.
    fn is_local(&self) -> bool {
        false
    }
    /// Whether the RPC that was said last takes effect when the session ends, so that nothing may follow it
    /// (Reboot, FactoryReset, diagnostics, transfers).
    fn ends_session(&self) -> bool {
        false
    }
    /// Whether the last RPC may be sent again if its answer is lost: it only reads.
    fn is_repeatable(&self) -> bool {
        false
    }
    /// Goes back to before the last RPC, whose answer was lost.
    fn repeat(&mut self) {}
    /// Paths that are left for a later run; only discovery leaves any.
    fn left(&self) -> Vec<String> {
        Vec::new()
    }
    /// What was read or set of notification attributes.
    fn attended(&self) -> &[Attended] {
        &[]
    }
    /// What walks of this device tell about its firmware; only discovery walks.
    fn learnt(&self) -> Option<&Firmware> {
        None
    }
}
