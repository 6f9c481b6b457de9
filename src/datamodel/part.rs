//! All of a shadow that stands in one top-level object: as it was stored until something comes or goes in it.

use std::collections::BTreeMap;
use std::collections::btree_map::Range;
use std::ops::Bound;

use compact_str::CompactString;

use super::instantiated::Node;
use super::packed::{Packed, PackedNodes};

/// Nodes by path.
#[derive(Debug, Clone)]
pub(super) enum Part {
    Open(BTreeMap<CompactString, Node>),
    Packed(Packed),
}

impl Default for Part {
    fn default() -> Self {
        Self::Open(BTreeMap::new())
    }
}

impl Part {
    pub fn get(&self, name: &str) -> Option<&Node> {
        match self {
            Self::Open(nodes) => nodes.get(name),
            Self::Packed(packed) => packed.get(name),
        }
    }

    pub fn get_mut(&mut self, name: &str) -> Option<&mut Node> {
        match self {
            Self::Open(nodes) => nodes.get_mut(name),
            Self::Packed(packed) => packed.get_mut(name),
        }
    }

    pub fn insert(&mut self, name: &str, node: Node) {
        self.change(|nodes| {
            nodes.insert(name.into(), node);
        });
    }

    pub fn remove(&mut self, name: &str) -> bool {
        let there = self.get(name).is_some();
        if there {
            self.change(|nodes| {
                nodes.remove(name);
            });
        }
        there
    }

    fn change(&mut self, change: impl FnOnce(&mut BTreeMap<CompactString, Node>)) {
        match self {
            Self::Open(nodes) => change(nodes),
            Self::Packed(packed) => {
                let nodes = packed.from("").map(|(name, node)| (name.into(), node.clone()));
                let mut nodes: BTreeMap<CompactString, Node> = nodes.collect();
                change(&mut nodes);
                *self = Self::Open(nodes);
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.from("").next().is_none()
    }

    /// All nodes from this path on, in byte order.
    pub fn from(&self, from: &str) -> PartNodes<'_> {
        match self {
            Self::Open(nodes) => {
                PartNodes::Open(nodes.range::<str, _>((Bound::Included(from), Bound::Unbounded)))
            }
            Self::Packed(packed) => PartNodes::Packed(packed.from(from)),
        }
    }
}

/// Goes over the nodes of a part.
#[derive(Debug, Clone)]
pub(super) enum PartNodes<'p> {
    Open(Range<'p, CompactString, Node>),
    Packed(PackedNodes<'p>),
}

impl<'p> Iterator for PartNodes<'p> {
    type Item = (&'p str, &'p Node);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Open(nodes) => nodes.next().map(|(name, node)| (name.as_str(), node)),
            Self::Packed(nodes) => nodes.next(),
        }
    }
}
