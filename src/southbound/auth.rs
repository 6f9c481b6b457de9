//! Authentication of CPEs at the door, where the operator has it end here and not at the ACS.

use std::sync::{Mutex, MutexGuard, PoisonError};

use hyper::HeaderMap;
use subtle::ConstantTimeEq as _;

use crate::transport::client::Client;
use crate::transport::http::{Algorithm, Authorization, Challenge, Nonces, Use, parse_basic};

use super::guesses::{Guesses, Wrong};

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

/// Judges requests. What it remembers is bounded.
pub(super) struct Judge {
    auth: DoorAuth,
    nonces: Mutex<Nonces>,
    guesses: Mutex<Guesses>,
}

/// Why a request may not come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Denied {
    /// 401 with this challenge, for this reason.
    Challenge(String, Why),
    /// 503, and the seconds after which to come back.
    Later {
        seconds: u64,
        /// The known user that is guessed at, where this has just begun.
        begun: Option<String>,
    },
}

/// Why there is a challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// Nothing came that answers one of ours.
    Missing,
    /// The answer was right, its nonce is too old.
    Stale,
    /// The answer was right, and has come before.
    Replayed,
    /// User or password are wrong; whether for the first time in a while.
    Wrong { first: bool },
}

/// Who says to be whom, and whether he can prove it.
struct Claim {
    user: String,
    right: bool,
    digest: Option<Authorization>,
}

impl Judge {
    pub fn new(auth: DoorAuth) -> Self {
        let nonces = Mutex::new(Nonces::new(auth.secret));
        Self { auth, nonces, guesses: Mutex::default() }
    }

    /// Judges a request of a client, and tells as which user it comes in; `now` is in seconds, on any clock that
    /// only goes forward.
    pub fn judge(
        &self,
        client: &Client,
        headers: &HeaderMap,
        method: &str,
        target: &str,
        now: u64,
    ) -> Result<String, Denied> {
        let header = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or("");
        let Some(claim) = self.claim(header, method, target) else {
            return Err(self.challenge(Why::Missing, now));
        };
        // A user that does not exist is not told from one that does, and all such are one.
        let known = self.auth.users.contains_key(&claim.user);
        let user = if known { claim.user.as_str() } else { "" };
        let mut guesses = lock(&self.guesses);
        if let Some(seconds) = guesses.wait(client.address, user, now) {
            return Err(Denied::Later { seconds, begun: None });
        }
        if !claim.right {
            return Err(match guesses.wrong(client.address, user, now) {
                Wrong::First => self.challenge(Why::Wrong { first: true }, now),
                Wrong::Again => self.challenge(Why::Wrong { first: false }, now),
                Wrong::Often { again, first } => {
                    Denied::Later { seconds: again, begun: first.then(|| user.to_owned()) }
                }
            });
        }
        drop(guesses);
        let Some(answer) = claim.digest else { return Ok(claim.user) };
        let Ok(count) = answer.count() else { return Err(self.challenge(Why::Missing, now)) };
        let used = lock(&self.nonces).note(&answer.nonce, count, now);
        match used {
            Use::Fresh => Ok(claim.user),
            Use::Stale => Err(self.challenge(Why::Stale, now)),
            Use::Replayed => Err(self.challenge(Why::Replayed, now)),
        }
    }

    /// What the header claims; `None` if it answers no challenge of ours.
    fn claim(&self, header: &str, method: &str, target: &str) -> Option<Claim> {
        let password = |user: &str| self.auth.users.get(user);
        match self.auth.scheme {
            DoorScheme::Basic => {
                let (user, given) = parse_basic(header)?;
                let is_it = |known: &String| bool::from(known.as_bytes().ct_eq(given.as_bytes()));
                let right = password(&user).is_some_and(is_it);
                Some(Claim { user, right, digest: None })
            }
            DoorScheme::Digest(_) => {
                let answer = Authorization::parse(header)?;
                // What was meant for another realm or resource says nothing of the password.
                if answer.realm != self.auth.realm || !is_same_target(&answer.uri, target) {
                    return None;
                }
                let right = password(&answer.user).is_some_and(|known| answer.is_right(known, method));
                Some(Claim { user: answer.user.clone(), right, digest: Some(answer) })
            }
        }
    }

    /// A right answer that is only too old or has been used gets `stale`: a fresh nonce, and the CPE need not
    /// think its password wrong.
    fn challenge(&self, why: Why, now: u64) -> Denied {
        let realm = self.auth.realm.clone();
        let header = match self.auth.scheme {
            DoorScheme::Basic => format!("Basic realm=\"{realm}\""),
            DoorScheme::Digest(algorithm) => {
                let nonce = lock(&self.nonces).give(now);
                let stale = matches!(why, Why::Stale | Why::Replayed);
                Challenge { realm, nonce, opaque: None, algorithm, qop_auth: true, stale }.header()
            }
        };
        Denied::Challenge(header, why)
    }
}

/// The label of the metric.
pub(super) fn outcome<T>(verdict: &Result<T, Denied>) -> &'static str {
    match verdict {
        Ok(_) => "accepted",
        Err(Denied::Challenge(_, Why::Missing)) => "challenged",
        Err(Denied::Challenge(_, Why::Stale)) => "stale",
        Err(Denied::Challenge(_, Why::Replayed)) => "replayed",
        Err(Denied::Challenge(_, Why::Wrong { .. })) => "wrong",
        Err(Denied::Later { .. }) => "held-off",
    }
}

