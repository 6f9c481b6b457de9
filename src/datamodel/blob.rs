//! The stored form of a shadow: one blob per top-level object, as `packed` has it.

use std::io::{Read, Write as _};

use bytes::Bytes;
use compact_str::CompactString;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use thiserror::Error;

use super::instantiated::{Instantiated, Node, Param, Source, Value};
use super::packed::{Packed, pack};
use super::part::Part;
use super::{ValueType, WallTime, path};

/// Why a stored blob is not usable.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BlobError {
    #[error("a blob has format {0}, this release reads up to {1}")]
    Format(u8, u8),
    #[error("a blob is empty, cut off or over {MAX_INFLATED} bytes")]
    Cut,
    #[error("a blob has a part that makes no sense: {0}")]
    Line(String),
}

impl Instantiated {
    /// The blob of one top-level object, as [`Instantiated::take_dirty`] names them.
    pub fn encode_top(&self, top: &str) -> Vec<u8> {
        let single = self.parts_of(top).count() == 1;
        // Parts come in byte order, and so do the nodes in each.
        pack(self.parts_of(top).flat_map(|(_, nodes)| nodes), single)
    }

    /// The top-level objects that changed since this was last asked, with their blobs; none of one that is
    /// gone.
    pub fn take_changes(&mut self) -> Vec<(CompactString, Option<Bytes>)> {
        let tops = self.take_dirty();
        let mut changes = Vec::with_capacity(tops.len());
        for top in tops {
            let is_there = self.parts_of(&top).any(|(_, mut nodes)| nodes.next().is_some());
            let blob = is_there.then(|| Bytes::from(self.encode_top(&top)));
            // What was stored need not be held a second time, path by path.
            let key = self.parts_of(&top).next().map(|(key, _)| CompactString::from(key));
            let packed = blob.as_ref().and_then(|blob| Packed::open(blob).ok());
            if let (Some(key), Some((packed, true))) = (key, packed) {
                self.parts.insert(key, Part::Packed(packed));
            }
            changes.push((top, blob));
        }
        changes
    }

    /// Adds what a blob holds.
    pub fn decode_into(&mut self, blob: &Bytes) -> Result<(), BlobError> {
        if blob.first() == Some(&LINES) {
            return self.decode_lines(blob);
        }
        let (packed, single) = Packed::open(blob)?;
        let key = packed.first().map(|first| CompactString::from(path::part(first)));
        match key {
            Some(key) if single && !self.parts.contains_key(&key) => {
                self.parts.insert(key, Part::Packed(packed));
            }
            _ => packed.from("").for_each(|(name, node)| self.insert(name, node.clone())),
        }
        Ok(())
    }

    /// The form of earlier releases, which is read and not written any more: after inflation a line per node,
    /// fields separated by tabs: path, `o` or `p` with `w` where writable, and for values type, source, time
    /// and text. Tabs, line breaks and backslashes in texts are escaped.
    fn decode_lines(&mut self, blob: &[u8]) -> Result<(), BlobError> {
        let (_, deflated) = blob.split_first().ok_or(BlobError::Cut)?;
        for line in inflate(deflated)?.lines() {
            let (name, node) =
                read_node(line).ok_or_else(|| BlobError::Line(line.chars().take(80).collect()))?;
            self.insert(&name, node);
        }
        Ok(())
    }
}

/// A format byte and the deflated text.
pub(super) fn deflate(format: u8, text: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(vec![format], Compression::fast());
    // Writing to memory does not fail.
    let _ = encoder.write_all(text);
    encoder.finish().unwrap_or_default()
}

/// The text of what was deflated.
pub(super) fn inflate(deflated: &[u8]) -> Result<String, BlobError> {
    let mut text = String::new();
    let limit = u64::try_from(MAX_INFLATED).unwrap_or(u64::MAX);
    let read = DeflateDecoder::new(deflated).take(limit).read_to_string(&mut text);
    if read.is_err() || text.len() >= MAX_INFLATED { Err(BlobError::Cut) } else { Ok(text) }
}

fn read_node(line: &str) -> Option<(CompactString, Node)> {
    let mut fields = line.splitn(6, '\t');
    let name = CompactString::from(fields.next()?);
    let flags = fields.next()?;
    let writable = flags.ends_with('w');
    if flags.starts_with('o') {
        return Some((name, Node::Object { writable }));
    }
    let Some(value_type) = fields.next() else {
        return Some((name, Node::Param(Param { writable, ..Param::default() })));
    };
    let value = Value {
        value_type: ValueType::from_number(value_type.parse().ok()?),
        source: Source::from_number(fields.next()?.parse().ok()?)?,
        at: WallTime(fields.next()?.parse().ok()?),
        text: unescape(fields.next()?),
    };
    Some((name, Node::Param(Param { writable, expected: None, value: Some(value) })))
}

fn unescape(text: &str) -> CompactString {
    let mut out = CompactString::default();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some('r')) => out.push('\r'),
            ('\\', Some(other)) => out.push(other),
            (c, _) => out.push(c),
        }
    }
    out
}

