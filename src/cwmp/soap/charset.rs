//! From bytes to text: byte order mark, Content-Type, XML declaration, else UTF-8 (quirks X24, X25).

use std::borrow::Cow;
use std::ops::Deref;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::SoapError;

/// A body as text. Where it is the received bytes themselves, spans of the decoder are offsets in them.
#[derive(Debug)]
pub struct Text<'a> {
    text: Cow<'a, str>,
    offset: usize,
    original: bool,
}

impl Text<'_> {
    /// How far the text starts behind the body's first byte; `None` where the text was transcoded, so that
    /// no span of it may be spliced.
    pub fn splice_offset(&self) -> Option<usize> {
        self.original.then_some(self.offset)
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

/// Decodes a body to text. Bytes that are not of the encoding become U+FFFD one by one, so that a Latin-1
/// SSID in a "UTF-8" message costs a character and not the message.
pub fn decode_charset<'a>(body: &'a [u8], content_type: Option<&str>) -> Result<Text<'a>, SoapError> {
    if let Some((encoding, bom)) = Encoding::for_bom(body) {
        let text = encoding.decode_without_bom_handling(&body[bom..]).0;
        return Ok(Text {
            original: encoding == UTF_8 && matches!(text, Cow::Borrowed(_)),
            text,
            offset: bom,
        });
    }
    let label = content_type.and_then(charset_parameter).or_else(|| declared(body));
    let named = label.and_then(|label| Encoding::for_label(label.as_bytes()));
    // UTF-16 has a zero in one of the first two bytes of any markup: without it the name is a lie.
    let wide = body.iter().take(2).any(|byte| *byte == 0);
    let encoding = named.filter(|named| wide || named.is_ascii_compatible());
    let encoding = unmarked(body).or(encoding).unwrap_or(UTF_8);
    if encoding == UTF_8
        && let Ok(text) = std::str::from_utf8(body)
    {
        return Ok(Text { text: Cow::Borrowed(text), offset: 0, original: true });
    }
    let text = encoding.decode_without_bom_handling(body).0;
    // ASCII in any of these encodings is the same text in the same bytes.
    let original = body.is_ascii() && text.len() == body.len();
    Ok(Text { text, offset: 0, original })
}

/// UTF-16 without a mark, as its first character tells (XML 1.0 F.1): markup can be nothing else.
fn unmarked(body: &[u8]) -> Option<&'static Encoding> {
    match body {
        [b'<', 0, ..] => Some(UTF_16LE),
        [0, b'<', ..] => Some(UTF_16BE),
        _ => None,
    }
}

fn charset_parameter(content_type: &str) -> Option<&str> {
    let at = content_type.to_ascii_lowercase().find("charset=")?;
    let rest = &content_type[at + "charset=".len()..];
    Some(rest.split(';').next().unwrap_or(rest).trim().trim_matches(['"', '\'']))
}

fn declared(body: &[u8]) -> Option<&str> {
    let head = &body[..body.len().min(DECLARATION)];
    let head = std::str::from_utf8(&head[..head.iter().position(|b| *b == b'>')?]).ok()?;
    let rest = head.split_once("encoding")?.1.trim_start().strip_prefix('=')?.trim_start();
    let quote = rest.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    rest[1..].split(quote).next()
}

/// Bytes in which an XML declaration is looked for.
const DECLARATION: usize = 200;
