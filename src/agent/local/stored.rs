//! The stored form of what an agent has of its own: for each row that differs from the template, what differs.
//! So a change of the configuration reaches all agents, save for what a controller has changed.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::datamodel::path;
use crate::datamodel::supported::secured;
use crate::durable::{Change, Entry, Kind};
use crate::usp::Certificate;

use super::schema::Object;
use super::tree::Tree;

/// A row as it is stored: JSON, which an operator can read.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Row {
    format: u32,
    /// A row that is not the template's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    own: bool,
    /// A row of the template that a controller has deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    gone: bool,
    /// Relative to the row.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    params: BTreeMap<String, String>,
    /// What the row of a certificate is about, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
}

/// What was stored of a row.
pub(super) struct Restored {
    pub row: String,
    pub own: bool,
    pub gone: bool,
    pub params: BTreeMap<String, String>,
    pub certificate: Option<Certificate>,
}

/// Reads an entry; `None` of what this release does not know.
pub(super) fn read(entry: &Entry) -> Option<Restored> {
    let row: Row = serde_json::from_slice(&entry.value).ok()?;
    let certificate = match row.certificate {
        Some(text) => Some(Certificate::from_der(&BASE64.decode(text).ok()?).ok()?),
        None => None,
    };
    (row.format == FORMAT).then(|| Restored {
        row: format!("Device.{}.", entry.key),
        own: row.own,
        gone: row.gone,
        params: row.params,
        certificate,
    })
}

/// What was stored of all rows, rows before those that stand in them; secrets are where they belong.
pub(super) fn rows(entries: &[Entry]) -> Vec<Restored> {
    let of = |kind| entries.iter().filter(move |entry| entry.kind == kind).filter_map(read);
    let mut rows: BTreeMap<String, Restored> = of(Kind::LocalAgent).map(|it| (it.row.clone(), it)).collect();
    for secret in of(Kind::Secret) {
        if let Some(row) = rows.get_mut(&secret.row) {
            row.params.extend(secret.params);
        } else {
            rows.insert(secret.row.clone(), secret);
        }
    }
    rows.into_values().collect()
}

/// The changes that make a row durable as it is now, against how the template has it: what is secret of it for
/// itself.
pub(super) fn changes(
    row: &str,
    now: &Tree,
    template: &Tree,
    certificate: Option<&Certificate>,
) -> impl Iterator<Item = Change> {
    let (secrets, params) = match now.model.has_object(row) {
        true => differing(row, now, template).into_iter().partition(|(name, _)| is_secret(row, name)),
        false => Default::default(),
    };
    let first = change(row, params, now, template, certificate);
    let key = row.trim_start_matches("Device.").trim_end_matches('.');
    let secrets = match secrets.is_empty() {
        false => Some(put(Kind::Secret, key, &Row { format: FORMAT, params: secrets, ..Row::default() })),
        true => may_have_secrets(row).then(|| Change::delete(Kind::Secret, key)),
    };
    std::iter::once(first).chain(secrets)
}

fn change(
    row: &str,
    params: BTreeMap<String, String>,
    now: &Tree,
    template: &Tree,
    certificate: Option<&Certificate>,
) -> Change {
    let key = row.trim_start_matches("Device.").trim_end_matches('.');
    let stored = match (now.model.has_object(row), template.model.has_object(row)) {
        (true, in_template) => {
            let own = !in_template;
            let certificate = certificate.filter(|_| own).map(|it| BASE64.encode(it.der()));
            (own || !params.is_empty()).then_some(Row {
                format: FORMAT,
                own,
                gone: false,
                params,
                certificate,
            })
        }
        (false, true) => Some(Row { format: FORMAT, gone: true, ..Row::default() }),
        (false, false) => None,
    };
    match stored {
        Some(row) => put(Kind::LocalAgent, key, &row),
        None => Change::delete(Kind::LocalAgent, key),
    }
}

fn put(kind: Kind, key: &str, row: &Row) -> Change {
    Change::put(kind, key, Bytes::from(serde_json::to_vec(row).unwrap_or_default()))
}

/// Whether the standard has a parameter, named relative to its row, show its value to few or to nobody.
fn is_secret(row: &str, name: &str) -> bool {
    secured(&format!("{row}{name}")).is_some()
}

fn may_have_secrets(row: &str) -> bool {
    let has = |object: &Object| object.columns.iter().any(|column| column.row.secured().is_some());
    let parts = |object: &'static Object| object.parts().filter(|part| !part.is_table());
    Object::of(row).is_some_and(|object| has(object) || parts(object).any(has))
}

fn differing(row: &str, now: &Tree, template: &Tree) -> BTreeMap<String, String> {
    let below = now.model.params_below(row).filter(|(name, _)| super::tree::row_of(name) == row);
    let differ = below.filter_map(|(name, param)| {
        let column = path::parent(name).and_then(Object::of)?.column(path::name(name))?;
        let text = param.value.as_ref()?.text.as_str();
        let before = template.value(name).unwrap_or(column.default);
        (column.is_stored && text != before).then(|| (name[row.len()..].to_owned(), text.to_owned()))
    });
    differ.collect()
}

/// Version of this form; 1 had the columns of whole rows.
const FORMAT: u32 = 2;
