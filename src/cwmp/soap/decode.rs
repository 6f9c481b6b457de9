//! Decodes an envelope in one pass over the text.

use std::borrow::Cow;

use crate::cwmp::rpc::{self, Fault};

use super::cursor::Cursor;
use super::envelope::{CWMP_1_0, Envelope, Header, Message};
use super::{SoapError, Text};

/// What a body may cost us.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of text.
    pub size: usize,
    /// Nesting of elements.
    pub depth: usize,
    /// Elements in all.
    pub elements: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { size: 16 << 20, depth: 64, elements: 500_000 }
    }
}

/// Decodes one envelope. Values borrow from `text`; spans are byte offsets in it.
///
/// Lenient where CPEs err: prefixes and namespaces are not judged, elements may stand in any order,
/// unknown ones are skipped, counts in `arrayType` are ignored. Strict about structure and limits.
pub fn decode<'a>(text: &'a Text<'_>, limits: &Limits) -> Result<Envelope<'a>, SoapError> {
    if text.len() > limits.size {
        return Err(SoapError::TooLarge(text.len(), limits.size));
    }
    let trimmed = text.trim_end_matches(['\0', ' ', '\t', '\r', '\n']);
    if trimmed.contains('\0') {
        return Err(SoapError::Nul);
    }
    let mut cursor = Cursor::new(trimmed, limits);
    match cursor.enter()? {
        Some("Envelope") => {}
        other => return Err(SoapError::NotSoap(other.unwrap_or("nothing").chars().take(64).collect())),
    }
    let mut header = Header::default();
    let mut body = None;
    let mut bodies = 0;
    while let Some(name) = cursor.enter()? {
        match name {
            "Header" => header = decode_header(&mut cursor)?,
            "Body" => {
                bodies += 1;
                body = Some(decode_body(&mut cursor)?);
            }
            _ => cursor.skip()?,
        }
    }
    if cursor.enter()?.is_some() {
        return Err(SoapError::Trailing);
    }
    match body {
        Some((namespace, message)) if bodies == 1 => Ok(Envelope { namespace, header, message }),
        _ => Err(SoapError::Bodies),
    }
}

fn decode_header<'a>(cursor: &mut Cursor<'a>) -> Result<Header<'a>, SoapError> {
    let mut header = Header::default();
    cursor.children(|name, cursor| {
        match name {
            "ID" => header.id = Some(cursor.trimmed()?),
            "HoldRequests" => header.hold_requests = is_true(&cursor.trimmed()?),
            "NoMoreRequests" => header.no_more_requests = is_true(&cursor.trimmed()?),
            // Both spellings are met (quirk S16).
            "SessionTimeout" | "sessionTimeout" => header.session_timeout = cursor.trimmed()?.parse().ok(),
            "SupportedCWMPVersions" => header.supported_cwmp_versions = Some(cursor.trimmed()?),
            "UseCWMPVersion" => header.use_cwmp_version = Some(cursor.trimmed()?),
            _ => cursor.skip()?,
        }
        Ok(())
    })?;
    Ok(header)
}

fn decode_body<'a>(cursor: &mut Cursor<'a>) -> Result<(Cow<'a, str>, Message<'a>), SoapError> {
    let mut found = None;
    let mut messages = 0;
    while let Some(name) = cursor.enter()? {
        messages += 1;
        if messages > 1 {
            // Servers differ in which of several messages they take: none is safe (quirk X33).
            return Err(SoapError::Messages(messages));
        }
        let namespace = cursor.namespace().map_or(Cow::Borrowed(CWMP_1_0), Cow::Owned);
        found = Some((namespace, decode_message(name, cursor)?));
    }
    found.ok_or(SoapError::Messages(0))
}

fn decode_message<'a>(name: &'a str, cursor: &mut Cursor<'a>) -> Result<Message<'a>, SoapError> {
    if name == "Fault" {
        return Ok(Message::Fault(Fault::decode(cursor)?));
    }
    rpc::decode(name, cursor)
}

/// `1` and `true` in any case (quirk D01).
pub(in crate::cwmp) fn is_true(text: &str) -> bool {
    text == "1" || text.eq_ignore_ascii_case("true")
}
