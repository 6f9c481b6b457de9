//! Replaces spans of a body; everything around them stays as it was, byte for byte.

use std::ops::Range;

/// One replacement: these bytes go, that text comes. The text must be escaped already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    pub range: Range<usize>,
    pub text: String,
}

/// Applies edits, which must be in order and not overlap; one that is not, or lies outside, is left out.
pub fn splice(original: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut out =
        Vec::with_capacity(original.len() + edits.iter().map(|edit| edit.text.len()).sum::<usize>());
    let mut from = 0;
    for edit in edits {
        if edit.range.start < from || edit.range.end > original.len() || edit.range.end < edit.range.start {
            continue;
        }
        out.extend_from_slice(&original[from..edit.range.start]);
        out.extend_from_slice(edit.text.as_bytes());
        from = edit.range.end;
    }
    out.extend_from_slice(&original[from..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_around_a_span_stays() {
        let edit = |range, text: &str| Edit { range, text: text.into() };
        assert_eq!(splice(b"abcdef", &[edit(1..3, "XYZ"), edit(5..6, "")]), b"aXYZde");
        assert_eq!(splice(b"abc", &[]), b"abc");
        assert_eq!(splice(b"abc", &[edit(2..9, "x"), edit(1..1, "-")]), b"a-bc");
    }
}
