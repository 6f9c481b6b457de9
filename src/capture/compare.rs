//! Whether what came is what had come: envelopes without the IDs that each side makes up anew.

use bytes::Bytes;

use crate::cwmp::soap::{Edit, message_id, splice};

use super::lossless;
use super::script::Play;

/// A body with its ID apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Normal {
    pub id: Option<String>,
    body: Vec<u8>,
}

/// A body in identity coding, to be compared.
pub fn normal(body: &[u8]) -> Normal {
    let found = lossless::to_text(body).and_then(|text| message_id(&text).map(|found| (text, found)));
    match found {
        Some((text, (id, range))) => {
            let edit = Edit { range, text: String::new() };
            Normal { id: Some(id), body: splice(text.as_bytes(), &[edit]) }
        }
        None => Normal { id: None, body: body.to_vec() },
    }
}

/// The body with another ID in place of its own; as it is, if it has none.
pub fn with_id(body: &Bytes, id: &str) -> Bytes {
    let Some(text) = lossless::to_text(body) else { return body.clone() };
    let Some((own, range)) = message_id(&text) else { return body.clone() };
    if own == id {
        return body.clone();
    }
    let edit = Edit { range, text: crate::cwmp::soap::escape(id) };
    let Ok(spliced) = String::from_utf8(splice(text.as_bytes(), &[edit])) else { return body.clone() };
    lossless::to_bytes(&spliced).into()
}

impl Play {
    /// The body in identity coding, as far as the capture holds it.
    pub fn content(&self) -> Option<&Bytes> {
        self.coded.as_ref().map(|(_, content)| content).or(self.body.as_ref())
    }
}

/// How what came differs from what was recorded; `None` if it does not, or if the capture does not hold it.
pub fn difference(recorded: &Play, came: &[u8]) -> Option<String> {
    let recorded = normal(recorded.content()?);
    let came = normal(came);
    if recorded.id.is_some() != came.id.is_some() {
        return Some(format!("ID {:?} recorded, {:?} came", recorded.id, came.id));
    }
    if recorded.body == came.body {
        return None;
    }
    let same = recorded.body.iter().zip(&came.body).take_while(|(one, other)| one == other).count();
    Some(format!(
        "body differs at byte {same}: {} recorded, {} came",
        around(&recorded, same),
        around(&came, same)
    ))
}

fn around(normal: &Normal, at: usize) -> String {
    let (from, to) = (at.saturating_sub(CONTEXT), (at + CONTEXT).min(normal.body.len()));
    let shown = normal.body.get(from..to).unwrap_or_default();
    format!("\"{}\"", String::from_utf8_lossy(shown).escape_debug())
}

/// Bytes that are shown on either side of a difference.
const CONTEXT: usize = 32;
