//! What a device was seen to have, in supported notation: its instances laid over each other, and the
//! gateway's own tables beside what the CPE told.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::datamodel::supported::{Access, Kind, Row, Status, Supported, generic};
use crate::datamodel::{Instantiated, ValueType, path};

use super::access::{Rights, Sort};
use super::get::is_hidden;
use super::local::OwnObject;
use super::plan::View;

/// The supported data model of one device, by object path (`Device.WiFi.SSID.{i}.`).
#[derive(Debug, Default)]
pub(super) struct Seen {
    objects: BTreeMap<String, SeenObject>,
}

/// An object, or a table with what its instances have.
#[derive(Debug, Default)]
pub(super) struct SeenObject {
    pub can_create: bool,
    pub can_delete: bool,
    /// Instances were seen; without any, whether they can be deleted is not known.
    pub has_instances: bool,
    pub params: BTreeMap<String, SeenParam>,
}

#[derive(Debug, Default, Clone, Copy)]
pub(super) struct SeenParam {
    pub writable: bool,
    pub value_type: Option<ValueType>,
    /// Whether nobody is told when it changes.
    pub quiet: bool,
}

impl Seen {
    pub fn of(view: &View<'_>) -> Self {
        let mut seen = Self::default();
        seen.take(view.cpe, |name| !is_hidden(name));
        seen.fill_tables();
        seen.take_own(&view.local.supported());
        if !view.access.is_unlimited() {
            seen.withhold(view);
        }
        seen
    }

    fn take_own(&mut self, own: &[OwnObject]) {
        for object in own {
            let params = object.params.iter().map(|param| {
                let (writable, value_type) = (param.writable, Some(param.value_type));
                let seen = SeenParam { writable, value_type, quiet: param.quiet };
                (param.name.to_owned(), seen)
            });
            // Of some the CPE has the rest.
            let seen = self.objects.entry(object.path.to_owned()).or_default();
            (seen.can_create, seen.can_delete, seen.has_instances) =
                (object.creatable, object.creatable, false);
            seen.params.extend(params);
        }
    }

    /// R-GSP.0: what the one who asked may not read is not there.
    fn withhold(&mut self, view: &View<'_>) {
        self.objects.retain(|object, seen| {
            let anywhere = object.replace("{i}", "0");
            seen.params.retain(|name, _| view.may(Rights::READ, Sort::Param, &format!("{anywhere}{name}")));
            view.may(Rights::READ, Sort::Obj, &anywhere)
        });
    }

    pub fn object(&self, object: &str) -> Option<&SeenObject> {
        self.objects.get(object)
    }

    /// An object with all that is below it, in byte order of the paths.
    pub fn below<'s>(&'s self, object: &'s str) -> impl Iterator<Item = (&'s str, &'s SeenObject)> {
        let from = self.objects.range::<str, _>((Bound::Included(object), Bound::Unbounded));
        from.take_while(move |(path, _)| path.starts_with(object)).map(|(path, seen)| (path.as_str(), seen))
    }

    fn take(&mut self, model: &Instantiated, shown: impl Fn(&str) -> bool) {
        let objects: Vec<&str> = model.objects_below("").filter(|name| shown(name)).collect();
        let instances = objects.iter().filter(|name| path::instance(name).is_some());
        let with_instances: BTreeSet<&str> = instances.filter_map(|name| path::parent(name)).collect();
        for name in objects {
            let writable = model.is_writable_object(name);
            let general = generic(name);
            if path::instance(name).is_some() {
                let object = self.objects.entry(general).or_default();
                object.has_instances = true;
                object.can_delete |= writable;
            } else if with_instances.contains(name) || is_empty_table(model, name, &general, writable) {
                self.objects.entry(general + "{i}.").or_default().can_create |= writable;
            } else {
                self.objects.entry(general).or_default();
            }
        }
        for (name, param) in model.params_below("").filter(|(name, _)| shown(name)) {
            let Some(object) = path::parent(name).and_then(|object| self.objects.get_mut(&generic(object)))
            else {
                continue;
            };
            let seen = object.params.entry(path::name(name).to_owned()).or_default();
            seen.writable |= param.writable;
            seen.value_type = param.value_type().or(seen.value_type);
        }
    }

    /// What the instances of a table have that nobody has seen yet is as the standard says.
    fn fill_tables(&mut self) {
        let unknown = self
            .objects
            .iter_mut()
            .filter(|(path, object)| path.ends_with(".{i}.") && object.params.is_empty());
        for (path, object) in unknown {
            let standard = Supported::device2().children(path);
            let current = standard.filter(|row| row.kind == Kind::Param && row.status == Status::Current);
            object.params = current
                .map(|row| {
                    let writable = row.access != Access::ReadOnly;
                    let seen = SeenParam { writable, ..SeenParam::default() };
                    (path::name(row.path).to_owned(), seen)
                })
                .collect();
        }
    }
}

/// Whether an object without instances is a table all the same: by the standard, or, of a vendor's, because
/// instances can be added or are counted.
fn is_empty_table(model: &Instantiated, name: &str, general: &str, writable: bool) -> bool {
    let standard = |path: &str| -> Option<&Row> {
        Supported::device2().find(path).or_else(|| Supported::device2_cwmp().find(path))
    };
    if standard(&format!("{general}{{i}}.")).is_some() {
        return true;
    }
    if standard(general).is_some() {
        return false;
    }
    let count = format!("{}NumberOfEntries", name.trim_end_matches('.'));
    writable || model.param(&count).is_some()
}
