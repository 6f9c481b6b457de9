//! Segmentation and reassembly (TR-369 "Segmented Message Exchange").

use bytes::{Bytes, BytesMut};

use crate::usp::record::{MAX_RECORD, SarState, SessionContextRecord};

/// The payload of one record.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub payload: Vec<Bytes>,
    pub payload_sar_state: SarState,
    pub payloadrec_sar_state: SarState,
}

/// Divides a message into records with so much room each. `parts` is the plain message, or its TLS records: of
/// these, none shares a record with another unless all fit into one.
pub(super) fn split(parts: Vec<Bytes>, room: usize) -> Vec<Piece> {
    let room = room.max(1);
    let whole: usize = parts.iter().map(|part| part.len() + PER_PART).sum();
    if whole <= room {
        let (payload_sar_state, payloadrec_sar_state) = (SarState::None, SarState::None);
        return vec![Piece { payload: parts, payload_sar_state, payloadrec_sar_state }];
    }
    let room = room.saturating_sub(PER_PART).max(1);
    let mut pieces = Vec::new();
    for mut part in parts {
        let count = part.len().div_ceil(room);
        for index in 0..count {
            let payload = part.split_to(room.min(part.len()));
            let payloadrec_sar_state = if count == 1 { SarState::None } else { state(index, count) };
            let payload_sar_state = SarState::None;
            pieces.push(Piece { payload: vec![payload], payload_sar_state, payloadrec_sar_state });
        }
    }
    let count = pieces.len();
    for (index, piece) in pieces.iter_mut().enumerate().filter(|_| count > 1) {
        piece.payload_sar_state = state(index, count);
    }
    pieces
}

fn state(index: usize, count: usize) -> SarState {
    match index {
        0 => SarState::Begin,
        _ if index + 1 == count => SarState::Complete,
        _ => SarState::InProcess,
    }
}

/// A message that is being put together.
#[derive(Default)]
pub(super) struct Reassembly {
    /// Where the message stands; `None` between messages.
    open: Option<Open>,
}

struct Open {
    parts: BytesMut,
    /// Whether a TLS record, or the plain payload, is under way.
    within: bool,
    /// When the message must be whole.
    until: u64,
}

impl Reassembly {
    /// Takes the payload of a record whose turn it is; gives the message when it is whole.
    pub fn take(&mut self, now: u64, record: &SessionContextRecord) -> Result<Option<Bytes>, &'static str> {
        use SarState::{Begin, Complete, InProcess, None as Whole};
        if !record.has_payload() {
            // It only tells or asks something, even amid a message.
            return Ok(None);
        }
        match (record.payload_sar_state, self.open.is_some()) {
            (Whole, false) if record.payloadrec_sar_state == Whole => {
                return Ok(Some(join(record)));
            }
            (Begin, false) => {
                let until = now + REASSEMBLY_MS;
                self.open = Some(Open { parts: BytesMut::new(), within: false, until });
            }
            (InProcess | Complete, true) => {}
            _ => return Err("segments do not fit together"),
        }
        let Some(open) = &mut self.open else { return Err("segments do not fit together") };
        open.within = match (record.payloadrec_sar_state, open.within) {
            (Whole, false) | (Complete, true) => false,
            (Begin, false) | (InProcess, true) => true,
            _ => return Err("segments of a payload do not fit together"),
        };
        let more: usize = record.payload.iter().map(Bytes::len).sum();
        if open.parts.len() + more > MAX_MESSAGE {
            return Err("a segmented message is too large");
        }
        record.payload.iter().for_each(|part| open.parts.extend_from_slice(part));
        if record.payload_sar_state != Complete {
            return Ok(None);
        }
        if open.within {
            return Err("a message ended within a segment");
        }
        Ok(self.open.take().map(|open| open.parts.freeze()))
    }

    pub fn next_deadline(&self) -> Option<u64> {
        self.open.as_ref().map(|open| open.until)
    }
}

fn join(record: &SessionContextRecord) -> Bytes {
    match record.payload.as_slice() {
        [one] => one.clone(),
        parts => parts.concat().into(),
    }
}

/// Tag and length of one payload field.
const PER_PART: usize = 6;
/// Largest message that is put together.
const MAX_MESSAGE: usize = MAX_RECORD;
/// How long a message may take from its first segment to its last.
const REASSEMBLY_MS: u64 = 300_000;
