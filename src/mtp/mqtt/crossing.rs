//! Agents between a connection that many share and their own. While both listen, at topics that may be the same
//! ones, each hears what the broker gives it, and what it heard first counts: nothing is lost, nothing comes twice.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dashmap::DashMap;

use crate::identity::EndpointId;
use crate::transport::mqtt::Publish;

/// What an agent's two connections have heard of late; cloning shares.
#[derive(Debug, Clone, Default)]
pub struct Crossing(Arc<Mutex<Heard>>);

#[derive(Debug, Default)]
struct Heard {
    hasher: RandomState,
    /// By topic and payload. The same may be said more than once.
    messages: HashMap<u64, Count>,
}

#[derive(Debug)]
struct Count {
    /// How often it came over the shared connection, and over the agent's own.
    came: [u32; 2],
    last: Instant,
}

/// Which connection hears.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ear {
    Shared,
    Own,
}

impl Crossing {
    /// Takes note of a message. Whether the agent has it still to hear: the other connection has not heard it as
    /// often as this one.
    pub(super) fn is_news(&self, ear: Ear, publish: &Publish, now: Instant) -> bool {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = heard.hasher.hash_one((&publish.topic, &publish.payload));
        let is_recent = |count: &Count| now.saturating_duration_since(count.last) < REMEMBERED;
        if heard.messages.len() >= MAX_REMEMBERED {
            heard.messages.retain(|_, count| is_recent(count));
        }
        if heard.messages.len() >= MAX_REMEMBERED {
            // Rather twice than not at all.
            heard.messages.clear();
        }
        let count = heard.messages.entry(key).or_insert(Count { came: [0, 0], last: now });
        if !is_recent(count) {
            count.came = [0, 0];
        }
        count.last = now;
        let told = count.came[0].max(count.came[1]);
        let came = &mut count.came[ear as usize];
        *came += 1;
        *came > told
    }

    /// Only one connection listens from now on.
    pub(super) fn settle(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).messages.clear();
    }
}

/// The agents of one broker that have, or just had, connections of their own there.
#[derive(Debug, Default)]
pub(super) struct Crossings(DashMap<EndpointId, Crossing>);

impl Crossings {
    /// That of an agent, which it keeps until it is back and [`Crossings::end`] finds nobody else who holds it.
    pub fn of(&self, agent: &EndpointId) -> Crossing {
        self.0.entry(agent.clone()).or_default().clone()
    }

    pub fn find(&self, agent: &EndpointId) -> Option<Crossing> {
        self.0.get(agent).map(|crossing| crossing.clone())
    }

    /// Forgets that of an agent which has no connection of its own any more. Whether that is so.
    pub fn end(&self, agent: &EndpointId) -> bool {
        self.0.remove_if(agent, |_, crossing| Arc::strong_count(&crossing.0) == 1);
        !self.0.contains_key(agent)
    }
}

/// How long an agent that changes its connection is heard on both: longer than what a broker has taken may need to
/// come, and than a connection takes to end.
pub(super) const GRACE: Duration = Duration::from_secs(5);
/// How long what was heard is remembered.
const REMEMBERED: Duration = Duration::from_secs(10);
/// Messages that are remembered.
const MAX_REMEMBERED: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    fn said(payload: &str) -> Publish {
        let payload = bytes::Bytes::copy_from_slice(payload.as_bytes());
        Publish { topic: "usp/agent".into(), payload, ..Publish::default() }
    }

    #[test]
    fn each_message_counts_once_in_whatever_order_the_connections_hear_it() {
        let (crossing, now) = (Crossing::default(), Instant::now());
        let news = |ear, what: &str| crossing.is_news(ear, &said(what), now);
        assert!(news(Ear::Shared, "a") && !news(Ear::Own, "a"));
        assert!(news(Ear::Own, "b") && !news(Ear::Shared, "b"));
        // What is said twice is heard twice.
        assert!(news(Ear::Own, "c") && news(Ear::Own, "c"));
        assert!(!news(Ear::Shared, "c") && !news(Ear::Shared, "c") && news(Ear::Shared, "c"));
        let elsewhere = Publish { topic: "usp/other".into(), ..said("a") };
        assert!(crossing.is_news(Ear::Own, &elsewhere, now), "it was said at another topic");
    }

    #[test]
    fn what_was_heard_is_forgotten_in_time_and_when_only_one_listens() {
        let (crossing, now) = (Crossing::default(), Instant::now());
        assert!(crossing.is_news(Ear::Shared, &said("a"), now));
        assert!(crossing.is_news(Ear::Own, &said("a"), now + REMEMBERED));
        crossing.settle();
        assert!(crossing.is_news(Ear::Shared, &said("a"), now + REMEMBERED));
        for number in 0..2 * MAX_REMEMBERED {
            assert!(crossing.is_news(Ear::Own, &said(&number.to_string()), now + REMEMBERED));
            assert!(crossing.0.lock().unwrap().messages.len() <= MAX_REMEMBERED);
        }
    }

    #[test]
    fn an_agent_that_is_back_is_forgotten_once_its_own_connection_is_gone() {
        let (crossings, agent) = (Crossings::default(), EndpointId::parse("os::00256D-1").unwrap());
        let own = crossings.of(&agent);
        assert!(own.is_news(Ear::Own, &said("a"), Instant::now()));
        let shared = crossings.find(&agent).unwrap();
        assert!(!shared.is_news(Ear::Shared, &said("a"), Instant::now()));
        drop(shared);
        assert!(!crossings.end(&agent), "its own connection may hear still");
        drop(own);
        assert!(crossings.end(&agent) && crossings.find(&agent).is_none());
    }
}
