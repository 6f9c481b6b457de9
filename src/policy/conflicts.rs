//! The ledger of one device: who wrote what another master owns, or wrote over what it wrote. Bounded, and
//! without secrets.

use std::collections::VecDeque;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::datamodel::WallTime;
use crate::datamodel::supported::is_secret;

/// What happened, and who wrote lately what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    format: u32,
    /// The newest last.
    conflicts: VecDeque<Conflict>,
    /// The newest last.
    writes: VecDeque<Write>,
}

/// A conflict. The same again is the same entry, counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// When it was last so.
    pub at: WallTime,
    /// A parameter, or an object that was added or deleted; in TR-181 terms.
    pub path: String,
    /// `acs` or the endpoint ID of a controller.
    pub writer: String,
    /// The RPC of the ACS, or the message of the controller.
    pub by: String,
    /// What the value was, and what it was to be; none where it is not known, or a secret.
    pub old: Option<String>,
    pub new: Option<String>,
    /// The name of the rule and the owner by it.
    pub rule: Option<String>,
    pub owner: Option<String>,
    /// Who wrote before, where that was lately.
    pub previous: Option<String>,
    pub action: Action,
    /// How often it was so.
    pub times: u32,
}

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Refused: the CPE was not touched.
    Denied,
    /// Carried out; with `enforce` it would have been refused.
    WouldBeDenied,
    /// Carried out over another master's.
    Overwritten,
}

/// Who wrote something last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Write {
    path: CompactString,
    writer: CompactString,
    at: WallTime,
}

impl Ledger {
    /// Reads the stored form; of an unknown format nothing is known.
    pub fn decode(bytes: &[u8]) -> Self {
        let read = serde_json::from_slice::<Self>(bytes).ok();
        read.filter(|it| it.format == FORMAT).unwrap_or_default()
    }

    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        let whole = Self { format: FORMAT, ..self.clone() };
        serde_json::to_vec(&whole).unwrap_or_default()
    }

    /// The oldest first.
    pub fn conflicts(&self) -> impl Iterator<Item = &Conflict> {
        self.conflicts.iter()
    }

    /// Notes a conflict, without secrets and with texts that can be shown to anybody: cut, and free of control
    /// characters. Returns what was noted.
    pub fn note(&mut self, mut conflict: Conflict) -> &Conflict {
        if is_secret(&conflict.path) {
            (conflict.old, conflict.new) = (None, None);
        }
        let texts =
            [Some(&mut conflict.path), Some(&mut conflict.by), conflict.old.as_mut(), conflict.new.as_mut()];
        texts.into_iter().flatten().for_each(cut);
        let known = self.conflicts.iter().position(|it| it.is_like(&conflict));
        if let Some(before) = known.and_then(|at| self.conflicts.remove(at)) {
            conflict.times = before.times.saturating_add(1);
        } else if self.conflicts.len() >= MAX_CONFLICTS {
            self.conflicts.pop_front();
        }
        self.conflicts.push_back(conflict);
        &self.conflicts[self.conflicts.len() - 1]
    }

    /// A master has written a parameter, added an object or deleted one (`gone`: then nobody has written what was
    /// there). Returns which other master had written it, or something of it, not longer ago than `window_ms`.
    pub fn wrote(
        &mut self,
        path: &str,
        writer: &str,
        at: WallTime,
        window_ms: u64,
        gone: bool,
    ) -> Option<String> {
        self.writes.retain(|it| at.0.saturating_sub(it.at.0) <= window_ms);
        let is_about = |it: &&Write| it.path == path || (gone && it.path.starts_with(path));
        let others = self.writes.iter().rev().filter(is_about).find(|it| it.writer != writer);
        let before = others.map(|it| it.writer.to_string());
        self.writes.retain(|it| !is_about(&it));
        if !gone && path.len() <= MAX_TEXT {
            if self.writes.len() >= MAX_WRITES {
                self.writes.pop_front();
            }
            self.writes.push_back(Write { path: path.into(), writer: writer.into(), at });
        }
        before
    }
}

impl Conflict {
    fn is_like(&self, other: &Self) -> bool {
        let key =
            |it: &Self| (it.path.clone(), it.writer.clone(), it.rule.clone(), it.action, it.previous.clone());
        key(self) == key(other)
    }
}

