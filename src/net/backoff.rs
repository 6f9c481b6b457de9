//! Waits between tries that grow and are spread by chance, so that a fleet does not return all at once.

/// Waits in milliseconds. The nth lies between `first * k^(n-1)` and `first * k^n`, as MQTT clients and
/// WebSocket connections of agents have it (R-WS.19); at its bound a wait lies in the upper half of that.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: u64,
    /// In thousandths.
    multiplier: u64,
    most: u64,
    from_zero: bool,
    tries: u32,
}

impl Backoff {
    /// Waits that double.
    pub fn new(first: u64, most: u64) -> Self {
        Self::growing(first, 2_000, most)
    }

    /// Waits that grow by `multiplier` thousandths.
    pub fn growing(first: u64, multiplier: u64, most: u64) -> Self {
        Self { first, multiplier: multiplier.max(1_000), most, from_zero: false, tries: 0 }
    }

    /// As STOMP has it: the nth wait lies between zero and `first * k^(n-1)` (R-STOMP.7).
    pub fn from_zero(mut self) -> Self {
        self.from_zero = true;
        self
    }

    /// The next wait, with `seed` as the only randomness.
    pub fn next(&mut self, seed: u64) -> u64 {
        let base = self.grown(self.tries);
        let (least, most) = match self.from_zero {
            true => (0, base.min(self.most)),
            false => (base, self.grown(self.tries + 1)),
        };
        self.tries = self.tries.saturating_add(1).min(MOST_TRIES);
        let most = most.min(self.most);
        let least = if least >= self.most { self.most / 2 } else { least };
        least + seed % (most - least + 1)
    }

    fn grown(&self, times: u32) -> u64 {
        let factor = u128::from(self.multiplier);
        let mut wait = u128::from(self.first);
        for _ in 0..times {
            wait = (wait * factor / 1_000).min(u128::from(u64::MAX / 2));
        }
        u64::try_from(wait).unwrap_or(u64::MAX / 2)
    }

    /// It worked: the next wait is the first one again.
    pub fn reset(&mut self) {
        self.tries = 0;
    }
}

/// Tries that are counted: any wait has reached its bound by then.
const MOST_TRIES: u32 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_stay_within_bounds_and_begin_anew() {
        let mut backoff = Backoff::new(1_000, 60_000);
        let waits: Vec<u64> = (0..12).map(|seed| backoff.next(seed * 7_919)).collect();
        assert!((1_000..=2_000).contains(&waits[0]));
        assert!((30_000..=60_000).contains(&waits[11]));
        backoff.reset();
        assert!(backoff.next(3) <= 2_000);
    }

    #[test]
    fn tp469_7_8_tp469_11_16_waits_lie_in_the_ranges_of_the_standards() {
        for seed in [0, 1, 12_345, u64::MAX] {
            let mut websocket = Backoff::growing(5_000, 2_000, 5_120_000);
            let mut stomp = Backoff::growing(60_000, 1_500, 30_720_000).from_zero();
            for range in [5_000..=10_000, 10_000..=20_000, 20_000..=40_000, 40_000..=80_000] {
                assert!(range.contains(&websocket.next(seed)), "{range:?}");
            }
            for most in [60_000, 90_000, 135_000] {
                assert!(stomp.next(seed) <= most, "{most}");
            }
            let mut constant = Backoff::growing(5_000, 1_000, 5_000);
            assert!(constant.next(seed) <= 5_000);
        }
    }
}
