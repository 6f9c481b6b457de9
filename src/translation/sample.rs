//! Reads what subscriptions watch.

use crate::cwmp::rpc::{Fault, Response};
use crate::datamodel::Instantiated;
use crate::usp::path::PathExpr;

use super::get::is_hidden;
use super::plan::{Outcome, Plan, Step, View};
use super::reading::Reading;
use super::resolve::{self, Sight};

/// A reading of many parameters for nobody in particular: the shadow learns them.
pub struct Sample {
    reading: Reading,
}

impl Sample {
    pub fn new(names: Vec<String>) -> Self {
        Self { reading: Reading::of(names) }
    }
}

impl Plan for Sample {
    fn next(&mut self, _: &mut View<'_>) -> Step {
        match self.reading.next() {
            Some(request) => Step::Call(request),
            None => Step::Done(Outcome::Silent),
        }
    }

    fn answered(&mut self, view: &mut View<'_>, response: &Response<'_>) {
        self.reading.answered(view, response);
    }

    fn faulted(&mut self, view: &mut View<'_>, fault: &Fault<'_>) {
        self.reading.faulted(view, fault);
    }

    fn is_repeatable(&self) -> bool {
        true
    }

    fn repeat(&mut self) {
        self.reading.repeat();
    }
}

/// The parameters that a path names, `most` of them.
pub fn named_params(expr: &PathExpr, model: &Instantiated, most: usize) -> Vec<String> {
    let mut names = resolve::params(expr, 0, Sight::whole(model)).unwrap_or_default();
    names.truncate(most);
    names
}

/// The parameters of the CPE that these paths name, `most` of them.
pub fn watched_params<'p>(
    paths: impl Iterator<Item = &'p PathExpr>,
    model: &Instantiated,
    most: usize,
) -> Vec<String> {
    let named = paths.flat_map(|expr| named_params(expr, model, usize::MAX));
    let mut names: Vec<String> = named.filter(|name| !is_hidden(name)).collect();
    names.sort_unstable();
    names.dedup();
    names.truncate(most);
    names
}
