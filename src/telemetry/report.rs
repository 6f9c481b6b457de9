//! A report: what was collected at one time, before it is written.

use crate::datamodel::{ValueType, WallTime};

use super::csv::CsvEncoding;
use super::json::JsonEncoding;

/// What one collection gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub collected_at: WallTime,
    pub items: Vec<Item>,
}

/// One parameter in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its path, or the alternative name with what wildcards left open.
    pub name: String,
    pub value: String,
    pub value_type: ValueType,
    /// When the device said so.
    pub at: WallTime,
}

/// How reports are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encoding {
    Json(JsonEncoding),
    Csv(CsvEncoding),
}

/// How times are written in a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timestamp {
    UnixEpoch,
    Iso8601,
    None,
}

impl Encoding {
    /// Several reports in one body: those that could not be sent before come first.
    pub fn encode(&self, reports: &[Report]) -> Vec<u8> {
        match self {
            Self::Json(encoding) => encoding.encode(reports),
            Self::Csv(encoding) => encoding.encode(reports),
        }
    }

    /// `Content-Type`, as R-BULK.8 and R-BULK.11 want it.
    pub fn media_type(&self) -> &'static str {
        match self {
            Self::Json(_) => "application/json; charset=UTF-8",
            Self::Csv(_) => "text/csv; charset=UTF-8; header=present",
        }
    }

    /// `BBF-Report-Format`: the layout, for collectors that do not know the profile.
    pub fn layout(&self) -> &'static str {
        match self {
            Self::Json(encoding) => encoding.layout.name(),
            Self::Csv(encoding) => encoding.layout.name(),
        }
    }
}

impl Timestamp {
    /// The value of `RowTimestamp` and `ReportTimestamp`.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "Unix-Epoch" => Self::UnixEpoch,
            "ISO-8601" => Self::Iso8601,
            "None" => Self::None,
            _ => return None,
        })
    }

    /// A time as it is written; `None` where none is to be.
    pub(super) fn write(self, at: WallTime) -> Option<String> {
        match self {
            Self::UnixEpoch => Some((at.0 / 1_000).to_string()),
            Self::Iso8601 => Some(at.to_string()),
            Self::None => None,
        }
    }
}
