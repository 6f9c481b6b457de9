//! Wrong credentials, counted by the client's address and the user that they were for.
//!
//! Who guesses is slowed down, and who shares an address with him is not: what is counted is wrong answers
//! only, a right one opens whatever the others did, and users are counted apart. Only a flood of wrong answers
//! for one user from one address makes that user wait there.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

/// The clients that were wrong lately. Times are in seconds, on any clock that only goes forward.
#[derive(Default)]
pub(super) struct Guesses(HashMap<Key, Debt>);

/// The address, IPv6 by the network of the subscriber; none for those whose address is not known or finds no
/// room. The user; empty for users that do not exist.
type Key = (Option<IpAddr>, String);

/// Each wrong answer costs some seconds; when they have passed it is forgotten.
struct Debt {
    until: u64,
    told: bool,
}

/// How often a client was wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    /// The first time for long.
    First,
    /// Some times: anybody may mistype.
    Again,
    /// So often that it looks like guessing; the seconds after which to come back.
    Often { again: u64, first: bool },
}

impl Guesses {
    /// The seconds to wait before an answer is looked at again; `None` to look at it now.
    pub fn wait(&self, address: Option<IpAddr>, user: &str, now: u64) -> Option<u64> {
        // Where many share a count, as those of unknown address do, one guesser must not stop them all.
        let address = address.map(network)?;
        let debt = self.0.get(&(Some(address), user.to_owned()))?;
        let over = debt.until.checked_sub(now + FLOOD * COST)?;
        Some(over + COST)
    }

    /// An answer was wrong.
    pub fn wrong(&mut self, address: Option<IpAddr>, user: &str, now: u64) -> Wrong {
        let mut key = (address.map(network), user.to_owned());
        if self.0.len() >= MAX_GUESSERS && !self.0.contains_key(&key) {
            self.0.retain(|_, debt| debt.until > now);
            if self.0.len() >= MAX_GUESSERS {
                key = (None, String::new());
            }
        }
        let debt = self.0.entry(key).or_insert(Debt { until: 0, told: false });
        let new = debt.until <= now;
        debt.told &= !new;
        debt.until = debt.until.max(now) + COST;
        let owed = debt.until - now;
        if owed > OFTEN * COST {
            let first = !std::mem::replace(&mut debt.told, true);
            return Wrong::Often { again: owed.min(LONGEST), first };
        }
        if new { Wrong::First } else { Wrong::Again }
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

/// Seconds until a wrong answer is forgotten.
const COST: u64 = 3;
/// Wrong answers that are challenged again; further ones are told to come back later.
const OFTEN: u64 = 10;
/// Wrong answers after which no more are looked at until some are forgotten.
const FLOOD: u64 = 50;
/// Seconds that anybody is told to wait at most.
const LONGEST: u64 = 300;
/// Clients that are counted, one by one; over that they share one count.
const MAX_GUESSERS: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn from(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([203, 0, 113, last]))
    }

    #[test]
    fn guessing_is_slowed_down_and_forgotten() {
        let mut guesses = Guesses::default();
        assert_eq!(guesses.wrong(from(1), "cpe", 0), Wrong::First);
        for _ in 1..OFTEN {
            assert_eq!(guesses.wrong(from(1), "cpe", 0), Wrong::Again);
        }
        assert_eq!(guesses.wrong(from(1), "cpe", 0), Wrong::Often { again: 33, first: true });
        assert_eq!(guesses.wrong(from(1), "cpe", 0), Wrong::Often { again: 36, first: false });
        assert_eq!(guesses.wait(from(1), "cpe", 0), None, "the right answer must still be found");
        while guesses.wait(from(1), "cpe", 0).is_none() {
            guesses.wrong(from(1), "cpe", 0);
        }
        assert_eq!(guesses.wait(from(1), "cpe", 0), Some(COST));
        assert_eq!(guesses.wait(from(1), "cpe", COST), None, "it must end by itself");
        assert_eq!(guesses.wrong(from(1), "cpe", 10_000), Wrong::First);
    }

    #[test]
    fn others_at_the_address_and_the_user_elsewhere_are_not_slowed_down() {
        let mut guesses = Guesses::default();
        for _ in 0..1_000 {
            guesses.wrong(from(1), "cpe", 0);
            guesses.wrong(from(1), "", 0);
            guesses.wrong(None, "cpe", 0);
        }
        assert!(guesses.wait(from(1), "cpe", 0).is_some());
        assert_eq!(guesses.wait(from(1), "other", 0), None);
        assert_eq!(guesses.wait(from(2), "cpe", 0), None);
        assert_eq!(guesses.wait(None, "cpe", 0), None);
    }

    #[test]
    fn the_table_is_bounded_and_one_subscriber_is_one_guesser() {
        let mut guesses = Guesses::default();
        for number in 0..u32::try_from(MAX_GUESSERS).unwrap() + 100 {
            guesses.wrong(Some(IpAddr::from(number.to_be_bytes())), "cpe", 0);
        }
        assert!(guesses.0.len() <= MAX_GUESSERS + 1);
        assert_eq!(guesses.wrong(from(1), "cpe", 10_000), Wrong::First);
        assert_eq!(guesses.0.len(), 1, "what is forgotten keeps its room");
        let v6 = |text: &str| Some(text.parse().unwrap());
        guesses.wrong(v6("2001:db8::1"), "cpe", 10_000);
        assert_eq!(guesses.wrong(v6("2001:db8::ffff:1"), "cpe", 10_000), Wrong::Again);
        assert_eq!(guesses.wrong(v6("2001:db8:0:1::1"), "cpe", 10_000), Wrong::First);
    }
}
