//! The rules as they are written, `rules/*.toml`, and how they become a table.
//!
//! Each `[[object]]` pairs an object of TR-181 (`usp`) with one of TR-098 (`cpe`), both in supported
//! notation; the first `{i}` of the one is the first of the other, and a number stands for a fixed instance.
//! Below it, by names relative to the two objects:
//! - `same`: parameters that both have under one name;
//! - `named`: `usp = "cpe"`, parameters of different names;
//! - `converted`: `{ usp, cpe, by }`, whose values or types differ; `by` is a conversion of `convert.rs` or a
//!   table `[words.…]` of the same file, which says `cpe = "usp"`;
//! - `removed`: as `named`, of parameters that older versions of TR-181 have and 2.19 has not.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::datamodel::supported::{Access, standard};

use super::convert::Convert;
use super::table::Rule;
use super::template::Template;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    object: Vec<ObjectRule>,
    #[serde(default)]
    words: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ObjectRule {
    usp: String,
    cpe: String,
    #[serde(default)]
    same: Vec<String>,
    #[serde(default)]
    named: BTreeMap<String, String>,
    #[serde(default)]
    converted: Vec<Converted>,
    #[serde(default)]
    removed: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Converted {
    usp: String,
    cpe: String,
    by: String,
}

/// The rules in the binary, by the names of their files.
pub(super) const TR098: [(&str, &str); 6] = [
    ("device_info", include_str!("rules/device_info.toml")),
    ("dhcpv4", include_str!("rules/dhcpv4.toml")),
    ("diagnostics", include_str!("rules/diagnostics.toml")),
    ("hosts", include_str!("rules/hosts.toml")),
    ("management", include_str!("rules/management.toml")),
    ("wifi", include_str!("rules/wifi.toml")),
];

/// Reads a file of rules. The error says which file and what is wrong with it.
pub(super) fn parse(name: &str, text: &str) -> Result<Vec<Rule>, String> {
    let file: File = toml::from_str(text).map_err(|error| format!("{name}: {error}"))?;
    let mut rules = Vec::new();
    for object in &file.object {
        object.compile(&file.words, &mut rules).map_err(|why| format!("{name}: {}: {why}", object.usp))?;
    }
    Ok(rules)
}

impl ObjectRule {
    fn compile(
        &self,
        words: &BTreeMap<String, BTreeMap<String, String>>,
        rules: &mut Vec<Rule>,
    ) -> Result<(), String> {
        let (usp, cpe) = (Template::new(&self.usp), Template::new(&self.cpe));
        let creatable = usp.is_each_instance()
            && cpe.is_each_instance()
            && [&usp, &cpe].into_iter().all(|side| is_writable(side.as_str()));
        if let (Some(usp), Some(cpe)) = (usp.table(), cpe.table()) {
            rules.push(Rule::object(usp, cpe, creatable));
        }
        rules.push(Rule::object(usp, cpe, creatable));
        for name in &self.same {
            rules.push(self.param(name, name, Convert::Same));
        }
        for (usp, cpe) in &self.named {
            rules.push(self.param(usp, cpe, Convert::Same));
        }
        for Converted { usp, cpe, by } in &self.converted {
            let convert = match words.get(by) {
                Some(words) => Convert::Words(words.clone().into_iter().collect()),
                None => Convert::named(by).ok_or_else(|| format!("no conversion is called {by}"))?,
            };
            rules.push(self.param(usp, cpe, convert));
        }
        for (usp, cpe) in &self.removed {
            rules.push(Rule { removed: true, ..self.param(usp, cpe, Convert::Same) });
        }
        Ok(())
    }

    fn param(&self, usp: &str, cpe: &str, convert: Convert) -> Rule {
        let usp = Template::new(&format!("{}{usp}", self.usp));
        let cpe = Template::new(&format!("{}{cpe}", self.cpe));
        let value_type = |path: &str| standard(path).and_then(|row| row.value_type());
        let usp_type = value_type(usp.as_str());
        let cpe_type = value_type(cpe.as_str());
        // What 2.19 has no more is written where the device says that it can be.
        let writable = standard(usp.as_str()).is_none() || is_writable(usp.as_str());
        let retyped = usp_type.zip(cpe_type).filter(|(usp, cpe)| usp != cpe);
        Rule { usp, cpe, convert, retyped, writable, removed: false }
    }
}

fn is_writable(path: &str) -> bool {
    standard(path).is_some_and(|row| row.access != Access::ReadOnly)
}
