//! One bandwidth for all that is served: whoever sends waits for its turn.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Bytes per second over all connections together.
pub(super) struct Pace {
    per_second: Option<u64>,
    /// When what has been sent so far is through at that pace.
    through: Mutex<Instant>,
}

impl Pace {
    /// Without a number there is no limit.
    pub fn new(per_second: Option<u64>) -> Self {
        Self { per_second, through: Mutex::new(Instant::now()) }
    }

    /// When so many bytes may be sent; they count as sent.
    pub fn turn(&self, bytes: usize, now: Instant) -> Option<Instant> {
        let per_second = self.per_second?.max(1);
        let mut through = self.through.lock().unwrap_or_else(PoisonError::into_inner);
        let at = (*through).max(now);
        *through = at + Duration::from_secs_f64(bytes as f64 / per_second as f64);
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_by_all_takes_its_time() {
        let pace = Pace::new(Some(1_000));
        let begun = Instant::now();
        let later = |milliseconds| begun + Duration::from_millis(milliseconds);
        assert_eq!(pace.turn(500, begun), Some(begun));
        assert_eq!(pace.turn(500, begun), Some(later(500)));
        // What was not used is not saved up.
        assert_eq!(pace.turn(1, later(5_000)), Some(later(5_000)));
        assert_eq!(Pace::new(None).turn(1 << 30, begun), None);
    }
}
