//! Sessions, their subscriptions and what waits for them; shared by all connections.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::transport::mqtt::Publish;

use super::topics::{Topics, is_filter};

/// All sessions.
#[derive(Default)]
pub(super) struct Table {
    sessions: HashMap<Arc<str>, Session>,
    topics: Topics,
    lines: u64,
}

/// How the table reaches the task of a connection.
#[derive(Clone)]
pub(super) struct Line {
    /// Tells the connections of one session apart.
    pub number: u64,
    /// Something waits to be sent.
    pub wake: Arc<Notify>,
    /// The connection must end: another took the session over, or too much waits for this one.
    pub cut: CancellationToken,
}

#[derive(Default)]
struct Session {
    filters: Vec<String>,
    queue: VecDeque<Publish>,
    /// Bytes of the payloads in the queue.
    bytes: usize,
    /// Sent with QoS 1 and not acknowledged, oldest first.
    in_flight: VecDeque<Publish>,
    next_id: u16,
    line: Option<Line>,
    /// When the session ends, while nobody is connected to it.
    ends: Option<Instant>,
}

/// A new connection's place in the table.
pub(super) struct Attached {
    pub line: Line,
    /// Whether an old session goes on.
    pub present: bool,
}

impl Table {
    /// Connects a client. An older connection of the same client ends (MQTT-3.1.4-3). `None` if there are
    /// too many sessions.
    pub fn attach(&mut self, client: &Arc<str>, clean: bool, now: Instant) -> Option<Attached> {
        if let Some(old) = self.sessions.get(client).and_then(|session| session.line.as_ref()) {
            old.cut.cancel();
        }
        if clean || self.sessions.get(client).is_some_and(|session| session.is_over(now)) {
            self.forget(client);
        }
        if self.sessions.len() >= MAX_SESSIONS {
            self.sweep(now);
        }
        let present = self.sessions.contains_key(client);
        if !present && self.sessions.len() >= MAX_SESSIONS {
            return None;
        }
        self.lines += 1;
        let line = Line { number: self.lines, wake: Arc::default(), cut: CancellationToken::new() };
        let session = self.sessions.entry(Arc::clone(client)).or_default();
        session.line = Some(line.clone());
        session.ends = None;
        session.resume();
        Some(Attached { line, present })
    }

    /// A connection is over; its session stays for as long as said, if this is still its connection.
    pub fn detach(&mut self, client: &Arc<str>, line: u64, keep: Duration, now: Instant) {
        let Some(session) = self.of(client, line) else { return };
        if keep.is_zero() {
            return self.forget(client);
        }
        session.line = None;
        session.ends = Some(now + keep.min(MAX_KEPT));
    }

    /// How many clients are connected.
    pub fn connected(&self) -> usize {
        self.sessions.values().filter(|session| session.line.is_some()).count()
    }

    /// Subscribes and says what was granted: QoS 1 at most, `None` for a filter that is none.
    pub fn subscribe(&mut self, client: &Arc<str>, filters: Vec<(String, u8)>) -> Vec<Option<u8>> {
        let Some(session) = self.sessions.get_mut(client) else { return vec![None; filters.len()] };
        let grant = |(filter, qos): (String, u8)| {
            let known = session.filters.contains(&filter);
            if !is_filter(&filter) || (!known && session.filters.len() >= MAX_FILTERS) {
                return None;
            }
            let granted = qos.min(1);
            self.topics.insert(&filter, client, granted);
            if !known {
                session.filters.push(filter);
            }
            Some(granted)
        };
        filters.into_iter().map(grant).collect()
    }

    pub fn unsubscribe(&mut self, client: &Arc<str>, filters: &[String]) {
        let Some(session) = self.sessions.get_mut(client) else { return };
        session.filters.retain(|known| !filters.contains(known));
        for filter in filters {
            self.topics.remove(filter, client);
        }
    }

