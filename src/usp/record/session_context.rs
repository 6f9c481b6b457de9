//! What a record of a session context carries (TR-369 "SessionContextRecord fields").

use bytes::Bytes;

use super::envelope::pb;

/// The fields of a record within a session context.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SessionContextRecord {
    /// The context, greater than 1 (R-E2E.3).
    pub session_id: u64,
    /// Counts the sender's records from 1.
    pub sequence_id: u64,
    /// The sequence identifier that the sender expects next: all before it have arrived.
    pub expected_id: u64,
    /// The record that the sender misses; 0 for none.
    pub retransmit_id: u64,
    /// Where this record stands within its message.
    pub payload_sar_state: SarState,
    /// Where this record's payload stands within a TLS record, or within a plain payload.
    pub payloadrec_sar_state: SarState,
    pub payload: Vec<Bytes>,
}

/// A state of segmentation and reassembly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SarState {
    /// Not segmented.
    #[default]
    None,
    Begin,
    InProcess,
    Complete,
}

impl SessionContextRecord {
    /// Whether it brings anything for the one above.
    pub fn has_payload(&self) -> bool {
        self.payload.iter().any(|part| !part.is_empty())
    }

    pub(super) fn from_wire(record: pb::SessionContextRecord) -> Result<Self, &'static str> {
        let payload_sar_state = SarState::from_wire(record.payload_sar_state).ok_or("payload_sar_state")?;
        let payloadrec_sar_state =
            SarState::from_wire(record.payloadrec_sar_state).ok_or("payloadrec_sar_state")?;
        Ok(Self {
            session_id: record.session_id,
            sequence_id: record.sequence_id,
            expected_id: record.expected_id,
            retransmit_id: record.retransmit_id,
            payload_sar_state,
            payloadrec_sar_state,
            payload: record.payload,
        })
    }

    pub(super) fn into_wire(self) -> pb::SessionContextRecord {
        pb::SessionContextRecord {
            session_id: self.session_id,
            sequence_id: self.sequence_id,
            expected_id: self.expected_id,
            retransmit_id: self.retransmit_id,
            payload_sar_state: self.payload_sar_state.number(),
            payloadrec_sar_state: self.payloadrec_sar_state.number(),
            payload: self.payload,
        }
    }
}

impl SarState {
    fn from_wire(number: i32) -> Option<Self> {
        Some(match number {
            0 => Self::None,
            1 => Self::Begin,
            2 => Self::InProcess,
            3 => Self::Complete,
            _ => return None,
        })
    }

    /// The number that stands for it on the wire.
    pub(super) fn number(self) -> i32 {
        match self {
            Self::None => 0,
            Self::Begin => 1,
            Self::InProcess => 2,
            Self::Complete => 3,
        }
    }
}
