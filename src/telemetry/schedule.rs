//! When something comes again and again: a profile's collections (`ReportingInterval`, `TimeReference`) and
//! Periodic! (`PeriodicNotifInterval`, `PeriodicNotifTime`).

use crate::datamodel::WallTime;

/// An interval and its phase, in wall time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// In seconds; at least one.
    pub interval: u64,
    /// Any of the times; the unknown time leaves it to the agent, which then spreads its fleet.
    pub reference: Option<WallTime>,
}

impl Schedule {
    /// The first time after `now`. Without a reference an agent has its own place in the interval,
    /// by `spread` (any number that differs from agent to agent), so that a fleet does not report at once.
    pub fn after(&self, now: WallTime, spread: u64) -> WallTime {
        let interval = self.interval.max(1).saturating_mul(1_000);
        let phase = self.reference.map_or(spread % interval, |reference| reference.0 % interval);
        let since = now.0.wrapping_add(interval - phase) % interval;
        WallTime(now.0.saturating_add(interval - since))
    }

    /// The last time that is not after `now`.
    pub fn last(&self, now: WallTime, spread: u64) -> WallTime {
        let interval = self.interval.max(1).saturating_mul(1_000);
        WallTime(self.after(now, spread).0.saturating_sub(interval))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn collections_keep_to_the_time_reference() {
        // Every 15 minutes, at 42 minutes past one: also at 57, 12 and 27.
        let reference = WallTime::parse("2020-01-01T01:42:00Z");
        let schedule = Schedule { interval: 900, reference };
        let after = |at| schedule.after(WallTime::parse(at).unwrap(), 7).to_string();
        assert_eq!(after("2026-05-05T10:00:00Z"), "2026-05-05T10:12:00Z");
        assert_eq!(after("2026-05-05T10:12:00Z"), "2026-05-05T10:27:00Z");
        assert_eq!(after("2026-05-05T10:56:59Z"), "2026-05-05T10:57:00Z");
    }

    proptest! {
        #[test]
        fn the_next_collection_is_in_the_future_and_within_an_interval(
            interval in 1_u64..1_000_000,
            now in 0_u64..4_000_000_000_000,
            reference in prop::option::of(0_u64..4_000_000_000_000),
            spread: u64,
        ) {
            let schedule = Schedule { interval, reference: reference.map(WallTime) };
            let next = schedule.after(WallTime(now), spread);
            prop_assert!(next.0 > now && next.0 <= now + interval * 1_000);
            prop_assert_eq!(schedule.after(next, spread).0, next.0 + interval * 1_000);
            prop_assert_eq!(schedule.last(next, spread), next);
        }
    }
}
