//! The unique keys of objects on the CPE.

use std::collections::BTreeMap;

use crate::datamodel::Instantiated;

/// The unique keys of an instance as far as their values are known. Which parameters are keys is the
/// standard's to say; the ones that every table has that has any are known here.
pub fn unique_keys(instance: &str, model: &Instantiated) -> BTreeMap<String, String> {
    let known = KEYS
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), model.value(&format!("{instance}{name}"))?.to_owned())));
    known.collect()
}

const KEYS: [&str; 2] = ["Alias", "Name"];
