//! Digest authentication, both halves: MD5, MD5-sess, SHA-256, SHA-256-sess; `qop=auth` and none.
//!
//! `auth-int` is never offered nor chosen: it covers the body, which a relay may have to touch.

use std::fmt::Write as _;

use md5::{Digest as _, Md5};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use super::params::parse_params;

/// Which hash, and whether it covers the client's nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Algorithm {
    #[default]
    Md5,
    Md5Sess,
    Sha256,
    Sha256Sess,
}

/// What a server asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    pub realm: String,
    pub nonce: String,
    pub opaque: Option<String>,
    pub algorithm: Algorithm,
    /// `qop=auth`; without it the answer is that of RFC 2069.
    pub qop_auth: bool,
    /// The last answer was right but for its old nonce.
    pub stale: bool,
}

/// Who answers, and the client's own part.
#[derive(Debug, Clone, Copy)]
pub struct Credentials<'a> {
    pub user: &'a str,
    pub password: &'a str,
    /// The client's nonce; fresh for every request.
    pub cnonce: &'a str,
    /// How often the server's nonce has been used, this time included.
    pub count: u32,
}

/// A client's answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Authorization {
    pub user: String,
    pub realm: String,
    pub nonce: String,
    pub uri: String,
    pub response: String,
    pub algorithm: Algorithm,
    pub qop: Option<String>,
    pub cnonce: String,
    pub nc: String,
}

impl Algorithm {
    const ALL: [Algorithm; 4] =
        [Algorithm::Md5, Algorithm::Md5Sess, Algorithm::Sha256, Algorithm::Sha256Sess];

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Md5Sess => "MD5-sess",
            Self::Sha256 => "SHA-256",
            Self::Sha256Sess => "SHA-256-sess",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name().eq_ignore_ascii_case(text))
    }

    fn is_session(self) -> bool {
        matches!(self, Self::Md5Sess | Self::Sha256Sess)
    }

    fn hash(self, text: &str) -> String {
        let hex = |bytes: &[u8]| {
            bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
                // Writing to a string does not fail.
                let _ = write!(text, "{byte:02x}");
                text
            })
        };
        match self {
            Self::Md5 | Self::Md5Sess => hex(&Md5::digest(text)),
            Self::Sha256 | Self::Sha256Sess => hex(&Sha256::digest(text)),
        }
    }
}

impl Challenge {
    /// Reads a `WWW-Authenticate` header; `None` if it is no digest challenge that can be answered.
    pub fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.trim().split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("digest") {
            return None;
        }
        let params = parse_params(rest);
        let find = |name: &str| params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let qop_auth = match find("qop") {
            None | Some("") => false,
            Some(offered) if offered.split(',').any(|it| it.trim().eq_ignore_ascii_case("auth")) => true,
            Some(_) => return None,
        };
        Some(Self {
            realm: find("realm")?.to_owned(),
            nonce: find("nonce")?.to_owned(),
            opaque: find("opaque").map(str::to_owned),
            algorithm: find("algorithm").map_or(Some(Algorithm::Md5), Algorithm::parse)?,
            qop_auth,
            stale: find("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
        })
    }

    /// The `WWW-Authenticate` header.
    pub fn header(&self) -> String {
        let mut text = format!("Digest realm=\"{}\", nonce=\"{}\"", self.realm, self.nonce);
        if self.qop_auth {
            text.push_str(", qop=\"auth\"");
        }
        text.push_str(", algorithm=");
        text.push_str(self.algorithm.name());
        if let Some(opaque) = &self.opaque {
            text.push_str(&format!(", opaque=\"{opaque}\""));
        }
        if self.stale {
            text.push_str(", stale=true");
        }
        text
    }

    /// The `Authorization` header that answers this challenge.
    pub fn answer(&self, who: Credentials<'_>, method: &str, uri: &str) -> String {
        let authorization = Authorization {
            user: who.user.to_owned(),
            realm: self.realm.clone(),
            nonce: self.nonce.clone(),
            uri: uri.to_owned(),
            algorithm: self.algorithm,
            qop: self.qop_auth.then(|| "auth".to_owned()),
            cnonce: who.cnonce.to_owned(),
            nc: format!("{:08x}", who.count),
            response: String::new(),
        };
        let response = authorization.expected(who.password, method);
        let mut text = format!(
            "Digest username=\"{}\", realm=\"{}\", nonce=\"{}\", uri=\"{}\", response=\"{response}\"",
            quote(&authorization.user),
            quote(&self.realm),
            self.nonce,
            authorization.uri
        );
        text.push_str(", algorithm=");
        text.push_str(self.algorithm.name());
        if self.qop_auth {
            text.push_str(&format!(", qop=auth, nc={}", authorization.nc));
        }
        if self.qop_auth || self.algorithm.is_session() {
            text.push_str(&format!(", cnonce=\"{}\"", authorization.cnonce));
        }
        if let Some(opaque) = &self.opaque {
            text.push_str(&format!(", opaque=\"{opaque}\""));
        }
        text
    }
}

