//! When a device at rest has to act by itself, as an entry whose values are in the order of time: a store
//! keeps an index over them.

use bytes::Bytes;

use crate::datamodel::WallTime;

use super::{Change, Entry, Kind};

/// Reads and writes [`Kind::Deadline`] entries.
pub struct Deadline;

impl Deadline {
    /// The deadline among a device's entries.
    pub fn find(entries: &[Entry]) -> Option<WallTime> {
        let entry = entries.iter().find(|entry| entry.kind == Kind::Deadline)?;
        Self::decode(&entry.value)
    }

    pub fn change(at: Option<WallTime>) -> Change {
        match at {
            Some(at) => Change::put(Kind::Deadline, "", Bytes::copy_from_slice(&Self::encode(at))),
            None => Change::delete(Kind::Deadline, ""),
        }
    }

    /// A version, then milliseconds with the greatest byte first: later is greater.
    pub fn encode(at: WallTime) -> [u8; 9] {
        let mut value = [FORMAT; 9];
        value[1..].copy_from_slice(&at.0.to_be_bytes());
        value
    }

    /// `None` of what this release does not know.
    pub fn decode(value: &[u8]) -> Option<WallTime> {
        let (&FORMAT, at) = value.split_first()? else { return None };
        Some(WallTime(u64::from_be_bytes(at.try_into().ok()?)))
    }
}

const FORMAT: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_deadline_is_a_greater_value() {
        let times = [0, 255, 256, 1_700_000_000_000, u64::MAX].map(WallTime);
        assert!(times.map(Deadline::encode).is_sorted());
        assert_eq!(times.map(|at| Deadline::decode(&Deadline::encode(at)).unwrap()), times);
        assert_eq!(Deadline::decode(b"\x02rest"), None);
    }
}
