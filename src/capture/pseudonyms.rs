//! What stands in a capture in place of what must not: the same for the same, so that a capture can be compared
//! with its replay, and two values of it with one another.

use core::net::{IpAddr, Ipv6Addr};
use std::collections::BTreeMap;

/// The names given in one capture.
#[derive(Debug, Default)]
pub(super) struct Pseudonyms {
    given: BTreeMap<(Kind, String), String>,
    counts: BTreeMap<Kind, u32>,
    /// Values that are looked for wherever text stands, with what replaces them.
    wanted: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Secret,
    Cookie,
    Serial,
    V4,
    V6,
    Mac,
}

impl Pseudonyms {
    /// The stand-in for a secret value, which is remembered and replaced wherever it turns up from now on. Nothing
    /// stands for nothing: that a device tells no password is worth knowing. A boolean is none.
    pub fn secret(&mut self, value: &str) -> String {
        // `PasswordRequired` and its like.
        if matches!(value.to_ascii_lowercase().as_str(), "0" | "1" | "true" | "false") {
            return value.to_owned();
        }
        self.stand_in(Kind::Secret, value, SHORTEST_SECRET)
    }

    pub fn cookie(&mut self, value: &str) -> String {
        self.stand_in(Kind::Cookie, value, SHORTEST_SECRET)
    }

    /// As [`Pseudonyms::secret`], of a serial number.
    pub fn serial(&mut self, value: &str) -> String {
        self.stand_in(Kind::Serial, value, 1)
    }

    fn stand_in(&mut self, kind: Kind, value: &str, shortest: usize) -> String {
        if value.trim().is_empty()
            || self.given.iter().any(|((known, _), name)| *known == kind && name == value)
        {
            return value.to_owned();
        }
        let new = !self.given.contains_key(&(kind, value.to_owned()));
        let name = self.name(kind, value);
        if new && value.len() >= shortest && self.wanted.len() < MAX_WANTED {
            // The longest first: one may be a part of another.
            let at = self.wanted.partition_point(|(known, _)| known.len() >= value.len());
            self.wanted.insert(at, (value.to_owned(), name.clone()));
        }
        name
    }

    fn name(&mut self, kind: Kind, value: &str) -> String {
        if let Some(name) = self.given.get(&(kind, value.to_owned())) {
            return name.clone();
        }
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        let number = *count;
        let [_, a, b, c] = number.to_be_bytes();
        let digits = kind == Kind::Secret && value.bytes().all(|byte| byte.is_ascii_digit());
        let name = match kind {
            // Parameters that are numbers are read as such when a capture is played.
            Kind::Secret if digits => format!("{}", 90_000_000_u32.saturating_add(number)),
            Kind::Secret => format!("redacted-{number}"),
            Kind::Cookie => format!("cookie-{number}"),
            Kind::Serial => format!("SERIAL{number:06}"),
            // Of the networks for measurements and documentation (RFC 2544, RFC 3849), and local MAC addresses.
            Kind::V4 => format!("198.{}.{b}.{c}", 18 + (a & 1)),
            Kind::V6 => format!("2001:db8::{:x}:{:x}", number >> 16, number & 0xffff),
            Kind::Mac => format!("02:00:00:{a:02x}:{b:02x}:{c:02x}"),
        };
        if self.given.len() < MAX_GIVEN {
            self.given.insert((kind, value.to_owned()), name.clone());
        }
        name
    }

    /// The text with what is to be replaced wherever it stands replaced.
    pub fn swept(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (value, name) in &self.wanted {
            if text.contains(value.as_str()) {
                text = text.replace(value.as_str(), name);
            }
        }
        text
    }

    /// The same for markup, whose own words must stay: only what is no word.
    pub fn swept_anywhere(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (value, name) in &self.wanted {
            let is_word = value.len() < 8 || value.bytes().all(|byte| byte.is_ascii_alphabetic());
            if !is_word && text.contains(value.as_str()) {
                text = text.replace(value.as_str(), name);
            }
        }
        text
    }

    /// Whether something of that stands in bytes.
    pub fn is_in(&self, bytes: &[u8]) -> bool {
        let stands = |value: &str| bytes.windows(value.len()).any(|window| window == value.as_bytes());
        self.wanted.iter().any(|(value, _)| value.len() <= bytes.len() && stands(value))
    }

