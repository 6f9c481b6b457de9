//! Learns what a CPE has. What all devices of its firmware have in common is taken from the firmware's model;
//! the CPE is asked for the rest: instances of tables, and what only some devices have. Without a model it is
//! walked branch by branch, since whole-tree requests have rebooted devices (quirk B20). Bounded per session
//! and resumable: what is left is a list of paths.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use crate::cwmp::rpc::{Fault, GetParameterNames, GetParameterNamesResponse, Request, Response};
use crate::datamodel::supported::generic;
use crate::datamodel::{Firmware, Param, Source, path};

use super::mapping::Mapping;
use super::plan::{Outcome, Plan, Step, View};

/// A discovery on its way. It speaks of the tree that the CPE has; what it learns is told in TR-181 terms.
#[derive(Debug, Default)]
pub struct Discovery {
    waiting: VecDeque<Ask>,
    asked: Option<Ask>,
    names: usize,
    asks: usize,
    budget: usize,
    mapping: Option<&'static Mapping>,
    model: Option<Arc<Firmware>>,
    /// Stands for the device among its sisters.
    walker: u64,
    learnt: Firmware,
    /// What was shown by a run that began at the root: when it is through, nothing else is there.
    shown: Option<BTreeSet<String>>,
}

#[derive(Debug, Clone)]
struct Ask {
    path: String,
    /// With all that is below it, whatever the model knows.
    whole: bool,
}

impl Discovery {
    /// Goes on with the given paths; `budget` names at most are taken from the CPE in this run.
    ///
    /// With a mapping the paths are the CPE's own, the first its root. Those in TR-181 terms, of objects that
    /// the ACS has added to, are turned into the CPE's, and what no rule is about is not asked for.
    pub fn resume(waiting: Vec<String>, budget: usize, mapping: Option<&'static Mapping>) -> Self {
        let on_the_cpe = |path: String| match mapping {
            Some(mapping) if !mapping.reaches(&path) => mapping.to_cpe(&path),
            _ => Some(path),
        };
        let waiting = waiting.into_iter().filter_map(on_the_cpe);
        // An instance that is asked for by itself is in doubt.
        let waiting = waiting.map(|path| Ask { whole: path::instance(&path).is_some(), path });
        let waiting: VecDeque<Ask> = waiting.collect();
        let shown = waiting.front().is_some_and(|first| is_root(&first.path)).then(BTreeSet::new);
        Self { waiting, budget, mapping, shown, ..Self::default() }
    }

    /// What is known of the firmware, and a number that stands for the device among its sisters.
    pub fn knowing(self, model: Option<Arc<Firmware>>, walker: u64) -> Self {
        Self { model, walker, ..self }
    }

    fn take(&mut self, view: &mut View<'_>, asked: &Ask, response: &GetParameterNamesResponse<'_>) {
        let is_below = |name: &str| name.starts_with(&asked.path) && name != asked.path;
        // Names without root or with junk are dropped (quirk B19).
        let told = response.parameter_list.iter();
        let told = told.filter(|info| is_below(&info.name) && info.name.len() <= MAX_NAME);
        if !is_root(&asked.path) {
            self.note(view, &asked.path, None);
        }
        let waiting = self.waiting.len();
        for info in told.clone() {
            self.names += 1;
            let is_child = path::parent(&info.name) == Some(&asked.path);
            // NextLevel may have been ignored (quirk B01): only direct children are branches.
            if !asked.whole && is_child && path::is_object(&info.name) {
                self.settle(view, &info.name, Some(info.writable));
            } else {
                self.note(view, &info.name, Some(info.writable));
            }
        }
        let is_table = told.clone().any(|info| path::instance(&info.name).is_some());
        if is_table && !asked.whole && self.waiting.len() > waiting + MAX_BY_INSTANCE {
            // So many instances to be asked one by one: one answer tells all.
            self.waiting.truncate(waiting);
            self.wait_for(&asked.path, true);
        }
        if asked.whole {
            let told = told.map(|info| (info.name.as_ref(), info.writable));
            self.learnt.merge(&Firmware::of_walk(&asked.path, self.walker, told));
        } else if self.mapping.is_none() {
            let rows: BTreeSet<&str> = told.map(|info| info.name.as_ref()).collect();
            let known = view.cpe.child_objects(&asked.path).filter(|object| path::instance(object).is_some());
            let gone: Vec<String> = known.filter(|row| !rows.contains(row)).map(str::to_owned).collect();
            gone.iter().for_each(|row| {
                view.cpe.remove(row);
            });
        }
    }

