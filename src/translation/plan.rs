//! What all plans have in common.

use std::cell::RefCell;

use crate::cwmp::rpc::{Fault, Request, Response, Text};
use crate::datamodel::{Firmware, Instantiated, WallTime};
use crate::policy::OwnershipRule;
use crate::usp::{ErrorCode, message};

use super::access::{Access, Models, Rights, Sort};
use super::attend::Attended;
use super::local::{Local, Refusal, is_own};
use super::resolve::Sight;

/// What a plan sees of its device: the CPE's shadow, and what the gateway itself holds for it.
pub struct View<'v> {
    pub cpe: &'v mut Instantiated,
    /// `Device.LocalAgent.`: answered by the gateway, never asked of the CPE.
    pub local: &'v mut dyn Local,
    /// What the one who asked may do; of work of our own, everything.
    pub access: &'v Access,
    pub wall: WallTime,
    /// How often the ACS has asked the CPE to add an object, so that its doing is not taken for ours.
    pub acs_adds: u32,
    /// Writes that were refused by a rule about who owns what.
    denied: RefCell<Vec<Denied>>,
}

/// A write that was refused since another master owns what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    pub path: String,
    /// The value that it was to have.
    pub wanted: Option<String>,
    /// The name of the rule, and the owner by it.
    pub rule: String,
    pub owner: String,
}

impl Denied {
    pub fn new(path: &str, wanted: Option<&str>, rule: &OwnershipRule) -> Self {
        let (path, wanted) = (path.to_owned(), wanted.map(str::to_owned));
        Self { path, wanted, rule: rule.name.clone(), owner: rule.owner.to_string() }
    }

    /// What the controller is told.
    pub fn refusal(&self) -> Refusal {
        let why = format!("the ownership rule \"{}\" leaves {} to {}", self.rule, self.path, self.owner);
        Refusal::new(ErrorCode::PERMISSION_DENIED, why)
    }
}

impl<'v> View<'v> {
    pub fn new(
        cpe: &'v mut Instantiated,
        local: &'v mut dyn Local,
        access: &'v Access,
        wall: WallTime,
    ) -> Self {
        Self { cpe, local, access, wall, acs_adds: 0, denied: RefCell::default() }
    }

    pub fn with_acs_adds(self, acs_adds: u32) -> Self {
        Self { acs_adds, ..self }
    }

    /// What was refused by rules about who owns what since this was last asked.
    pub fn take_denied(&self) -> Vec<Denied> {
        self.denied.take()
    }
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

    /// Whether the one who asked may write: its roles and the device's stage let it, and nobody else owns it. `roles`
    /// says what roles do not let; `wanted` is the value.
    pub(super) fn check_write(
        &self,
        sort: Sort,
        path: &str,
        wanted: Option<&str>,
        roles: impl FnOnce() -> String,
    ) -> Result<(), Refusal> {
        if !self.may(Rights::WRITE, sort, path) {
            return Err(Refusal::new(ErrorCode::PERMISSION_DENIED, roles()));
        }
        if let Some(why) = self.access.held_back(path) {
            return Err(Refusal::new(ErrorCode::PERMISSION_DENIED, why));
        }
        let rule = self.access.rule_against(sort, path).filter(|_| !self.is_own(path));
        let Some(rule) = rule else { return Ok(()) };
        let denied = Denied::new(path, wanted, rule);
        let refusal = denied.refusal();
        let mut all = self.denied.borrow_mut();
        if all.len() < MAX_DENIED {
            all.push(denied);
        }
        Err(refusal)
    }
}

/// Refused writes of one request that are noted.
const MAX_DENIED: usize = 64;

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

/// The ParameterKey of a plan's RPC: the agent puts the ACS's last in as the RPC leaves, so that the ACS never sees
/// another.
pub(super) const NO_KEY: Text<'static> = Text::Borrowed("");

/// What a controller is told of a write whose answer was lost and that is not to be seen on the device.
pub(super) const NOT_TAKEN: &str =
    "the session broke before the device answered, and it shows no effect since: outcome unknown";

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
    /// Whether the plan can go on in a later session if the answer to the last RPC is lost: it asks again, or,
    /// where carrying the RPC out twice could do harm, reads back what has become of it.
    fn is_repeatable(&self) -> bool {
        false
    }
    /// The answer to the last RPC was lost, or it was not sent: goes back to where [`Plan::is_repeatable`] says.
    fn repeat(&mut self) {}
    /// Paths that are left for a later run; only discovery leaves any.
    fn left(&self) -> Vec<String> {
        Vec::new()
    }
    /// What was read or set of notification attributes since this was last asked.
    fn take_attended(&mut self) -> Vec<Attended> {
        Vec::new()
    }
    /// What walks of this device tell about its firmware; only discovery walks.
    fn learnt(&self) -> Option<&Firmware> {
        None
    }
}
