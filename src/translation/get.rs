//! Get (TR-369 6.1.4.1): parameters by path expressions, read live from the CPE.

use std::collections::BTreeMap;

use crate::cwmp::rpc::{Fault, Response};
use crate::datamodel::path;
use crate::usp::ErrorCode;
use crate::usp::message::{self, get_resp};
use crate::usp::path::PathExpr;

use super::access::{Access, Models, Rights, Sort};
use super::fault;
use super::local::is_local;
use super::plan::{Outcome, Plan, Step, View};
use super::reading::Reading;
use super::resolve::{self, Sight, Unresolved};

/// A Get on its way.
pub struct Get {
    max_depth: u32,
    paths: Vec<Requested>,
    /// None before the paths are resolved.
    reading: Option<Reading>,
}

struct Requested {
    text: String,
    expr: Result<PathExpr, Unresolved>,
    names: Result<Vec<String>, Unresolved>,
}

impl Get {
    pub fn new(request: message::Get) -> Self {
        let parsed = request.param_paths.into_iter().map(|text| {
            let expr = resolve::parse(&text);
            Requested { text, expr, names: Ok(Vec::new()) }
        });
        Self { max_depth: request.max_depth, paths: parsed.collect(), reading: None }
    }

    fn resolve(&mut self, view: &View<'_>) -> Reading {
        let mut all = Vec::new();
        for requested in &mut self.paths {
            requested.names = match &requested.expr {
                Ok(expr) => resolve_both(expr, self.max_depth, view),
                Err(unresolved) => Err(unresolved.clone()),
            };
            if let Ok(names) = &requested.names {
                all.extend(names.iter().filter(|name| view.local.model().param(name).is_none()).cloned());
            }
        }
        Reading::of(all)
    }

    /// The answer, if all of it is known and not older than `age_ms`, so that nobody has to be asked.
    pub fn answer_from_shadow(&mut self, view: &View<'_>, age_ms: u64) -> Option<Outcome> {
        let since = view.wall.0.saturating_sub(age_ms);
        let is_fresh = |name: &String| {
            let value = view.cpe.param(name).and_then(|param| param.value.as_ref());
            value.is_some_and(|value| value.at.0 >= since) || view.local.model().param(name).is_some()
        };
        let exprs = self.paths.iter().filter_map(|requested| requested.expr.as_ref().ok());
        let led = exprs.flat_map(|expr| resolve::search_params(expr, view.cpe)).all(|name| is_fresh(&name));
        if !led {
            return None;
        }
        self.resolve(view);
        let known = self.paths.iter().all(|requested| match &requested.names {
            Ok(names) => names.iter().all(is_fresh),
            Err(_) => true,
        });
        known.then(|| self.fold(view, &Reading::default()))
    }

    fn fold(&self, view: &View<'_>, reading: &Reading) -> Outcome {
        let results = self.paths.iter().map(|requested| requested.fold(view, reading)).collect();
        Outcome::Response(message::Response::GetResp(message::GetResp { req_path_results: results }))
    }
}

impl Plan for Get {
    fn next(&mut self, view: &mut View<'_>) -> Step {
        if self.reading.is_none() {
            self.reading = Some(self.resolve(view));
        }
        match self.reading.as_mut().and_then(Reading::next) {
            Some(request) => Step::Call(request),
            None => {
                let reading = self.reading.take().unwrap_or_default();
                Step::Done(self.fold(view, &reading))
            }
        }
    }

    fn answered(&mut self, view: &mut View<'_>, response: &Response<'_>) {
        if let Some(reading) = &mut self.reading {
            reading.answered(view, response);
        }
    }

    fn faulted(&mut self, view: &mut View<'_>, fault: &Fault<'_>) {
        if let Some(reading) = &mut self.reading {
            reading.faulted(view, fault);
        }
    }

    fn is_local(&self) -> bool {
        self.paths.iter().all(|requested| is_local(&requested.text) || requested.expr.is_err())
    }

    fn is_repeatable(&self) -> bool {
        true
    }

    fn repeat(&mut self) {
        if let Some(reading) = &mut self.reading {
            reading.repeat();
        }
    }
}

impl Requested {
    fn value(&self, name: &str, view: &View<'_>) -> String {
        if view.access.hides(name, view.models()) {
            return String::new();
        }
        let known = view.local.model().value(name).or_else(|| view.cpe.value(name));
        known.unwrap_or_default().to_owned()
    }

    /// Whether one parameter is named.
    fn is_exact(&self) -> bool {
        self.expr.as_ref().is_ok_and(|expr| expr.is_exact() && expr.param.is_some())
    }

