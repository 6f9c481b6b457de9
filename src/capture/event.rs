//! What passes, as it is handed to a scribe.

use bytes::Bytes;

use crate::identity::{DeviceId, EndpointId};

use super::line::LegName;

/// Something that passed.
#[derive(Debug, Clone)]
pub struct Event {
    pub device: EndpointId,
    pub way: Way,
}

/// Which way it went, and what it was.
#[derive(Debug, Clone)]
pub enum Way {
    /// A request on a CWMP leg, with the device if it is an Inform.
    Request {
        http: Http,
        target: String,
        informs: Option<DeviceId>,
    },
    Answer {
        http: Http,
        status: u16,
    },
    /// The ACS did not answer.
    Failed {
        connection: u64,
        why: String,
    },
    /// A USP record as it stands on the MTP.
    Record {
        outgoing: bool,
        mtp: &'static str,
        bytes: Bytes,
    },
}

/// A message of a CWMP leg.
#[derive(Debug, Clone)]
pub struct Http {
    pub leg: LegName,
    pub connection: u64,
    pub head: Head,
    /// As it came.
    pub body: Bytes,
    /// In identity coding, where it came in another; `None` within for one that cannot be read.
    pub decoded: Option<Option<Bytes>>,
}

/// Header lines in their order, names as written.
pub type Head = Vec<(String, Bytes)>;
