//! The only clock and the only randomness that the cores ever see.

use std::time::{Instant, SystemTime};

use crate::agent::Env;
use crate::datamodel::WallTime;

/// Monotonic milliseconds since it was made, wall time, and seeds.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: Instant,
    /// What the seeds of this process begin from.
    seed: u64,
}

impl Clock {
    pub fn start() -> Self {
        Self { origin: Instant::now(), seed: random() }
    }

    /// Monotonic milliseconds.
    pub fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The instant of a monotonic time, for timers.
    pub fn instant(&self, at: u64) -> tokio::time::Instant {
        tokio::time::Instant::from_std(self.origin + std::time::Duration::from_millis(at))
    }

    /// What a core needs to know of the world for one step.
    pub fn env(&self) -> Env {
        Env { now: self.now(), wall: self.wall(), seed: self.seed() }
    }

    pub fn wall(&self) -> WallTime {
        SystemTime::now().into()
    }

    /// Differs from step to step. It spreads retries and is no secret, so that the time is enough: splitmix64
    /// of it, begun at random.
    fn seed(&self) -> u64 {
        let nanoseconds = u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let mut mixed = self.seed ^ nanoseconds.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// 64 random bits from the operating system by way of the TLS provider.
pub(super) fn random() -> u64 {
    let mut bytes = [0; 8];
    // It cannot fail once the process runs; a zero seed would only weaken jitter.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// An unguessable name for a CPE session (quirk H26): 128 random bits as hex.
pub(super) fn session_name() -> String {
    format!("{:016x}{:016x}", random(), random())
}
