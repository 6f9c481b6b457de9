//! USP records (TR-369 4): the envelope between two endpoints.

use bytes::Bytes;
use prost::Message as _;
use thiserror::Error;

use crate::identity::EndpointId;

use crate::usp::{ErrorCode, VERSION};

mod pb {
    //! Generated from proto/usp-record.proto.
    #![expect(clippy::all, reason = "generated code")]
    include!(concat!(env!("OUT_DIR"), "/usp_record.rs"));
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub to_id: String,
    pub from_id: String,
    pub payload: Payload,
}

/// What a record carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// A message outside of a session context.
    NoSession(Bytes),
    /// A part of a session context.
    Session,
    WebSocketConnect,
    MqttConnect {
        v5: bool,
        subscribed_topic: String,
    },
    StompConnect {
        subscribed_destination: String,
    },
    UdsConnect,
    Disconnect {
        reason: String,
        reason_code: u32,
    },
}

/// Why bytes are no record that we can take.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RecordError {
    #[error("record of {0} bytes is over the limit of {MAX_RECORD}")]
    TooLarge(usize),
    #[error("record could not be parsed: {0}")]
    Unparseable(String),
    #[error("record has no {0}")]
    Missing(&'static str),
    #[error("record has payload security that was not agreed on")]
    SecureSession,
}

impl RecordError {
    /// The code of the standard for it.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::TooLarge(_) | Self::Unparseable(_) => ErrorCode::RECORD_NOT_PARSED,
            Self::Missing(_) => ErrorCode::INVALID_RECORD_VALUE,
            Self::SecureSession => ErrorCode::SECURE_SESSION_NOT_SUPPORTED,
        }
    }
}

impl Record {
    /// A record with one message, outside of a session context.
    pub fn plain(from: &EndpointId, to: &EndpointId, message: Bytes) -> Self {
        Self::of(from, to, Payload::NoSession(message))
    }

    pub fn of(from: &EndpointId, to: &EndpointId, payload: Payload) -> Self {
        Self { to_id: to.as_str().into(), from_id: from.as_str().into(), payload }
    }

    /// Decodes a record; the payload shares the given bytes.
    pub fn decode(bytes: Bytes) -> Result<Self, RecordError> {
        if bytes.len() > MAX_RECORD {
            return Err(RecordError::TooLarge(bytes.len()));
        }
        let record =
            pb::Record::decode(bytes).map_err(|error| RecordError::Unparseable(error.to_string()))?;
        if record.version.is_empty() {
            return Err(RecordError::Missing("version"));
        }
        if record.payload_security != 0 {
            return Err(RecordError::SecureSession);
        }
        use pb::record::RecordType as Type;
        let payload = match record.record_type.ok_or(RecordError::Missing("record type"))? {
            Type::NoSessionContext(it) => Payload::NoSession(it.payload),
            Type::SessionContext(_) => Payload::Session,
            Type::WebsocketConnect(_) => Payload::WebSocketConnect,
            Type::MqttConnect(it) => {
                Payload::MqttConnect { v5: it.version == 1, subscribed_topic: it.subscribed_topic }
            }
            Type::StompConnect(it) => {
                Payload::StompConnect { subscribed_destination: it.subscribed_destination }
            }
            Type::UdsConnect(_) => Payload::UdsConnect,
            Type::Disconnect(it) => Payload::Disconnect { reason: it.reason, reason_code: it.reason_code },
        };
        Ok(Self { to_id: record.to_id, from_id: record.from_id, payload })
    }

    pub fn encode(self) -> Bytes {
        use pb::record::RecordType as Type;
        let record_type = match self.payload {
            Payload::NoSession(payload) => Type::NoSessionContext(pb::NoSessionContextRecord { payload }),
            Payload::Session => Type::SessionContext(pb::SessionContextRecord::default()),
            Payload::WebSocketConnect => Type::WebsocketConnect(pb::WebSocketConnectRecord {}),
            Payload::MqttConnect { v5, subscribed_topic } => {
                Type::MqttConnect(pb::MqttConnectRecord { version: i32::from(v5), subscribed_topic })
            }
            Payload::StompConnect { subscribed_destination } => {
                Type::StompConnect(pb::StompConnectRecord { version: 0, subscribed_destination })
            }
            Payload::UdsConnect => Type::UdsConnect(pb::UdsConnectRecord {}),
            Payload::Disconnect { reason, reason_code } => {
                Type::Disconnect(pb::DisconnectRecord { reason, reason_code })
            }
        };
        let record = pb::Record {
            version: VERSION.into(),
            to_id: self.to_id,
            from_id: self.from_id,
            record_type: Some(record_type),
            ..pb::Record::default()
        };
        record.encode_to_vec().into()
    }
}

/// Largest record taken from a peer, in bytes.
pub const MAX_RECORD: usize = 8 << 20;
