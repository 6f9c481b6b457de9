//! The instantiated data model of one CPE: what it has, what it last said, when and to whom. Called the
//! *shadow* where it stands for a real device.

use std::collections::BTreeMap;
use std::ops::Bound;

use compact_str::CompactString;

use super::part::{Part, PartNodes};
use super::{ValueType, WallTime, path};

/// How a value became known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Source {
    /// Stated in an Inform.
    Inform = 1,
    /// Read by us.
    Read = 2,
    /// Written by us and accepted by the CPE.
    Write = 3,
    /// Read or written by the ACS while we looked on.
    Acs = 4,
}

impl Source {
    pub(super) fn from_number(number: u8) -> Option<Self> {
        [Self::Inform, Self::Read, Self::Write, Self::Acs].into_iter().find(|known| *known as u8 == number)
    }
}

/// One parameter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Param {
    pub writable: bool,
    /// The type that other devices of the firmware state for it.
    pub expected: Option<ValueType>,
    pub value: Option<Value>,
}

impl Param {
    /// The type that the device states, else the one that its sisters do.
    pub fn value_type(&self) -> Option<ValueType> {
        self.value.as_ref().and_then(|value| value.value_type).or(self.expected)
    }
}

/// A value with its type, the time it was true and how it became known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    pub text: CompactString,
    pub value_type: Option<ValueType>,
    pub at: WallTime,
    pub source: Source,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    Object { writable: bool },
    Param(Param),
}

/// Something that became different, for those who watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A parameter has another value than before.
    Changed(CompactString),
    /// An object instance is there that was not.
    Created(CompactString),
    Removed(CompactString),
}

/// Objects and parameters by path. Ancestors of what is put in are put in too (quirk B03).
#[derive(Debug, Clone, Default)]
pub struct Instantiated {
    /// By [`path::part`]: a part is stored as a whole, and decoded only as far as it is looked at.
    pub(super) parts: BTreeMap<CompactString, Part>,
    dirty: Vec<CompactString>,
    restructured: bool,
    watched: bool,
    news: Vec<News>,
    missing: Vec<CompactString>,
}

impl Instantiated {
    /// Notes an object. `writable`: instances can be added (of a table) or it can be deleted (an instance).
    /// Returns whether it is new.
    pub fn put_object(&mut self, object: &str, writable: bool) -> bool {
        let node = Node::Object { writable };
        match self.node_mut(object) {
            Some(known) => {
                if *known != node {
                    *known = node;
                    self.touch(object);
                }
                false
            }
            None => {
                self.insert(object, node);
                self.restructured = true;
                self.touch(object);
                self.created(object);
                self.put_ancestors(object);
                true
            }
        }
    }

    /// Notes a parameter and keeps its value if it has one.
    pub fn put_param(&mut self, name: &str, writable: bool) {
        match self.node_mut(name) {
            Some(Node::Param(param)) if param.writable == writable => {}
            Some(Node::Param(param)) => {
                param.writable = writable;
                self.touch(name);
            }
            _ => {
                let param = Param { writable, ..Param::default() };
                self.insert(name, Node::Param(param));
                self.restructured = true;
                self.touch(name);
                self.put_ancestors(name);
            }
        }
    }

    /// Notes the type that other devices of the firmware state for a parameter.
    pub fn expect_type(&mut self, name: &str, value_type: ValueType) {
        if let Some(Node::Param(param)) = self.node_mut(name)
            && param.expected != Some(value_type)
        {
            param.expected = Some(value_type);
            self.touch(name);
        }
    }

    /// Sets a value; an unknown parameter is put in as read-only. Returns whether the text changed; a first
    /// value is no change.
    pub fn set_value(&mut self, name: &str, value: Value) -> bool {
        // Nearly every value is of a parameter that is there already, and says what it said before.
        match self.node_mut(name) {
            Some(Node::Param(Param { value: Some(known), .. })) if known.text == value.text => {
                known.value_type = value.value_type.or(known.value_type);
                (known.at, known.source) = (value.at, value.source);
                return false;
            }
            Some(Node::Param(_)) => {}
            _ => self.put_param(name, false),
        }
        let Some(Node::Param(param)) = self.node_mut(name) else { return false };
        let before = param.value.as_ref();
        let changed = before.is_some_and(|old| old.text != value.text);
        let news = before.is_none() || changed;
        let value_type = value.value_type.or(before.and_then(|old| old.value_type));
        param.value = Some(Value { value_type, ..value });
        if news {
            self.touch(name);
        }
        if changed {
            self.tell(|| News::Changed(name.into()));
        }
        changed
    }

    pub fn param(&self, name: &str) -> Option<&Param> {
        match self.node(name) {
            Some(Node::Param(param)) => Some(param),
            _ => None,
        }
    }

    /// The last known value of a parameter.
    pub fn value(&self, name: &str) -> Option<&str> {
        Some(self.param(name)?.value.as_ref()?.text.as_str())
    }

    pub fn has_object(&self, object: &str) -> bool {
        matches!(self.node(object), Some(Node::Object { .. }))
    }

