//! The envelope as types.

use std::borrow::Cow;

use crate::cwmp::rpc::{Fault, Request, Response};

/// One SOAP envelope: header and exactly one message.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope<'a> {
    /// The CWMP namespace that the message was sent in; a session is answered in it (quirks V01 to V03).
    pub namespace: Cow<'a, str>,
    pub header: Header<'a>,
    pub message: Message<'a>,
}

/// The CWMP header elements (TR-069 3.4.3 and table 4).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Header<'a> {
    pub id: Option<Cow<'a, str>>,
    pub hold_requests: bool,
    pub no_more_requests: bool,
    pub session_timeout: Option<u32>,
    pub supported_cwmp_versions: Option<Cow<'a, str>>,
    pub use_cwmp_version: Option<Cow<'a, str>>,
}

/// What stands in the body.
#[derive(Debug, Clone, PartialEq)]
pub enum Message<'a> {
    Request(Request<'a>),
    Response(Response<'a>),
    Fault(Fault<'a>),
}

impl<'a> Envelope<'a> {
    /// An envelope in the given namespace; an empty one stands for CWMP 1.0.
    pub fn of(namespace: &'a str, header: Header<'a>, message: Message<'a>) -> Self {
        let namespace = if namespace.is_empty() { CWMP_1_0 } else { namespace };
        Self { namespace: Cow::Borrowed(namespace), header, message }
    }
}

/// The namespace of CWMP 1.0; that of 1.1 ends in `1-1`, that of 1.2, 1.3 and 1.4 in `1-2`.
pub(super) const CWMP_1_0: &str = "urn:dslforum-org:cwmp-1-0";