    /// Queues a message for all its subscribers.
    pub fn route(&mut self, publish: &Publish, now: Instant) {
        for (client, granted) in self.topics.subscribers(&publish.topic) {
            let copy = Publish {
                qos: publish.qos.min(granted),
                retain: false,
                dup: false,
                packet_id: 0,
                ..publish.clone()
            };
            let fits = self.sessions.get_mut(&client).is_none_or(|session| session.queue(copy, now));
            if !fits {
                // Who does not read is disconnected; it would not notice a gap otherwise.
                self.forget(&client);
            }
        }
    }

    /// The next message for a connection to send.
    pub fn next(&mut self, client: &Arc<str>, line: u64) -> Option<Publish> {
        self.of(client, line)?.next()
    }

    /// A client acknowledged a message.
    pub fn acknowledged(&mut self, client: &Arc<str>, line: u64, id: u16) {
        if let Some(session) = self.of(client, line) {
            session.in_flight.retain(|publish| publish.packet_id != id);
        }
    }

    fn of(&mut self, client: &Arc<str>, line: u64) -> Option<&mut Session> {
        let session = self.sessions.get_mut(client)?;
        session.line.as_ref().is_some_and(|known| known.number == line).then_some(session)
    }

    fn forget(&mut self, client: &Arc<str>) {
        let Some(session) = self.sessions.remove(client) else { return };
        for filter in &session.filters {
            self.topics.remove(filter, client);
        }
        if let Some(line) = session.line {
            line.cut.cancel();
        }
    }

    fn sweep(&mut self, now: Instant) {
        let over: Vec<Arc<str>> = self
            .sessions
            .iter()
            .filter(|(_, session)| session.is_over(now))
            .map(|(client, _)| Arc::clone(client))
            .collect();
        for client in over {
            self.forget(&client);
        }
    }
}

impl Session {
    fn is_over(&self, now: Instant) -> bool {
        self.ends.is_some_and(|ends| ends <= now)
    }

    /// Queues a message; `false` if the client is connected and too much waits for it.
    fn queue(&mut self, publish: Publish, now: Instant) -> bool {
        let full = self.queue.len() >= MAX_QUEUED || self.bytes + publish.payload.len() > MAX_QUEUED_BYTES;
        match &self.line {
            None if full || publish.qos == 0 || self.is_over(now) => return true,
            None => {}
            Some(_) if full => return false,
            Some(line) => line.wake.notify_one(),
        }
        self.bytes += publish.payload.len();
        self.queue.push_back(publish);
        true
    }

    fn next(&mut self) -> Option<Publish> {
        if self.in_flight.len() >= WINDOW && self.queue.front()?.qos > 0 {
            return None;
        }
        let mut publish = self.queue.pop_front()?;
        self.bytes -= publish.payload.len();
        if publish.qos > 0 {
            if publish.packet_id == 0 {
                publish.packet_id = self.fresh_id();
            }
            self.in_flight.push_back(publish.clone());
        }
        Some(publish)
    }

    fn fresh_id(&mut self) -> u16 {
        loop {
            self.next_id = self.next_id.checked_add(1).unwrap_or(1);
            let id = self.next_id;
            // Those in the queue were sent over an earlier connection.
            let sent_before = self.queue.iter().take(WINDOW).any(|publish| publish.packet_id == id);
            if !sent_before && self.in_flight.iter().all(|publish| publish.packet_id != id) {
                return id;
            }
        }
    }

    /// What was not acknowledged goes first, with the identifier it had (MQTT-4.4.0-1).
    fn resume(&mut self) {
        for publish in self.in_flight.drain(..).rev() {
            self.bytes += publish.payload.len();
            self.queue.push_front(Publish { dup: true, ..publish });
        }
    }
}

