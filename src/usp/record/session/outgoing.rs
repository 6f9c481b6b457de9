//! Records that were sent and that the peer has not said it has (R-E2E.16).

use std::collections::BTreeMap;

use crate::usp::record::{MAX_RECORD, Payload, Record};

/// The sent records of one context.
pub(super) struct Outgoing {
    /// The sequence identifier of the next record (R-E2E.14, R-E2E.15).
    next: u64,
    sent: BTreeMap<u64, Sent>,
    bytes: usize,
}

struct Sent {
    record: Record,
    size: usize,
    resends: u32,
    /// The message that this record brings to its end.
    message: Option<u64>,
}

impl Outgoing {
    pub fn new() -> Self {
        Self { next: 1, sent: BTreeMap::new(), bytes: 0 }
    }

    /// The sequence identifier for a record that is about to be sent.
    pub fn sequence(&mut self) -> u64 {
        let sequence = self.next;
        self.next = self.next.saturating_add(1);
        sequence
    }

    /// R-E2E.9: the identifiers come to their end.
    pub fn is_exhausted(&self) -> bool {
        self.next > LAST_SEQUENCE
    }

    /// Keeps a record. Over the limit the oldest go: a request for one of them fails the context, as the
    /// standard has it for a record that is not there.
    pub fn keep(&mut self, sequence: u64, record: Record, message: Option<u64>) {
        let size = size_of_payload(&record);
        self.bytes += size;
        self.sent.insert(sequence, Sent { record, size, resends: 0, message });
        while self.sent.len() > MAX_KEPT || self.bytes > MAX_KEPT_BYTES {
            match self.sent.pop_first() {
                Some((_, old)) => self.bytes -= old.size,
                None => return,
            }
        }
    }

    /// The peer has all records before this one.
    pub fn acknowledged(&mut self, expected: u64) {
        while self.sent.first_key_value().is_some_and(|(sequence, _)| *sequence < expected) {
            if let Some((_, done)) = self.sent.pop_first() {
                self.bytes -= done.size;
            }
        }
    }

    /// The record that the peer asks for, unless it is not there or was sent too often.
    pub fn again(&mut self, sequence: u64, most: Option<u32>) -> Result<&mut Record, &'static str> {
        let sent = self.sent.get_mut(&sequence).ok_or("the peer asked for a record that is not there")?;
        if most.is_some_and(|most| sent.resends >= most) {
            return Err("the peer asked too often for a record");
        }
        sent.resends += 1;
        Ok(&mut sent.record)
    }

    /// All that the peer has not acknowledged.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.sent.values().map(|sent| &sent.record)
    }

    /// The messages of which it is not known whether they arrived.
    pub fn messages(&self) -> impl Iterator<Item = u64> {
        self.sent.values().filter_map(|sent| sent.message)
    }

    #[cfg(test)]
    pub fn jump_to(&mut self, sequence: u64) {
        self.next = sequence;
    }
}

/// What a record holds in memory, as good as.
pub(super) fn size_of_payload(record: &Record) -> usize {
    let Payload::Session(context) = &record.payload else { return 0 };
    RECORD_OVERHEAD + context.payload.iter().map(bytes::Bytes::len).sum::<usize>()
}

/// R-E2E.8, R-E2E.9: from here on a new context is due.
pub(super) const LAST_SEQUENCE: u64 = u64::MAX - 10_000;
/// Records that are kept for the peer.
const MAX_KEPT: usize = 32_768;
/// Bytes that are kept for the peer: the largest message in the smallest records fits.
const MAX_KEPT_BYTES: usize = 2 * MAX_RECORD;
const RECORD_OVERHEAD: usize = 256;
