//! Learns what a CPE has: GetParameterNames branch by branch, since whole-tree requests have rebooted
//! devices (quirk B20). Bounded per session and resumable: what is left is a list of paths.

use std::collections::VecDeque;

use crate::cwmp::rpc::{Fault, GetParameterNames, Request, Response};
use crate::datamodel::path;

use super::mapping::Mapping;
use super::plan::{Outcome, Plan, Step, View};

/// A discovery on its way. It walks the tree that the CPE has; what it learns is told in TR-181 terms.
#[derive(Debug, Default)]
pub struct Discovery {
    waiting: VecDeque<String>,
    asked: Option<String>,
    names: usize,
    budget: usize,
    mapping: Option<&'static Mapping>,
}

impl Discovery {
    /// Goes on with the given paths; `budget` names at most are taken in this run.
    ///
    /// With a mapping the paths are the CPE's own, the first its root. Those in TR-181 terms, of objects that
    /// the ACS has added to, are turned into the CPE's, and what no rule is about is not asked for.
    pub fn resume(waiting: Vec<String>, budget: usize, mapping: Option<&'static Mapping>) -> Self {
        let on_the_cpe = |path: String| match mapping {
            Some(mapping) if !mapping.reaches(&path) => mapping.to_cpe(&path),
            _ => Some(path),
        };
        let waiting = waiting.into_iter().filter_map(on_the_cpe).collect();
        Self { waiting, budget, mapping, ..Self::default() }
    }

    fn take(&mut self, view: &mut View<'_>, asked: &str, response: &Response<'_>) {
        let Response::GetParameterNamesResponse(response) = response else { return };
        let top = path::parent(asked).is_none();
        for info in response.parameter_list.iter() {
            // Names without root or with junk are dropped (quirk B19).
            if !info.name.starts_with(asked) || info.name == asked || info.name.len() > MAX_NAME {
                continue;
            }
            self.names += 1;
            match self.mapping {
                None => note(view, &info.name, info.writable),
                Some(mapping) => mapping
                    .names(&info.name, info.writable)
                    .for_each(|(name, writable)| note(view, &name, writable)),
            }
            // NextLevel may have been ignored (quirk B01): only direct children are branches.
            let is_branch = path::is_object(&info.name) && path::parent(&info.name) == Some(asked);
            if top && is_branch && self.mapping.is_none_or(|mapping| mapping.reaches(&info.name)) {
                self.waiting.push_back(info.name.to_string());
            }
        }
    }
}

fn note(view: &mut View<'_>, name: &str, writable: bool) {
    if path::is_object(name) {
        view.cpe.put_object(name, writable);
    } else {
        view.cpe.put_param(name, writable);
    }
}

impl Plan for Discovery {
    fn next(&mut self, _: &mut View<'_>) -> Step {
        if self.names >= self.budget {
            return Step::Done(Outcome::Silent);
        }
        let Some(path) = self.waiting.front().cloned() else {
            return Step::Done(Outcome::Silent);
        };
        self.asked = Some(path.clone());
        // The root is asked for its branches only, a branch for all that is below it.
        let next_level = path::parent(&path).is_none();
        Step::Call(Request::GetParameterNames(GetParameterNames { parameter_path: path.into(), next_level }))
    }

    fn answered(&mut self, view: &mut View<'_>, response: &Response<'_>) {
        if let Some(asked) = self.asked.take() {
            self.waiting.pop_front();
            self.take(view, &asked, response);
        }
    }

    fn faulted(&mut self, _: &mut View<'_>, _: &Fault<'_>) {
        // A branch that the CPE will not tell is left out; its parameters are unknown paths.
        if self.asked.take().is_some() {
            self.waiting.pop_front();
        }
    }

    fn is_repeatable(&self) -> bool {
        true
    }

    fn left(&self) -> Vec<String> {
        self.waiting.iter().cloned().collect()
    }
}

/// Longest parameter name taken (TR-069 A.3.2.3 says 256).
const MAX_NAME: usize = 256;
