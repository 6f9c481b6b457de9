//! The nonces of a digest server: made so that nothing need be kept of those that are never used, and
//! remembered once used, so that no answer opens twice (RFC 7616 5.12).

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// Gives nonces and judges their use. Times are in seconds, on any clock that only goes forward.
pub struct Nonces {
    /// Makes nonces unguessable; fresh in every process, so that a restart makes old ones stale.
    secret: [u8; 32],
    given: u64,
    /// The nonces that were used, oldest first.
    used: BTreeMap<Made, Counts>,
    /// Nonces up to here were forgotten for lack of room, and are taken no more.
    forgotten: Option<Made>,
}

/// When a nonce was made, and its number.
type Made = (u64, u64);

/// Which counts came with a nonce: the highest, and a bit for each of those below it.
#[derive(Debug, Clone, Copy)]
struct Counts {
    highest: u32,
    below: u64,
}

/// What the use of a nonce is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// The first with this count.
    Fresh,
    /// The same count came before, or so long ago that it cannot be told. Clients that count nothing, or
    /// never on, take a nonce of their own for each request.
    Replayed,
    /// The nonce is old, or not of our making.
    Stale,
}

impl Nonces {
    pub fn new(secret: [u8; 32]) -> Self {
        Self { secret, given: 0, used: BTreeMap::new(), forgotten: None }
    }

    /// A new nonce.
    pub fn give(&mut self, now: u64) -> String {
        self.given += 1;
        self.write((now, self.given))
    }

    /// Notes that a nonce came with a right answer and this count; `None` where the client has no `nc`, as
    /// those that know no qop.
    pub fn note(&mut self, nonce: &str, count: Option<u32>, now: u64) -> Use {
        let Some(made) = self.read(nonce) else { return Use::Stale };
        let old = now.checked_sub(made.0).is_none_or(|age| age > NONCE_SECONDS);
        if old || self.forgotten.is_some_and(|forgotten| made <= forgotten) {
            return Use::Stale;
        }
        let count = count.unwrap_or(0);
        if let Some(counts) = self.used.get_mut(&made) {
            return if counts.add(count) { Use::Fresh } else { Use::Replayed };
        }
        self.make_room(now);
        self.used.insert(made, Counts { highest: count, below: 0 });
        Use::Fresh
    }

    fn make_room(&mut self, now: u64) {
        while let Some((oldest, _)) = self.used.first_key_value() {
            let old = now.saturating_sub(oldest.0) > NONCE_SECONDS;
            if !old && self.used.len() < MAX_USED {
                return;
            }
            // It must not open again: what can no more be watched is called stale.
            self.forgotten = self.used.pop_first().map(|(made, _)| made).max(self.forgotten);
        }
    }

    fn write(&self, made: Made) -> String {
        let (at, number) = made;
        let proof = Sha256::new()
            .chain_update(self.secret)
            .chain_update(at.to_be_bytes())
            .chain_update(number.to_be_bytes())
            .finalize();
        let proof: String = proof[..12].iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{at:016x}{number:016x}{proof}")
    }

    fn read(&self, nonce: &str) -> Option<Made> {
        let at = u64::from_str_radix(nonce.get(..16)?, 16).ok()?;
        let number = u64::from_str_radix(nonce.get(16..32)?, 16).ok()?;
        let genuine: bool = self.write((at, number)).as_bytes().ct_eq(nonce.as_bytes()).into();
        genuine.then_some((at, number))
    }
}

impl Counts {
    /// Whether the count is new. Requests of one client may overtake each other on several connections.
    fn add(&mut self, count: u32) -> bool {
        if count > self.highest {
            let ahead = count - self.highest;
            // The one that was highest becomes a bit, too.
            let shifted = self.below.checked_shl(ahead).unwrap_or(0);
            self.below = shifted | 1_u64.checked_shl(ahead - 1).unwrap_or(0);
            self.highest = count;
            return true;
        }
        let behind = self.highest - count;
        let bit = behind.checked_sub(1).and_then(|place| 1_u64.checked_shl(place));
        match bit {
            Some(bit) if self.below & bit == 0 => {
                self.below |= bit;
                true
            }
            _ => false,
        }
    }
}

/// How long a nonce is taken.
pub const NONCE_SECONDS: u64 = 300;
/// Used nonces that are remembered, some 60 bytes each; over that the oldest become stale.
const MAX_USED: usize = 200_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn nonces() -> Nonces {
        Nonces::new([7; 32])
    }

    #[test]
    fn no_count_is_taken_twice_and_some_may_come_late() {
        let mut nonces = nonces();
        let nonce = nonces.give(0);
        for (count, expected) in [
            (1, Use::Fresh),
            (1, Use::Replayed),
            (3, Use::Fresh),
            (2, Use::Fresh),
            (2, Use::Replayed),
            (3, Use::Replayed),
            (66, Use::Fresh),
            (3, Use::Replayed),
            (4, Use::Fresh),
            (4, Use::Replayed),
            (5, Use::Fresh),
            (1_000, Use::Fresh),
            (66, Use::Replayed),
            (936, Use::Fresh),
            (935, Use::Replayed),
            (u32::MAX, Use::Fresh),
            (1, Use::Replayed),
        ] {
            assert_eq!(nonces.note(&nonce, Some(count), 1), expected, "{count}");
        }
    }

    #[test]
    fn clients_that_do_not_count_take_a_nonce_for_each_request() {
        let mut nonces = nonces();
        let (one, other) = (nonces.give(9), nonces.give(9));
        assert_ne!(one, other, "clients of one second share a nonce");
        assert_eq!(nonces.note(&one, None, 9), Use::Fresh);
        assert_eq!(nonces.note(&one, None, 9), Use::Replayed);
        assert_eq!(nonces.note(&other, None, 9), Use::Fresh);
    }

    #[test]
    fn old_and_foreign_nonces_are_stale() {
        let mut nonces = nonces();
        let nonce = nonces.give(50);
        assert_eq!(nonces.note(&nonce, Some(1), 50 + NONCE_SECONDS + 1), Use::Stale);
        assert_eq!(nonces.note(&nonce, Some(1), 49), Use::Stale);
        let foreign = Nonces::new([8; 32]).give(50);
        for text in [foreign.as_str(), "", "xyz", &nonce[1..], &format!("é{nonce}")] {
            assert_eq!(nonces.note(text, Some(1), 50), Use::Stale, "{text}");
        }
        assert_eq!(nonces.note(&nonce, Some(1), 51), Use::Fresh);
    }

    #[test]
    fn what_is_forgotten_for_lack_of_room_does_not_open_again() {
        let mut nonces = nonces();
        let all: Vec<String> = (0..=MAX_USED).map(|_| nonces.give(1)).collect();
        assert!(all.iter().all(|nonce| nonces.note(nonce, Some(1), 2) == Use::Fresh));
        assert_eq!(nonces.used.len(), MAX_USED);
        assert_eq!(nonces.note(&all[0], Some(1), 2), Use::Stale);
        assert_eq!(nonces.note(&all[0], Some(2), 2), Use::Stale);
        assert_eq!(nonces.note(&all[1], Some(1), 2), Use::Replayed);
        let later = nonces.give(2 + NONCE_SECONDS);
        assert_eq!(nonces.note(&later, Some(1), 2 + NONCE_SECONDS), Use::Fresh);
        assert_eq!(nonces.used.len(), 1, "nonces that are too old to be taken were kept");
    }
}
