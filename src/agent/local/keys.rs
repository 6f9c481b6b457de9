//! Unique keys of the agent's own tables (TR-106 3.2.5): given where the controller gave none (R-ADD.5),
//! refused where another row has them.

use std::collections::BTreeMap;

use crate::translation::Refusal;
use crate::usp::ErrorCode;

use super::schema::{Column, Object};
use super::tree::Tree;

/// Adds what is missing of the keys of a new row.
pub(super) fn give(
    tree: &Tree,
    object: &Object,
    table: &str,
    instance: u32,
    params: &mut BTreeMap<String, String>,
) {
    for key in &object.keys {
        for name in &key.params {
            let Some(column) = object.column(name).filter(|_| !params.contains_key(*name)) else { continue };
            if let Some(value) = automatic(tree, column, table, instance, key.functional) {
                params.insert((*name).to_owned(), value);
            }
        }
    }
}

/// The value that the agent gives. Texts of functional keys mean something, such as an endpoint or a topic:
/// they stay empty, which binds nobody, until a controller says what they are.
fn automatic(tree: &Tree, column: &Column, table: &str, instance: u32, functional: bool) -> Option<String> {
    if column.row.value_type().is_some_and(crate::datamodel::ValueType::is_number) {
        let rows = tree.rows(table).into_iter();
        let highest = rows.filter_map(|row| tree.number(&format!("{row}{}", column.name))).max();
        return Some((highest.unwrap_or(0) + 1).to_string());
    }
    (!functional || column.name == "Name").then(|| format!("cpe-{instance}"))
}

/// Whether a row, with these parameters changed, has keys of its own.
pub(super) fn check(
    tree: &Tree,
    object: &Object,
    row: &str,
    changes: &BTreeMap<String, String>,
) -> Result<(), Refusal> {
    let Some(table) = crate::datamodel::path::parent(row).filter(|_| object.is_table()) else {
        return Ok(());
    };
    let wanted = |name: &str| -> Option<String> {
        let kept =
            || tree.value(&format!("{row}{name}")).or_else(|| object.column(name).map(|it| it.default));
        changes.get(name).map(String::as_str).or_else(kept).map(str::to_owned)
    };
    let is_on = |value: Option<&str>| value.is_none_or(|value| matches!(value, "true" | "1"));
    let enabled = object.enable.is_none_or(|name| is_on(wanted(name).as_deref()));
    for key in &object.keys {
        // Functional keys bind only rows that are enabled.
        if key.functional && !enabled {
            continue;
        }
        let values: Option<Vec<String>> = key.params.iter().map(|name| wanted(name)).collect();
        let Some(values) = values.filter(|values| values.iter().any(|value| !value.is_empty())) else {
            continue;
        };
        for other in tree.rows(table).iter().filter(|other| *other != row) {
            let on = object.enable.is_none_or(|name| is_on(tree.value(&format!("{other}{name}"))));
            let same = key.params.iter().zip(&values);
            let mut same = same.map(|(name, value)| tree.value(&format!("{other}{name}")) == Some(value));
            if (on || !key.functional) && same.all(|same| same) {
                let why = format!("{other} has this {}", key.params.join(" and "));
                return Err(Refusal::new(ErrorCode::DUPLICATE_KEY, why));
            }
        }
    }
    Ok(())
}
