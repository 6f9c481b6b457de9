//! What the devices of one firmware have in common: names in supported notation, with what is writable, what
//! only some of the devices have, and the types that were seen.
//!
//! It is filled by walks of single devices and merged in any order: merging is commutative, associative and
//! idempotent, so that sisters may learn at the same time.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::supported::{generic, standard};
use super::{ValueType, path};

/// Which firmware: sisters agree in all of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FirmwareId {
    pub oui: String,
    pub product_class: String,
    pub software_version: String,
    /// The root of the CPE's own data model.
    pub root: String,
}

impl FirmwareId {
    /// The key under which it is stored; [`FirmwareId::parse`] reads it.
    pub fn key(&self) -> String {
        // Plain data always has a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }

    pub fn parse(key: &str) -> Option<Self> {
        serde_json::from_str(key).ok()
    }
}

/// The data model of a firmware, in the CPE's own terms. An object that is in it was walked: what it has is
/// in it too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Firmware {
    pub(super) names: BTreeMap<CompactString, Common>,
    pub(super) types: BTreeMap<CompactString, ValueType>,
    /// Who walked a branch, as numbers; of many the smallest.
    pub(super) walkers: BTreeMap<CompactString, BTreeSet<u64>>,
}

/// What is known of one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Common {
    /// On any device: where a device is stricter, it says so itself.
    pub writable: bool,
    /// The object that holds it was seen without it.
    pub varies: bool,
}

