//! The header lines of a message that passes through: what they say, byte for byte, and how they were written.

use core::any::Any;
use core::fmt;
use std::sync::Arc;

use bytes::Bytes;

/// Header lines in their order; those of one name stand together.
///
/// A value is any bytes: user names and places in ISO-8859-1 are common with CPEs, and a digest answer over a
/// user name fails if one byte of it changes.
#[derive(Clone, Default)]
pub struct Headers {
    lines: Vec<(String, Bytes)>,
    spelling: Option<Spelling>,
}

/// How the names were written: known to the HTTP library that read them, and given back to it unread.
pub type Spelling = Arc<dyn Any + Send + Sync>;

impl Headers {
    /// No lines yet, which are to be written as `spelling` says.
    pub fn spelt(spelling: Spelling) -> Self {
        Self { lines: Vec::new(), spelling: Some(spelling) }
    }

    pub fn push(&mut self, name: impl Into<String>, value: impl Into<Bytes>) {
        self.lines.push((name.into(), value.into()));
    }

    /// The first line of that name, if it is text.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All lines of that name that are text.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let lines = self.lines.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name));
        lines.filter_map(|(_, value)| std::str::from_utf8(value).ok())
    }

    pub fn has(&self, name: &str) -> bool {
        self.lines.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))
    }

    pub fn remove(&mut self, name: &str) {
        self.retain(|known| !known.eq_ignore_ascii_case(name));
    }

    /// Says otherwise what lines of that name say, where there is something to say; what is no text stays.
    pub fn restate(&mut self, name: &str, otherwise: impl Fn(&str) -> Option<String>) {
        for (_, value) in self.lines.iter_mut().filter(|(known, _)| known.eq_ignore_ascii_case(name)) {
            if let Some(said) = std::str::from_utf8(value).ok().and_then(&otherwise) {
                *value = said.into();
            }
        }
    }

    /// Takes away what concerns one connection only (RFC 9110 7.6.1), and the framing, which each side does itself.
    pub fn leave_hop(&mut self) {
        let options = self.all("connection").flat_map(|value| value.split(','));
        let named: Vec<String> = options.map(|name| name.trim().to_owned()).collect();
        let is_one = |name: &str, of: &str| name.eq_ignore_ascii_case(of);
        let stays = |name: &str| {
            !HOP_BY_HOP.iter().any(|of| is_one(name, of)) && !named.iter().any(|of| is_one(name, of))
        };
        self.retain(stays);
    }

    /// Keeps the lines whose names are wanted.
    pub fn retain(&mut self, mut wanted: impl FnMut(&str) -> bool) {
        self.lines.retain(|(name, _)| wanted(name));
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.lines.iter().map(|(name, value)| (name.as_str(), value))
    }

    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The lines, and how they are to be written.
    pub fn into_parts(self) -> (Vec<(String, Bytes)>, Option<Spelling>) {
        (self.lines, self.spelling)
    }
}

impl From<Vec<(String, String)>> for Headers {
    fn from(lines: Vec<(String, String)>) -> Self {
        lines.into_iter().collect()
    }
}

impl FromIterator<(String, String)> for Headers {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(lines: I) -> Self {
        let lines = lines.into_iter().map(|(name, value)| (name, value.into())).collect();
        Self { lines, spelling: None }
    }
}

impl Extend<(String, String)> for Headers {
    fn extend<I: IntoIterator<Item = (String, String)>>(&mut self, lines: I) {
        self.lines.extend(lines.into_iter().map(|(name, value)| (name, value.into())));
    }
}

/// The lines alone: how they are written has no meaning (RFC 9110 5.1).
impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        self.lines == other.lines
    }
}

impl Eq for Headers {}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.lines).finish()
    }
}

const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "content-length",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_no_text_is_kept_and_not_read() {
        let mut headers = Headers::default();
        headers.push("Place", &b"M\xfcnchen"[..]);
        headers.push("place", "Wien");
        headers.push("Other", "x");
        assert_eq!(headers.get("PLACE"), Some("Wien"));
        assert_eq!(headers.iter().next().map(|(_, value)| &value[..]), Some(&b"M\xfcnchen"[..]));
        headers.remove("PLACE");
        assert!(!headers.has("place") && headers.has("other"));
    }

    #[test]
    fn what_concerns_one_connection_stays_there_with_all_that_it_names() {
        let lines = [("Connection", "close, X-Hop"), ("TE", "gzip"), ("x-hop", "1"), ("X-Other", "2")];
        let mut headers: Headers =
            lines.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        headers.leave_hop();
        assert_eq!(headers.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["X-Other"]);
    }
}
