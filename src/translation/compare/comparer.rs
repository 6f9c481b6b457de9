//! What all comparisons have in common.

use crate::cwmp::rpc::{Fault, ParameterValueStruct, Request, Response};
use crate::datamodel::path;
use crate::policy::{Class, Difference, Tally};
use crate::usp::ErrorCode;

use super::super::get::is_hidden;
use super::super::mapping::Mapping;
use super::super::plan::View;

/// How the CPE answered.
#[derive(Debug, Clone, Copy)]
pub enum Answer<'a> {
    Response(&'a Response<'a>),
    Fault(&'a Fault<'a>),
}

/// What is known of the device beside its shadow.
pub struct Known<'k> {
    /// What stands between TR-181 and its data model.
    pub mapping: Option<&'static Mapping>,
    /// Objects whose content is still to be learnt, in the CPE's words or in TR-181 terms.
    pub undiscovered: &'k [String],
    /// Whether an instance, in the CPE's words, was deleted before.
    pub was_deleted: &'k dyn Fn(&str) -> bool,
}

/// What was found; as many differences as there are differing items.
#[derive(Debug, Default)]
pub struct Findings {
    pub tally: Tally,
    pub differences: Vec<Difference>,
}

/// Compares one RPC, item by item: a parameter, a name, or the RPC as a whole. `room` is how many at most; what is
/// more is counted as skipped.
pub fn compare(
    view: &mut View<'_>,
    known: &Known<'_>,
    request: &Request<'_>,
    answer: Answer<'_>,
    room: u32,
) -> Findings {
    let mut comparer = Comparer { view, known, rpc: request.name(), room, findings: Findings::default() };
    match (request, answer) {
        (Request::GetParameterValues(get), Answer::Response(Response::GetParameterValuesResponse(it))) => {
            comparer.values(&get.parameter_names, &it.parameter_list);
        }
        (Request::GetParameterValues(get), Answer::Fault(fault)) => {
            comparer.refused_read(get.parameter_names.iter().map(|name| &**name), fault);
        }
        (Request::GetParameterNames(get), Answer::Response(Response::GetParameterNamesResponse(it))) => {
            comparer.names(get, &it.parameter_list);
        }
        (Request::GetParameterNames(get), Answer::Fault(fault)) => {
            comparer.refused_read([&*get.parameter_path].into_iter(), fault);
        }
        (
            Request::GetParameterAttributes(_),
            Answer::Response(Response::GetParameterAttributesResponse(it)),
        ) => it.parameter_list.iter().for_each(|one| comparer.watchable(&one.name)),
        (Request::GetParameterAttributes(get), Answer::Fault(fault)) => {
            comparer.refused_read(get.parameter_names.iter().map(|name| &**name), fault);
        }
        (Request::SetParameterAttributes(set), Answer::Response(_)) => {
            let changed = set.parameter_list.iter().filter(|one| one.notification_change);
            changed.for_each(|one| comparer.watchable(&one.name));
        }
        (Request::SetParameterAttributes(set), Answer::Fault(fault)) => {
            comparer.refused_read(set.parameter_list.iter().map(|one| &*one.name), fault);
        }
        (Request::SetParameterValues(set), answer) => comparer.sets(&set.parameter_list, answer),
        (Request::AddObject(add), answer) => comparer.adds(&add.object_name, answer),
        (Request::DeleteObject(delete), answer) => comparer.deletes(&delete.object_name, answer),
        (request, _) => comparer.commands(request),
    }
    comparer.findings
}

pub(super) struct Comparer<'c, 'v> {
    pub view: &'c mut View<'v>,
    pub known: &'c Known<'c>,
    rpc: &'c str,
    /// For so many items more.
    pub room: u32,
    pub findings: Findings,
}

/// What of a name of the CPE's the agent would show.
pub(super) enum Place {
    /// Not USP's, or the gateway's own.
    LeftOut,
    /// What the device has there is still to be learnt.
    Unknown,
    /// TR-181 has no counterpart.
    None,
    /// The paths in TR-181 terms; never empty.
    At(Vec<String>),
}

/// Why something differs, and the two sides of it where they say more than the path.
pub(super) struct Why {
    pub class: Class,
    pub why: String,
    pub cwmp: Option<String>,
    pub usp: Option<String>,
}

impl Why {
    pub fn new(class: Class, why: impl Into<String>) -> Self {
        Self { class, why: why.into(), cwmp: None, usp: None }
    }

    pub fn sides(self, cwmp: &str, usp: &str) -> Self {
        Self { cwmp: Some(cwmp.to_owned()), usp: Some(usp.to_owned()), ..self }
    }
}

