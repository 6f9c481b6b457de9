//! USP messages (TR-369 6). The structures are those of proto/usp-msg.proto, named as in the standard;
//! only this module turns them to bytes and back.

use bytes::Bytes;
use prost::Message as _;
use thiserror::Error;

use super::ErrorCode;

mod pb {
    //! Generated from proto/usp-msg.proto.
    #![expect(clippy::all, reason = "generated code")]
    include!(concat!(env!("OUT_DIR"), "/usp.rs"));
}

pub use pb::header::MsgType;
pub use pb::request::ReqType as Request;
pub use pb::response::RespType as Response;
pub use pb::*;

/// A message in the shape that the rest works with: exactly one body.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    pub msg_id: String,
    pub body: MessageBody,
}

/// A body.
#[derive(Debug, Clone, PartialEq)]
pub enum MessageBody {
    Request(Request),
    Response(Response),
    Error(Error),
}

/// Why bytes are no message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MessageError {
    #[error("message could not be parsed: {0}")]
    Unparseable(String),
    /// The header was readable, so that its sender can be answered.
    #[error("message has no {what}")]
    Missing { msg_id: String, what: &'static str },
    #[error("message type in the header is not that of the body")]
    Mismatch { msg_id: String },
}

impl Message {
    pub fn request(msg_id: impl Into<String>, request: Request) -> Self {
        Self { msg_id: msg_id.into(), body: MessageBody::Request(request) }
    }

    pub fn response(msg_id: impl Into<String>, response: Response) -> Self {
        Self { msg_id: msg_id.into(), body: MessageBody::Response(response) }
    }

    /// An Error message (TR-369 6.1.5): the request failed as a whole.
    pub fn error(msg_id: impl Into<String>, code: ErrorCode, why: impl Into<String>) -> Self {
        let error = Error { err_code: code.0, err_msg: why.into(), param_errs: Vec::new() };
        Self { msg_id: msg_id.into(), body: MessageBody::Error(error) }
    }

    /// Decodes a message; byte fields share the given bytes.
    pub fn decode(bytes: Bytes) -> Result<Self, MessageError> {
        let message = Msg::decode(bytes).map_err(|error| MessageError::Unparseable(error.to_string()))?;
        let header = message.header.unwrap_or_default();
        let msg_id = header.msg_id;
        let missing = |what| MessageError::Missing { msg_id: msg_id.clone(), what };
        if msg_id.is_empty() {
            return Err(missing("msg_id"));
        }
        let body = message.body.and_then(|body| body.msg_body).ok_or_else(|| missing("body"))?;
        let body = match body {
            body::MsgBody::Request(request) => {
                MessageBody::Request(request.req_type.ok_or_else(|| missing("request"))?)
            }
            body::MsgBody::Response(response) => {
                MessageBody::Response(response.resp_type.ok_or_else(|| missing("response"))?)
            }
            body::MsgBody::Error(error) => MessageBody::Error(error),
        };
        let decoded = Self { msg_id, body };
        if decoded.msg_type() as i32 != header.msg_type {
            return Err(MessageError::Mismatch { msg_id: decoded.msg_id });
        }
        Ok(decoded)
    }

    pub fn encode(self) -> Bytes {
        let msg_type = self.msg_type() as i32;
        let body = match self.body {
            MessageBody::Request(request) => body::MsgBody::Request(pb::Request { req_type: Some(request) }),
            MessageBody::Response(response) => {
                body::MsgBody::Response(pb::Response { resp_type: Some(response) })
            }
            MessageBody::Error(error) => body::MsgBody::Error(error),
        };
        let header = Header { msg_id: self.msg_id, msg_type };
        Msg { header: Some(header), body: Some(Body { msg_body: Some(body) }) }.encode_to_vec().into()
    }

    /// The type that the header must name.
    pub fn msg_type(&self) -> MsgType {
        match &self.body {
            MessageBody::Error(_) => MsgType::Error,
            MessageBody::Request(request) => request_type(request),
            MessageBody::Response(response) => response_type(response),
        }
    }
}

fn request_type(request: &Request) -> MsgType {
    match request {
        Request::Get(_) => MsgType::Get,
        Request::GetSupportedDm(_) => MsgType::GetSupportedDm,
        Request::GetInstances(_) => MsgType::GetInstances,
        Request::Set(_) => MsgType::Set,
        Request::Add(_) => MsgType::Add,
        Request::Delete(_) => MsgType::Delete,
        Request::Operate(_) => MsgType::Operate,
        Request::Notify(_) => MsgType::Notify,
        Request::GetSupportedProtocol(_) => MsgType::GetSupportedProto,
        Request::Register(_) => MsgType::Register,
        Request::Deregister(_) => MsgType::Deregister,
    }
}

fn response_type(response: &Response) -> MsgType {
    match response {
        Response::GetResp(_) => MsgType::GetResp,
        Response::GetSupportedDmResp(_) => MsgType::GetSupportedDmResp,
        Response::GetInstancesResp(_) => MsgType::GetInstancesResp,
        Response::SetResp(_) => MsgType::SetResp,
        Response::AddResp(_) => MsgType::AddResp,
        Response::DeleteResp(_) => MsgType::DeleteResp,
        Response::OperateResp(_) => MsgType::OperateResp,
        Response::NotifyResp(_) => MsgType::NotifyResp,
        Response::GetSupportedProtocolResp(_) => MsgType::GetSupportedProtoResp,
        Response::RegisterResp(_) => MsgType::RegisterResp,
        Response::DeregisterResp(_) => MsgType::DeregisterResp,
    }
}