/// Clients, connected or not.
const MAX_SESSIONS: usize = 65_536;
/// Topic filters of one client.
const MAX_FILTERS: usize = 1_024;
/// Messages that may wait for one client.
const MAX_QUEUED: usize = 65_536;
/// Bytes that may wait for one client.
const MAX_QUEUED_BYTES: usize = 64 << 20;
/// Messages in flight to one client.
const WINDOW: usize = 32;
/// How long a session is kept at most while its client is away.
const MAX_KEPT: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests {
    use super::*;

    const KEEP: Duration = Duration::from_secs(60);

    fn message(text: &str) -> Publish {
        Publish { topic: "t".into(), payload: text.to_owned().into(), qos: 1, ..Publish::default() }
    }

    fn subscribed(table: &mut Table, now: Instant) -> (Arc<str>, Line) {
        let client: Arc<str> = "c".into();
        let line = table.attach(&client, false, now).unwrap().line;
        assert_eq!(table.subscribe(&client, vec![("t".into(), 2)]), [Some(1)]);
        (client, line)
    }

    #[test]
    fn unacknowledged_messages_come_first_and_marked_in_the_next_connection() {
        let (mut table, now) = (Table::default(), Instant::now());
        let (client, line) = subscribed(&mut table, now);
        for text in ["a", "b"] {
            table.route(&message(text), now);
        }
        let first = table.next(&client, line.number).unwrap();
        let second = table.next(&client, line.number).unwrap();
        table.acknowledged(&client, line.number, first.packet_id);
        table.detach(&client, line.number, KEEP, now);
        table.route(&message("c"), now);
        table.route(&Publish { qos: 0, ..message("lost") }, now);
        let again = table.attach(&client, false, now).unwrap();
        assert!(again.present);
        let repeated = table.next(&client, again.line.number).unwrap();
        assert_eq!(repeated, Publish { dup: true, ..second });
        let fresh = table.next(&client, again.line.number).unwrap();
        assert_eq!((&fresh.payload[..], fresh.dup), (&b"c"[..], false));
        assert_ne!(fresh.packet_id, repeated.packet_id);
        assert_eq!(table.next(&client, again.line.number), None);
    }

    #[test]
    fn a_second_connection_cuts_the_first_whose_end_then_harms_nobody() {
        let (mut table, now) = (Table::default(), Instant::now());
        let (client, old) = subscribed(&mut table, now);
        let new = table.attach(&client, false, now).unwrap().line;
        assert!(old.cut.is_cancelled() && !new.cut.is_cancelled());
        table.detach(&client, old.number, Duration::ZERO, now);
        table.route(&message("a"), now);
        assert!(table.next(&client, old.number).is_none());
        assert!(table.next(&client, new.number).is_some());
    }

    #[test]
    fn sessions_end_when_they_should_and_take_their_subscriptions_along() {
        let (mut table, now) = (Table::default(), Instant::now());
        let (client, line) = subscribed(&mut table, now);
        table.detach(&client, line.number, KEEP, now);
        let line = table.attach(&client, false, now + KEEP).unwrap();
        assert!(!line.present, "an expired session went on");
        assert!(table.topics.subscribers("t").is_empty());
        table.detach(&client, line.line.number, Duration::ZERO, now);
        assert!(table.sessions.is_empty());
    }

    #[test]
    fn who_does_not_read_is_cut_off() {
        let (mut table, now) = (Table::default(), Instant::now());
        let (_, line) = subscribed(&mut table, now);
        for _ in 0..MAX_QUEUED {
            table.route(&message(""), now);
        }
        assert!(!line.cut.is_cancelled());
        table.route(&message(""), now);
        assert!(line.cut.is_cancelled());
        assert!(table.sessions.is_empty());
    }

    #[test]
    fn no_more_is_in_flight_than_the_window_allows() {
        let (mut table, now) = (Table::default(), Instant::now());
        let (client, line) = subscribed(&mut table, now);
        for _ in 0..=WINDOW {
            table.route(&message("x"), now);
        }
        let sent: Vec<_> = std::iter::from_fn(|| table.next(&client, line.number)).collect();
        assert_eq!(sent.len(), WINDOW);
        table.acknowledged(&client, line.number, sent[0].packet_id);
        assert!(table.next(&client, line.number).is_some());
    }
}
