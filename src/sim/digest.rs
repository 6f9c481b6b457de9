//! HTTP authentication as the simulators do it: transport's digest and basic with nonces that are not secret
//! and no look for replays.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::transport::http::{Algorithm, Authorization, Challenge, Credentials, basic_answer};

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
        format!("{:x}-{:x}", self.seed, self.given.fetch_add(1, Ordering::Relaxed))
    }

    fn is_ours(&self, nonce: &str) -> bool {
        nonce.split_once('-').is_some_and(|(seed, _)| u64::from_str_radix(seed, 16) == Ok(self.seed))
    }
}

/// What a server says in `WWW-Authenticate`.
pub(super) fn challenge(nonces: &Nonces) -> String {
    let (realm, nonce) = (REALM.to_owned(), nonces.next());
    let algorithm = Algorithm::Md5;
    Challenge { realm, nonce, opaque: None, algorithm, qop_auth: true, stale: false }.header()
}

/// Whether an `Authorization` proves that the password is known.
pub(super) fn is_authorized(
    nonces: &Nonces,
    method: &str,
    authorization: Option<&str>,
    (username, password): (&str, &str),
) -> bool {
    authorization.and_then(Authorization::parse).is_some_and(|answer| {
        answer.user == username
            && answer.realm == REALM
            && nonces.is_ours(&answer.nonce)
            && answer.is_right(password, method)
    })
}

/// The `Authorization` that answers a challenge for digest or basic; `None` for any other.
pub(super) fn authorization(
    challenge: &str,
    method: &str,
    target: &str,
    (user, password): (&str, &str),
) -> Option<String> {
    if challenge.trim_start().get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("basic")) {
        return Some(basic_answer(user, password));
    }
    let who = Credentials { user, password, cnonce: "0a4f113b", count: 1 };
    Some(Challenge::parse(challenge)?.answer(who, method, target))
}

const REALM: &str = "simulator";