    pub fn is_writable_object(&self, object: &str) -> bool {
        matches!(self.node(object), Some(Node::Object { writable: true }))
    }

    /// The instance numbers of a table, ascending.
    pub fn instances(&self, table: &str) -> Vec<u32> {
        let mut found: Vec<u32> = self.child_objects(table).filter_map(path::instance).collect();
        found.sort_unstable();
        found
    }

    /// The objects directly below an object, by full path.
    pub fn child_objects<'s>(&'s self, object: &'s str) -> impl Iterator<Item = &'s str> {
        let below = self.below(object);
        below.filter_map(move |(name, node)| {
            let direct = matches!(node, Node::Object { .. }) && path::parent(name) == Some(object);
            direct.then_some(name)
        })
    }

    /// The parameters directly in an object, by full path.
    pub fn params_of<'s>(&'s self, object: &'s str) -> impl Iterator<Item = (&'s str, &'s Param)> {
        self.params_below(object).filter(move |(name, _)| path::parent(name) == Some(object))
    }

    /// All parameters below an object, by full path.
    pub fn params_below<'s>(&'s self, object: &'s str) -> impl Iterator<Item = (&'s str, &'s Param)> {
        self.below(object).filter_map(|(name, node)| match node {
            Node::Param(param) => Some((name, param)),
            Node::Object { .. } => None,
        })
    }

    /// All objects below an object, by full path, without itself.
    pub fn objects_below<'s>(&'s self, object: &'s str) -> impl Iterator<Item = &'s str> {
        self.below(object)
            .filter(move |(name, node)| matches!(node, Node::Object { .. }) && *name != object)
            .map(|(name, _)| name)
    }

    /// Forgets an object and all below it. Returns whether it was there.
    pub fn remove(&mut self, object: &str) -> bool {
        let gone: Vec<CompactString> = self.below(object).map(|(name, _)| name.into()).collect();
        for name in &gone {
            self.take_out(name);
        }
        if !gone.is_empty() {
            self.restructured = true;
            self.touch(object);
            self.tell(|| News::Removed(object.into()));
        }
        !gone.is_empty()
    }

    /// Forgets a parameter of which the CPE says that it has no such. What it stood in is in doubt.
    pub fn forget_param(&mut self, name: &str) {
        if self.param(name).is_some() {
            self.take_out(name);
            self.restructured = true;
            self.touch(name);
            if self.missing.len() < MAX_MISSING {
                self.missing.push(name.into());
            }
        }
    }

    /// The parameters that were forgotten since this was last asked.
    pub fn take_missing(&mut self) -> Vec<CompactString> {
        std::mem::take(&mut self.missing)
    }

    /// Forgets all that a walk of the whole model did not show: objects and parameters that are not `kept`.
    pub fn retain(&mut self, mut kept: impl FnMut(&str, Option<&Param>) -> bool) {
        let gone = self.below("").filter(|(name, node)| match node {
            Node::Object { .. } => !kept(name, None),
            Node::Param(param) => !kept(name, Some(param)),
        });
        let gone: Vec<CompactString> = gone.map(|(name, _)| name.into()).collect();
        for name in gone {
            if path::instance(&name).is_some() {
                self.remove(&name);
            } else if self.take_out(&name) {
                self.restructured = true;
                self.touch(&name);
            }
        }
    }

    /// Forgets all values and keeps what there is.
    pub fn forget_values(&mut self) {
        let with_value = self.params_below("").filter(|(_, param)| param.value.is_some());
        let names: Vec<CompactString> = with_value.map(|(name, _)| name.into()).collect();
        for name in names {
            if let Some(Node::Param(param)) = self.node_mut(&name) {
                param.value = None;
            }
            self.touch(&name);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.parts.values().all(Part::is_empty)
    }

    /// Whether objects or parameters came or went, not only values, since the changes were last taken.
    pub fn is_restructured(&self) -> bool {
        self.restructured
    }

    /// The top-level objects that changed since this was last asked.
    pub fn take_dirty(&mut self) -> Vec<CompactString> {
        self.restructured = false;
        std::mem::take(&mut self.dirty)
    }

    /// Everything that stands at or below an object, in byte order of its path.
    pub(super) fn below<'s>(&'s self, object: &'s str) -> impl Iterator<Item = (&'s str, &'s Node)> {
        let part = path::part(object);
        let from = self.parts.range::<str, _>((Bound::Included(part), Bound::Unbounded));
        let parts = from.take_while(move |(key, _)| key.starts_with(part));
        parts
            .flat_map(move |(_, part)| part.from(object))
            .take_while(move |(name, _)| name.starts_with(object))
    }

    pub(super) fn insert(&mut self, name: &str, node: Node) {
        let part = path::part(name);
        match self.parts.get_mut(part) {
            Some(part) => part.insert(name, node),
            None => {
                let mut fresh = Part::default();
                fresh.insert(name, node);
                self.parts.insert(part.into(), fresh);
            }
        }
    }

    /// The parts of a top-level object: it may stand under more than one root.
    pub(super) fn parts_of<'s>(&'s self, top: &'s str) -> impl Iterator<Item = (&'s str, PartNodes<'s>)> {
        let parts = self.parts.iter().filter(move |(key, _)| path::top_level(key) == top);
        parts.map(|(key, part)| (key.as_str(), part.from("")))
    }

    fn node(&self, name: &str) -> Option<&Node> {
        self.parts.get(path::part(name))?.get(name)
    }

    fn node_mut(&mut self, name: &str) -> Option<&mut Node> {
        self.parts.get_mut(path::part(name))?.get_mut(name)
    }

    fn take_out(&mut self, name: &str) -> bool {
        self.parts.get_mut(path::part(name)).is_some_and(|part| part.remove(name))
    }

    fn put_ancestors(&mut self, of: &str) {
        let mut at = of;
        while let Some(parent) = path::parent(at) {
            if self.node(parent).is_some() {
                return;
            }
            self.insert(parent, Node::Object { writable: false });
            self.touch(parent);
            self.created(parent);
            at = parent;
        }
    }

    /// Whether news are kept from now on. Nobody pays for what nobody watches.
    pub fn watch(&mut self, on: bool) {
        self.watched = on;
        if !on {
            self.news.clear();
        }
    }

    /// What became different since this was last asked.
    pub fn take_news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    fn created(&mut self, object: &str) {
        if path::instance(object).is_some() {
            self.tell(|| News::Created(object.into()));
        }
    }

    fn tell(&mut self, news: impl FnOnce() -> News) {
        if self.watched && self.news.len() < MAX_NEWS {
            self.news.push(news());
        }
    }

    fn touch(&mut self, name: &str) {
        let top = path::top_level(name);
        if !self.dirty.iter().any(|known| known == top) {
            self.dirty.push(top.into());
        }
    }
}

