//! What an agent does at times of its own: in wall time, which restarts and rest do not move.
//!
//! The next such time is a durable entry, so that whoever runs agents can wake one that is at rest.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::datamodel::WallTime;
use crate::durable::{Change, Deadline, Entry};
use crate::telemetry::Schedule;

use super::core::Agent;
use super::io::{Env, Output, Shadow};
use super::local::{NotifType, as_object};

/// The deadline that is stored, and up to when everything has been done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clockwork {
    stored: Option<WallTime>,
    done: WallTime,
}

impl Clockwork {
    /// Up to when everything has been done.
    pub fn done(&self) -> WallTime {
        self.done
    }

    /// Nothing was due between what was done last and the deadline that is stored.
    pub fn restore(entries: &[Entry]) -> Self {
        let stored = Deadline::find(entries);
        Self { stored, done: stored.map_or(WallTime(u64::MAX), |at| WallTime(at.0.saturating_sub(1))) }
    }
}

impl Agent {
    /// Before anything else is done: what time is it, and which subscriptions has it ended?
    pub(super) fn keep_time(&mut self, env: &Env) {
        self.seen = (env.now, env.wall);
        // A clock that was put back starts everything from there.
        self.clockwork.done = self.clockwork.done.min(env.wall);
        self.local.acting_for(None, env.wall);
        if self.local.next_end().is_some_and(|at| at <= env.wall) {
            self.local.end_subscriptions(|it| it.ends_at.is_some_and(|at| at <= env.wall));
        }
    }

    /// Does what its schedules want by now, before anything else happens: one that is made or changed
    /// afterwards counts from now on, and not from when somebody last looked.
    pub(super) fn keep_schedules(&mut self, env: &Env, shadow: &mut Shadow, out: &mut Vec<Output>) {
        if self.clockwork.stored.is_some_and(|at| at <= env.wall) {
            for (recipient, schedule) in self.periodic() {
                let last = schedule.last(env.wall, self.spread());
                let late = env.wall.0.saturating_sub(last.0);
                // An agent that was off at that time has missed it.
                if last > self.clockwork.done && late <= MAX_LATE_MS {
                    self.tell_periodic(env, shadow, &recipient, out);
                }
            }
            self.collect_due(env, self.clockwork.done, shadow, out);
        }
        self.clockwork.done = env.wall;
    }

    /// Does what else is due.
    pub(super) fn act_on_time(&mut self, env: &Env, shadow: &mut Shadow, out: &mut Vec<Output>) {
        self.retry_uploads(env, shadow, out);
        self.end_timers(env, shadow, out);
        self.upgrades_due(env, shadow, out);
        let due: Vec<_> =
            self.onboarding_due().filter(|(_, at)| *at <= env.wall).map(|(it, _)| it.clone()).collect();
        for controller in due {
            self.onboard(env, &controller, out);
        }
        self.tell_boot_if_read(env, shadow, out);
    }

    /// The next time, whether or not anybody looks.
    pub fn next_own_time(&self) -> Option<WallTime> {
        if self.is_silent() {
            return None;
        }
        let spread = self.spread();
        let periodic = self.periodic().into_iter().map(|(_, it)| it.after(self.clockwork.done, spread));
        let timers = self.operations.iter().filter_map(|operation| operation.due);
        let timers = timers.chain(self.next_upgrade()).chain(self.next_diagnostic());
        let onboarding = self.onboarding_due().map(|(_, at)| at);
        let ends = self.local.next_end();
        let collections = self.collections(self.clockwork.done);
        periodic.chain(timers).chain(onboarding).chain(ends).chain(collections).min()
    }

    /// The same in monotonic milliseconds, for whoever keeps the agent awake.
    pub(super) fn next_own_deadline(&self) -> Option<u64> {
        let (now, wall) = self.seen;
        Some(now.saturating_add(self.next_own_time()?.0.saturating_sub(wall.0)))
    }

    /// Keeps the next time where it is found while the agent is at rest.
    pub(super) fn keep_deadline(&mut self, out: &mut Vec<Output>) {
        // A boot that is still to be told: whoever wakes after a crash tells it at once.
        let boot = self.stored.boot.is_some().then_some(self.stored.booted_at).filter(|_| !self.is_silent());
        let next = self.next_own_time().into_iter().chain(boot).min();
        if next != self.clockwork.stored {
            self.clockwork.stored = next;
            let change: Change = Deadline::change(next);
            self.persist(vec![change], out);
        }
    }

    /// Which controllers have asked for Periodic!, and when each of them gets it.
    fn periodic(&self) -> Vec<(String, Schedule)> {
        let tree = self.local.tree();
        let mut found: Vec<(String, Schedule)> = Vec::new();
        for subscription in self.local.subscriptions() {
            let row = as_object(&subscription.recipient);
            let wanted =
                subscription.wants_leaf(NotifType::Event, "Device.LocalAgent.", "Periodic!", &tree.model);
            if !wanted || found.iter().any(|(known, _)| *known == row) {
                continue;
            }
            let interval = tree.number(&format!("{row}PeriodicNotifInterval")).unwrap_or(1);
            let reference = tree.value(&format!("{row}PeriodicNotifTime")).and_then(WallTime::parse);
            found.push((row, Schedule { interval, reference }));
        }
        found
    }

    /// Tells the agents of a fleet apart, so that they do not speak all at once.
    pub(super) fn spread(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.endpoint.hash(&mut hasher);
        hasher.finish()
    }
}

/// How late a Periodic! may be and still be sent.
const MAX_LATE_MS: u64 = 60_000;
