//! Types of values, as CWMP names them on the wire, and wall time.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Milliseconds since 1970 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct WallTime(pub u64);

impl WallTime {
    /// Reads a dateTime (TR-106 3.2.1): RFC 3339 in any zone.
    pub fn parse(text: &str) -> Option<Self> {
        let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        u64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok().map(Self)
    }
}

impl From<SystemTime> for WallTime {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for WallTime {
    /// As a dateTime in UTC and whole seconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = i64::try_from(self.0 / 1_000).unwrap_or(i64::MAX);
        let at = OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| fmt::Error)?;
        f.write_str(&at.format(&Rfc3339).map_err(|_| fmt::Error)?)
    }
}

/// The base types of TR-106. Of two, the later one says more than a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
        let known = |is: &dyn Fn(&str) -> bool| XSD.iter().find(|(known, _)| is(known)).map(|(_, of)| *of);
        // Nearly all write it as the standard does.
        known(&|known| known == local).or_else(|| known(&|known| known.eq_ignore_ascii_case(local)))
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

    /// Whether two texts are one value of this type.
    pub fn same(self, one: &str, other: &str) -> bool {
        let is_true = |text: &str| matches!(text, "1" | "true");
        match self {
            _ if one == other => true,
            Self::Boolean => self.accepts(one) && self.accepts(other) && is_true(one) == is_true(other),
            Self::HexBinary => one.eq_ignore_ascii_case(other),
            Self::Decimal => one.parse::<f64>().is_ok_and(|one| other.parse() == Ok(one)),
            _ if self.is_number() => one.parse::<i128>().is_ok_and(|one| other.parse() == Ok(one)),
            _ => false,
        }
    }

    /// Whether values are compared as numbers.
    pub fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::UnsignedInt | Self::Long | Self::UnsignedLong | Self::Decimal)
    }
}

/// The local names of the types.
const XSD: [(&str, ValueType); 11] = [
    ("string", ValueType::String),
    ("boolean", ValueType::Boolean),
    ("unsignedInt", ValueType::UnsignedInt),
    ("int", ValueType::Int),
    ("dateTime", ValueType::DateTime),
    ("unsignedLong", ValueType::UnsignedLong),
    ("long", ValueType::Long),
    ("base64", ValueType::Base64),
    ("base64Binary", ValueType::Base64),
    ("hexBinary", ValueType::HexBinary),
    ("decimal", ValueType::Decimal),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_in_two_writings_is_one_value_of_its_type_only() {
        assert!(ValueType::Boolean.same("1", "true") && ValueType::Boolean.same("false", "0"));
        assert!(!ValueType::Boolean.same("1", "0") && !ValueType::Boolean.same("off", "0"));
        assert!(ValueType::UnsignedInt.same("007", "7") && !ValueType::String.same("007", "7"));
        assert!(ValueType::UnsignedLong.same("+18446744073709551615", "18446744073709551615"));
        assert!(!ValueType::UnsignedLong.same("18446744073709551615", "18446744073709551614"));
        assert!(ValueType::HexBinary.same("0aFF", "0Aff") && ValueType::Decimal.same("1.50", "1.5"));
        assert!(!ValueType::String.same("A", "a"));
    }

    #[test]
    fn every_type_is_read_under_its_own_name_in_any_case_and_with_any_prefix() {
        for known in ValueType::ALL {
            let name = known.xsd();
            let local = name.rsplit_once(':').unwrap().1;
            for written in [name.to_owned(), local.to_owned(), format!(" x:{} ", local.to_uppercase())] {
                assert_eq!(ValueType::from_xsd(&written), Some(known), "{written}");
            }
        }
        assert_eq!(ValueType::from_xsd("xsd:base64Binary"), Some(ValueType::Base64));
        assert_eq!(ValueType::from_xsd("xsd:"), None);
    }

    #[test]
    fn times_are_written_in_utc_and_read_in_any_zone() {
        assert_eq!(WallTime(951_827_696_000).to_string(), "2000-02-29T12:34:56Z");
        assert_eq!(WallTime::parse("2000-02-29T14:34:56+02:00"), Some(WallTime(951_827_696_000)));
        assert_eq!(WallTime::parse("0001-01-01T00:00:00Z"), None);
        assert_eq!(WallTime::parse("yesterday"), None);
    }
}