impl Action {
    /// As metrics and logs name it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::WouldBeDenied => "would-be-denied",
            Self::Overwritten => "overwritten",
        }
    }
}

/// Makes a text of a stranger's such that it can be shown to anybody: cut, and free of control characters.
pub(super) fn cut(text: &mut String) {
    let end = text.char_indices().nth(MAX_TEXT).map(|(at, _)| at);
    text.truncate(end.unwrap_or(text.len()));
    if text.chars().any(char::is_control) {
        *text = text.replace(char::is_control, "?");
    }
}

const FORMAT: u32 = 1;
/// Conflicts that are kept of one device; the oldest goes.
const MAX_CONFLICTS: usize = 64;
/// Writes that are remembered of one device; the oldest goes.
const MAX_WRITES: usize = 128;
/// Characters of a text.
const MAX_TEXT: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn conflict(path: &str) -> Conflict {
        Conflict {
            at: WallTime(1),
            path: path.into(),
            writer: "self::a".into(),
            by: "message 1".into(),
            old: Some("old".into()),
            new: Some("n".repeat(1_000)),
            rule: None,
            owner: None,
            previous: None,
            action: Action::Denied,
            times: 1,
        }
    }

    #[test]
    fn a_flood_of_conflicts_is_bounded_and_the_same_again_is_counted() {
        let mut ledger = Ledger::default();
        for number in 0..1_000 {
            ledger.note(conflict(&format!("Device.WiFi.SSID.{number}.SSID")));
            ledger.note(conflict("Device.WiFi.SSID.0.Enable"));
        }
        let all: Vec<&Conflict> = ledger.conflicts().collect();
        assert_eq!((all.len(), all[63].times), (MAX_CONFLICTS, 1_000));
        assert_eq!(all[0].new.as_ref().unwrap().len(), MAX_TEXT);
        assert!(ledger.encode().len() < 64 << 10);
        assert_eq!(Ledger::decode(&ledger.encode()).conflicts.len(), MAX_CONFLICTS);
        assert_eq!(Ledger::decode(b"{}"), Ledger::default());
    }

    #[test]
    fn secrets_are_never_kept() {
        let mut ledger = Ledger::default();
        let secret = ["Device.WiFi.AccessPoint.1.Security.KeyPassphrase", "Device.X_ACME.AdminPassword"];
        secret.iter().for_each(|path| _ = ledger.note(conflict(path)));
        assert!(ledger.conflicts().all(|it| it.old.is_none() && it.new.is_none()));
        assert!(!String::from_utf8(ledger.encode()).unwrap().contains("nnnn"));
    }

    #[test]
    fn what_a_controller_calls_its_message_cannot_write_to_the_operators_screen() {
        let mut ledger = Ledger::default();
        let hostile = Conflict { by: "message \x1b[2J\n".into(), ..conflict("Device.A.\x07B") };
        let noted = ledger.note(hostile);
        assert_eq!((noted.by.as_str(), noted.path.as_str()), ("message ?[2J?", "Device.A.?B"));
    }

    #[test]
    fn a_write_over_anothers_counts_within_the_window_only() {
        let mut ledger = Ledger::default();
        let mut wrote =
            |path: &str, writer: &str, at, gone| ledger.wrote(path, writer, WallTime(at), 100, gone);
        assert_eq!(wrote("Device.A.1.B", "acs", 1_000, false), None);
        assert_eq!(wrote("Device.A.1.B", "acs", 1_050, false), None);
        assert_eq!(wrote("Device.A.1.B", "self::a", 1_100, false).as_deref(), Some("acs"));
        assert_eq!(wrote("Device.A.1.B", "acs", 1_300, false), None, "too long ago");
        assert_eq!(wrote("Device.A.1.", "self::a", 1_310, true).as_deref(), Some("acs"), "what it held");
        assert_eq!(wrote("Device.A.1.B", "self::a", 1_320, false), None, "it is gone");
        for number in 0..1_000 {
            wrote(&format!("Device.A.{number}.B"), "acs", 1_320, false);
        }
        assert_eq!(ledger.writes.len(), MAX_WRITES);
    }
}
