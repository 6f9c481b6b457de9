//! HTTP digest authentication (RFC 2617: MD5, qop `auth` or none), both sides of it, and the client's side
//! of basic, for simulators only: nonces are not secret and replays are not looked for.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest, Md5};

use super::time;

/// Gives nonces and knows them again, without keeping any.
#[derive(Debug)]
pub(super) struct Nonces {
    seed: u64,
    given: AtomicU64,
}

impl Nonces {
    pub fn new() -> Self {
        Self { seed: time::now().0, given: AtomicU64::new(0) }
    }

    fn next(&self) -> String {
        self.nonce(self.given.fetch_add(1, Ordering::Relaxed))
    }

    fn nonce(&self, number: u64) -> String {
        format!("{number:x}-{}", md5(&format!("{}:{number}", self.seed)))
    }

    fn is_ours(&self, nonce: &str) -> bool {
        let number = nonce.split('-').next().and_then(|number| u64::from_str_radix(number, 16).ok());
        number.is_some_and(|number| self.nonce(number) == nonce)
    }
}

/// What a server says in `WWW-Authenticate`.
pub(super) fn challenge(nonces: &Nonces) -> String {
    format!("Digest realm=\"{REALM}\", qop=\"auth\", algorithm=MD5, nonce=\"{}\"", nonces.next())
}

/// Whether an `Authorization` proves that the password is known.
pub(super) fn is_authorized(
    nonces: &Nonces,
    method: &str,
    authorization: Option<&str>,
    (username, password): (&str, &str),
) -> bool {
    let Some(fields) = authorization.and_then(fields_of) else { return false };
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    let expected = response(&fields, username, password, field("realm"), method);
    field("username") == username
        && field("realm") == REALM
        && nonces.is_ours(field("nonce"))
        && field("response").eq_ignore_ascii_case(&expected)
}

/// The `Authorization` that answers a challenge for digest or basic; `None` for any other.
pub(super) fn authorization(
    challenge: &str,
    method: &str,
    target: &str,
    (username, password): (&str, &str),
) -> Option<String> {
    if challenge.trim().to_ascii_lowercase().starts_with("basic") {
        return Some(format!("Basic {}", BASE64_STANDARD.encode(format!("{username}:{password}"))));
    }
    let mut fields = fields_of(challenge)?;
    let offered = fields.remove("qop");
    let realm = fields.get("realm").cloned().unwrap_or_default();
    let nonce = fields.get("nonce").cloned()?;
    let opaque = fields.get("opaque").map(|opaque| format!(", opaque=\"{opaque}\"")).unwrap_or_default();
    let mut proof = String::new();
    fields.insert("uri".into(), target.into());
    if offered.is_some_and(|offered| offered.split(',').any(|qop| qop.trim() == "auth")) {
        for (name, value) in [("qop", "auth"), ("nc", "00000001"), ("cnonce", "0a4f113b")] {
            fields.insert(name.into(), value.into());
        }
        proof.push_str(", qop=auth, nc=00000001, cnonce=\"0a4f113b\"");
    }
    let response = response(&fields, username, password, &realm, method);
    Some(format!(
        "Digest username=\"{username}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{target}\", \
         response=\"{response}\"{opaque}{proof}"
    ))
}

/// RFC 2617 3.2.2.1.
fn response(
    fields: &BTreeMap<String, String>,
    username: &str,
    password: &str,
    realm: &str,
    method: &str,
) -> String {
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    let who = md5(&format!("{username}:{realm}:{password}"));
    let what = md5(&format!("{method}:{}", field("uri")));
    let nonce = field("nonce");
    match field("qop") {
        "" => md5(&format!("{who}:{nonce}:{what}")),
        qop => md5(&format!("{who}:{nonce}:{}:{}:{qop}:{what}", field("nc"), field("cnonce"))),
    }
}

/// The fields behind `Digest`, with names in lower case.
fn fields_of(header: &str) -> Option<BTreeMap<String, String>> {
    let (scheme, mut rest) = header.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("digest") {
        return None;
    }
    let mut fields = BTreeMap::new();
    while let Some((name, after)) = rest.split_once('=') {
        let after = after.trim_start();
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_at(after.find(',').unwrap_or(after.len())),
        };
        let name = name.trim_matches([' ', ',', '\t']).to_ascii_lowercase();
        fields.insert(name, value.trim().to_owned());
        rest = next;
    }
    Some(fields)
}

fn md5(text: &str) -> String {
    let digest = Md5::digest(text.as_bytes());
    digest.iter().fold(String::with_capacity(32), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

const REALM: &str = "dragoman-sim";

#[cfg(test)]
mod tests {
    use super::*;

    const WHO: (&str, &str) = ("Mufasa", "Circle Of Life");

    #[test]
    fn the_example_of_rfc_2617_is_computed_with_qop() {
        let header = "Digest username=\"Mufasa\", realm=\"testrealm@host.com\", uri=\"/dir/index.html\", \
                      nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", qop=auth, nc=00000001, \
                      cnonce=\"0a4f113b\"";
        let fields = fields_of(header).unwrap();
        let computed = response(&fields, WHO.0, WHO.1, "testrealm@host.com", "GET");
        assert_eq!(computed, "6629fae49393a05397450978507c4ef1");
    }

    #[test]
    fn only_who_knows_the_password_and_our_nonce_gets_in() {
        let nonces = Nonces::new();
        let answer = authorization(&challenge(&nonces), "GET", "/S1", WHO).unwrap();
        assert!(is_authorized(&nonces, "GET", Some(&answer), WHO));
        assert!(!is_authorized(&nonces, "GET", Some(&answer), ("Mufasa", "other")));
        assert!(!is_authorized(&nonces, "POST", Some(&answer), WHO));
        assert!(!is_authorized(&nonces, "GET", None, WHO));
        let foreign =
            authorization("Digest realm=\"dragoman-sim\", nonce=\"0-x\"", "GET", "/S1", WHO).unwrap();
        assert!(!is_authorized(&nonces, "GET", Some(&foreign), WHO));
        let basic = authorization("Basic realm=\"x\"", "GET", "/S1", ("a", "b"));
        assert_eq!(basic.as_deref(), Some("Basic YTpi"));
        assert_eq!(authorization("Bearer realm=\"x\"", "GET", "/S1", WHO), None);
    }
}