    fn fold(&self, view: &View<'_>, reading: &Reading) -> get_resp::RequestedPathResult {
        let mut result =
            get_resp::RequestedPathResult { requested_path: self.text.clone(), ..Default::default() };
        let names = match &self.names {
            Ok(names) => names,
            Err(unresolved) => {
                result.err_code = unresolved.code.0;
                result.err_msg = unresolved.why.clone();
                return result;
            }
        };
        let mut objects: BTreeMap<&str, BTreeMap<String, String>> = BTreeMap::new();
        for name in names {
            if let Some((code, why)) = reading.refusal(name) {
                // It was among what a wildcard or an object stood for, and turned out not to be there.
                if !self.is_exact() && view.cpe.param(name).is_none() {
                    continue;
                }
                result.err_code = fault::code(*code).0;
                result.err_msg = format!("{name}: CWMP fault {code}: {why}");
                return result;
            }
            let object = path::parent(name).unwrap_or("");
            let value = self.value(name, view);
            objects.entry(object).or_default().insert(path::name(name).to_owned(), value);
        }
        let resolved = objects.into_iter().map(|(object, result_params)| get_resp::ResolvedPathResult {
            resolved_path: object.to_owned(),
            result_params,
        });
        result.resolved_path_results = resolved.collect();
        result
    }
}

/// What a path names that the one who asked may read (R-GET.1).
fn resolve_both(expr: &PathExpr, max_depth: u32, view: &View<'_>) -> Result<Vec<String>, Unresolved> {
    let mut found = resolve_all(expr, max_depth, view)?;
    if view.access.is_unlimited() {
        return Ok(found);
    }
    if !expr.is_search() && !may_name(expr, view) {
        let why = "there is nothing of this name for this controller".to_owned();
        return Err(Unresolved { code: ErrorCode::INVALID_PATH, why });
    }
    let models = view.models();
    found.retain(|name| view.access.reads(name, models));
    Ok(found)
}

/// The parameters that a path names and somebody may read, as far as they are known; none for a path that
/// leads nowhere.
pub fn readable_params(expr: &PathExpr, models: Models<'_>, access: &Access) -> Vec<String> {
    let cpe = Sight { model: models.cpe, models, access };
    let own = Sight { model: models.local, ..cpe };
    let mut found = resolve::params(expr, 0, own).unwrap_or_default();
    let of_cpe = resolve::params(expr, 0, cpe).unwrap_or_default();
    found.extend(of_cpe.into_iter().filter(|name| !is_hidden(name)));
    found.retain(|name| access.reads(name, models));
    found
}

/// Whether an exact path is there for the one who asked: its object, and the parameter it ends in.
fn may_name(expr: &PathExpr, view: &View<'_>) -> bool {
    let object = expr.object();
    let object_is_there = view.may(Rights::READ, Sort::Obj, &object);
    let param_is_there = |param: &String| view.may(Rights::READ, Sort::Param, &format!("{object}{param}"));
    object_is_there && expr.param.as_ref().is_none_or(param_is_there)
}

/// What a path names on the CPE and in the gateway's own tables; the CPE's tables of the same name are hidden.
fn resolve_all(expr: &PathExpr, max_depth: u32, view: &View<'_>) -> Result<Vec<String>, Unresolved> {
    let own = resolve::params(expr, max_depth, view.local_sight());
    let cpe = resolve::params(expr, max_depth, view.cpe_sight());
    match (own, cpe) {
        (Ok(mut own), Ok(cpe)) => {
            own.extend(cpe.into_iter().filter(|name| !is_hidden(name)));
            Ok(own)
        }
        (Ok(own), Err(_)) => Ok(own),
        (Err(_), Ok(cpe)) => Ok(cpe.into_iter().filter(|name| !is_hidden(name)).collect()),
        // Who lacks only the instance knows the table: that is the better answer.
        (Err(own), Err(_)) if own.code == ErrorCode::OBJECT_DOES_NOT_EXIST => Err(own),
        (Err(_), Err(cpe)) => Err(cpe),
    }
}

/// What USP replaces or the gateway owns is not shown from the CPE.
pub(super) fn is_hidden(name: &str) -> bool {
    HIDDEN.iter().any(|object| name.starts_with(object))
}

const HIDDEN: [&str; 6] = [
    "Device.ManagementServer.",
    "Device.LocalAgent.",
    "Device.USPAgent.",
    "Device.MQTT.",
    "Device.STOMP.",
    "Device.BulkData.",
];
