//! The stored form of a shadow: one deflated blob per top-level object.
//!
//! After inflation: a line per node, fields separated by tabs: path, `o` or `p` with `w` where writable,
//! and for values type, source, time and text. Tabs, line breaks and backslashes in texts are escaped.

use std::fmt::Write as _;
use std::io::{Read, Write as _};

use compact_str::CompactString;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use thiserror::Error;

use super::instantiated::{Instantiated, Node, Param, Source, Value};
use super::{ValueType, WallTime};

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
        let mut text = String::new();
        for (name, node) in self.top_nodes(top) {
            write_node(&mut text, name, node);
        }
        deflate(FORMAT, text.as_bytes())
    }

    /// Adds what a blob holds.
    pub fn decode_into(&mut self, blob: &[u8]) -> Result<(), BlobError> {
        let (format, deflated) = blob.split_first().ok_or(BlobError::Cut)?;
        if *format != FORMAT {
            return Err(BlobError::Format(*format, FORMAT));
        }
        for line in inflate(deflated)?.lines() {
            let (name, node) =
                read_node(line).ok_or_else(|| BlobError::Line(line.chars().take(80).collect()))?;
            self.insert_raw(name, node);
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

fn write_node(text: &mut String, name: &str, node: &Node) {
    let writable = |writable: bool| if writable { "w" } else { "" };
    let _ = match node {
        Node::Object { writable: w } => writeln!(text, "{name}\to{}", writable(*w)),
        Node::Param(Param { writable: w, value: None, .. }) => writeln!(text, "{name}\tp{}", writable(*w)),
        Node::Param(Param { writable: w, value: Some(value), .. }) => writeln!(
            text,
            "{name}\tp{}\t{}\t{}\t{}\t{}",
            writable(*w),
            value.value_type.map_or(0, |known| known as u8),
            value.source as u8,
            value.at.0,
            escape(&value.text)
        ),
    };
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

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r")
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

/// Version of this form.
const FORMAT: u8 = 1;
/// Largest inflated blob taken from a store.
const MAX_INFLATED: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn other_formats_and_cut_blobs_are_refused() {
        let mut shadow = Instantiated::default();
        assert_eq!(shadow.decode_into(&[]), Err(BlobError::Cut));
        assert_eq!(shadow.decode_into(&[9, 1, 2]), Err(BlobError::Format(9, FORMAT)));
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
            for top in shadow.take_dirty() {
                back.decode_into(&shadow.encode_top(&top)).unwrap();
            }
            prop_assert_eq!(back, shadow);
        }

        #[test]
        fn arbitrary_blobs_never_panic(blob in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Instantiated::default().decode_into(&blob);
        }
    }
}
