//! What the ACS reads, and what a controller would be shown in its place.

use std::collections::HashSet;

use crate::cwmp::rpc::{Fault, GetParameterNames, ParameterInfoStruct, ParameterValueStruct, Text};
use crate::datamodel::supported::{secured, standard};
use crate::datamodel::{ValueType, path};
use crate::policy::Class;

use super::super::fault;
use super::super::get::is_hidden;
use super::comparer::{Comparer, Place, Why};

impl Comparer<'_, '_> {
    /// GetParameterValues: each value told, and what the agent shows beyond that.
    pub fn values(&mut self, asked: &[Text<'_>], told: &[ParameterValueStruct<'_>]) {
        for one in told {
            self.item(&one.name, |it, paths| it.value(one, paths));
        }
        let mut branches = asked.iter().filter(|name| is_branch(name)).peekable();
        if branches.peek().is_some() {
            let told: HashSet<&str> = told.iter().map(|one| &*one.name).collect();
            branches.for_each(|branch| self.untold(branch, &told));
        }
    }

    fn value(&self, one: &ParameterValueStruct<'_>, paths: &[String]) -> Option<Why> {
        let missing = paths.iter().find_map(|usp| self.missing(usp));
        missing.or_else(|| self.other_type(one)).or_else(|| self.illegal(one, paths))
    }

    /// The type that the CPE states, against that of its data model or, of what no standard knows, that which it
    /// stated before.
    fn other_type(&self, one: &ParameterValueStruct<'_>) -> Option<Why> {
        let before = || self.view.cpe.param(&one.name)?.value_type();
        let expected = standard(&one.name).and_then(|row| row.value_type()).or_else(before)?;
        let told = one.value_type.filter(|told| *told != expected)?;
        let why = "the CPE states another type than the data model has";
        Some(Why::new(Class::Type, why).sides(told.xsd(), expected.xsd()))
    }

    /// The value in TR-181 terms, and what comes back of it.
    fn illegal(&self, one: &ParameterValueStruct<'_>, paths: &[String]) -> Option<Why> {
        let shown = self.in_usp_terms(one);
        if shown.len() < paths.len() {
            let why = "the value is none that could be said in TR-181 terms";
            return Some(Why { cwmp: Some(one.value.to_string()), ..Why::new(Class::Value, why) });
        }
        for usp in shown {
            let (name, text) = (usp.name.to_string(), usp.value.to_string());
            // Secrets read as empty, whatever the data model says of their length.
            let withheld = text.is_empty() && secured(&name).is_some();
            let row = standard(&name).filter(|_| !withheld);
            let known = || self.view.cpe.param(&name)?.value_type();
            let misfit = match row {
                Some(row) => row.check(&text).err().map(|misfit| misfit.to_string()),
                None if withheld => None,
                None => known().filter(|known| !known.accepts(&text)).map(|it| format!("is no {}", it.xsd())),
            };
            if let Some(misfit) = misfit {
                let why = format!("the value {misfit}");
                return Some(Why::new(Class::Value, why).sides(&one.value, &text));
            }
            if let Some(why) = self.comes_back_otherwise(one, usp) {
                return Some(why);
            }
        }
        None
    }

    /// What a controller would write of what it read, against what the CPE said.
    fn comes_back_otherwise(
        &self,
        one: &ParameterValueStruct<'_>,
        usp: ParameterValueStruct<'static>,
    ) -> Option<Why> {
        self.known.mapping?;
        let text = usp.value.to_string();
        let why = match self.in_cpe_terms(usp) {
            Ok(back) if back.name != one.name => format!("its name comes back as {}", back.name),
            Ok(back) if same(one.value_type, &back.value, &one.value) => return None,
            Ok(_) => "its value comes back as another one".to_owned(),
            Err(why) => why.to_owned(),
        };
        Some(Why::new(Class::RoundTrip, why).sides(&one.value, &text))
    }

