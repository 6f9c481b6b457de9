//! The rules as a table, and paths looked up in it.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use crate::datamodel::ValueType;
use crate::datamodel::supported::generic;

use super::convert::Convert;
use super::rules::{self, TR098};
use super::template::Template;

/// One path of TR-181 and its counterpart on the CPE: a parameter, an object or a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pub usp: Template,
    pub cpe: Template,
    pub convert: Convert,
    /// The types of both sides where they differ. Else what the CPE states is left as it is.
    pub retyped: Option<(ValueType, ValueType)>,
    /// Whether TR-181 lets the parameter be written, or instances be created and deleted.
    pub writable: bool,
    /// TR-181 had it and has it no more: the tables of the standard do not know it.
    pub removed: bool,
}

impl Rule {
    pub fn object(usp: Template, cpe: Template, writable: bool) -> Self {
        Self { usp, cpe, convert: Convert::Same, retyped: None, writable, removed: false }
    }
}

/// The compiled rules of one data model: no state, one copy for all devices.
///
/// All is told by paths of the instantiated data model, with instance numbers.
#[derive(Debug, Default)]
pub struct Mapping {
    rules: Vec<Rule>,
    version: u64,
    /// Rules by their path with `{i}` for every number, fixed ones too.
    by_usp: BTreeMap<String, Vec<usize>>,
    by_cpe: BTreeMap<String, Vec<usize>>,
}

static MAPPING: OnceLock<Mapping> = OnceLock::new();

impl Mapping {
    /// InternetGatewayDevice:1 (TR-098) in terms of Device:2 (TR-181).
    pub fn tr098() -> &'static Self {
        MAPPING.get_or_init(|| {
            // The files are our own and a test reads them; were one broken, what it tells would be missing.
            let files = TR098.iter().filter_map(|(name, text)| rules::parse(name, text).ok());
            Self::of(files.flatten().collect())
        })
    }

    pub(super) fn of(mut rules: Vec<Rule>) -> Self {
        let mut mapping = Self::default();
        rules.dedup();
        for (at, rule) in rules.iter().enumerate() {
            mapping.by_usp.entry(generic(rule.usp.as_str())).or_default().push(at);
            mapping.by_cpe.entry(generic(rule.cpe.as_str())).or_default().push(at);
        }
        rules.shrink_to_fit();
        mapping.version = version(&rules);
        mapping.rules = rules;
        mapping
    }

    /// Changes whenever what the rules say does: what was translated by others is to be translated anew.
    /// Never 0.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// A path of the CPE in TR-181 terms, the first counterpart if it has several; `None` if it has none.
    pub fn to_usp(&self, path: &str) -> Option<String> {
        self.usp_sides(path).next().map(|(_, usp)| usp)
    }

    /// A path of TR-181 on the CPE; `None` if it has no counterpart.
    pub fn to_cpe(&self, path: &str) -> Option<String> {
        self.cpe_side(path).map(|(_, cpe)| cpe)
    }

    /// What GetParameterNames tells of a path of the CPE: each counterpart, and whether it can be written or,
    /// of a table or an instance, created and deleted. TR-181 may allow less than the CPE does.
    pub fn names(&self, path: &str, writable: bool) -> impl Iterator<Item = (String, bool)> {
        self.usp_sides(path).map(move |(rule, usp)| (usp, writable && rule.writable))
    }

    /// Whether any rule is about an object of the CPE or what is below it. The others need not be asked for.
    pub fn reaches(&self, object: &str) -> bool {
        let object = generic(object);
        let first = self.by_cpe.range(object.clone()..).next();
        first.is_some_and(|(path, _)| path.starts_with(&object))
    }

    /// The rules about a path of the CPE, each with its path in TR-181 terms.
    pub(super) fn usp_sides(&self, path: &str) -> impl Iterator<Item = (&Rule, String)> {
        let found = self.by_cpe.get(&generic(path)).into_iter().flatten();
        let mut told: Vec<String> = Vec::new();
        found.filter_map(move |at| {
            let rule = &self.rules[*at];
            let usp = rule.usp.fill(&rule.cpe.bind(path)?);
            // Two rules may pair the same objects for different parameters.
            if told.contains(&usp) {
                return None;
            }
            told.push(usp.clone());
            Some((rule, usp))
        })
    }

    /// The rule about a path of TR-181, with the CPE's path.
    pub(super) fn cpe_side(&self, path: &str) -> Option<(&Rule, String)> {
        let found = self.by_usp.get(&generic(path))?;
        found.iter().find_map(|at| {
            let rule = &self.rules[*at];
            Some((rule, rule.cpe.fill(&rule.usp.bind(path)?)))
        })
    }

    #[cfg(test)]
    pub(super) fn rules(&self) -> &[Rule] {
        &self.rules
    }
}

/// FNV-1a over all that the compiled rules say.
fn version(rules: &[Rule]) -> u64 {
    let said = format!("{rules:?}");
    let hash = said.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    hash.max(1)
}
