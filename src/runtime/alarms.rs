//! Wakes devices at rest when something of their own is due: one task and one ordered set for the near future,
//! which the store's index fills again and again.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::datamodel::WallTime;
use crate::identity::EndpointId;
use crate::proxy::Input;
use crate::store::Store;

use super::clock::Clock;
use super::fleet::Fleet;
use super::mailbox::Letter;

/// Deadlines of devices at rest; cloning shares.
#[derive(Clone, Default)]
pub struct Alarms {
    near: Arc<Mutex<Near>>,
}

#[derive(Default)]
struct Near {
    /// Deadlines from then on are found in the store when their time comes closer.
    until: WallTime,
    due: BTreeSet<(WallTime, EndpointId)>,
}

impl Alarms {
    /// A device goes to rest, and has something to do at this time. What is far off is the store's to tell.
    pub fn set(&self, endpoint: &EndpointId, at: WallTime) {
        let mut near = self.near.lock().unwrap_or_else(PoisonError::into_inner);
        if at <= near.until {
            near.due.insert((at, endpoint.clone()));
        }
    }

    /// Takes in what the store has up to a time.
    fn fill(&self, until: WallTime, found: Vec<(WallTime, EndpointId)>) {
        let mut near = self.near.lock().unwrap_or_else(PoisonError::into_inner);
        near.until = until;
        near.due.extend(found);
    }

    /// Those whose time has come.
    fn take_due(&self, now: WallTime) -> Vec<EndpointId> {
        let mut near = self.near.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = Vec::new();
        while near.due.first().is_some_and(|(at, _)| *at <= now) && due.len() < AT_ONCE {
            due.extend(near.due.pop_first().map(|(_, endpoint)| endpoint));
        }
        due
    }

    /// Runs until told to stop.
    pub async fn run<S: Store>(self, store: Arc<S>, fleet: Fleet<S>, clock: Clock, stop: CancellationToken) {
        let mut refill_at = WallTime(0);
        loop {
            let now = clock.env().wall;
            // A clock that was put back moves the next look with it.
            if now >= refill_at || refill_at.0 - now.0 > HORIZON_MS {
                refill_at = WallTime(now.0 + self.refill(&*store, now).await);
            }
            for endpoint in self.take_due(now) {
                // A device that is awake knows its time by itself, and one that is full is busy.
                let _ = fleet.deliver(&endpoint, None, Letter::Input(Input::Tick));
            }
            tokio::select! {
                () = tokio::time::sleep(STEP) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Looks ahead in the store; says in how many milliseconds to look again.
    async fn refill<S: Store>(&self, store: &S, now: WallTime) -> u64 {
        let horizon = WallTime(now.0 + HORIZON_MS);
        match store.due(horizon, MAX_NEAR).await {
            Ok(found) => {
                let full = found.len() >= MAX_NEAR;
                let until = found.last().filter(|_| full).map_or(horizon, |(at, _)| *at);
                let ahead = until.0.saturating_sub(now.0) / 2;
                self.fill(until, found);
                ahead.max(RETRY_MS)
            }
            Err(error) => {
                tracing::warn!(%error, "the deadlines of devices at rest could not be read");
                RETRY_MS
            }
        }
    }
}

/// How exactly devices are woken: Periodic! is within seconds.
const STEP: Duration = Duration::from_millis(250);
/// How far ahead the store is asked.
const HORIZON_MS: u64 = 3_600_000;
/// Deadlines held at once; of more the earliest.
const MAX_NEAR: usize = 100_000;
/// Devices that are woken in one step.
const AT_ONCE: usize = 1_000;
const RETRY_MS: u64 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_woken_in_the_order_of_their_deadlines_and_once() {
        let alarms = Alarms::default();
        let endpoint = |name: &str| EndpointId::parse(&format!("self::{name}")).unwrap();
        alarms.set(&endpoint("far"), WallTime(5));
        alarms.fill(WallTime(100), vec![(WallTime(50), endpoint("b")), (WallTime(20), endpoint("a"))]);
        alarms.set(&endpoint("c"), WallTime(60));
        alarms.set(&endpoint("far"), WallTime(101));
        alarms.set(&endpoint("a"), WallTime(20));
        assert!(alarms.take_due(WallTime(19)).is_empty());
        assert_eq!(alarms.take_due(WallTime(50)), [endpoint("a"), endpoint("b")]);
        assert_eq!(alarms.take_due(WallTime(1_000)), [endpoint("c")]);
    }
}