    /// GetParameterNames: each name told, against what GetInstances and GetSupportedDM tell, and what these tell
    /// beyond that.
    pub fn names(&mut self, asked: &GetParameterNames<'_>, told: &[ParameterInfoStruct<'_>]) {
        for info in told {
            let bare = path::is_object(&info.name) && path::instance(&info.name).is_none();
            // What holds other objects and says nothing itself need not have a counterpart.
            if bare && matches!(self.place(&info.name), Place::None) {
                continue;
            }
            self.item(&info.name, |it, paths| {
                let missing = paths.iter().find_map(|usp| it.missing(usp));
                missing.or_else(|| it.other_access(info))
            });
        }
        let names: HashSet<&str> = told.iter().map(|info| &*info.name).collect();
        if asked.next_level {
            self.untold_instances(&asked.parameter_path, &names);
        } else if is_branch(&asked.parameter_path) {
            self.untold(&asked.parameter_path, &names);
        }
    }

    fn other_access(&self, info: &ParameterInfoStruct<'_>) -> Option<Why> {
        let paths: Vec<(String, bool)> = match self.known.mapping {
            Some(mapping) => mapping.names(&info.name, info.writable).collect(),
            None => vec![(info.name.to_string(), info.writable)],
        };
        let cpe = &self.view.cpe;
        let shown = |usp: &str| match cpe.param(usp) {
            Some(param) => param.writable,
            None => cpe.is_writable_object(usp),
        };
        let (_, told) = paths.into_iter().find(|(usp, told)| shown(usp) != *told)?;
        let word = |writable| if writable { "writable" } else { "read-only" };
        Some(Why::new(Class::Access, "the agent shows another access").sides(word(told), word(!told)))
    }

    /// Parameters that the agent shows below an object, and the CPE did not tell.
    fn untold(&mut self, branch: &str, told: &HashSet<&str>) {
        if self.room == 0 {
            return;
        }
        let mapped = |mapping: &super::super::mapping::Mapping| mapping.to_usp(branch);
        let below = match self.known.mapping {
            Some(mapping) => mapped(mapping).unwrap_or_else(|| USP_ROOT.to_owned()),
            None => branch.to_owned(),
        };
        let shown = self.view.cpe.params_below(&below).filter(|(usp, _)| !is_hidden(usp)).take(MAX_SHOWN);
        let gone: Vec<(String, String)> = shown
            .filter_map(|(usp, _)| Some((usp.to_owned(), self.cpe_name(usp)?)))
            .filter(|(_, name)| name.starts_with(branch) && !told.contains(name.as_str()))
            .collect();
        for (usp, name) in gone {
            self.item(&name, |_, _| {
                let mut holders = std::iter::successors(path::parent(&name), |at| path::parent(at));
                let instance = holders.find(|at| path::instance(at).is_some());
                // Whoever tells nothing of an instance has it no more.
                let whole = instance.filter(|it| !told.iter().any(|name| name.starts_with(it)));
                let class = if whole.is_some() { Class::Instance } else { Class::Path };
                Some(Why::new(class, format!("the agent shows {usp}, which the CPE does not tell")))
            });
        }
    }

    /// Instances that the agent shows in a table, and the CPE did not tell.
    fn untold_instances(&mut self, table: &str, told: &HashSet<&str>) {
        let shown = match self.known.mapping {
            Some(mapping) => mapping.to_usp(table),
            None => Some(table.to_owned()),
        };
        let Some(shown) = shown else { return };
        for number in self.view.cpe.instances(&shown) {
            let name = self.cpe_name(&format!("{shown}{number}."));
            let Some(name) = name.filter(|it| it.starts_with(table) && !told.contains(it.as_str())) else {
                continue;
            };
            let why = format!("the agent shows {shown}{number}., which the CPE does not tell");
            self.item(&name, |_, _| Some(Why::new(Class::Instance, why)));
        }
    }

    /// Get- and SetParameterAttributes: whether a subscription could be about it.
    pub fn watchable(&mut self, name: &str) {
        self.item(name, |it, paths| paths.iter().find_map(|usp| it.missing(usp)));
    }

    /// A read that the CPE refused as a whole. A controller's would meet the same fault, but for names that the
    /// agent shows and the CPE does not know.
    pub fn refused_read<'n>(&mut self, names: impl Iterator<Item = &'n str>, refusal: &Fault<'_>) {
        let names: Vec<&str> = names.take(MAX_NAMED).collect();
        let Some(first) = names.first() else { return };
        let compared = names.iter().find(|name| !matches!(self.place(name), Place::LeftOut | Place::Unknown));
        let Some(name) = compared else {
            return self.item(first, |_, _| None);
        };
        let shown = |name: &&str| match self.place(name) {
            Place::At(paths) => paths.iter().all(|usp| self.missing(usp).is_none()),
            _ => is_branch(name),
        };
        let differs = refusal.fault_code == NO_SUCH_NAME && names.iter().all(shown);
        let code = fault::code(refusal.fault_code);
        self.found(name, |_| {
            let why = format!("the agent shows all of what the CPE refuses to tell (USP: {code})");
            differs.then(|| Why::new(Class::Fault, why))
        });
    }
}

fn is_branch(name: &str) -> bool {
    name.is_empty() || path::is_object(name)
}

/// Whether two texts are one value, by the type that was stated.
pub(super) fn same(value_type: Option<ValueType>, one: &str, other: &str) -> bool {
    value_type.unwrap_or(ValueType::String).same(one, other)
}

const USP_ROOT: &str = "Device.";
/// CWMP fault 9005, invalid parameter name.
const NO_SUCH_NAME: u32 = 9005;
/// Parameters of the agent's that are looked at for one object that the ACS reads.
const MAX_SHOWN: usize = 20_000;
/// Names of one refused read that are looked up.
const MAX_NAMED: usize = 256;
