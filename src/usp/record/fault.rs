//! What can be wrong with a record, and whom to tell (R-MTP.5).

use thiserror::Error;

use crate::usp::ErrorCode;
use crate::usp::message::{Message, MessageBody};

use super::envelope::{MAX_RECORD, Payload, Record};

/// Why bytes are no record that we can take.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RecordError {
    #[error("record of {0} bytes is over the limit of {MAX_RECORD}")]
    TooLarge(usize),
    #[error("record could not be parsed: {0}")]
    Unparseable(String),
    /// R-ENC.3, R-ENC.4: such a record is discarded.
    #[error("record has {0} record types, one is right")]
    RecordTypes(usize),
    /// R-MTP.4b.
    #[error("record has no {0}")]
    Missing(&'static str),
    #[error("record has an invalid {0}")]
    Invalid(&'static str),
    /// R-E2E.41.
    #[error("record has a secured payload outside of a session context")]
    SecureOutsideOfSession,
    /// What the receiver's settings forbid.
    #[error("{}", .0.name())]
    NotAllowed(ErrorCode),
}

/// An erroneous record.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{error}")]
pub struct RecordFault {
    pub error: RecordError,
    /// The request in it, where one can be read: its sender is to be told.
    pub request: Option<FaultyRequest>,
}

/// Who asked what in an erroneous record, as far as an answer needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultyRequest {
    pub from_id: String,
    pub to_id: String,
    pub msg_id: String,
}

impl RecordError {
    /// The code of the standard for it.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::TooLarge(_) | Self::Unparseable(_) | Self::RecordTypes(_) => ErrorCode::RECORD_NOT_PARSED,
            Self::Missing(_) | Self::Invalid(_) | Self::SecureOutsideOfSession => {
                ErrorCode::INVALID_RECORD_VALUE
            }
            Self::NotAllowed(code) => *code,
        }
    }
}

impl RecordFault {
    /// Nobody can be told.
    pub(super) fn silent(error: RecordError) -> Self {
        Self { error, request: None }
    }

    /// A record that is right, but not allowed here.
    pub fn because(record: &Record, code: ErrorCode) -> Self {
        Self::of(record, RecordError::NotAllowed(code))
    }

    /// The fault of a record that could be read.
    pub(super) fn of(record: &Record, error: RecordError) -> Self {
        let Payload::NoSession(payload) = &record.payload else { return Self::silent(error) };
        let request = match Message::decode(payload.clone()) {
            Ok(Message { msg_id, body: MessageBody::Request(_) }) => {
                Some(FaultyRequest { from_id: record.from_id.clone(), to_id: record.to_id.clone(), msg_id })
            }
            _ => None,
        };
        Self { error, request }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::identity::EndpointId;
    use crate::usp::message::{Get, Request};

    fn record() -> Record {
        let id = |text| EndpointId::parse(text).unwrap();
        let message = Message::request("q1", Request::Get(Get::default())).encode();
        Record::plain(&id("self::c"), &id("os::a"), message)
    }

    fn fault(record: Record, more: &[u8]) -> RecordFault {
        let mut bytes = record.encode().to_vec();
        bytes.extend_from_slice(more);
        Record::decode(bytes.into()).unwrap_err()
    }

    #[test]
    fn r_mtp_4b_r_mtp_5_a_request_in_a_faulty_record_can_be_answered() {
        let fault = fault(Record { version: String::new(), ..record() }, b"");
        assert_eq!(fault.error, RecordError::Missing("version"));
        assert_eq!(fault.error.code(), ErrorCode::INVALID_RECORD_VALUE);
        let request = fault.request.unwrap();
        assert_eq!((request.from_id.as_str(), request.msg_id.as_str()), ("self::c", "q1"));
    }

    #[test]
    fn r_enc_2_r_e2e_41_unknown_security_and_security_without_a_session_are_told() {
        // Field 4, numbers 9 and 1; the last one counts.
        let unknown = fault(record(), b"\x20\x09");
        assert_eq!(unknown.error, RecordError::Invalid("payload_security"));
        assert!(unknown.request.is_some());
        let secure = fault(record(), b"\x20\x01");
        assert_eq!(secure.error, RecordError::SecureOutsideOfSession);
    }

    #[test]
    fn r_enc_3_r_enc_4_two_record_types_or_none_discard_the_record() {
        // An empty UDSConnectRecord after the message.
        let two = fault(record(), b"\x6a\x00");
        assert_eq!((two.error, two.request), (RecordError::RecordTypes(2), None));
        let none = Record::decode(Bytes::from_static(b"\x0a\x031.4\x12\x01t\x1a\x01f")).unwrap_err();
        assert_eq!(none.error, RecordError::RecordTypes(0));
    }

    #[test]
    fn r_e2e_26_a_record_outside_of_a_session_has_a_payload() {
        let empty = fault(Record { payload: Payload::NoSession(Bytes::new()), ..record() }, b"");
        assert_eq!((empty.error, empty.request), (RecordError::Missing("payload"), None));
    }
}
