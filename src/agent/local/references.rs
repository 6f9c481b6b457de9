//! Strong references (TR-106 3.2.4): a parameter that names a row stops naming it when the row is gone.

use crate::datamodel::path;
use crate::datamodel::supported::Row;

use super::schema::Object;
use super::tree::{Tree, as_object};

/// A parameter that names a row which is gone, and its value without that row.
pub(super) struct Dangling {
    pub name: String,
    pub without: String,
}

/// The tables that a parameter's references lead to, if they are strong.
pub(super) fn strong_targets(row: &'static Row) -> Option<impl Iterator<Item = &'static str> + Clone> {
    let targets = row.path_ref()?.strip_prefix("strong:row:")?;
    Some(targets.split(',').filter(|target| !target.is_empty()))
}

/// All parameters that name a row, or one below it.
pub(super) fn to(tree: &Tree, gone: &str) -> Vec<Dangling> {
    let mut found = Vec::new();
    for (name, param) in tree.model.params_below("Device.") {
        let column =
            path::parent(name).and_then(Object::of).and_then(|object| object.column(path::name(name)));
        if column.is_none_or(|column| strong_targets(column.row).is_none()) {
            continue;
        }
        let value = param.value.as_ref().map_or("", |value| value.text.as_str());
        let items: Vec<&str> = value.split(',').map(str::trim).filter(|item| !item.is_empty()).collect();
        let left: Vec<&str> =
            items.iter().copied().filter(|item| !as_object(item).starts_with(gone)).collect();
        if left.len() < items.len() {
            found.push(Dangling { name: name.to_owned(), without: left.join(",") });
        }
    }
    found
}
