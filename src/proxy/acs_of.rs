//! Whose a device is, where there are several ACSs. What one of them has set on a CPE stays there when another takes it
//! over, as it would without the gateway; only what it has acknowledged says nothing of the other.

use std::sync::Arc;

use crate::durable::{Change, Entry, Kind};
use crate::relay::Acknowledged;

use super::device::{Device, decode_text, encode_text};
use super::io::Output;

/// The name of the ACS that has acknowledged the device last, if it was told apart from others.
pub(super) fn restore(entries: &[Entry]) -> Option<Arc<str>> {
    let kept = entries.iter().find(|entry| entry.kind == Kind::Reach && entry.key == KEY)?;
    decode_text(&kept.value).map(Into::into)
}

impl Device {
    /// The ACS of the open session has acknowledged its Inform: the device is its own from now on.
    pub(super) fn learn_acs(&mut self, out: &mut Vec<Output>) {
        let Some(now) = self.acs_of_session() else { return };
        if self.acs.as_ref() == Some(&now) {
            return;
        }
        let before = self.acs.replace(Arc::clone(&now));
        self.persist_own(vec![Change::put(Kind::Reach, KEY, encode_text(&now))], out);
        if let Some(before) = before {
            let line =
                format!("the device has gone from the ACS {before} to {now}; what was set on it stays");
            out.push(Output::Log(line));
        }
    }

    /// What the ACS of the open session has acknowledged last.
    pub(super) fn acknowledged_here(&self) -> Option<&Acknowledged> {
        let same = self.config.acs_names.is_empty() || self.acs == self.acs_of_session();
        self.acknowledged.as_ref().filter(|_| same)
    }

    /// Whose the device is, where there are several.
    pub(super) fn acs_name(&self) -> Option<Arc<str>> {
        self.acs.clone().filter(|_| !self.config.acs_names.is_empty())
    }

    /// The ACS of the open session, in the operator's words.
    pub(super) fn the_acs(&self) -> String {
        self.acs_of_session().map_or_else(|| "the ACS".to_owned(), |name| format!("the ACS {name}"))
    }

    fn acs_of_session(&self) -> Option<Arc<str>> {
        let session = self.session.as_ref()?;
        self.config.acs_names.get(usize::from(session.acs.0)).cloned()
    }
}

/// Of the entry, beside the one that says where connection requests go.
const KEY: &str = "acs";
