//! Wakes a CPE by connection requests: at most one under way, a bounded number of tries with growing
//! waits, until a session opens or the tries are used up; then the work waits for the next Inform.

/// The state of waking one device.
#[derive(Debug, Default)]
pub struct Wake {
    state: State,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum State {
    /// Nobody waits for the device.
    #[default]
    Quiet,
    /// Try number `attempt` is due at this time.
    Due { attempt: usize, at: u64 },
    /// Try number `attempt` is under way.
    Sent { attempt: usize },
    /// The tries are used up.
    GivenUp,
}

impl Wake {
    /// Somebody needs the device. Requests are coalesced: a wake-up that is going on serves them all.
    pub fn want(&mut self, now: u64, waits: &[u64]) {
        if self.state == State::Quiet
            && let Some(first) = waits.first()
        {
            self.state = State::Due { attempt: 0, at: now + first };
        }
    }

    /// A session has opened.
    pub fn opened(&mut self) {
        self.state = State::Quiet;
    }

    /// Whether a connection request of ours has gone out that no session has followed yet.
    pub fn has_called(&self) -> bool {
        match self.state {
            State::Quiet => false,
            State::Due { attempt, .. } => attempt > 0,
            State::Sent { .. } | State::GivenUp => true,
        }
    }

    /// Whether a connection request is to be sent now; if so it counts as sent.
    pub fn take_due(&mut self, now: u64) -> bool {
        match self.state {
            State::Due { attempt, at } if at <= now => {
                self.state = State::Sent { attempt };
                true
            }
            _ => false,
        }
    }

    /// The last connection request has ended, well or not: unless a session opens, the next try follows.
    pub fn done(&mut self, now: u64, waits: &[u64]) {
        if let State::Sent { attempt } = self.state {
            self.state = match waits.get(attempt + 1) {
                Some(wait) => State::Due { attempt: attempt + 1, at: now + wait },
                None => State::GivenUp,
            };
        }
    }

    /// The work that needed the device is gone, or its session is over.
    pub fn settle(&mut self) {
        self.state = State::Quiet;
    }

    pub fn next_deadline(&self) -> Option<u64> {
        match self.state {
            State::Due { at, .. } => Some(at),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAITS: [u64; 2] = [0, 100];

    #[test]
    fn wishes_are_coalesced_into_one_request() {
        let mut wake = Wake::default();
        wake.want(5, &WAITS);
        wake.want(5, &WAITS);
        assert!(wake.take_due(5));
        assert!(!wake.take_due(5));
    }

    #[test]
    fn tries_are_bounded() {
        let mut wake = Wake::default();
        wake.want(0, &WAITS);
        assert!(wake.take_due(0));
        wake.done(10, &WAITS);
        assert!(!wake.take_due(109));
        assert!(wake.take_due(110));
        wake.done(120, &WAITS);
        wake.want(130, &WAITS);
        assert_eq!(wake.next_deadline(), None);
        wake.opened();
        wake.want(200, &WAITS);
        assert!(wake.take_due(200));
    }
}
