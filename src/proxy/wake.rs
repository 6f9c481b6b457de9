//! Wakes a CPE by connection requests: at most one under way, a bounded number of tries with growing
//! waits, until a session opens or the tries are used up; then the work waits for the next Inform.

/// The state of waking one device.
#[derive(Debug, Default)]
pub struct Wake {
    state: State,
    heard: Heard,
    /// When it last took one, whatever came before.
    taken_at: Option<u64>,
}

/// Whether a session that opens now comes of a connection request of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// The CPE has taken one, lately, and has opened no session since.
    Taken,
    /// One is under way: its end will tell.
    UnderWay,
    /// One was sent, but is not known to be the reason: the CPE did not take it, or took it long ago.
    Tried,
    /// None was sent.
    None,
}

/// What the CPE has answered to the connection requests since its last session.
#[derive(Debug, Default, PartialEq, Eq)]
enum Heard {
    #[default]
    Nothing,
    /// The last one that it took, at this time.
    Taken { at: u64 },
    /// It did not take the first one: it may be busy with another's request, or be called by one soon.
    NotTaken,
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

    /// Somebody needs the device who cannot wait for the next try, or is the first to need it again.
    pub fn insist(&mut self, now: u64, waits: &[u64]) {
        if !matches!(self.state, State::Sent { .. }) && !waits.is_empty() {
            self.state = State::Due { attempt: 0, at: now };
        }
    }

    /// Whether the device has just taken a connection request: its session is on the way.
    pub fn is_coming(&self, now: u64) -> bool {
        self.taken_at.is_some_and(|at| now < at + COMING_MS)
    }

    /// A session has opened.
    pub fn opened(&mut self) {
        *self = Self::default();
    }

    /// Whether a session that opens now is one that we have asked for.
    pub fn call(&self, now: u64) -> Call {
        match (&self.heard, &self.state) {
            (Heard::Taken { at }, _) if now <= at + TAKEN_MS => Call::Taken,
            (Heard::Nothing | Heard::Taken { .. }, State::Sent { .. }) => Call::UnderWay,
            (Heard::Nothing, State::Quiet | State::Due { .. }) => Call::None,
            _ => Call::Tried,
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

    /// The last connection request has ended, `taken` by the CPE or not: unless a session opens, the next try
    /// follows.
    pub fn done(&mut self, now: u64, taken: bool, waits: &[u64]) {
        if let State::Sent { attempt } = self.state {
            self.taken_at = if taken { Some(now) } else { self.taken_at };
            self.heard = match self.heard {
                Heard::Nothing | Heard::Taken { .. } if taken => Heard::Taken { at: now },
                Heard::Nothing => Heard::NotTaken,
                // Who has taken one is about to open its session, and may well not take another.
                Heard::Taken { at } => Heard::Taken { at },
                Heard::NotTaken => Heard::NotTaken,
            };
            self.state = match waits.get(attempt + 1) {
                Some(wait) => State::Due { attempt: attempt + 1, at: now + wait },
                None => State::GivenUp,
            };
        }
    }

    /// The work that needed the device is gone, or its session is over.
    pub fn settle(&mut self) {
        *self = Self::default();
    }

    pub fn next_deadline(&self) -> Option<u64> {
        match self.state {
            State::Due { at, .. } => Some(at),
            _ => None,
        }
    }
}

/// A session follows a connection request at once (TR-069 3.2.2); later ones have another reason.
const TAKEN_MS: u64 = 60_000;
/// How long a session may be on its way after a connection request until another is sent for whoever insists.
const COMING_MS: u64 = 2_000;

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
    fn a_session_is_ours_only_if_the_cpe_has_taken_every_call_since_the_last() {
        let called = |taken: bool| {
            let mut wake = Wake::default();
            wake.want(0, &WAITS);
            assert_eq!(wake.call(0), Call::None, "nothing is sent yet");
            wake.take_due(0);
            assert_eq!(wake.call(5), Call::UnderWay);
            wake.done(10, taken, &WAITS);
            wake
        };
        let mut taken = called(true);
        assert_eq!(taken.call(20), Call::Taken);
        assert_eq!(taken.call(10 + TAKEN_MS + 1), Call::Tried, "that long after it something else called");
        taken.take_due(110);
        taken.done(120, false, &WAITS);
        assert_eq!(taken.call(130), Call::Taken, "who opens its session takes no other call");
        taken.opened();
        assert_eq!(taken.call(140), Call::None, "one call is good for one session");
        let mut busy = called(false);
        assert_eq!(busy.call(20), Call::Tried);
        busy.take_due(110);
        assert_eq!(busy.call(115), Call::Tried);
        busy.done(120, true, &WAITS);
        assert_eq!(busy.call(130), Call::Tried, "it was busy: another may have called it first");
    }

    #[test]
    fn who_insists_gets_a_request_now_unless_one_is_under_way_or_taken() {
        let mut wake = Wake::default();
        for answers in [[true, true], [false, false], [false, true]] {
            wake.insist(0, &WAITS);
            assert!(wake.take_due(0));
            wake.insist(0, &WAITS);
            assert!(!wake.take_due(0), "one is under way");
            for (now, taken) in [1, 110].into_iter().zip(answers) {
                assert_eq!((wake.done(now, taken, &WAITS), wake.is_coming(now)), ((), taken));
                wake.take_due(105);
            }
            assert_eq!(wake.next_deadline(), None, "the tries are used up");
            assert!(!wake.is_coming(110 + COMING_MS));
            wake.insist(0, &WAITS);
            assert!(wake.take_due(0), "and yet another is sent");
            wake.settle();
        }
        wake.insist(0, &[]);
        assert!(!wake.take_due(u64::MAX), "nobody is to be called");
    }

    #[test]
    fn tries_are_bounded() {
        let mut wake = Wake::default();
        wake.want(0, &WAITS);
        assert!(wake.take_due(0));
        wake.done(10, true, &WAITS);
        assert!(!wake.take_due(109));
        assert!(wake.take_due(110));
        wake.done(120, true, &WAITS);
        wake.want(130, &WAITS);
        assert_eq!(wake.next_deadline(), None);
        wake.opened();
        wake.want(200, &WAITS);
        assert!(wake.take_due(200));
    }
}