impl Authorization {
    /// Reads an `Authorization` header; `None` if it is no digest answer.
    pub fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.trim().split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("digest") {
            return None;
        }
        let params = parse_params(rest);
        let find = |name: &str| params.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        Some(Self {
            user: find("username")?,
            realm: find("realm")?,
            nonce: find("nonce")?,
            uri: find("uri")?,
            response: find("response")?,
            algorithm: find("algorithm").map_or(Some(Algorithm::Md5), |text| Algorithm::parse(&text))?,
            qop: find("qop"),
            cnonce: find("cnonce").unwrap_or_default(),
            nc: find("nc").unwrap_or_default(),
        })
    }

    /// Whether the answer proves the password for this method. Whether nonce, uri and count are
    /// acceptable is the server's to judge. Takes the same time wherever the first difference is.
    pub fn is_right(&self, password: &str, method: &str) -> bool {
        let expected = self.expected(password, method);
        let given = self.response.to_ascii_lowercase();
        expected.as_bytes().ct_eq(given.as_bytes()).into()
    }

    /// The client's count of this nonce: `Ok(None)` without qop, which knows none. An error if it is no
    /// number.
    pub fn count(&self) -> Result<Option<u32>, std::num::ParseIntError> {
        match self.qop {
            Some(_) => u32::from_str_radix(&self.nc, 16).map(Some),
            None => Ok(None),
        }
    }

    fn expected(&self, password: &str, method: &str) -> String {
        let algorithm = self.algorithm;
        let mut a1 = algorithm.hash(&format!("{}:{}:{password}", self.user, self.realm));
        if algorithm.is_session() {
            a1 = algorithm.hash(&format!("{a1}:{}:{}", self.nonce, self.cnonce));
        }
        let a2 = algorithm.hash(&format!("{method}:{}", self.uri));
        let middle = match &self.qop {
            Some(qop) => format!("{}:{}:{}:{qop}", self.nonce, self.nc, self.cnonce),
            None => self.nonce.clone(),
        };
        algorithm.hash(&format!("{a1}:{middle}:{a2}"))
    }
}

fn quote(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// A challenge without `auth-int` among the protections that it offers, which covers the body, so that nobody on
/// the way may change it. `None`: it offers none, or nothing else.
pub fn without_auth_int(challenge: &str) -> Option<String> {
    let at = challenge.to_ascii_lowercase().find("qop=")? + "qop=".len();
    let (before, rest) = challenge.split_at(at);
    let open = rest.strip_prefix('"')?;
    let (offered, after) = open.split_once('"')?;
    let all: Vec<&str> = offered.split(',').map(str::trim).collect();
    let left: Vec<&str> = all.iter().copied().filter(|qop| !qop.eq_ignore_ascii_case("auth-int")).collect();
    let changes = !left.is_empty() && left.len() < all.len();
    changes.then(|| format!("{before}\"{}\"{after}", left.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(algorithm: Algorithm, qop_auth: bool) -> Challenge {
        let (realm, nonce) = ("IGD".to_owned(), "abc123".to_owned());
        Challenge { realm, nonce, opaque: Some("op".into()), algorithm, qop_auth, stale: false }
    }

    /// An implementation that is not ours answers our challenge, and we accept it.
    #[test]
    fn a_foreign_client_is_understood_in_every_variant() {
        for (algorithm, qop) in [
            (Algorithm::Md5, true),
            (Algorithm::Md5Sess, true),
            (Algorithm::Sha256, true),
            (Algorithm::Md5, false),
        ] {
            let header = challenge(algorithm, qop).header();
            let mut prompt = digest_auth::parse(&header).unwrap();
            let context = digest_auth::AuthContext::new("acs", "secret", "/cr");
            let answer = prompt.respond(&context).unwrap().to_header_string();
            let authorization = Authorization::parse(&answer).unwrap();
            assert!(authorization.is_right("secret", "GET"), "{algorithm:?} {qop}: {answer}");
            assert!(!authorization.is_right("other", "GET"));
            assert!(!authorization.is_right("secret", "POST"));
        }
    }

    /// Our answer equals that of the other implementation for the same nonces.
    #[test]
    fn our_answer_is_the_one_a_foreign_server_computes() {
        for algorithm in Algorithm::ALL {
            let challenge = challenge(algorithm, true);
            let who = Credentials { user: "a\"b", password: "s", cnonce: "f00", count: 1 };
            let ours = Authorization::parse(&challenge.answer(who, "GET", "/x?y=1")).unwrap();
            let mut prompt = digest_auth::parse(&challenge.header()).unwrap();
            let mut context = digest_auth::AuthContext::new("a\"b", "s", "/x?y=1");
            context.set_custom_cnonce("f00");
            assert_eq!(ours.response, prompt.respond(&context).unwrap().response, "{algorithm:?}");
        }
    }

    #[test]
    fn rfc7616_auth_int_is_taken_out_of_an_offer_that_has_something_else() {
        let header = "Digest realm=\"a, qop\", QOP=\"auth, auth-int\", nonce=\"x\"";
        let left = "Digest realm=\"a, qop\", QOP=\"auth\", nonce=\"x\"";
        assert_eq!(without_auth_int(header).as_deref(), Some(left));
        for header in
            ["Digest qop=\"auth\"", "Digest qop=\"auth-int\"", "Digest qop=auth", "Basic realm=\"qop\""]
        {
            assert_eq!(without_auth_int(header), None, "{header}");
        }
    }

    #[test]
    fn challenges_of_real_devices_are_read() {
        let parsed = Challenge::parse(
            "Digest realm=\"IGD\", qop=\"auth,auth-int\",nonce=\"4e\\\"6\", algorithm=md5 , stale=TRUE",
        )
        .unwrap();
        assert_eq!((parsed.nonce.as_str(), parsed.qop_auth, parsed.stale), ("4e\"6", true, true));
        assert!(Challenge::parse("Digest realm=\"x\", nonce=\"y\", qop=\"auth-int\"").is_none());
        assert!(Challenge::parse("Digest realm=\"x\", nonce=\"y\", algorithm=SHA-512").is_none());
        assert!(Challenge::parse("Basic realm=\"x\"").is_none());
    }
}