impl Firmware {
    /// What a device told of an object and all that is below it, by names of the instantiated data model.
    ///
    /// `walker` stands for the device; two devices seldom have the same.
    pub fn of_walk<'n>(object: &str, walker: u64, told: impl Iterator<Item = (&'n str, bool)>) -> Self {
        let mut all: BTreeMap<&str, bool> = told.filter(|(name, _)| name.starts_with(object)).collect();
        let ancestors = |name: &'n str| std::iter::successors(path::parent(name), |at| path::parent(at));
        let implied: Vec<&str> = all.keys().flat_map(|name| ancestors(name)).collect();
        for name in implied.into_iter().filter(|name| name.starts_with(object)) {
            all.entry(name).or_default();
        }
        let mut names: BTreeMap<CompactString, Common> = BTreeMap::new();
        let mut counts: BTreeMap<CompactString, u32> = BTreeMap::new();
        names.insert(generic(object).into(), Common { writable: false, varies: false });
        for (name, writable) in all {
            let general = CompactString::from(generic(name));
            names.entry(general.clone()).or_insert(Common { writable: false, varies: false }).writable |=
                writable;
            *counts.entry(general).or_default() += 1;
        }
        let count = |name: &str| counts.get(name).copied().unwrap_or(1);
        for (name, common) in names.iter_mut().filter(|(name, _)| !is_row(name)) {
            // Some of the object's instances lack it.
            common.varies = path::parent(name).is_some_and(|holder| count(name) < count(holder));
        }
        let walkers = [(generic(object).into(), [walker].into())].into();
        Self { names, types: BTreeMap::new(), walkers }
    }

    /// Takes in what another device showed. Returns whether anything of it was new. A model that would grow
    /// beyond [`MAX_NAMES`] stays as it is.
    pub fn merge(&mut self, other: &Self) -> bool {
        if !self.has_room_for(other) {
            return false;
        }
        let before = self.clone();
        for (name, theirs) in &other.names {
            let missed = !is_row(name) && !before.names.contains_key(name) && before.holds_parent(name);
            let ours = self.names.entry(name.clone()).or_insert(Common { varies: missed, ..*theirs });
            ours.writable |= theirs.writable;
            ours.varies |= theirs.varies;
        }
        for (name, ours) in self.names.iter_mut().filter(|(name, _)| !other.names.contains_key(*name)) {
            ours.varies |= !is_row(name) && other.holds_parent(name);
        }
        for (name, theirs) in &other.types {
            let ours = self.types.entry(name.clone()).or_insert(*theirs);
            // Some devices call every value a string: the other word says more.
            *ours = (*ours).max(*theirs);
        }
        for (branch, theirs) in &other.walkers {
            let ours = self.walkers.entry(branch.clone()).or_default();
            ours.extend(theirs);
            while ours.len() > WALKERS {
                ours.pop_last();
            }
        }
        *self != before
    }

    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.types.is_empty()
    }

    /// Notes the type that a device stated for a parameter.
    pub fn note_type(&mut self, general: &str, value_type: ValueType) {
        if self.types.len() < MAX_NAMES {
            let known = self.types.entry(general.into()).or_insert(value_type);
            *known = (*known).max(value_type);
        }
    }

    /// Notes that a device lacks a name that others have.
    pub fn note_missing(&mut self, general: &str) {
        if self.names.len() < MAX_NAMES {
            self.names.entry(general.into()).or_insert(Common { writable: false, varies: true }).varies =
                true;
        }
    }

    /// The type seen for a parameter in supported notation.
    pub fn value_type(&self, general: &str) -> Option<ValueType> {
        self.types.get(general).copied()
    }

    /// Whether a name in supported notation is known; of an object, that it was walked.
    pub fn has(&self, general: &str) -> bool {
        self.names.contains_key(general)
    }

    /// What stands directly in an object, both in supported notation; a table holds its instances.
    pub fn children<'s>(&'s self, object: &'s str) -> impl Iterator<Item = (&'s str, Common)> {
        let direct = self.below(object).filter(move |(name, _)| path::parent(name) == Some(object));
        direct.map(|(name, common)| (name.as_str(), *common))
    }

    /// Whether enough devices have walked a branch that what differs between them has been seen.
    pub fn is_trusted(&self, branch: &str) -> bool {
        self.walkers.get(branch).is_some_and(|walkers| walkers.len() >= WALKERS)
    }

    /// Whether each device has to be asked what an object holds: a table, or something that was seen without
    /// a part that others have. An object with nothing in it may be a table that nobody has filled yet.
    pub fn differs(&self, object: &str) -> bool {
        let mut empty = true;
        for (name, common) in self.children(object) {
            empty = false;
            if common.varies || is_row(name) {
                return true;
            }
        }
        empty || standard(&format!("{object}{{i}}.")).is_some()
    }

    /// Whether nothing is known of what an object holds, so that all of it is asked for in one answer.
    pub fn is_asked_whole(&self, object: &str) -> bool {
        self.children(object).next().is_none()
    }

    fn below<'s>(&'s self, object: &'s str) -> impl Iterator<Item = (&'s CompactString, &'s Common)> {
        let from = self.names.range::<str, _>((Bound::Included(object), Bound::Unbounded));
        from.take_while(move |(name, _)| name.starts_with(object))
    }

    fn holds_parent(&self, name: &str) -> bool {
        path::parent(name).is_some_and(|holder| self.names.contains_key(holder))
    }

    fn has_room_for(&self, other: &Self) -> bool {
        let fresh = other.names.keys().filter(|name| !self.names.contains_key(*name)).count();
        let types = other.types.keys().filter(|name| !self.types.contains_key(*name)).count();
        let branches = other.walkers.keys().filter(|name| !self.walkers.contains_key(*name)).count();
        [(self.names.len(), fresh), (self.types.len(), types), (self.walkers.len(), branches)]
            .into_iter()
            .all(|(known, fresh)| known + fresh <= MAX_NAMES)
    }
}

/// Whether a name in supported notation stands for the instances of a table.
fn is_row(name: &str) -> bool {
    name.ends_with(".{i}.")
}