    /// An object that the CPE has: of what is below it the model tells what is alike on all devices, the CPE
    /// is asked for the rest.
    fn settle(&mut self, view: &mut View<'_>, object: &str, writable: Option<bool>) {
        self.note(view, object, writable);
        if self.mapping.is_some_and(|mapping| !mapping.reaches(object)) {
            return;
        }
        let general = generic(object);
        let Some(model) = self.model.clone().filter(|model| self.is_known(model, object, &general)) else {
            return self.wait_for(object, true);
        };
        if model.differs(&general) {
            let whole = path::instance(object).is_some() || model.is_asked_whole(&general);
            return self.wait_for(object, whole);
        }
        for (child, common) in model.children(&general) {
            let name = format!("{object}{}", &child[general.len()..]);
            if path::is_object(&name) {
                self.settle(view, &name, Some(common.writable));
            } else {
                self.note(view, &name, Some(common.writable));
            }
        }
    }

    /// Whether the model can stand for a walk. Each device walks one branch of its own all the same, so that
    /// what the first ones had not is found.
    fn is_known(&self, model: &Firmware, object: &str, general: &str) -> bool {
        let is_branch = path::parent(object).is_some_and(is_root);
        if !is_branch {
            return model.has(general);
        }
        let turn =
            object.bytes().fold(self.walker, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        model.is_trusted(general) && turn % ONE_IN != 0
    }

    fn wait_for(&mut self, object: &str, whole: bool) {
        if self.waiting.len() < MAX_WAITING {
            self.waiting.push_back(Ask { path: object.to_owned(), whole });
        }
    }

    /// A name that the CPE has; without `writable` of an object of which only that is known.
    fn note(&mut self, view: &mut View<'_>, name: &str, writable: Option<bool>) {
        match self.mapping {
            None => self.show(view, name, writable),
            Some(mapping) => mapping
                .names(name, writable.unwrap_or(false))
                .for_each(|(name, allowed)| self.show(view, &name, writable.map(|_| allowed))),
        }
    }

    fn show(&mut self, view: &mut View<'_>, name: &str, writable: Option<bool>) {
        if !path::is_object(name) {
            view.cpe.put_param(name, writable.unwrap_or(false));
            // The rules of a mapping have types of their own.
            let model = self.model.as_ref().filter(|_| self.mapping.is_none());
            if let Some(value_type) = model.and_then(|model| model.value_type(&generic(name))) {
                view.cpe.expect_type(name, value_type);
            }
        } else if let Some(writable) = writable {
            view.cpe.put_object(name, writable);
        } else if !view.cpe.has_object(name) {
            view.cpe.put_object(name, false);
        }
        if let Some(shown) = &mut self.shown {
            let ancestors = std::iter::successors(path::parent(name), |at| path::parent(at));
            for ancestor in ancestors {
                if !shown.contains(ancestor) {
                    shown.insert(ancestor.to_owned());
                }
            }
            shown.insert(name.to_owned());
        }
    }

    /// The end of a run over the whole tree: what it did not show is of another firmware, or gone. What an
    /// Inform has just told stays, since some CPEs leave it out of their names.
    fn sweep(&mut self, view: &mut View<'_>) {
        let Some(shown) = self.shown.take() else { return };
        let since = view.wall.0.saturating_sub(JUST_NOW_MS);
        let just_told = |param: &Param| {
            let value = param.value.as_ref();
            value.is_some_and(|value| value.source == Source::Inform && value.at.0 >= since)
        };
        let told = view.cpe.params_below("").filter(|(_, param)| just_told(param));
        let told: BTreeSet<String> = told.map(|(name, _)| name.to_owned()).collect();
        let holds = |object: &str| {
            let from = (Bound::Included(object), Bound::Unbounded);
            told.range::<str, _>(from).next().is_some_and(|name| name.starts_with(object))
        };
        view.cpe.retain(|name, _| shown.contains(name) || holds(name));
    }
}

fn is_root(path: &str) -> bool {
    path::is_object(path) && path::parent(path).is_none()
}

impl Plan for Discovery {
    fn next(&mut self, view: &mut View<'_>) -> Step {
        if self.names >= self.budget || self.asks >= MAX_ASKS {
            return Step::Done(Outcome::Silent);
        }
        let Some(ask) = self.waiting.front() else {
            self.sweep(view);
            return Step::Done(Outcome::Silent);
        };
        self.asks += 1;
        let general = generic(&ask.path);
        let known = self.model.as_ref().is_some_and(|model| {
            self.is_known(model, &ask.path, &general) && !model.is_asked_whole(&general)
        });
        // Of the root only its branches are asked for.
        let whole = !is_root(&ask.path) && (ask.whole || !known);
        let (path, next_level) = (ask.path.clone(), !whole);
        self.asked = Some(Ask { path: path.clone(), whole });
        Step::Call(Request::GetParameterNames(GetParameterNames { parameter_path: path.into(), next_level }))
    }

