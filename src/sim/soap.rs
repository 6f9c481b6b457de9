//! Envelopes to bytes and back, owned: what both simulators need.

use bytes::Bytes;

use crate::cwmp::rpc::{Fault, Request, Response};
use crate::cwmp::soap::{Envelope, Header, Limits, Message, SoapError, decode, decode_charset, encode};

/// A message that owns its text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Owned {
    Request(Request<'static>),
    Response(Response<'static>),
    Fault(Fault<'static>),
}

/// An envelope that owns its text, as far as the simulators look at it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Received {
    pub namespace: String,
    pub id: Option<String>,
    pub hold_requests: bool,
    pub message: Owned,
}

/// Reads an envelope.
pub(crate) fn read(body: &[u8], content_type: Option<&str>) -> Result<Received, SoapError> {
    let text = decode_charset(body, content_type)?;
    let envelope = decode(&text, &Limits::default())?;
    let message = match envelope.message {
        Message::Request(it) => Owned::Request(it.into_owned()),
        Message::Response(it) => Owned::Response(it.into_owned()),
        Message::Fault(it) => Owned::Fault(it.into_owned()),
    };
    Ok(Received {
        namespace: envelope.namespace.into_owned(),
        id: envelope.header.id.map(std::borrow::Cow::into_owned),
        hold_requests: envelope.header.hold_requests,
        message,
    })
}

/// Writes an envelope; `id` is that of the request that it makes or answers.
pub(crate) fn write(namespace: &str, id: Option<&str>, message: Owned) -> Bytes {
    write_held(namespace, id, message, false)
}

/// As [`write`], with HoldRequests or without.
pub(crate) fn write_held(namespace: &str, id: Option<&str>, message: Owned, hold_requests: bool) -> Bytes {
    let header = Header { id: id.map(Into::into), hold_requests, ..Header::default() };
    let message = match message {
        Owned::Request(it) => Message::Request(it),
        Owned::Response(it) => Message::Response(it),
        Owned::Fault(it) => Message::Fault(it),
    };
    let mut body = Vec::new();
    encode(&mut body, &Envelope::of(namespace, header, message));
    body.into()
}

/// Whether a body says nothing: CPEs and ACSs have been seen to send blanks for it.
pub(crate) fn is_empty(body: &[u8]) -> bool {
    body.iter().all(u8::is_ascii_whitespace)
}
