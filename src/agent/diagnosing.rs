//! Two masters and the diagnostics of one CPE, which runs one of a kind at a time: ours waits for the ACS's, the
//! inputs that the ACS had set are written down before ours begins and written back after it, and of
//! `8 DIAGNOSTICS COMPLETE`, which has no key, it is known whose it is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::cwmp::rpc::{Request, Response};
use crate::datamodel::{ValueType, WallTime};
use crate::durable::Token;
use crate::translation::{Diagnostic, Outcome, Sample, Write};
use crate::usp::ErrorCode;

use super::core::Agent;
use super::io::{Env, Output, Shadow};
use super::local::Operation;
use super::queue::Work;
use super::upgrade::is_own_key;

/// A value that the ACS had set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Input {
    value: String,
    value_type: Option<ValueType>,
}

/// What is kept of diagnostics.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Diagnosing {
    /// Objects, in the CPE's words, whose diagnostics the ACS has begun, and when each is given up.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    acs: BTreeMap<String, WallTime>,
    /// What ours has set otherwise than the ACS, in the words of TR-181.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    inputs: BTreeMap<String, Input>,
}

/// Events that stand for work of the gateway's, beside those that carry a key of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnEvents {
    diagnostics: bool,
    /// The key of a controller's Reboot.
    reboot: Option<String>,
    /// The key of the only transfer that is open.
    transfer: Option<String>,
}

impl OwnEvents {
    /// Whether an event, by its code and key, stands for such work alone.
    pub fn hold(&self, code: &str, key: &str) -> bool {
        is_own_key(key)
            || (self.diagnostics && code.starts_with("8 "))
            || (code == "M Reboot" && self.reboot.as_deref() == Some(key))
            || (code == "M Download" && self.lost_key(key).is_some())
    }

    /// The key that a CPE has lost where it says none: that of the only transfer that is open.
    pub fn lost_key(&self, said: &str) -> Option<&str> {
        self.transfer.as_deref().filter(|_| said.is_empty())
    }
}

impl Diagnosing {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// A factory reset: nobody has set or begun anything.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    fn acs_runs(&self, object: &str, now: WallTime) -> bool {
        self.acs.get(object).is_some_and(|until| *until > now)
    }
}

impl Agent {
    /// Whether the ACS is at a diagnostic of this kind.
    pub(super) fn acs_diagnoses(&self, diagnostic: &Diagnostic) -> bool {
        let state = format!("{}{STATE}", diagnostic.object());
        let state = match self.mapping() {
            Some(mapping) => mapping.to_cpe(&state),
            None => Some(state),
        };
        let object = state.as_deref().and_then(|state| state.strip_suffix(STATE));
        object.is_some_and(|object| self.stored.diagnosing.acs_runs(object, self.seen.1))
    }

    /// Whether `8 DIAGNOSTICS COMPLETE` can only stand for what controllers have begun.
    fn diagnoses_alone(&self) -> bool {
        let acs = self.stored.diagnosing.acs.values().any(|until| *until > self.seen.1);
        let ours = |it: &Operation| it.is_diagnostic() && (it.started || it.noted);
        !acs && self.operations.iter().any(ours)
    }

    /// What of the events of an Inform is no matter of the ACS's.
    pub fn own_events(&self) -> OwnEvents {
        let restart = self.stored.restart.as_ref().filter(|restart| !restart.factory_reset);
        OwnEvents {
            diagnostics: self.diagnoses_alone(),
            reboot: restart.map(|restart| restart.command_key.clone()),
            transfer: self.lone_transfer(),
        }
    }

    /// When an operation that waits for the ACS's goes on all the same.
    pub(super) fn next_diagnostic(&self) -> Option<WallTime> {
        let waits = self.operations.iter().any(|it| it.is_diagnostic() && !it.started);
        let after = |until: &&WallTime| **until > self.clockwork.done();
        let untils = self.stored.diagnosing.acs.values().filter(after).copied();
        if waits || !self.stored.diagnosing.inputs.is_empty() { untils.min() } else { None }
    }

    /// What is next for an operation that has not begun: its inputs are read and written down, then it starts.
    pub(super) fn plan_diagnostic(&mut self, env: &Env, instance: u32, diagnostic: &'static Diagnostic) {
        let Some(operation) = self.operations.iter().find(|it| it.instance == instance) else { return };
        if !operation.noted {
            if !self.queue.has(Work::Note(instance)) {
                let names = diagnostic.inputs(&operation.input_args).collect();
                self.push_own(env, Box::new(Sample::new(names)), Work::Note(instance));
            }
            return;
        }
        let written_down = self.noted.is_none_or(|token| token.0 <= self.settled);
        if written_down && !self.queue.has(Work::Start(instance)) {
            let plan = diagnostic.start(&operation.input_args);
            self.push_own(env, Box::new(plan), Work::Start(instance));
        }
    }

    /// The inputs have been read: what of them is the ACS's is made durable before it is changed.
    pub(super) fn note_inputs(&mut self, shadow: &Shadow, instance: u32, out: &mut Vec<Output>) {
        let Some(operation) = self.operations.iter_mut().find(|it| it.instance == instance) else { return };
        let Some(diagnostic) = Diagnostic::of(&operation.command) else { return };
        for name in diagnostic.inputs(&operation.input_args) {
            let known = shadow.cpe.param(&name).and_then(|param| param.value.as_ref());
            // What is there already is older: an operation before this one has left it.
            if let Some(known) = known.filter(|_| !self.stored.diagnosing.inputs.contains_key(&name)) {
                let input = Input { value: known.text.to_string(), value_type: known.value_type };
                self.stored.diagnosing.inputs.insert(name, input);
            }
        }
        operation.noted = true;
        let changes = vec![operation.change(), self.stored.change()];
        self.noted = Some(self.persist(changes, out));
        out.push(Output::WantSession);
    }

