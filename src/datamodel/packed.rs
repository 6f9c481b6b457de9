//! The stored form of one top-level object, which is read in place: nothing is decoded before it is looked at.
//!
//! Format 2: the format, how many parts of a shadow it holds (1 or more than 1), the number of chunks, where
//! each chunk begins, the times at which values were true, then the chunks. A chunk holds up to [`CHUNK`]
//! nodes in byte order of their paths; each path says how much of the one before it it repeats. Numbers are
//! LEB128, but for the places of the chunks, which are 32 bits.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use bytes::Bytes;
use compact_str::CompactString;

use super::blob::BlobError;
use super::instantiated::{Node, Param, Source, Value};
use super::{ValueType, WallTime};

/// Nodes of one top-level object as they are stored. Chunks are decoded when they are first looked at; one
/// that is damaged holds nothing.
#[derive(Debug, Clone)]
pub(super) struct Packed {
    blob: Bytes,
    times: Vec<u64>,
    chunks: Vec<Chunk>,
}

#[derive(Debug, Clone)]
struct Chunk {
    at: usize,
    nodes: OnceLock<Nodes>,
}

#[derive(Debug, Clone, Default)]
struct Nodes {
    /// All paths, one after the other.
    paths: String,
    slots: Vec<Slot>,
}

#[derive(Debug, Clone)]
struct Slot {
    /// Where its path ends; it begins where the one before ends.
    end: usize,
    node: Node,
}

impl Packed {
    /// Opens a blob. The second value tells whether it is all of one part of a shadow.
    pub fn open(blob: &Bytes) -> Result<(Self, bool), BlobError> {
        let mut cursor = Cursor { rest: blob };
        match cursor.byte() {
            Some(FORMAT) => {}
            Some(other) => return Err(BlobError::Format(other, FORMAT)),
            None => return Err(BlobError::Cut),
        }
        let single = cursor.byte() == Some(1);
        let count = cursor.number().filter(|count| *count <= blob.len()).ok_or(BlobError::Cut)?;
        let mut chunks = Vec::with_capacity(count);
        for _ in 0..count {
            let at = cursor.place().filter(|at| *at < blob.len()).ok_or(BlobError::Cut)?;
            chunks.push(Chunk { at, nodes: OnceLock::new() });
        }
        let count = cursor.number().filter(|count| *count <= blob.len()).ok_or(BlobError::Cut)?;
        let mut times = Vec::with_capacity(count);
        let mut time = 0_u64;
        for _ in 0..count {
            time = time.wrapping_add(cursor.long().ok_or(BlobError::Cut)?);
            times.push(time);
        }
        Ok((Self { blob: blob.clone(), times, chunks }, single))
    }

    pub fn get(&self, name: &str) -> Option<&Node> {
        let nodes = self.nodes(self.chunk_of(name)?);
        nodes.slots.get(nodes.find(name).ok()?).map(|slot| &slot.node)
    }

    pub fn get_mut(&mut self, name: &str) -> Option<&mut Node> {
        let chunk = self.chunk_of(name)?;
        let at = self.nodes(chunk).find(name).ok()?;
        let nodes = self.chunks.get_mut(chunk)?.nodes.get_mut()?;
        nodes.slots.get_mut(at).map(|slot| &mut slot.node)
    }

    /// The path of the first node.
    pub fn first(&self) -> Option<&str> {
        std::str::from_utf8(self.first_of(self.chunks.first()?)?).ok()
    }

    /// All nodes from this path on, in byte order.
    pub fn from(&self, from: &str) -> PackedNodes<'_> {
        let chunk = self.chunk_of(from).unwrap_or(0);
        let slot = match self.chunks.get(chunk) {
            Some(_) => self.nodes(chunk).find(from).unwrap_or_else(|at| at),
            None => 0,
        };
        PackedNodes { packed: self, chunk, slot }
    }

    /// The last chunk that does not begin behind this path.
    fn chunk_of(&self, name: &str) -> Option<usize> {
        self.chunks
            .partition_point(|chunk| self.first_of(chunk).is_some_and(|first| first <= name.as_bytes()))
            .checked_sub(1)
    }

    fn first_of(&self, chunk: &Chunk) -> Option<&[u8]> {
        let mut cursor = Cursor { rest: self.blob.get(chunk.at..)? };
        cursor.number()?;
        cursor.number()?;
        let length = cursor.number()?;
        cursor.take(length)
    }

    fn nodes(&self, chunk: usize) -> &Nodes {
        const NONE: &Nodes = &Nodes { paths: String::new(), slots: Vec::new() };
        let decode = |chunk: &Chunk| {
            let read = self.blob.get(chunk.at..).and_then(|bytes| Nodes::read(bytes, &self.times));
            read.unwrap_or_default()
        };
        self.chunks.get(chunk).map_or(NONE, |chunk| chunk.nodes.get_or_init(|| decode(chunk)))
    }
}

/// Goes over packed nodes.
#[derive(Debug, Clone)]
pub(super) struct PackedNodes<'p> {
    packed: &'p Packed,
    chunk: usize,
    slot: usize,
}

impl<'p> Iterator for PackedNodes<'p> {
    type Item = (&'p str, &'p Node);

    fn next(&mut self) -> Option<Self::Item> {
        while self.chunk < self.packed.chunks.len() {
            let nodes = self.packed.nodes(self.chunk);
            if let Some(slot) = nodes.slots.get(self.slot) {
                self.slot += 1;
                return Some((nodes.path(self.slot - 1), &slot.node));
            }
            (self.chunk, self.slot) = (self.chunk + 1, 0);
        }
        None
    }
}