impl PartialEq for Instantiated {
    fn eq(&self, other: &Self) -> bool {
        let told = |of: &Self| (of.dirty.clone(), of.news.clone(), of.missing.clone());
        self.below("").eq(other.below("")) && told(self) == told(other)
    }
}

/// News kept until somebody asks; more come only from a device that changes all it has at once.
const MAX_NEWS: usize = 10_000;
/// Forgotten parameters kept until somebody asks.
const MAX_MISSING: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value {
        Value { text: text.into(), value_type: None, at: WallTime(1), source: Source::Read }
    }

    #[test]
    fn instances_are_numbers_in_order_and_ancestors_appear() {
        let mut shadow = Instantiated::default();
        for instance in [10, 2, 1] {
            shadow.put_param(&format!("Device.WiFi.SSID.{instance}.SSID"), true);
        }
        assert_eq!(shadow.instances("Device.WiFi.SSID."), [1, 2, 10]);
        assert!(shadow.has_object("Device.WiFi."));
        assert_eq!(shadow.child_objects("Device.").collect::<Vec<_>>(), ["Device.WiFi."]);
    }

    #[test]
    fn a_first_value_is_no_change_and_an_other_one_is() {
        let mut shadow = Instantiated::default();
        assert!(!shadow.set_value("Device.A.B", value("1")));
        assert!(!shadow.set_value("Device.A.B", value("1")));
        assert!(shadow.set_value("Device.A.B", value("2")));
        assert_eq!(shadow.value("Device.A.B"), Some("2"));
    }

    #[test]
    fn removing_an_instance_spares_its_namesakes() {
        let mut shadow = Instantiated::default();
        shadow.put_param("Device.T.1.A", true);
        shadow.put_param("Device.T.11.A", true);
        assert!(shadow.remove("Device.T.1."));
        assert!(!shadow.remove("Device.T.1."));
        assert_eq!(shadow.instances("Device.T."), [11]);
    }

    #[test]
    fn what_changed_is_told_once_by_top_level_object() {
        let mut shadow = Instantiated::default();
        shadow.set_value("Device.WiFi.X", value("1"));
        shadow.set_value("Device.Time.X", value("1"));
        shadow.set_value("Device.WiFi.Y", value("1"));
        assert_eq!(shadow.take_dirty(), ["WiFi", "Device", "Time"]);
        shadow.set_value("Device.WiFi.X", value("1"));
        assert!(shadow.take_dirty().is_empty());
    }

    #[test]
    fn news_are_told_to_those_who_watch_only() {
        let mut shadow = Instantiated::default();
        shadow.set_value("Device.T.1.A", value("1"));
        shadow.watch(true);
        shadow.set_value("Device.T.1.A", value("2"));
        shadow.set_value("Device.T.2.A", value("1"));
        shadow.remove("Device.T.1.");
        let told = shadow.take_news();
        assert_eq!(
            told,
            [
                News::Changed("Device.T.1.A".into()),
                News::Created("Device.T.2.".into()),
                News::Removed("Device.T.1.".into()),
            ]
        );
        shadow.watch(false);
        shadow.set_value("Device.T.2.A", value("3"));
        assert!(shadow.take_news().is_empty());
    }
}
