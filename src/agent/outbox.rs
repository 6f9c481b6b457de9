//! Notifications that their controllers have not acknowledged yet, and when they are sent again.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::datamodel::WallTime;
use crate::durable::{Change, Entry, Kind, Token};
use crate::identity::EndpointId;
use crate::usp::Retry;

/// A notification that waits for its NotifyResp.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    pub msg_id: String,
    pub controller: EndpointId,
    /// The USP message; retries carry the same.
    pub message: Bytes,
    pub expires: Option<WallTime>,
    /// An OnBoardRequest is made anew after a restart; all others survive it.
    pub durable: bool,
    /// The commit that makes it durable: before that it is not told, lest something else be told after a restart.
    pub after: Option<Token>,
    pub attempts: u32,
    /// When it was sent last, in monotonic milliseconds.
    pub sent_at: u64,
    /// When it is sent again, in monotonic milliseconds.
    pub again_at: u64,
}

/// As it is stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    format: u32,
    controller: EndpointId,
    expires: Option<WallTime>,
    message: String,
}

/// The notifications of one device.
#[derive(Default)]
pub(super) struct Outbox {
    waiting: Vec<Waiting>,
}

impl Outbox {
    pub fn restore(entries: &[Entry]) -> Self {
        let waiting = entries.iter().filter(|entry| entry.kind == Kind::Outbox).filter_map(|entry| {
            let stored: Stored = serde_json::from_slice(&entry.value).ok()?;
            (stored.format == FORMAT).then_some(())?;
            let message = STANDARD.decode(stored.message).ok()?.into();
            let waiting = Waiting::new(entry.key.to_string(), stored.controller, message);
            Some(Waiting { expires: stored.expires, ..waiting })
        });
        Self { waiting: waiting.collect() }
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    pub fn next_deadline(&self) -> Option<u64> {
        self.waiting.iter().map(|waiting| waiting.again_at).min()
    }

    /// Keeps a notification; gives the change that makes it durable, if it is to be.
    pub fn keep(&mut self, waiting: Waiting) -> Option<Change> {
        let change = waiting.durable.then(|| waiting.change());
        self.waiting.retain(|known| known.msg_id != waiting.msg_id);
        self.waiting.push(waiting);
        change
    }

    /// The agent has restarted: its retries begin anew (R-NOT.4).
    pub fn restart(&mut self) {
        self.waiting.iter_mut().for_each(|waiting| waiting.attempts = 0);
    }

    /// The oldest one that is durable, to make room.
    pub fn oldest(&self) -> Option<String> {
        self.waiting.iter().find(|waiting| waiting.durable).map(|waiting| waiting.msg_id.clone())
    }

    /// Acknowledged, or given up.
    pub fn remove(&mut self, msg_id: &str, controller: Option<&EndpointId>) -> Option<Waiting> {
        let is = |it: &Waiting| it.msg_id == msg_id && controller.is_none_or(|known| it.controller == *known);
        let at = self.waiting.iter().position(is)?;
        Some(self.waiting.remove(at))
    }

    /// Takes out OnBoardRequests to controllers that need none any more.
    pub fn drop_requests(&mut self, unneeded: impl Fn(&EndpointId) -> bool) {
        self.waiting.retain(|waiting| waiting.durable || !unneeded(&waiting.controller));
    }

    /// This commit makes these durable.
    pub fn kept_by<'m>(&mut self, token: Token, msg_ids: impl Iterator<Item = &'m str> + Clone) {
        let kept = self.waiting.iter_mut().rev();
        kept.filter(|it| msg_ids.clone().any(|id| id == it.msg_id)).for_each(|it| it.after = Some(token));
    }

    /// What is to be sent again now.
    pub fn due(&mut self, now: u64) -> impl Iterator<Item = &mut Waiting> {
        self.waiting.iter_mut().filter(move |waiting| waiting.again_at <= now)
    }

    /// What waits for this controller.
    pub fn of<'s>(&'s mut self, controller: &'s EndpointId) -> impl Iterator<Item = &'s mut Waiting> {
        self.waiting.iter_mut().filter(move |waiting| waiting.controller == *controller)
    }
}

impl Waiting {
    /// A durable notification that has not been sent yet and does not expire.
    pub fn new(msg_id: String, controller: EndpointId, message: Bytes) -> Self {
        Self {
            msg_id,
            controller,
            message,
            expires: None,
            durable: true,
            after: None,
            attempts: 0,
            sent_at: 0,
            again_at: 0,
        }
    }

    fn change(&self) -> Change {
        let stored = Stored {
            format: FORMAT,
            controller: self.controller.clone(),
            expires: self.expires,
            message: STANDARD.encode(&self.message),
        };
        Change::put(Kind::Outbox, self.msg_id.as_str(), serde_json::to_vec(&stored).unwrap_or_default())
    }

    /// Sets the time of the next try (R-NOT.1).
    pub fn schedule(&mut self, now: u64, retry: Retry, seed: u64) {
        self.attempts = self.attempts.saturating_add(1);
        self.sent_at = now;
        self.again_at = now + retry.wait_ms(self.attempts, seed);
    }
}

const FORMAT: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting() -> Waiting {
        let controller = EndpointId::parse("self::c").unwrap();
        let message = Bytes::from_static(b"\x0a\xff");
        Waiting { expires: Some(WallTime(9)), ..Waiting::new("1".into(), controller, message) }
    }

    #[test]
    fn what_is_stored_comes_back_the_same() {
        let mut outbox = Outbox::default();
        let Some(Change::Put(entry)) = outbox.keep(waiting()) else { panic!("not durable") };
        let mut restored = Outbox::restore(&[entry]);
        let back = restored.remove("1", None).unwrap();
        assert_eq!((back.message, back.expires), (waiting().message, waiting().expires));
        let other = EndpointId::parse("self::other").unwrap();
        assert!(outbox.remove("1", Some(&other)).is_none(), "another controller acknowledged it");
    }
}
