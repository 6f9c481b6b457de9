//! The unique keys of object instances.

use std::collections::BTreeMap;

use crate::datamodel::Instantiated;
use crate::datamodel::supported::Supported;

/// The parameters of the standard's unique keys with their values, of the keys that are known whole. The
/// values are those last seen: nothing is asked of the CPE for them.
pub fn unique_keys(instance: &str, model: &Instantiated) -> BTreeMap<String, String> {
    let mut known = BTreeMap::new();
    let keys = Supported::device2().of_instance(instance).into_iter().flat_map(|row| row.unique_keys());
    for key in keys {
        let values = key.params.into_iter().map(|param| {
            let value = model.value(&format!("{instance}{param}"))?;
            Some((param.to_owned(), value.to_owned()))
        });
        known.extend(values.collect::<Option<Vec<_>>>().unwrap_or_default());
    }
    known
}
