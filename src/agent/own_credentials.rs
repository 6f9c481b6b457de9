//! Credentials for connection requests (TR-069 3.2.2) that the gateway gives CPEs of which it knows none. The user
//! name that the ACS had set is read, and written down, before it is changed.

use serde::{Deserialize, Serialize};

use crate::durable::{Change, Entry, Kind, Token};
use crate::translation::{AskValue, Outcome, Write};

use super::core::Agent;
use super::io::{Env, Output};
use super::queue::Work;
use super::silence::Silence;

/// How far a CPE has come to credentials of the gateway's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct OwnCredentials {
    kept: Option<Kept>,
    journal: Option<Token>,
    /// What the ACS has set, as far as that is known: nothing else is needed then.
    known: Option<(String, String)>,
    /// The operator has credentials for all devices.
    needless: bool,
}

/// Its stored form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    format: u8,
    /// The user name that the ACS had set.
    username: String,
    /// The CPE has ours.
    set: bool,
    /// The CPE would not take ours.
    #[serde(default)]
    refused: bool,
}

impl OwnCredentials {
    pub fn restore(entries: &[Entry]) -> Self {
        let entry = entries.iter().find(|entry| entry.kind == Kind::Secret && entry.key == KEY);
        let kept = entry.and_then(|entry| serde_json::from_slice::<Kept>(&entry.value).ok());
        Self { kept: kept.filter(|kept| kept.format == FORMAT), ..Self::default() }
    }
}

impl Agent {
    /// What is known without ours: what the ACS has set, and whether the operator has some for all devices.
    pub fn know_credentials(&mut self, by_acs: Option<(String, String)>, by_operator: bool) {
        (self.credentials.known, self.credentials.needless) = (by_acs, by_operator);
    }

    /// Ours, where the CPE has them or may have.
    pub fn own_credentials(&self) -> Option<(String, String)> {
        let secret = self.config.call_secret.as_ref()?;
        let kept = self.credentials.kept.as_ref()?;
        (!kept.refused).then(|| secret.credentials(&self.endpoint))
    }

    /// The user name that the ACS had set before ours.
    pub fn username_before(&self) -> Option<&str> {
        self.credentials.kept.as_ref().map(|kept| kept.username.as_str())
    }

    /// Whether the ACS's can be given back and have not been.
    pub(super) fn owes_credentials(&self) -> bool {
        self.own_credentials().is_some() && self.credentials.known.is_some()
    }

    /// A factory reset: the CPE has none of anybody's.
    pub(super) fn forget_credentials(&mut self, out: &mut Vec<Output>) {
        if self.credentials.kept.take().is_some() {
            self.persist(vec![Change::delete(Kind::Secret, KEY)], out);
        }
    }

    /// Reads, then sets; or gives back what the ACS had set.
    pub(super) fn plan_credentials(&mut self, env: &Env) {
        let Some(secret) = self.config.call_secret.as_ref().filter(|_| !self.stored.root.is_empty()) else {
            return;
        };
        let ours = secret.credentials(&self.endpoint);
        let it = &self.credentials;
        let gives_back = self.silence == Silence::GivingBack;
        let wanted = match (&it.kept, &it.known) {
            (Some(kept), Some(known)) if gives_back && !kept.refused => Some(known.clone()),
            _ if self.is_silent() || self.booting => return,
            (None, None) if !it.needless => None,
            (Some(kept), _) if !kept.set && !kept.refused => {
                let written_down = it.journal.is_none_or(|token| token.0 <= self.settled);
                if !written_down {
                    return;
                }
                Some(ours)
            }
            _ => return,
        };
        if self.queue.has(Work::Credentials) {
            return;
        }
        let name = |leaf: &str| format!("{}ManagementServer.{leaf}", self.stored.root);
        match wanted {
            None => self.push_own(env, Box::new(AskValue::new(name(USERNAME))), Work::Credentials),
            Some((user, password)) => {
                let list = vec![(name(USERNAME), user, None), (name(PASSWORD), password, None)];
                self.push_own(env, Box::new(Write::new(list)), Work::Credentials);
            }
        }
    }

    /// A step is through.
    pub(super) fn credentials_done(&mut self, outcome: &Outcome, out: &mut Vec<Output>) {
        let read = match outcome {
            Outcome::Completed(read) => read.values().next().cloned(),
            _ => None,
        };
        match (&mut self.credentials.kept, outcome) {
            (None, Outcome::Completed(_)) => {
                let username = read.unwrap_or_default();
                self.credentials.kept = Some(Kept { format: FORMAT, username, set: false, refused: false });
            }
            // Neither a CPE without a user name to read nor one that takes none is asked again.
            (kept, Outcome::Error(error)) => {
                out.push(Output::Log(format!("the CPE keeps its credentials: {}", error.err_msg)));
                let username = kept.as_ref().map_or_else(String::new, |kept| kept.username.clone());
                *kept = Some(Kept { format: FORMAT, username, set: false, refused: true });
            }
            (Some(_), _) if self.silence == Silence::GivingBack => return self.forget_credentials(out),
            (Some(kept), _) => kept.set = true,
            (None, _) => return,
        }
        let value = serde_json::to_vec(&self.credentials.kept).unwrap_or_default();
        self.credentials.journal = Some(self.persist(vec![Change::put(Kind::Secret, KEY, value)], out));
    }

    /// The store would not keep the user name: nothing is changed on the strength of it.
    pub(super) fn credentials_unkept(&mut self, token: Token) {
        if self.credentials.journal == Some(token) && self.credentials.kept.as_ref().is_some_and(|it| !it.set)
        {
            self.credentials.kept = None;
        }
    }
}

const KEY: &str = "own-credentials";
const USERNAME: &str = "ConnectionRequestUsername";
const PASSWORD: &str = "ConnectionRequestPassword";
/// Version of the stored form.
const FORMAT: u8 = 1;
