//! How long to wait before the next try: the one table that notifications (R-NOT.1, R-NOT.2) and session
//! contexts (R-E2E.10, R-E2E.11) share.

/// What a Controller row says of retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// The least wait, in seconds.
    pub minimum: u64,
    /// How much longer each wait is than the one before, in thousandths.
    pub multiplier: u64,
}

impl Default for Retry {
    fn default() -> Self {
        Self { minimum: 5, multiplier: 2_000 }
    }
}

impl Retry {
    /// The wait before this try in milliseconds, tries counted from 1: within a range that grows by the
    /// multiplier up to the tenth.
    pub fn wait_ms(&self, attempt: u32, seed: u64) -> u64 {
        let mut from = self.minimum.saturating_mul(1_000);
        for _ in 1..attempt.min(LAST_RANGE) {
            from = from.saturating_mul(self.multiplier) / 1_000;
        }
        let to = from.saturating_mul(self.multiplier) / 1_000;
        from + seed % (to.saturating_sub(from) + 1)
    }
}

/// From this try on the range stays.
const LAST_RANGE: u32 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_not_1_r_not_2_r_e2e_10_r_e2e_11_waits_double_up_to_the_tenth_try() {
        let retry = Retry::default();
        for seed in [0, 77_777, u64::MAX] {
            for (attempt, from, to) in [(1, 5_000, 10_000), (2, 10_000, 20_000), (3, 20_000, 40_000)] {
                let wait = retry.wait_ms(attempt, seed);
                assert!((from..=to).contains(&wait), "try {attempt}: {wait}");
            }
            for attempt in [10, 11, 30] {
                assert!((2_560_000..=5_120_000).contains(&retry.wait_ms(attempt, seed)));
            }
        }
    }
}
