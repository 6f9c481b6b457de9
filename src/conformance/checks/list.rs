//! All checks in the order of the plan.

use std::sync::OnceLock;

use crate::conformance::check::Check;
use crate::conformance::number::Number;

use super::{
    add, bulk_data, certificates, contexts, delete, firmware, functions, get, instances, mqtt, notifications,
    onboarding, operate, permissions, records, retries, secured, set, stomp, supported_dm, triggers, trust,
    websocket,
};

/// Every check there is, by number.
pub fn all() -> &'static [&'static Check] {
    static ALL: OnceLock<Vec<&'static Check>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut all: Vec<&Check> = GROUPS.iter().copied().flatten().collect();
        all.sort_by_key(|check| check.number);
        all
    })
}

/// The check of a number.
pub fn find(number: Number) -> Option<&'static Check> {
    let all = all();
    all.binary_search_by_key(&number, |check| check.number).ok().and_then(|at| all.get(at)).copied()
}

const GROUPS: &[&[Check]] = &[
    add::CHECKS,
    set::CHECKS,
    delete::CHECKS,
    get::CHECKS,
    notifications::CHECKS,
    retries::CHECKS,
    onboarding::CHECKS,
    operate::CHECKS,
    instances::CHECKS,
    supported_dm::CHECKS,
    triggers::CHECKS,
    trust::CHECKS,
    permissions::CHECKS,
    records::CHECKS,
    contexts::CHECKS,
    secured::CHECKS,
    stomp::CHECKS,
    websocket::CHECKS,
    firmware::CHECKS,
    functions::CHECKS,
    certificates::CHECKS,
    bulk_data::CHECKS,
    mqtt::CHECKS,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_there_once() {
        assert!(all().is_sorted_by(|a, b| a.number < b.number), "a number is there twice");
    }
}
