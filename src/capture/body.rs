//! Bodies as a capture holds them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use crate::cwmp::soap::{Leaf, Limits, message_name, rewrite_leaves, splice};

use super::event::Http;
use super::line::{Content, Stored};
use super::lossless;
use super::redactor::Redactor;

/// A body with what is said of it.
pub(super) struct Kept {
    pub stored: Stored,
    pub redacted: usize,
    pub message: Option<String>,
    /// Bytes of the body as it stands in the capture, where it is not as it came.
    pub length: Option<usize>,
}

impl Redactor {
    pub fn body(&mut self, http: &Http) -> Kept {
        if http.body.is_empty() {
            return Kept { stored: Stored::Empty, redacted: 0, message: Some("empty".into()), length: None };
        }
        let decoded = match &http.decoded {
            None => Some(&http.body),
            Some(decoded) => decoded.as_ref(),
        };
        let read = decoded.and_then(|body| self.read(body));
        let Some((content, redacted, message)) = read else {
            let stored = if self.policy.opaque { plain(&http.body) } else { opaque(&http.body) };
            return Kept { stored, redacted: 0, message: None, length: None };
        };
        let length = (redacted > 0).then_some(content.len());
        let stored = match &http.decoded {
            None => plain(&content),
            Some(_) => {
                let content_coding =
                    http.head.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-encoding"));
                let coding = content_coding.map(|(_, value)| String::from_utf8_lossy(value).into_owned());
                let wire = (redacted == 0).then(|| STANDARD.encode(&http.body));
                Stored::Coded { coding: coding.unwrap_or_default(), content: content_of(&content), wire }
            }
        };
        Kept { stored, redacted, message, length }
    }

    /// What of a body may be stored, how many texts of it were replaced, and the name of its message; `None` for
    /// one in which nothing can be looked for.
    fn read(&mut self, body: &Bytes) -> Option<(Bytes, usize, Option<String>)> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Some((body.clone(), 0, Some("empty".into())));
        }
        // UTF-16: not one tag of it would be found.
        if body.contains(&0) {
            return None;
        }
        let text = lossless::to_text(body)?;
        let said = rewrite_leaves(&text, &Limits::default(), &mut |leaf| self.leaf(leaf));
        let edits = said.ok()?;
        let mut redacted = edits.len();
        let mut written = String::from_utf8(splice(text.as_bytes(), &edits)).ok()?;
        // In comments, say. Markup itself has no digits and letters of this kind.
        let swept = self.names.swept_anywhere(&written);
        if swept != written {
            redacted += 1;
            written = swept;
        }
        let message = message_name(&text);
        if redacted == 0 {
            return Some((body.clone(), 0, message));
        }
        Some((lossless::to_bytes(&written).into(), redacted, message))
    }

    fn leaf(&mut self, leaf: &Leaf<'_>) -> Option<String> {
        let said = match (leaf.name, leaf.parameter) {
            ("Name" | "ParameterName" | "ID", _) => return None,
            ("Value" | "FaultString", Some(parameter)) => self.value(parameter, leaf.text),
            (name, _) => self.argument(name, leaf.text),
        };
        (said != leaf.text).then_some(said)
    }
}

fn plain(body: &Bytes) -> Stored {
    match content_of(body) {
        Content::Text(text) => Stored::Text(text),
        Content::Base64(base64) => Stored::Base64 { base64 },
    }
}

fn content_of(body: &Bytes) -> Content {
    match std::str::from_utf8(body) {
        Ok(text) => Content::Text(text.to_owned()),
        Err(_) => Content::Base64(STANDARD.encode(body)),
    }
}

/// A body of which only this may be known.
pub(super) fn opaque(body: &[u8]) -> Stored {
    let hash = Sha256::digest(body);
    Stored::Opaque { bytes: body.len(), sha256: hash.iter().map(|byte| format!("{byte:02x}")).collect() }
}
