//! USP records as a capture holds them: their fields, and the message as far as it may be shown.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::usp::each_value;
use crate::usp::message::{Message, MessageBody, Request};
use crate::usp::record::{Payload, Record, SarState, SessionContextRecord};

use super::body::opaque;
use super::redactor::Redactor;

/// A record and its message.
pub(super) struct KeptRecord {
    pub record: Value,
    pub message: Value,
    pub redacted: usize,
}

impl Redactor {
    pub fn record(&mut self, bytes: &Bytes) -> KeptRecord {
        let record = match Record::decode(bytes.clone()) {
            Ok(record) => record,
            Err(fault) => {
                let record = json!({ "unreadable": self.text(&fault.to_string()), "payload": opaque(bytes) });
                return KeptRecord { record, message: Value::Null, redacted: 0 };
            }
        };
        let (kind, fields, message) = match record.payload {
            Payload::NoSession(message) => ("no-session", Value::Null, Some(message)),
            Payload::Session(session) => {
                let whole = [SarState::None, SarState::None];
                let is_whole = [session.payload_sar_state, session.payloadrec_sar_state] == whole;
                let message = session.payload.first().filter(|it| is_whole && !it.is_empty()).cloned();
                ("session", context(&session), message)
            }
            Payload::WebSocketConnect => ("websocket-connect", Value::Null, None),
            Payload::MqttConnect { v5, subscribed_topic } => {
                let topic = self.text(&subscribed_topic);
                ("mqtt-connect", json!({ "v5": v5, "subscribed_topic": topic }), None)
            }
            Payload::StompConnect { subscribed_destination } => {
                let at = self.text(&subscribed_destination);
                ("stomp-connect", json!({ "subscribed_destination": at }), None)
            }
            Payload::UdsConnect => ("uds-connect", Value::Null, None),
            Payload::Disconnect { reason, reason_code } => {
                ("disconnect", json!({ "reason": self.text(&reason), "reason_code": reason_code }), None)
            }
        };
        let (message, redacted) = message.map_or((Value::Null, 0), |message| self.message(&message));
        let record = json!({
            "version": record.version,
            "from_id": self.endpoint(&record.from_id),
            "to_id": self.endpoint(&record.to_id),
            "payload_security": format!("{:?}", record.payload_security),
            "mac_signature_bytes": record.mac_signature.len(),
            "sender_cert_bytes": record.sender_cert.len(),
            "payload": kind,
            "fields": fields,
        });
        KeptRecord { record, message, redacted }
    }

    /// A message, and how many values of it were replaced. What is within TLS is none that could be read.
    fn message(&mut self, bytes: &Bytes) -> (Value, usize) {
        let Ok(mut message) = Message::decode(bytes.clone()) else { return (json!(opaque(bytes)), 0) };
        let mut values = Vec::new();
        let mut redacted = 0;
        each_value(&mut message, &mut |path, value| {
            let path = self.path(path);
            let said = if path.is_empty() { self.text(value) } else { self.value(&path, value) };
            redacted += usize::from(said != *value);
            if !path.is_empty() || !said.is_empty() {
                values.push(json!([path, said]));
            }
            *value = said;
        });
        let asked = asked(&message).into_iter().map(|path| json!([self.path(&path)]));
        values.extend(asked);
        let (kind, id) = (message.msg_type().as_str_name(), self.text(&message.msg_id));
        let expressions = values.iter().any(|it| it[0].as_str().is_some_and(|path| path.contains('"')));
        let encoded = message.encode();
        // Where others are named otherwise, it would tell who they are.
        let tells = self.policy.pseudonymise || expressions || self.names.is_in(&encoded);
        let protobuf = (!tells).then(|| STANDARD.encode(&encoded));
        (json!({ "type": kind, "id": id, "values": values, "protobuf": protobuf }), redacted)
    }
}

/// What a request asks about, where it brings no values.
fn asked(message: &Message) -> Vec<String> {
    match &message.body {
        MessageBody::Request(Request::Get(it)) => it.param_paths.clone(),
        MessageBody::Request(Request::GetInstances(it)) => it.obj_paths.clone(),
        MessageBody::Request(Request::GetSupportedDm(it)) => it.obj_paths.clone(),
        MessageBody::Request(Request::Delete(it)) => it.obj_paths.clone(),
        MessageBody::Request(Request::Operate(it)) if it.input_args.is_empty() => vec![it.command.clone()],
        _ => Vec::new(),
    }
}

fn context(session: &SessionContextRecord) -> Value {
    json!({
        "session_id": session.session_id,
        "sequence_id": session.sequence_id,
        "expected_id": session.expected_id,
        "retransmit_id": session.retransmit_id,
        "payload_sar_state": format!("{:?}", session.payload_sar_state),
        "payloadrec_sar_state": format!("{:?}", session.payloadrec_sar_state),
        "payload_bytes": session.payload.iter().map(Bytes::len).sum::<usize>(),
    })
}