/// Version of the form with lines.
const LINES: u8 = 1;
/// Largest inflated blob taken from a store.
const MAX_INFLATED: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn other_formats_and_cut_blobs_are_refused() {
        let mut shadow = Instantiated::default();
        assert_eq!(shadow.decode_into(&Bytes::new()), Err(BlobError::Cut));
        assert_eq!(shadow.decode_into(&Bytes::from_static(&[9, 1, 2])), Err(BlobError::Format(9, 2)));
        assert_eq!(shadow.decode_into(&Bytes::from_static(&[2, 1, 9])), Err(BlobError::Cut));
    }

    #[test]
    fn a_blob_of_an_earlier_release_is_read() {
        let lines = "Device.A.\tow\nDevice.A.B\tpw\t6\t2\t7\tx\\\\y\\n\nDevice.A.C\tp\n";
        let mut shadow = Instantiated::default();
        shadow.decode_into(&deflate(LINES, lines.as_bytes()).into()).unwrap();
        let param = shadow.param("Device.A.B").unwrap();
        let value = param.value.as_ref().unwrap();
        assert_eq!((param.writable, value.text.as_str(), value.at), (true, "x\\y\n", WallTime(7)));
        assert!(shadow.is_writable_object("Device.A.") && shadow.param("Device.A.C").is_some());
    }

    #[test]
    fn what_stands_under_two_roots_or_beside_its_namesake_comes_back() {
        let mut shadow = Instantiated::default();
        for name in ["Device.X", "Device.X.Y", "Other.X.Y", "Device.X-1.Y", "Lone", "Device.XA.Z"] {
            shadow.put_param(name, true);
        }
        let names: Vec<&str> = shadow.params_below("").map(|(name, _)| name).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        assert_eq!(names, sorted);
        let mut back = Instantiated::default();
        for (_, blob) in shadow.take_changes() {
            back.decode_into(&blob.unwrap()).unwrap();
        }
        assert_eq!(back, shadow);
        assert_eq!(back.params_below("Device.X.").count(), 1);
    }

    #[test]
    fn a_value_is_set_without_unpacking_and_stored_with_its_neighbours() {
        let mut shadow = Instantiated::default();
        for number in 1..100 {
            let name = format!("Device.T.{number}.A");
            shadow.put_param(&name, true);
            shadow.expect_type(&name, ValueType::Long);
        }
        shadow.take_changes();
        let value =
            |text: &str| Value { text: text.into(), value_type: None, at: WallTime(5), source: Source::Read };
        shadow.set_value("Device.T.55.A", value("new"));
        assert!(matches!(shadow.parts["Device.T."], Part::Packed(_)));
        let (top, blob) = shadow.take_changes().remove(0);
        assert_eq!(top, "T");
        let mut back = Instantiated::default();
        back.decode_into(&blob.unwrap()).unwrap();
        assert_eq!(back.value("Device.T.55.A"), Some("new"));
        assert_eq!(back.param("Device.T.56.A").unwrap().value_type(), Some(ValueType::Long));
        assert!(back.remove("Device.T.55.") && back.param("Device.T.56.A").is_some());
        assert_eq!(back.instances("Device.T.").len(), 98);
    }

    fn read_all(blob: Vec<u8>) -> usize {
        let mut shadow = Instantiated::default();
        let _ = shadow.decode_into(&blob.into());
        shadow.put_param("Device.T.7.A", true);
        shadow.remove("Device.T.");
        shadow.below("").count() + shadow.instances("Device.Tä.").len()
    }

    proptest! {
        #[test]
        fn a_shadow_comes_back_from_its_blobs(
            values in prop::collection::vec((0u8..4, 1u8..4, any::<Option<String>>(), any::<bool>()), 0..40),
        ) {
            let mut shadow = Instantiated::default();
            for (top, instance, text, writable) in values {
                let name = format!("Device.T{top}.R.{instance}.P{writable}");
                shadow.put_param(&name, writable);
                if let Some(text) = text {
                    let value_type = Some(ValueType::Int);
                    let value = Value { text: text.into(), value_type, at: WallTime(7), source: Source::Acs };
                    shadow.set_value(&name, value);
                }
            }
            let mut back = Instantiated::default();
            let open = shadow.clone();
            for (_, blob) in shadow.take_changes() {
                back.decode_into(&blob.unwrap()).unwrap();
            }
            prop_assert_eq!(&back, &shadow);
            prop_assert!(open.below("").eq(back.below("")));
            for (name, param) in open.params_below("") {
                prop_assert_eq!(back.param(name), Some(param));
            }
        }

        #[test]
        fn arbitrary_blobs_never_panic(blob in prop::collection::vec(any::<u8>(), 0..200)) {
            for format in [None, Some(LINES), Some(2)] {
                let bytes: Vec<u8> = format.into_iter().chain(blob.iter().copied()).collect();
                let _ = read_all(bytes);
            }
        }

        #[test]
        fn a_damaged_blob_never_panics(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
            let mut shadow = Instantiated::default();
            for number in 0..40 {
                shadow.set_value(&format!("Device.Tä.{number}.A"), Value {
                    text: "text".into(), value_type: Some(ValueType::Int), at: WallTime(9), source: Source::Read,
                });
            }
            let mut blob = shadow.encode_top("Tä");
            let at = at.index(blob.len());
            blob[at] = byte;
            if cut {
                blob.truncate(at);
            }
            let _ = read_all(blob);
        }
    }
}
