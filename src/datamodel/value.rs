//! Types of values, as CWMP names them on the wire, and wall time.

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct WallTime(pub u64);

/// The base types of TR-106.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum ValueType {
    String = 1,
    Int = 2,
    UnsignedInt = 3,
    Long = 4,
    UnsignedLong = 5,
    Boolean = 6,
    DateTime = 7,
    Base64 = 8,
    HexBinary = 9,
    Decimal = 10,
}

impl ValueType {
    pub const ALL: [ValueType; 10] = [
        ValueType::String,
        ValueType::Int,
        ValueType::UnsignedInt,
        ValueType::Long,
        ValueType::UnsignedLong,
        ValueType::Boolean,
        ValueType::DateTime,
        ValueType::Base64,
        ValueType::HexBinary,
        ValueType::Decimal,
    ];

    /// The type an `xsi:type` names, whatever its prefix (quirks X01, D05); `None` for others (quirk X22).
    pub fn from_xsd(name: &str) -> Option<Self> {
        let local = name.rsplit_once(':').map_or(name, |(_, local)| local).trim();
        let is = |known: &str| local.eq_ignore_ascii_case(known);
        if is("base64") || is("base64Binary") {
            return Some(Self::Base64);
        }
        Self::ALL.into_iter().find(|known| known.xsd().rsplit_once(':').is_some_and(|(_, known)| is(known)))
    }

    /// The name in `xsi:type`.
    pub fn xsd(self) -> &'static str {
        match self {
            Self::String => "xsd:string",
            Self::Int => "xsd:int",
            Self::UnsignedInt => "xsd:unsignedInt",
            Self::Long => "xsd:long",
            Self::UnsignedLong => "xsd:unsignedLong",
            Self::Boolean => "xsd:boolean",
            Self::DateTime => "xsd:dateTime",
            Self::Base64 => "SOAP-ENC:base64",
            Self::HexBinary => "xsd:hexBinary",
            Self::Decimal => "xsd:decimal",
        }
    }

    /// The type stored under a number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|known| *known as u8 == number)
    }

    /// Whether `text` is a value of this type.
    pub fn accepts(self, text: &str) -> bool {
        match self {
            Self::Int => text.parse::<i32>().is_ok(),
            Self::UnsignedInt => text.parse::<u32>().is_ok(),
            Self::Long => text.parse::<i64>().is_ok(),
            Self::UnsignedLong => text.parse::<u64>().is_ok(),
            Self::Boolean => matches!(text, "0" | "1" | "true" | "false"),
            Self::HexBinary => text.len().is_multiple_of(2) && text.bytes().all(|b| b.is_ascii_hexdigit()),
            Self::Decimal => text.parse::<f64>().is_ok(),
            Self::String | Self::DateTime | Self::Base64 => true,
        }
    }

    /// Whether values are compared as numbers.
    pub fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::UnsignedInt | Self::Long | Self::UnsignedLong | Self::Decimal)
    }
}