impl Nodes {
    fn path(&self, at: usize) -> &str {
        let from = at.checked_sub(1).and_then(|before| self.slots.get(before)).map_or(0, |slot| slot.end);
        let to = self.slots.get(at).map_or(from, |slot| slot.end);
        self.paths.get(from..to).unwrap_or("")
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.slots.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.path(middle).cmp(name) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Ok(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    fn read(bytes: &[u8], times: &[u64]) -> Option<Self> {
        let mut cursor = Cursor { rest: bytes };
        let count = cursor.number().filter(|count| *count <= CHUNK)?;
        let mut paths: Vec<u8> = Vec::with_capacity(count * 48);
        let mut slots = Vec::with_capacity(count);
        let mut before = 0;
        for _ in 0..count {
            let (shared, length) = (cursor.number()?, cursor.number()?);
            let start = paths.len();
            if shared > start - before {
                return None;
            }
            paths.extend_from_within(before..before + shared);
            paths.extend_from_slice(cursor.take(length)?);
            before = start;
            let node = cursor.node(times)?;
            slots.push(Slot { end: paths.len(), node });
        }
        Some(Self { paths: String::from_utf8(paths).ok()?, slots })
    }
}

/// Packs nodes that come in byte order of their paths; `single` if all are of one part of a shadow.
pub(super) fn pack<'n>(nodes: impl Iterator<Item = (&'n str, &'n Node)>, single: bool) -> Vec<u8> {
    let nodes: Vec<(&str, &Node)> = nodes.collect();
    let times = nodes.iter().filter_map(|(_, node)| match node {
        Node::Param(param) => param.value.as_ref().map(|value| value.at.0),
        Node::Object { .. } => None,
    });
    let times: Vec<u64> = times.collect::<BTreeSet<u64>>().into_iter().collect();
    let mut body = Vec::with_capacity(nodes.len() * 24);
    let mut places = Vec::new();
    for chunk in nodes.chunks(CHUNK) {
        places.push(body.len());
        put_number(&mut body, chunk.len() as u64);
        let mut before = "";
        for (name, node) in chunk {
            let shared = shared(before, name);
            put_number(&mut body, shared as u64);
            put_bytes(&mut body, &name.as_bytes()[shared..]);
            put_node(&mut body, node, &times);
            before = name;
        }
    }
    let mut times_part = Vec::with_capacity(16);
    put_number(&mut times_part, times.len() as u64);
    let mut before = 0;
    for time in &times {
        put_number(&mut times_part, time - before);
        before = *time;
    }
    let mut blob = vec![FORMAT, if single { 1 } else { 2 }];
    put_number(&mut blob, places.len() as u64);
    let start = blob.len() + 4 * places.len() + times_part.len();
    for place in places {
        blob.extend(u32::try_from(start + place).unwrap_or(u32::MAX).to_le_bytes());
    }
    blob.extend(times_part);
    blob.extend(body);
    blob
}

/// How many bytes two paths have in common at their beginning, in whole characters.
fn shared(before: &str, name: &str) -> usize {
    let same = before.bytes().zip(name.bytes()).take_while(|(one, other)| one == other).count();
    (0..=same).rev().find(|at| name.is_char_boundary(*at)).unwrap_or(0)
}

fn put_node(out: &mut Vec<u8>, node: &Node, times: &[u64]) {
    let param = match node {
        Node::Object { writable } => return out.push(OBJECT | if *writable { WRITABLE } else { 0 }),
        Node::Param(param) => param,
    };
    let mut flags = if param.writable { WRITABLE } else { 0 };
    flags |= if param.expected.is_some() { EXPECTED } else { 0 };
    flags |= if param.value.is_some() { VALUE } else { 0 };
    out.push(flags);
    out.extend(param.expected.map(|expected| expected as u8));
    if let Some(value) = &param.value {
        out.push((value.value_type.map_or(0, |known| known as u8) << 4) | value.source as u8);
        let time = times.binary_search(&value.at.0).unwrap_or(0);
        put_number(out, time as u64);
        put_bytes(out, value.text.as_bytes());
    }
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(0x80 | (number & 0x7f) as u8);
        number >>= 7;
    }
    out.push((number & 0x7f) as u8);
}

/// Reads a blob from its beginning; nothing of what is behind its end.
struct Cursor<'b> {
    rest: &'b [u8],
}

impl<'b> Cursor<'b> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn long(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn number(&mut self) -> Option<usize> {
        usize::try_from(self.long()?).ok()
    }

    fn place(&mut self) -> Option<usize> {
        let bytes = self.take(4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    }

    fn node(&mut self, times: &[u64]) -> Option<Node> {
        let flags = self.byte()?;
        let writable = flags & WRITABLE != 0;
        if flags & OBJECT != 0 {
            return Some(Node::Object { writable });
        }
        let expected = if flags & EXPECTED != 0 { ValueType::from_number(self.byte()?) } else { None };
        let value = if flags & VALUE != 0 { Some(self.value(times)?) } else { None };
        Some(Node::Param(Param { writable, expected, value }))
    }

    fn value(&mut self, times: &[u64]) -> Option<Value> {
        let kinds = self.byte()?;
        let at = WallTime(*times.get(self.number()?)?);
        let length = self.number()?;
        let text = CompactString::from_utf8(self.take(length)?).ok()?;
        Some(Value {
            text,
            value_type: ValueType::from_number(kinds >> 4),
            at,
            source: Source::from_number(kinds & 15)?,
        })
    }
}

/// Version of this form.
pub(super) const FORMAT: u8 = 2;
/// Nodes of a chunk: what is decoded to find one of them.
const CHUNK: usize = 16;
const OBJECT: u8 = 1;
const WRITABLE: u8 = 2;
const EXPECTED: u8 = 4;
const VALUE: u8 = 8;
