//! Authentication of CPEs at the door, where the operator has it end here and not at the ACS.

use hyper::HeaderMap;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::transport::http::{Algorithm, Authorization, Challenge, parse_basic};

/// How CPEs prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DoorScheme {
    Basic,
    Digest(Algorithm),
}

/// Users and passwords, and what the door needs to check them.
pub struct DoorAuth {
    pub scheme: DoorScheme,
    pub realm: String,
    /// User names and their passwords.
    pub users: std::collections::HashMap<String, String>,
    /// Makes nonces unguessable; fresh in every process, so a restart makes old ones stale.
    pub secret: [u8; 32],
}

/// What the door found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Welcome,
    /// 401 with this challenge.
    Challenge(String),
}

impl DoorAuth {
    /// Judges a request; `now` is in seconds, on any clock that only goes forward.
    pub(super) fn judge(&self, headers: &HeaderMap, method: &str, target: &str, now: u64) -> Verdict {
        let header = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or("");
        match self.scheme {
            DoorScheme::Basic => match parse_basic(header) {
                Some((user, password)) if self.knows(&user, &password) => Verdict::Welcome,
                _ => Verdict::Challenge(format!("Basic realm=\"{}\"", self.realm)),
            },
            DoorScheme::Digest(algorithm) => self.judge_digest(header, algorithm, method, target, now),
        }
    }

    fn judge_digest(
        &self,
        header: &str,
        algorithm: Algorithm,
        method: &str,
        target: &str,
        now: u64,
    ) -> Verdict {
        let mut stale = false;
        if let Some(answer) = Authorization::parse(header)
            && let Some(password) = self.users.get(&answer.user)
            && answer.realm == self.realm
            && is_same_target(&answer.uri, target)
            && answer.is_right(password, method)
        {
            match self.age(&answer.nonce, now) {
                Some(age) if age <= NONCE_SECONDS => return Verdict::Welcome,
                // Right, but with a nonce of the past: a fresh one spares the CPE a failed session.
                _ => stale = true,
            }
        }
        let nonce = self.nonce(now);
        let realm = self.realm.clone();
        let challenge = Challenge { realm, nonce, opaque: None, algorithm, qop_auth: true, stale };
        Verdict::Challenge(challenge.header())
    }

    fn knows(&self, user: &str, password: &str) -> bool {
        let known = self.users.get(user);
        known.is_some_and(|known| known.as_bytes().ct_eq(password.as_bytes()).into())
    }

    /// A nonce that tells its time and cannot be made by others: nothing has to be kept for it.
    fn nonce(&self, at: u64) -> String {
        let proof = Sha256::new().chain_update(self.secret).chain_update(at.to_be_bytes()).finalize();
        let proof: String = proof[..12].iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{at:016x}{proof}")
    }

    fn age(&self, nonce: &str, now: u64) -> Option<u64> {
        let at = u64::from_str_radix(nonce.get(..16)?, 16).ok()?;
        let genuine: bool = self.nonce(at).as_bytes().ct_eq(nonce.as_bytes()).into();
        if genuine { now.checked_sub(at) } else { None }
    }
}

/// Some CPEs put the whole URL into the digest's uri (quirk of old stacks), some only the path.
fn is_same_target(uri: &str, target: &str) -> bool {
    uri == target || uri.split_once("://").is_some_and(|(_, rest)| rest.ends_with(target))
}

/// How long a nonce is taken.
const NONCE_SECONDS: u64 = 300;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::http::{Credentials, basic_answer};

    fn auth(scheme: DoorScheme) -> DoorAuth {
        let users = [("cpe".to_owned(), "pw".to_owned())].into();
        DoorAuth { scheme, realm: "acs".into(), users, secret: [7; 32] }
    }

    fn headers(answer: &str) -> HeaderMap {
        let mut map = HeaderMap::new();
        map.insert("authorization", answer.parse().unwrap());
        map
    }

    fn answer(auth: &DoorAuth, password: &str, now: u64) -> String {
        let Verdict::Challenge(challenge) = auth.judge(&HeaderMap::new(), "POST", "/", now) else {
            panic!("let in without an answer")
        };
        let who = Credentials { user: "cpe", password, cnonce: "c", count: 1 };
        Challenge::parse(&challenge).unwrap().answer(who, "POST", "/")
    }

    #[test]
    fn the_right_password_opens_and_a_wrong_one_does_not() {
        for algorithm in [Algorithm::Md5, Algorithm::Md5Sess, Algorithm::Sha256] {
            let auth = auth(DoorScheme::Digest(algorithm));
            let right = headers(&answer(&auth, "pw", 50));
            assert_eq!(auth.judge(&right, "POST", "/", 60), Verdict::Welcome);
            assert_ne!(auth.judge(&right, "POST", "/other", 60), Verdict::Welcome);
            let wrong = headers(&answer(&auth, "no", 50));
            assert_ne!(auth.judge(&wrong, "POST", "/", 60), Verdict::Welcome);
        }
        let auth = auth(DoorScheme::Basic);
        let judge = |text: &str| auth.judge(&headers(text), "POST", "/", 0);
        assert_eq!(judge(&basic_answer("cpe", "pw")), Verdict::Welcome);
        assert_ne!(judge(&basic_answer("cpe", "pww")), Verdict::Welcome);
    }

    #[test]
    fn an_old_nonce_is_called_stale_and_a_forged_one_is_refused() {
        let auth = auth(DoorScheme::Digest(Algorithm::Md5));
        let old = headers(&answer(&auth, "pw", 50));
        let Verdict::Challenge(again) = auth.judge(&old, "POST", "/", 50 + NONCE_SECONDS + 1) else {
            panic!("an old nonce was taken")
        };
        assert!(Challenge::parse(&again).unwrap().stale);
        let mut forged = Challenge::parse(&again).unwrap();
        forged.nonce = format!("{:016x}{}", 50, "0".repeat(24));
        let who = Credentials { user: "cpe", password: "pw", cnonce: "c", count: 1 };
        let forged = headers(&forged.answer(who, "POST", "/"));
        assert_ne!(auth.judge(&forged, "POST", "/", 51), Verdict::Welcome);
    }
}
