//! One timer queue for a whole fleet: an idle CPE costs an entry and no task.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::core::Due;

/// What a timer means for its CPE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Alarm {
    /// The device is switched on for the first time.
    Start,
    /// A periodic Inform; another generation than the CPE's is out of date.
    Periodic {
        generation: u32,
    },
    /// A failed session is tried again; another generation than the CPE's is out of date.
    Retry {
        generation: u32,
    },
    /// One of the fleet's happenings comes over the device.
    Happening(usize),
    Device(Due),
}

#[derive(Debug)]
struct Entry {
    at: Instant,
    /// Keeps those of the same time in order.
    sequence: u64,
    index: usize,
    alarm: Alarm,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

#[derive(Debug, Default)]
struct Queue {
    entries: BinaryHeap<Reverse<Entry>>,
    sequence: u64,
}

/// Timers of a fleet. A CPE has one for periodic Informs, one for a retry and a bounded number for what it
/// does after sessions, and one for each happening, so the queue is bounded too.
#[derive(Debug, Default)]
pub(super) struct Timers {
    queue: Mutex<Queue>,
    earlier: Notify,
}

impl Timers {
    /// Sets a timer.
    pub fn set(&self, in_ms: u64, index: usize, alarm: Alarm) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let sequence = queue.sequence;
        queue.sequence += 1;
        let at = Instant::now() + Duration::from_millis(in_ms);
        let is_first = queue.entries.peek().is_none_or(|Reverse(first)| at < first.at);
        queue.entries.push(Reverse(Entry { at, sequence, index, alarm }));
        drop(queue);
        if is_first {
            self.earlier.notify_one();
        }
    }

    /// Awaits the next timer and takes it out.
    pub async fn next(&self) -> (usize, Alarm) {
        loop {
            match self.take_due() {
                Ok(due) => return due,
                Err(Some(at)) => tokio::select! {
                    () = sleep_until(at) => {}
                    () = self.earlier.notified() => {}
                },
                Err(None) => self.earlier.notified().await,
            }
        }
    }

    /// The first timer if its time has come, else when that is.
    fn take_due(&self) -> Result<(usize, Alarm), Option<Instant>> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        match queue.entries.peek() {
            None => Err(None),
            Some(Reverse(first)) if first.at > Instant::now() => Err(Some(first.at)),
            Some(_) => match queue.entries.pop() {
                Some(Reverse(entry)) => Ok((entry.index, entry.alarm)),
                None => Err(None),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn timers_go_off_in_the_order_of_their_time_even_if_set_later() {
        let timers = Timers::default();
        timers.set(20, 1, Alarm::Start);
        timers.set(5, 2, Alarm::Start);
        timers.set(5, 3, Alarm::Retry { generation: 0 });
        let mut order = Vec::new();
        for _ in 0..3 {
            order.push(timers.next().await.0);
        }
        assert_eq!(order, [2, 3, 1]);
    }
}
