//! Bytes as text from which they can be had again: what is no UTF-8 stands as private characters. CPEs that write
//! ISO-8859-1 into "UTF-8" are what captures are made for.

/// The first of the characters that stand for single bytes (in Supplementary Private Use Area B).
const FIRST: u32 = 0x10_f000;
const LAST: u32 = FIRST + 0xff;

/// The bytes as text; `None` where the text has such private characters itself.
pub(super) fn to_text(bytes: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        if chunk.valid().chars().any(|c| (FIRST..=LAST).contains(&(c as u32))) {
            return None;
        }
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().filter_map(|byte| char::from_u32(FIRST + u32::from(*byte))));
    }
    Some(text)
}

/// The bytes that a text stands for.
pub(super) fn to_bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        match (c as u32).checked_sub(FIRST).and_then(|offset| u8::try_from(offset).ok()) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(text) = to_text(&bytes) {
                prop_assert_eq!(to_bytes(&text), bytes);
            }
        }
    }

    #[test]
    fn latin_1_amid_utf_8_is_kept_and_what_stands_for_a_byte_already_is_refused() {
        assert_eq!(to_bytes(&to_text(b"M\xfcnchen \xc3\xbc").unwrap()), b"M\xfcnchen \xc3\xbc");
        assert_eq!(to_text("\u{10f041}".as_bytes()), None);
    }
}