/// Names in one model: the standard has 6,000, vendors add hundreds.
const MAX_NAMES: usize = 20_000;
/// Devices that walk a branch before it is taken for what all have.
pub const WALKERS: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn walk(object: &str, names: &[&str]) -> Firmware {
        Firmware::of_walk(object, names.len() as u64, names.iter().map(|name| (*name, name.ends_with('W'))))
    }

    fn merged(all: &[&Firmware]) -> Firmware {
        let mut model = Firmware::default();
        all.iter().for_each(|one| {
            model.merge(one);
        });
        model
    }

    #[test]
    fn what_some_instances_or_sisters_lack_is_known_to_vary() {
        let radios = walk("Device.X.", &["Device.X.R.1.A", "Device.X.R.1.B", "Device.X.R.2.A", "Device.X.C"]);
        assert!(radios.names["Device.X.R.{i}.B"].varies && !radios.names["Device.X.R.{i}.A"].varies);
        assert!(radios.differs("Device.X.R.{i}.") && radios.differs("Device.X.R."));
        let usb = walk("Device.X.", &["Device.X.C", "Device.X.Usb.Port"]);
        let both = merged(&[&radios, &usb]);
        assert!(both.names["Device.X.Usb."].varies && !both.names["Device.X.Usb.Port"].varies);
        assert!(!both.names["Device.X.C"].varies && both.differs("Device.X."));
    }

    #[test]
    fn a_table_without_instances_is_asked_for_and_does_not_vary() {
        let (empty, full) = (walk("Device.X.", &["Device.X.T."]), walk("Device.X.", &["Device.X.T.4.A"]));
        assert!(empty.differs("Device.X.T."), "it may be a table");
        let both = merged(&[&empty, &full]);
        assert!(both.differs("Device.X.T.") && !both.is_asked_whole("Device.X.T."));
        assert!(!both.is_trusted("Device.X."), "two devices are few");
        assert!(both.names.values().all(|common| !common.varies));
        let hosts = walk("Device.Hosts.", &["Device.Hosts.Host.", "Device.Hosts.HostNumberOfEntries"]);
        assert!(hosts.differs("Device.Hosts.Host.") && hosts.is_asked_whole("Device.Hosts.Host."));
    }

    #[test]
    fn a_firmware_is_found_by_all_that_names_it() {
        let id = |class: &str, version: &str| FirmwareId {
            oui: "00256D".into(),
            product_class: class.into(),
            software_version: version.into(),
            root: "Device.".into(),
        };
        assert_ne!(id("A", "B\",\"").key(), id("A\",\"B", "").key());
        assert_eq!(FirmwareId::parse(&id("A,\"", "\n").key()), Some(id("A,\"", "\n")));
    }

    fn any_walk() -> impl Strategy<Value = Firmware> {
        let name = ("[AB]", prop::option::of(1u8..3), "[xyW]");
        let names = prop::collection::vec(name, 0..8);
        (names, prop::bool::ANY, prop::option::of(1u8..11)).prop_map(|(names, whole, value_type)| {
            let object = if whole { "D.X." } else { "D.X.A." };
            let row = |row: Option<u8>| row.map(|row| format!("{row}.")).unwrap_or_default();
            let names = names.into_iter().map(|(part, at, name)| format!("D.X.{part}.{}{name}", row(at)));
            let names: BTreeSet<String> = names.collect();
            let mut walk = walk(object, &names.iter().map(String::as_str).collect::<Vec<_>>());
            if let Some(value_type) = value_type.and_then(ValueType::from_number) {
                walk.note_type("D.X.A.x", value_type);
            }
            walk
        })
    }

    proptest! {
        #[test]
        fn sisters_may_be_merged_in_any_order_and_twice(a in any_walk(), b in any_walk(), c in any_walk()) {
            let once = merged(&[&a, &b, &c]);
            prop_assert_eq!(&merged(&[&c, &b, &a]), &once);
            prop_assert_eq!(&merged(&[&b, &a, &a, &c, &b]), &once);
            prop_assert_eq!(&merged(&[&a, &merged(&[&b, &c])]), &once);
            prop_assert!(!once.clone().merge(&c), "nothing is new");
        }
    }
}