impl Denied {
    /// Whether the request may still go on with a session that an accepted one has opened: a CPE that
    /// answers only the first challenge, or never counts on (quirks A08, A11), has proved who it is.
    pub fn may_go_on(&self) -> bool {
        !matches!(self, Self::Later { .. } | Self::Challenge(_, Why::Wrong { .. }))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Some CPEs put the whole URL into the digest's uri (quirk of old stacks), some only the path.
fn is_same_target(uri: &str, target: &str) -> bool {
    uri == target || uri.split_once("://").is_some_and(|(_, rest)| rest.ends_with(target))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::http::{Credentials, NONCE_SECONDS, basic_answer};

    fn judge(scheme: DoorScheme) -> Judge {
        let users = [("cpe".to_owned(), "pw".to_owned()), ("other".to_owned(), "pw".to_owned())].into();
        Judge::new(DoorAuth { scheme, realm: "acs".into(), users, secret: [7; 32] })
    }

    impl Judge {
        fn sees(&self, answer: &str, now: u64) -> Result<(), Denied> {
            let mut headers = HeaderMap::new();
            headers.insert("authorization", answer.parse().unwrap());
            let client = Client { address: Some([203, 0, 113, 7].into()), ..Client::default() };
            self.judge(&client, &headers, "POST", "/", now).map(drop)
        }

        fn challenged(&self, now: u64) -> Challenge {
            let Err(Denied::Challenge(challenge, Why::Missing)) = self.sees("", now) else {
                panic!("let in without an answer")
            };
            Challenge::parse(&challenge).unwrap()
        }
    }

    fn answer(challenge: &Challenge, user: &str, password: &str, count: u32) -> String {
        challenge.answer(Credentials { user, password, cnonce: "c", count }, "POST", "/")
    }

    #[test]
    fn the_right_password_opens_and_a_wrong_one_does_not() {
        for algorithm in [Algorithm::Md5, Algorithm::Md5Sess, Algorithm::Sha256] {
            let judge = judge(DoorScheme::Digest(algorithm));
            let challenge = judge.challenged(50);
            let right = answer(&challenge, "cpe", "pw", 1);
            assert_eq!(judge.sees(&right, 60), Ok(()));
            let elsewhere = challenge.answer(
                Credentials { user: "cpe", password: "pw", cnonce: "c", count: 2 },
                "POST",
                "/other",
            );
            assert_eq!(outcome(&judge.sees(&elsewhere, 60)), "challenged");
            assert_eq!(outcome(&judge.sees(&answer(&challenge, "cpe", "no", 3), 60)), "wrong");
            assert_eq!(outcome(&judge.sees(&answer(&challenge, "nobody", "pw", 4), 60)), "wrong");
        }
        let judge = judge(DoorScheme::Basic);
        assert_eq!(judge.sees(&basic_answer("cpe", "pw"), 0), Ok(()));
        assert_eq!(outcome(&judge.sees(&basic_answer("cpe", "pww"), 0)), "wrong");
    }

    #[test]
    fn a11_an_answer_opens_once_and_counting_on_opens_again() {
        let judge = judge(DoorScheme::Digest(Algorithm::Md5));
        let challenge = judge.challenged(0);
        let first = answer(&challenge, "cpe", "pw", 1);
        assert_eq!(judge.sees(&first, 0), Ok(()));
        assert_eq!(judge.sees(&answer(&challenge, "cpe", "pw", 3), 0), Ok(()));
        assert_eq!(judge.sees(&answer(&challenge, "cpe", "pw", 2), 0), Ok(()));
        let Err(Denied::Challenge(again, Why::Replayed)) = judge.sees(&first, 0) else { panic!("replayed") };
        let again = Challenge::parse(&again).unwrap();
        assert!(again.stale && again.nonce != challenge.nonce);
        assert_eq!(judge.sees(&answer(&again, "cpe", "pw", 1), 0), Ok(()));
    }

    #[test]
    fn a02_an_answer_without_qop_opens_once() {
        let judge = judge(DoorScheme::Digest(Algorithm::Md5));
        let challenge = Challenge { qop_auth: false, ..judge.challenged(0) };
        let old_style = answer(&challenge, "cpe", "pw", 1);
        assert_eq!(judge.sees(&old_style, 0), Ok(()));
        assert_eq!(outcome(&judge.sees(&old_style, 0)), "replayed");
    }

    #[test]
    fn a04_an_old_nonce_is_called_stale_and_a_forged_one_is_refused() {
        let judge = judge(DoorScheme::Digest(Algorithm::Md5));
        let challenge = judge.challenged(50);
        let old = judge.sees(&answer(&challenge, "cpe", "pw", 1), 50 + NONCE_SECONDS + 1);
        assert_eq!(outcome(&old), "stale");
        let forged = Challenge { nonce: format!("{:016x}{:016x}{}", 50, 1, "0".repeat(24)), ..challenge };
        assert_eq!(outcome(&judge.sees(&answer(&forged, "cpe", "pw", 1), 51)), "stale");
    }

    #[test]
    fn a09_guessing_is_held_off_and_the_right_password_still_opens() {
        let judge = judge(DoorScheme::Digest(Algorithm::Md5));
        let challenge = judge.challenged(0);
        let wrong = answer(&challenge, "cpe", "no", 1);
        let held_off = (0..20).map(|_| judge.sees(&wrong, 0)).filter(|it| outcome(it) == "held-off").count();
        assert_eq!(held_off, 10);
        assert_eq!(judge.sees(&answer(&challenge, "cpe", "pw", 1), 0), Ok(()), "a NAT is locked out");
        for _ in 0..200 {
            assert_eq!(outcome(&judge.sees(&wrong, 0)), "held-off");
        }
        assert_eq!(
            outcome(&judge.sees(&answer(&challenge, "cpe", "pw", 2), 0)),
            "held-off",
            "guesses are free"
        );
        assert_eq!(judge.sees(&answer(&challenge, "other", "pw", 3), 0), Ok(()));
        assert_eq!(outcome(&judge.sees("", 0)), "challenged");
    }
}
