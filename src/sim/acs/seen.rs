//! What the stub ACS keeps of its sessions.

use std::fmt;

use bytes::Bytes;

use crate::cwmp::rpc::{Fault, Request, Response};
use crate::identity::DeviceId;

/// An entry of a CPE's log.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    /// A session was opened.
    Inform {
        device_id: DeviceId,
        /// Codes with their command keys.
        events: Vec<(String, String)>,
        /// Names with their values.
        parameters: Vec<(String, String)>,
        retry_count: u32,
        /// The HTTP headers, names in lower case.
        headers: Vec<(String, String)>,
    },
    /// The CPE asked something, and was answered.
    Request(Request<'static>),
    /// The CPE answered an RPC.
    Response { rpc: String, response: Response<'static> },
    /// The CPE answered an RPC with a fault.
    Fault { rpc: String, fault: Fault<'static> },
    /// What a CPE must not do; the text says what.
    Violation(String),
    /// The session ended with an empty answer.
    End,
}

impl Seen {
    /// Whether it is an Inform with this event.
    pub fn is_inform_with(&self, code: &str) -> bool {
        matches!(self, Self::Inform { events, .. } if events.iter().any(|(event, _)| event == code))
    }

    /// A parameter of an Inform or of a GetParameterValuesResponse.
    pub fn value(&self, name: &str) -> Option<&str> {
        match self {
            Self::Inform { parameters, .. } => {
                parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
            }
            Self::Response { response: Response::GetParameterValuesResponse(it), .. } => {
                it.parameter_list.iter().find(|known| known.name == name).map(|it| &*it.value)
            }
            _ => None,
        }
    }
}

/// A line for people.
impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inform { events, retry_count, parameters, .. } => {
                f.write_str("Inform")?;
                for (index, (code, key)) in events.iter().enumerate() {
                    f.write_str(if index == 0 { " " } else { ", " })?;
                    f.write_str(code)?;
                    if !key.is_empty() {
                        write!(f, " ({key})")?;
                    }
                }
                write!(f, "; {} parameters, retry {retry_count}", parameters.len())
            }
            Self::Request(request) => write!(f, "{} of the CPE", request.name()),
            Self::Response { rpc, response } => {
                write!(f, "{rpc} answered")?;
                match response {
                    Response::GetParameterValuesResponse(it) => {
                        let shown = it.parameter_list.iter().take(MAX_SHOWN);
                        shown.into_iter().try_for_each(|it| write!(f, " {}={:?}", it.name, it.value))?;
                        let more = it.parameter_list.len().saturating_sub(MAX_SHOWN);
                        if more > 0 { write!(f, " and {more} more") } else { Ok(()) }
                    }
                    _ => Ok(()),
                }
            }
            Self::Fault { rpc, fault } => {
                write!(f, "{rpc} failed: {} {}", fault.fault_code, fault.fault_string)
            }
            Self::Violation(why) => write!(f, "violation: {why}"),
            Self::End => f.write_str("session ended"),
        }
    }
}

/// Values in a line for people.
const MAX_SHOWN: usize = 4;

/// One POST of a CPE and its answer, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    pub received: Bytes,
    pub status: u16,
    pub sent: Bytes,
}