impl Comparer<'_, '_> {
    /// Where a name of the CPE's stands in the agent's model.
    pub fn place(&self, name: &str) -> Place {
        if CWMPS_OWN.iter().any(|own| name.starts_with(own)) {
            return Place::LeftOut;
        }
        let paths = match self.known.mapping {
            Some(mapping) => mapping.names(name, true).map(|(usp, _)| usp).collect(),
            None => vec![name.to_owned()],
        };
        if paths.iter().any(|path| is_hidden(path) || self.view.is_own(path)) {
            return Place::LeftOut;
        }
        // Of a mapped device they may be in words of either side.
        let within = |branch: &String| {
            name.starts_with(branch.as_str()) || paths.iter().any(|path| path.starts_with(branch.as_str()))
        };
        if self.known.undiscovered.iter().any(within) {
            return Place::Unknown;
        }
        if paths.is_empty() { Place::None } else { Place::At(paths) }
    }

    /// Compares one item; `with` says why it differs, if it does.
    pub fn item(&mut self, name: &str, with: impl FnOnce(&mut Self, &[String]) -> Option<Why>) {
        // Where there is no room left it does not matter what it would be.
        if self.room == 0 {
            self.findings.tally.skipped += 1;
            return;
        }
        match self.place(name) {
            Place::LeftOut => self.findings.tally.left_out += 1,
            Place::Unknown => self.findings.tally.skipped += 1,
            Place::None => self.found(name, |_| Some(Why::new(Class::Unmapped, NO_COUNTERPART))),
            Place::At(paths) => self.found(name, |it| with(it, &paths)),
        }
    }

    /// Compares an item that has no place in the data model, or whose place is known.
    pub fn found(&mut self, name: &str, with: impl FnOnce(&mut Self) -> Option<Why>) {
        if self.room == 0 {
            self.findings.tally.skipped += 1;
            return;
        }
        self.room -= 1;
        self.findings.tally.compared += 1;
        let Some(Why { class, why, cwmp, usp }) = with(self) else { return };
        let tally = &mut self.findings.tally;
        tally.differing += 1;
        *tally.classes.entry(class).or_default() += 1;
        let (at, rpc, path) = (self.view.wall, self.rpc.to_owned(), name.to_owned());
        self.findings.differences.push(Difference { at, rpc, path, class, why, cwmp, usp, times: 1 });
    }

    /// Why the agent does not show a parameter or object, if it does not.
    pub fn missing(&self, usp: &str) -> Option<Why> {
        let cpe = &self.view.cpe;
        let there = if path::is_object(usp) { cpe.has_object(usp) } else { cpe.param(usp).is_some() };
        if there {
            return None;
        }
        let mut holders = std::iter::successors(Some(usp), |at| path::parent(at));
        let gone = holders.find(|at| path::instance(at).is_some() && !cpe.has_object(at));
        Some(match gone {
            Some(instance) => Why::new(Class::Instance, format!("the agent has no instance {instance}")),
            None => Why::new(Class::Path, format!("the agent does not show {usp}")),
        })
    }

    /// The parameter of the CPE's that a path in TR-181 terms stands for.
    pub fn cpe_name(&self, usp: &str) -> Option<String> {
        match self.known.mapping {
            Some(mapping) => mapping.to_cpe(usp),
            None => Some(usp.to_owned()),
        }
    }

    /// What a parameter of the CPE's is in TR-181 terms: each counterpart for which the value is one.
    pub fn in_usp_terms(&self, one: &ParameterValueStruct<'_>) -> Vec<ParameterValueStruct<'static>> {
        match self.known.mapping {
            Some(mapping) => mapping.value_in(one).collect(),
            None => vec![ParameterValueStruct {
                name: one.name.to_string().into(),
                value: one.value.to_string().into(),
                value_type: one.value_type,
                value_span: 0..0,
            }],
        }
    }

    /// And back; the error says why it cannot be said to the CPE.
    pub fn in_cpe_terms(
        &self,
        one: ParameterValueStruct<'static>,
    ) -> Result<ParameterValueStruct<'static>, &'static str> {
        match self.known.mapping {
            Some(mapping) => mapping.value_out(&one).map_err(|refused| refused.why),
            None => Ok(one),
        }
    }
}

/// Whether two errors say the same: CWMP has one fault for what USP tells apart.
pub(super) fn is_like(cwmp: ErrorCode, usp: ErrorCode) -> bool {
    let name = |code| {
        [ErrorCode::UNSUPPORTED_PARAMETER, ErrorCode::INVALID_PATH, ErrorCode::OBJECT_DOES_NOT_EXIST]
            .contains(&code)
    };
    cwmp == usp || (name(cwmp) && name(usp))
}

/// How a refusal by the agent of what the CPE has carried out is classed.
pub(super) fn class_of(code: ErrorCode) -> Class {
    match code {
        ErrorCode::UNSUPPORTED_PARAMETER | ErrorCode::INVALID_PATH => Class::Path,
        ErrorCode::OBJECT_DOES_NOT_EXIST => Class::Instance,
        _ => Class::Fault,
    }
}

pub(super) const NO_COUNTERPART: &str = "TR-181 has no counterpart that this gateway knows";
/// What is between the ACS and the CPE alone, whatever the root.
const CWMPS_OWN: [&str; 2] = ["Device.ManagementServer.", "InternetGatewayDevice.ManagementServer."];
