//! One record: its fields, its bytes, and what of it is checked before anybody looks into it.

use bytes::{Buf as _, Bytes};
use prost::Message as _;
use prost::encoding::{DecodeContext, decode_key, skip_field};

use crate::identity::EndpointId;
use crate::usp::VERSION;

use super::fault::{RecordError, RecordFault};
use super::session_context::SessionContextRecord;

pub(super) mod pb {
    //! Generated from proto/usp-record.proto.
    #![expect(clippy::all, reason = "generated code")]
    include!(concat!(env!("OUT_DIR"), "/usp_record.rs"));
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The protocol version of its sender; one that is newer than ours is no fault (TR-369 "Record
    /// Definition").
    pub version: String,
    pub to_id: String,
    pub from_id: String,
    pub payload_security: PayloadSecurity,
    /// Signature or MAC over all that is not payload; empty for none.
    pub mac_signature: Bytes,
    /// The PEM certificates of the sender, to check the signature with; empty for none.
    pub sender_cert: Bytes,
    pub payload: Payload,
}

/// How a payload is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum PayloadSecurity {
    #[default]
    Plaintext,
    /// TLS, from 1.2 on, within a session context.
    Tls12,
}

/// What a record carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// A message outside of a session context.
    NoSession(Bytes),
    /// A part of a session context.
    Session(SessionContextRecord),
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

/// Records about the transport itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Of whichever transport.
    Connect,
    Disconnect,
}

impl PayloadSecurity {
    /// The number that stands for it on the wire.
    pub(super) fn number(self) -> i32 {
        match self {
            Self::Plaintext => 0,
            Self::Tls12 => 1,
        }
    }
}

impl Record {
    /// A record with one message, outside of a session context.
    pub fn plain(from: &EndpointId, to: &EndpointId, message: Bytes) -> Self {
        Self::of(from, to, Payload::NoSession(message))
    }

    pub fn of(from: &EndpointId, to: &EndpointId, payload: Payload) -> Self {
        Self {
            version: VERSION.into(),
            to_id: to.as_str().into(),
            from_id: from.as_str().into(),
            payload_security: PayloadSecurity::Plaintext,
            mac_signature: Bytes::new(),
            sender_cert: Bytes::new(),
            payload,
        }
    }

    /// Decodes a record and checks its fields; the payload shares the given bytes.
    pub fn decode(bytes: Bytes) -> Result<Self, RecordFault> {
        let silent = |error| Err(RecordFault::silent(error));
        if bytes.len() > MAX_RECORD {
            return silent(RecordError::TooLarge(bytes.len()));
        }
        match record_types(bytes.clone()) {
            Ok(1) => {}
            Ok(count) => return silent(RecordError::RecordTypes(count)),
            Err(error) => return silent(RecordError::Unparseable(error.to_string())),
        }
        let wire = match pb::Record::decode(bytes) {
            Ok(wire) => wire,
            Err(error) => return silent(RecordError::Unparseable(error.to_string())),
        };
        let security = wire.payload_security;
        let mut record = match Self::from_wire(wire) {
            Ok(record) => record,
            Err(error) => return silent(error),
        };
        match record.check(security) {
            Ok(security) => record.payload_security = security,
            Err(error) => return Err(RecordFault::of(&record, error)),
        }
        Ok(record)
    }

    /// Which record about the transport itself was encoded, if it is one, without reading what it says.
    pub fn turn(mut bytes: Bytes) -> Option<Turn> {
        while let Ok((tag, wire_type)) = decode_key(&mut bytes) {
            match tag {
                WEBSOCKET_CONNECT..=STOMP_CONNECT => return Some(Turn::Connect),
                DISCONNECT => return Some(Turn::Disconnect),
                _ => skip_field(wire_type, tag, &mut bytes, DecodeContext::default()).ok()?,
            }
        }
        None
    }

    fn from_wire(wire: pb::Record) -> Result<Self, RecordError> {
        use pb::record::RecordType as Type;
        let payload = match wire.record_type.ok_or(RecordError::RecordTypes(0))? {
            Type::NoSessionContext(it) => Payload::NoSession(it.payload),
            Type::SessionContext(it) => {
                Payload::Session(SessionContextRecord::from_wire(it).map_err(RecordError::Invalid)?)
            }
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
        Ok(Self {
            version: wire.version,
            to_id: wire.to_id,
            from_id: wire.from_id,
            payload_security: PayloadSecurity::Plaintext,
            mac_signature: wire.mac_signature,
            sender_cert: wire.sender_cert,
            payload,
        })
    }

    /// Required fields are there (R-MTP.4b) and values are among those that the standard has (R-ENC.2).
    fn check(&self, security: i32) -> Result<PayloadSecurity, RecordError> {
        let fields = [("version", &self.version), ("to_id", &self.to_id), ("from_id", &self.from_id)];
        if let Some((name, _)) = fields.into_iter().find(|(_, text)| text.is_empty()) {
            return Err(RecordError::Missing(name));
        }
        let security = match security {
            0 => PayloadSecurity::Plaintext,
            1 => PayloadSecurity::Tls12,
            _ => return Err(RecordError::Invalid("payload_security")),
        };
        match &self.payload {
            // R-E2E.26.
            Payload::NoSession(payload) if payload.is_empty() => Err(RecordError::Missing("payload")),
            Payload::NoSession(_) if security != PayloadSecurity::Plaintext => {
                Err(RecordError::SecureOutsideOfSession)
            }
            // R-E2E.3, R-E2E.14.
            Payload::Session(context) if context.session_id <= 1 => Err(RecordError::Invalid("session_id")),
            Payload::Session(context) if context.sequence_id == 0 => Err(RecordError::Invalid("sequence_id")),
            _ => Ok(security),
        }
    }

    pub fn encode(self) -> Bytes {
        use pb::record::RecordType as Type;
        let record_type = match self.payload {
            Payload::NoSession(payload) => Type::NoSessionContext(pb::NoSessionContextRecord { payload }),
            Payload::Session(context) => Type::SessionContext(context.into_wire()),
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
            version: self.version,
            to_id: self.to_id,
            from_id: self.from_id,
            payload_security: self.payload_security.number(),
            mac_signature: self.mac_signature,
            sender_cert: self.sender_cert,
            record_type: Some(record_type),
        };
        record.encode_to_vec().into()
    }
}

/// How many record types there are: a decoder alone would let the last one win, or merge them.
fn record_types(mut bytes: Bytes) -> Result<usize, prost::DecodeError> {
    let mut count = 0;
    while bytes.has_remaining() {
        let (tag, wire_type) = decode_key(&mut bytes)?;
        count += usize::from((7..=13).contains(&tag));
        skip_field(wire_type, tag, &mut bytes, DecodeContext::default())?;
    }
    Ok(count)
}

/// The fields of Connect records, and of a Disconnect record.
const WEBSOCKET_CONNECT: u32 = 9;
const STOMP_CONNECT: u32 = 11;
const DISCONNECT: u32 = 12;
/// Largest record taken from a peer, in bytes.
pub const MAX_RECORD: usize = 8 << 20;
