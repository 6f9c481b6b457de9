//! Learns what a CPE has: GetParameterNames branch by branch, since whole-tree requests have rebooted
//! devices (quirk B20). Bounded per session and resumable: what is left is a list of paths.

use std::collections::VecDeque;

use crate::cwmp::rpc::{Fault, GetParameterNames, Request, Response};
use crate::datamodel::path;

use super::plan::{Outcome, Plan, Step, View};

/// A discovery on its way.
#[derive(Debug, Default)]
pub struct Discovery {
    waiting: VecDeque<String>,
    asked: Option<String>,
    names: usize,
    budget: usize,
}

impl Discovery {
    /// Goes on with the given paths; `budget` names at most are taken in this run.
    pub fn resume(waiting: Vec<String>, budget: usize) -> Self {
        Self { waiting: waiting.into(), budget, ..Self::default() }
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
            if !path::is_object(&info.name) {
                view.cpe.put_param(&info.name, info.writable);
                continue;
            }
            view.cpe.put_object(&info.name, info.writable);
            // NextLevel may have been ignored (quirk B01): only direct children are branches.
            if top && path::parent(&info.name) == Some(asked) {
                self.waiting.push_back(info.name.to_string());
            }
        }
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