    /// The store would not keep it: it is noted again before anything is changed.
    pub(super) fn unnoted(&mut self, token: Token) {
        if self.noted.take_if(|noted| *noted == token).is_some() {
            self.operations.iter_mut().filter(|it| !it.started).for_each(|it| it.noted = false);
        }
    }

    /// Whether the CPE has inputs of ours that nobody needs any more.
    pub(super) fn owes_inputs(&self) -> bool {
        !self.free_inputs().is_empty()
    }

    /// The inputs that can be written back: of kinds at which neither master is.
    fn free_inputs(&self) -> Vec<(String, Input)> {
        let inputs = &self.stored.diagnosing.inputs;
        if inputs.is_empty() {
            return Vec::new();
        }
        let is_free = |name: &str| {
            let ours = |it: &Operation| {
                Diagnostic::of(&it.command).is_some_and(|kind| name.starts_with(kind.object()))
            };
            let theirs = |kind: &Diagnostic| name.starts_with(kind.object()) && self.acs_diagnoses(kind);
            !self.operations.iter().any(ours) && !Diagnostic::all().any(theirs)
        };
        let free = inputs.iter().filter(|(name, _)| is_free(name));
        free.map(|(name, input)| (name.clone(), input.clone())).collect()
    }

    /// Writes the ACS's inputs back.
    pub(super) fn plan_inputs(&mut self, env: &Env) {
        let free = self.free_inputs();
        if free.is_empty() || self.queue.has(Work::GiveBack) {
            return;
        }
        let list = free.into_iter().map(|(name, input)| (name, input.value, input.value_type));
        self.push_own(env, Box::new(Write::new(list.collect())), Work::GiveBack);
    }

    /// They are written back, or the CPE would not take them: trying again would not change that.
    pub(super) fn gave_inputs_back(&mut self, outcome: &Outcome, out: &mut Vec<Output>) {
        if let Outcome::Error(error) = outcome {
            let why = &error.err_msg;
            out.push(Output::Log(format!(
                "the ACS's inputs of a diagnostic could not be written back: {why}"
            )));
        }
        for (name, _) in self.free_inputs() {
            self.stored.diagnosing.inputs.remove(&name);
        }
        let change = self.stored.change();
        self.persist(vec![change], out);
    }

    /// The ACS has set this, in the words of TR-181: it is not given back over it.
    pub(super) fn input_by_acs(&mut self, name: &str, out: &mut Vec<Output>) {
        if self.stored.diagnosing.inputs.remove(name).is_some() {
            let change = self.stored.change();
            self.persist(vec![change], out);
        }
    }

    /// What the ACS does about diagnostics, in the CPE's words.
    pub(super) fn follow_diagnostics(
        &mut self,
        env: &Env,
        shadow: &Shadow,
        (request, response): (&Request<'_>, &Response<'_>),
        out: &mut Vec<Output>,
    ) {
        let values = match (request, response) {
            (Request::SetParameterValues(set), Response::SetParameterValuesResponse(_)) => {
                &set.parameter_list
            }
            (_, Response::GetParameterValuesResponse(read)) => &read.parameter_list,
            _ => return,
        };
        let sets = matches!(request, Request::SetParameterValues(_));
        let states =
            values.iter().filter_map(|it| Some((it.name.strip_suffix(STATE)?, it.value == REQUESTED)));
        let before = self.stored.diagnosing.acs.clone();
        let mut begun = Vec::new();
        for (object, runs) in states {
            let acs = &mut self.stored.diagnosing.acs;
            match runs {
                true if sets && acs.len() < MAX_OPEN => {
                    acs.insert(object.to_owned(), WallTime(env.wall.0 + OPEN_MS));
                    begun.push(object.to_owned());
                }
                true => {}
                false => _ = acs.remove(object),
            }
        }
        if before != self.stored.diagnosing.acs {
            let change = self.stored.change();
            self.persist(vec![change], out);
        }
        if !begun.is_empty() {
            self.yield_to_acs(env, shadow, out);
        }
    }

    /// What the CPE was at for a controller it is no more: the ACS has begun its own. Its results are the ACS's.
    fn yield_to_acs(&mut self, env: &Env, shadow: &Shadow, out: &mut Vec<Output>) {
        let ours = self.operations.iter().filter(|it| it.started && it.is_diagnostic());
        let lost = ours.filter(|it| Diagnostic::of(&it.command).is_some_and(|kind| self.acs_diagnoses(kind)));
        let lost: Vec<u32> = lost.map(|it| it.instance).collect();
        for instance in lost {
            let why = "the ACS has begun such a diagnostic before this one was through";
            self.completed(env, shadow, instance, Outcome::error(ErrorCode::COMMAND_FAILURE, why), out);
        }
    }

    /// An Inform says that diagnostics are complete, or that the CPE has started anew: which of the ACS's are open?
    pub(super) fn end_acs_diagnostics(&mut self, complete: bool, booted: bool) {
        let ours = self.operations.iter().any(|it| it.is_diagnostic() && it.started);
        let acs = &mut self.stored.diagnosing.acs;
        // With several it is not known which; the ACS's reading of the results will tell.
        if booted || (complete && !ours && acs.len() == 1) {
            acs.clear();
        }
    }
}

const STATE: &str = "DiagnosticsState";
const REQUESTED: &str = "Requested";
/// How long a diagnostic of the ACS's of which nothing is heard keeps ours from beginning.
const OPEN_MS: u64 = 3_600_000;
/// Diagnostics of the ACS's that are kept in mind.
const MAX_OPEN: usize = 32;
