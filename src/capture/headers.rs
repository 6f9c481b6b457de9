//! Header lines as a capture holds them: no proofs, no cookies of value.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::event::Head;
use super::line::Field;
use super::lossless;
use super::redactor::{Redactor, may_prove};

impl Redactor {
    /// The lines; `length` is that of the body as it is stored, where it is not as it was.
    pub fn headers(&mut self, head: &Head, length: Option<usize>) -> Vec<Field> {
        head.iter().map(|(name, value)| self.field(name, value, length)).collect()
    }

    fn field(&mut self, name: &str, value: &[u8], length: Option<usize>) -> Field {
        let lower = name.to_ascii_lowercase();
        if let Some(length) = length.filter(|_| lower == "content-length") {
            return Field::Text(name.to_owned(), length.to_string());
        }
        let Some(text) = lossless::to_text(value) else {
            return Field::Text(name.to_owned(), self.names.secret(&String::from_utf8_lossy(value)));
        };
        let said = match lower.as_str() {
            "authorization" | "proxy-authorization" => self.proof(&text),
            "cookie" | "cookie2" => self.cookies(&text),
            "set-cookie" | "set-cookie2" => {
                let (pair, attributes) = text.split_at(text.find(';').unwrap_or(text.len()));
                format!("{}{attributes}", self.cookie(pair))
            }
            "www-authenticate" | "proxy-authenticate" => text,
            "client-cert" | "client-cert-chain" if self.policy.pseudonymise => self.names.secret(&text),
            name if may_prove(name) => self.names.secret(&text),
            _ => self.text(&text),
        };
        match String::from_utf8(lossless::to_bytes(&said)) {
            Ok(said) => Field::Text(name.to_owned(), said),
            Err(bytes) => Field::Bytes { name: name.to_owned(), base64: STANDARD.encode(bytes.into_bytes()) },
        }
    }

    /// An `Authorization`: who it is stays, the proof goes. With nonces in the same file, the answer to a digest
    /// could be searched for passwords.
    fn proof(&mut self, text: &str) -> String {
        let (scheme, rest) = text.trim().split_once(' ').unwrap_or((text, ""));
        if scheme.eq_ignore_ascii_case("basic") {
            let decoded = STANDARD.decode(rest.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let user = decoded.as_deref().and_then(|pair| pair.split_once(':')).map_or("", |(user, _)| user);
            return format!("{scheme} {}", STANDARD.encode(format!("{}:redacted", self.user(user))));
        }
        if !scheme.eq_ignore_ascii_case("digest") {
            return format!("{scheme} redacted");
        }
        let parts = split_unquoted(rest).into_iter().map(|part| {
            let Some((name, value)) = part.split_once('=') else { return "redacted".to_owned() };
            let bare = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "username" => format!("{name}=\"{}\"", self.user(bare)),
                "uri" => format!("{name}=\"{}\"", self.target(bare)),
                "realm" | "nonce" | "qop" | "nc" | "algorithm" | "opaque" => part.to_owned(),
                _ => format!("{name}=\"redacted\""),
            }
        });
        format!("{scheme} {}", parts.collect::<Vec<_>>().join(","))
    }

    /// CPEs are called by their serial numbers.
    fn user(&mut self, user: &str) -> String {
        if self.policy.pseudonymise { self.names.secret(user) } else { user.to_owned() }
    }

    fn cookies(&mut self, text: &str) -> String {
        let by = if text.contains(';') { ';' } else { ',' };
        text.split(by).map(|pair| self.cookie(pair)).collect::<Vec<_>>().join(&by.to_string())
    }

    fn cookie(&mut self, pair: &str) -> String {
        let Some((name, value)) = pair.split_once('=') else { return self.names.cookie(pair) };
        // Of RFC 2965, not of the server.
        if name.trim_start().starts_with('$') {
            return pair.to_owned();
        }
        let bare = value.trim().trim_matches('"');
        let quote = if value.trim().starts_with('"') { "\"" } else { "" };
        format!("{name}={quote}{}{quote}", self.names.cookie(bare))
    }
}

/// Splits at commas that stand in no quotes.
fn split_unquoted(text: &str) -> Vec<&str> {
    let mut quoted = false;
    text.split(|c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::Policy;

    fn said(redactor: &mut Redactor, name: &str, value: &str) -> String {
        match redactor.field(name, value.as_bytes(), None) {
            Field::Text(_, value) => value,
            Field::Bytes { base64, .. } => base64,
        }
    }

    #[test]
    fn proofs_go_and_who_it_was_stays() {
        let mut redactor = Redactor::default();
        let digest = "Digest username=\"a,b\", realm=\"r\", nonce=\"n\", uri=\"/?token=abcdef\", cnonce=\"c\", nc=1, \
                      response=\"0123456789\"";
        let wanted = "Digest username=\"a,b\", realm=\"r\", nonce=\"n\", uri=\"/?token=redacted-1\", \
                      cnonce=\"redacted\", nc=1, response=\"redacted\"";
        assert_eq!(said(&mut redactor, "authorization", digest), wanted);
        let basic =
            said(&mut redactor, "Authorization", &format!("Basic {}", STANDARD.encode("cpe:hunter2")));
        assert_eq!(basic, format!("Basic {}", STANDARD.encode("cpe:redacted")));
        assert_eq!(said(&mut redactor, "Authorization", "Bearer abc"), "Bearer redacted");
        assert_eq!(said(&mut redactor, "X-Api-Key", "abcdefgh"), "redacted-2");
        assert_eq!(said(&mut redactor, "SOAPAction", ""), "");
        let mut strict = Redactor::new(Policy { pseudonymise: true, ..Policy::default() });
        assert!(!said(&mut strict, "authorization", digest).contains("a,b"));
        assert_eq!(said(&mut strict, "Host", "192.0.2.1:80"), "198.18.0.1:80");
    }

    #[test]
    fn a_cookie_is_the_same_stand_in_wherever_it_comes() {
        let mut redactor = Redactor::default();
        assert_eq!(said(&mut redactor, "Set-Cookie", "a=secret1; Path=/"), "a=cookie-1; Path=/");
        assert_eq!(said(&mut redactor, "Cookie", "b=secret2; a=secret1"), "b=cookie-2; a=cookie-1");
        assert_eq!(
            said(&mut redactor, "Cookie", "$Version=\"1\"; a=\"secret1\"; $Path=\"/\""),
            "$Version=\"1\"; a=\"cookie-1\"; $Path=\"/\""
        );
    }

    #[test]
    fn a_value_that_is_no_text_comes_back_as_it_was() {
        let field = Redactor::default().field("X-Place", b"M\xfcnchen", None);
        assert_eq!(field, Field::Bytes { name: "X-Place".into(), base64: STANDARD.encode(b"M\xfcnchen") });
    }
}
