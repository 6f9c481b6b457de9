//! The order of received records: what is early waits, what is late or double is dropped (R-E2E.20,
//! R-E2E.25), and what stays away is asked for.

use std::collections::BTreeMap;

use crate::usp::record::{Integrity, MAX_RECORD, Record};

use super::outgoing::size_of_payload;

/// The received records of one context.
pub(super) struct Incoming {
    /// The sequence identifier that comes next.
    expected: u64,
    early: BTreeMap<u64, (Record, Integrity)>,
    bytes: usize,
    gap: Option<Gap>,
}

/// A record stays away though later ones have come.
struct Gap {
    asked: u32,
    /// When it is asked for, or asked for again.
    at: u64,
}

/// Where a record stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    Next,
    Early,
    /// It has been here before.
    Known,
    /// There is no room to keep it until its turn.
    TooFar,
}

impl Incoming {
    pub fn new() -> Self {
        Self { expected: 1, early: BTreeMap::new(), bytes: 0, gap: None }
    }

    pub fn expected(&self) -> u64 {
        self.expected
    }

    pub fn place(&self, sequence: u64, record: &Record) -> Place {
        if sequence < self.expected || self.early.contains_key(&sequence) {
            return Place::Known;
        }
        if sequence == self.expected {
            return Place::Next;
        }
        let fits = self.bytes + size_of_payload(record) <= MAX_EARLY_BYTES;
        if sequence - self.expected <= MAX_AHEAD && fits { Place::Early } else { Place::TooFar }
    }

    /// Keeps a record until its turn.
    pub fn keep(&mut self, now: u64, sequence: u64, record: Record, integrity: Integrity) {
        self.bytes += size_of_payload(&record);
        self.early.insert(sequence, (record, integrity));
        if !self.early.contains_key(&self.expected) {
            self.gap.get_or_insert(Gap { asked: 0, at: now + GAP_MS });
        }
    }

    /// The record whose turn it is, if it is here already.
    pub fn next(&mut self) -> Option<(Record, Integrity)> {
        let (record, integrity) = self.early.remove(&self.expected)?;
        self.bytes -= size_of_payload(&record);
        Some((record, integrity))
    }

    /// The expected record has been taken.
    pub fn advance(&mut self, now: u64) {
        self.expected = self.expected.saturating_add(1);
        let Some(gap) = self.gap.take().filter(|_| !self.early.is_empty()) else { return };
        // What is missed after a record that had to be asked for has been missed for as long.
        let at = if gap.asked > 0 { now } else { now + GAP_MS };
        self.gap = Some(Gap { asked: gap.asked.min(1), at });
    }

    pub fn next_deadline(&self) -> Option<u64> {
        self.gap.as_ref().map(|gap| gap.at)
    }

    /// The record to ask the peer for now; an error when it was asked for in vain too often.
    pub fn missing(&mut self, now: u64) -> Result<Option<u64>, &'static str> {
        match &mut self.gap {
            Some(gap) if gap.at <= now => {
                if gap.asked >= MAX_ASKED {
                    return Err("a record did not come, however often it was asked for");
                }
                gap.asked += 1;
                gap.at = now + GAP_MS;
                Ok(Some(self.expected))
            }
            _ => Ok(None),
        }
    }
}

/// How far ahead of its turn a record may come.
const MAX_AHEAD: u64 = 32_768;
/// Bytes that wait for their turn.
const MAX_EARLY_BYTES: usize = 2 * MAX_RECORD;
/// How long a record may be late before it is asked for. A request is a record with a number of its own, so
/// that one that comes too soon disturbs a peer that only sent in another order.
pub(super) const GAP_MS: u64 = 5_000;
/// How often one record is asked for.
const MAX_ASKED: u32 = 5;