    /// The text with other IP and MAC addresses.
    pub fn readdressed(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find(is_of_address) {
            let (before, from) = rest.split_at(start);
            let end = from.find(|c| !is_of_address(c)).unwrap_or(from.len());
            let (word, after) = from.split_at(end);
            out.push_str(before);
            let within_word = before.chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_')
                || after.chars().next().is_some_and(|c| c.is_alphanumeric() || c == '_');
            match within_word {
                true => out.push_str(word),
                false => self.address(word, &mut out),
            }
            rest = after;
        }
        out.push_str(rest);
        out
    }

    /// One run of the characters of addresses: an address, perhaps with a port or a full stop behind it.
    fn address(&mut self, word: &str, out: &mut String) {
        let core = word.trim_end_matches(['.', ':', '-']);
        let (host, port) = match core.rsplit_once(':') {
            Some((host, port)) if host.contains('.') && !host.contains(':') => (host, Some(port)),
            _ => (core, None),
        };
        let name = match host.parse::<IpAddr>() {
            Ok(IpAddr::V4(v4)) if v4.is_unspecified() || v4.is_loopback() => None,
            Ok(IpAddr::V4(v4)) => Some(self.name(Kind::V4, &v4.to_string())),
            Ok(IpAddr::V6(Ipv6Addr::UNSPECIFIED | Ipv6Addr::LOCALHOST)) => None,
            Ok(IpAddr::V6(v6)) => Some(self.name(Kind::V6, &v6.to_string())),
            Err(_) if is_mac(host) => {
                Some(self.name(Kind::Mac, &host.replace('-', ":").to_ascii_lowercase()))
            }
            Err(_) => None,
        };
        let Some(name) = name else { return out.push_str(word) };
        out.push_str(&name);
        if let Some(port) = port {
            out.push(':');
            out.push_str(port);
        }
        out.push_str(&word[core.len()..]);
    }
}

fn is_of_address(c: char) -> bool {
    c.is_ascii_hexdigit() || matches!(c, '.' | ':' | '-')
}

fn is_mac(word: &str) -> bool {
    let is_pair = |pair: &str| pair.len() == 2 && pair.bytes().all(|byte| byte.is_ascii_hexdigit());
    [':', '-'].into_iter().any(|by| word.split(by).count() == 6 && word.split(by).all(is_pair))
}

/// Shorter secrets are replaced in their places, and not looked for elsewhere: they stand everywhere.
const SHORTEST_SECRET: usize = 4;
/// Values that are looked for in all texts.
const MAX_WANTED: usize = 2_000;
/// Names that are kept; further values get one for each time.
const MAX_GIVEN: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_gets_the_same_name_and_is_replaced_wherever_it_stands() {
        let mut names = Pseudonyms::default();
        assert_eq!(names.secret("hunter2"), "redacted-1");
        assert_eq!(names.secret("12345670"), "90000002");
        assert_eq!((names.secret("hunter2").as_str(), names.secret("").as_str()), ("redacted-1", ""));
        assert_eq!(names.secret("redacted-1"), "redacted-1", "what is a name already stays");
        assert_eq!(names.secret("hunter22"), "redacted-3");
        assert_eq!(names.swept("no 'hunter22' nor hunter2."), "no 'redacted-3' nor redacted-1.");
        assert!(names.is_in(b"\x0ahunter2") && !names.is_in(b"hunter"));
    }

    #[test]
    fn addresses_get_others_and_what_only_looks_like_one_stays() {
        let mut names = Pseudonyms::default();
        let text = "http://192.0.2.7:7547/x 10.0.0.1. fe80::1 [2001:db8:1::2]:80 00-25-6D-aa-BB-01 00:25:6d:aa:bb:01";
        let wanted = "http://198.18.0.1:7547/x 198.18.0.2. 2001:db8::0:1 [2001:db8::0:2]:80 02:00:00:00:00:01 \
                      02:00:00:00:00:01";
        assert_eq!(names.readdressed(text), wanted);
        for same in
            ["127.0.0.1:80", "2026-01-01T00:00:00", "urn:dslforum-org:cwmp-1-0", "1.2.3", "::", "0.0.0.0"]
        {
            assert_eq!(names.readdressed(same), same);
        }
    }
}
