//! Waits between tries that grow and are spread by chance, so that a fleet does not return all at once.

/// Waits in milliseconds: each twice the one before up to a bound, every one spread over its upper half.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: u64,
    most: u64,
    tries: u32,
}

impl Backoff {
    pub fn new(first: u64, most: u64) -> Self {
        Self { first, most, tries: 0 }
    }

    /// The next wait, with `seed` as the only randomness.
    pub fn next(&mut self, seed: u64) -> u64 {
        let full = self.first.saturating_mul(1 << self.tries.min(20)).min(self.most);
        self.tries = self.tries.saturating_add(1);
        let half = full / 2;
        half + seed % (full - half + 1)
    }

    /// It worked: the next wait is the first one again.
    pub fn reset(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_stay_within_bounds_and_begin_anew() {
        let mut backoff = Backoff::new(1_000, 60_000);
        let waits: Vec<u64> = (0..12).map(|seed| backoff.next(seed * 7_919)).collect();
        assert!((500..=1_000).contains(&waits[0]));
        assert!((30_000..=60_000).contains(&waits[11]));
        backoff.reset();
        assert!(backoff.next(3) <= 1_000);
    }
}
