//! Reads what decides where paths lead, before anything is done there: values of search conditions and
//! references. What was read may show that more must be read, so it goes in rounds.

use std::collections::BTreeSet;

use crate::cwmp::rpc::{Fault, Request, Response};
use crate::usp::path::{PathExpr, Segment};

use super::get::is_hidden;
use super::local::is_local;
use super::plan::{Plan, Step, View};
use super::reading::Reading;
use super::resolve;

/// The search of one request.
#[derive(Debug, Default)]
struct Searching {
    exprs: Vec<PathExpr>,
    read: BTreeSet<String>,
    reading: Option<Reading>,
    rounds: u32,
}

impl Searching {
    /// For these paths; malformed ones lead nowhere.
    pub fn of<'p>(paths: impl Iterator<Item = &'p str>) -> Self {
        let parsed = paths.filter(|path| !is_local(path)).filter_map(|path| PathExpr::parse(path).ok());
        Self { exprs: parsed.collect(), ..Self::default() }
    }

    /// The next RPC; `None` when all is known.
    pub fn next(&mut self, view: &View<'_>) -> Option<Request<'static>> {
        loop {
            if let Some(request) = self.reading.as_mut().and_then(Reading::next) {
                return Some(request);
            }
            self.reading = None;
            if self.rounds == MAX_ROUNDS {
                return None;
            }
            self.rounds += 1;
            let needed = self.exprs.iter().flat_map(|expr| resolve::search_params(expr, view.cpe));
            let fresh: Vec<String> =
                needed.filter(|name| !is_hidden(name) && self.read.insert(name.clone())).collect();
            if fresh.is_empty() {
                self.rounds = MAX_ROUNDS;
                return None;
            }
            self.reading = Some(Reading::of(fresh));
        }
    }

    /// Whether an RPC of its own is under way.
    pub fn is_busy(&self) -> bool {
        self.reading.is_some()
    }

    pub fn answered(&mut self, view: &mut View<'_>, response: &Response<'_>) {
        if let Some(reading) = &mut self.reading {
            reading.answered(view, response);
        }
    }

    pub fn faulted(&mut self, view: &mut View<'_>, fault: &Fault<'_>) {
        if let Some(reading) = &mut self.reading {
            reading.faulted(view, fault);
        }
    }

    pub fn repeat(&mut self) {
        if let Some(reading) = &mut self.reading {
            reading.repeat();
        }
    }
}

/// A plan that begins with a search.
pub struct Searched<P> {
    searching: Searching,
    then: P,
}

impl<P: Plan> Searched<P> {
    /// `paths` are those that `then` will resolve.
    pub fn new<'p>(paths: impl Iterator<Item = &'p str>, then: P) -> Self {
        Self { searching: Searching::of(paths), then }
    }

    /// Whether the paths can be resolved without asking the CPE.
    pub fn needs_no_search(&self) -> bool {
        self.searching.exprs.iter().all(|expr| {
            let asks = |segment: &Segment| matches!(segment, Segment::Search(_) | Segment::Follow(_));
            !expr.segments.iter().any(asks)
        })
    }
}

impl<P: Plan> Plan for Searched<P> {
    fn next(&mut self, view: &mut View<'_>) -> Step {
        match self.searching.next(view) {
            Some(request) => Step::Call(request),
            None => self.then.next(view),
        }
    }

    fn answered(&mut self, view: &mut View<'_>, response: &Response<'_>) {
        if self.searching.is_busy() {
            self.searching.answered(view, response);
        } else {
            self.then.answered(view, response);
        }
    }

    fn faulted(&mut self, view: &mut View<'_>, fault: &Fault<'_>) {
        if self.searching.is_busy() {
            self.searching.faulted(view, fault);
        } else {
            self.then.faulted(view, fault);
        }
    }

    /// What has to be searched for has to be asked for, whatever it then leads to.
    fn is_local(&self) -> bool {
        self.then.is_local() && self.needs_no_search()
    }

    fn ends_session(&self) -> bool {
        !self.searching.is_busy() && self.then.ends_session()
    }

    fn is_repeatable(&self) -> bool {
        self.searching.is_busy() || self.then.is_repeatable()
    }

    fn repeat(&mut self) {
        if self.searching.is_busy() {
            self.searching.repeat();
        } else {
            self.then.repeat();
        }
    }
}

/// References that lead to references: nobody needs more.
const MAX_ROUNDS: u32 = 8;