    fn answered(&mut self, view: &mut View<'_>, response: &Response<'_>) {
        if let Some(asked) = self.asked.take() {
            self.waiting.pop_front();
            if let Response::GetParameterNamesResponse(response) = response {
                self.take(view, &asked, response);
            }
        }
    }

    fn faulted(&mut self, view: &mut View<'_>, fault: &Fault<'_>) {
        let Some(asked) = self.asked.take() else { return };
        self.waiting.pop_front();
        if fault.fault_code != NO_SUCH_NAME || is_root(&asked.path) {
            // A branch that the CPE will not tell now: what is not known of it are unknown paths, and what is
            // known of it stays.
            self.shown = None;
        } else {
            let told: Vec<String> = match self.mapping {
                None => vec![asked.path],
                Some(mapping) => mapping.names(&asked.path, false).map(|(name, _)| name).collect(),
            };
            // Of a mapping's objects only instances stand for the CPE's own.
            let all = self.mapping.is_none();
            for gone in told.iter().filter(|object| all || path::instance(object).is_some()) {
                view.cpe.remove(gone);
            }
        }
    }

    fn is_repeatable(&self) -> bool {
        true
    }

    fn left(&self) -> Vec<String> {
        self.waiting.iter().map(|ask| ask.path.clone()).collect()
    }

    fn learnt(&self) -> Option<&Firmware> {
        Some(&self.learnt)
    }
}

/// Longest parameter name taken (TR-069 A.3.2.3 says 256).
const MAX_NAME: usize = 256;
/// RPCs in one session.
const MAX_ASKS: usize = 256;
/// Asks about the instances of one table; more are one ask for the whole table.
const MAX_BY_INSTANCE: usize = 8;
/// Each device walks one in so many branches.
const ONE_IN: u64 = 32;
/// Paths that wait to be asked for; more are told by a device that makes them up.
const MAX_WAITING: usize = 4_096;
/// CWMP's invalid parameter name (TR-069 A.5.1).
const NO_SUCH_NAME: u32 = 9005;
/// What an Inform told so long ago was told in the session of the discovery.
const JUST_NOW_MS: u64 = 15 * 60_000;
