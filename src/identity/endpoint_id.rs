//! USP endpoint identifiers (TR-369 2.3): `authority-scheme ":" [authority-id] ":" instance-id`.

use std::fmt;

use compact_str::CompactString;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use super::DeviceId;

/// A USP endpoint identifier, valid by construction.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EndpointId(CompactString);

/// Why a text is no endpoint identifier.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EndpointIdError {
    #[error("endpoint id '{0}' lacks its two colons (scheme:authority:instance)")]
    Shape(String),
    #[error(
        "endpoint id scheme '{0}' is none of oui, cid, pen, self, user, os, ops, uuid, imei, proto, doc, fqdn"
    )]
    Scheme(String),
    #[error("endpoint id '{0}' has characters other than letters, digits, '-', '.', '_', ':', '%'")]
    Characters(String),
    #[error("endpoint id is {0} characters long, the limit is {MAX_TOTAL}")]
    Length(usize),
}

impl EndpointId {
    /// Characters of the longest.
    pub const MAX_LENGTH: usize = MAX_TOTAL;

    /// Checks and wraps a text.
    pub fn parse(text: &str) -> Result<Self, EndpointIdError> {
        if text.len() > MAX_TOTAL {
            return Err(EndpointIdError::Length(text.len()));
        }
        let mut parts = text.splitn(3, ':');
        let (Some(scheme), Some(_authority), Some(instance)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(EndpointIdError::Shape(text.into()));
        };
        if instance.is_empty() {
            return Err(EndpointIdError::Shape(text.into()));
        }
        if !SCHEMES.contains(&scheme) {
            return Err(EndpointIdError::Scheme(scheme.into()));
        }
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b':' | b'%');
        if !text.bytes().all(allowed) {
            return Err(EndpointIdError::Characters(text.into()));
        }
        Ok(Self(text.into()))
    }

    /// `ops::OUI-ProductClass-Serial`, without a product class `os::OUI-Serial` (R-ARC.2a), each part
    /// percent-encoded (R-ARC.5). Where the instance part would pass 50 characters (R-ARC.6) it is a
    /// version 5 UUID of the three parts: a hash inside `ops` or `os` would break R-ARC.2a.
    pub fn for_device(device: &DeviceId) -> Self {
        let oui = encode(&device.oui);
        let serial = encode(&device.serial_number);
        let (scheme, instance) = if device.product_class.is_empty() {
            ("os", format!("{oui}-{serial}"))
        } else {
            ("ops", format!("{oui}-{}-{serial}", encode(&device.product_class)))
        };
        if instance.len() <= MAX_INSTANCE {
            return Self(format!("{scheme}::{instance}").into());
        }
        let name = format!("{}\n{}\n{}", device.oui, device.product_class, device.serial_number);
        let uuid = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes());
        Self(format!("uuid::{}", uuid.hyphenated()).into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number of this endpoint's share where endpoints are spread over `count` of something: FNV-1a, 64
    /// bits, modulo `count`. It is part of topics, so it must be the same in every release.
    pub fn share_of(&self, count: usize) -> usize {
        let hash = self.0.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let count = u64::try_from(count.max(1)).unwrap_or(1);
        usize::try_from(hash % count).unwrap_or(0)
    }
}

/// A part of a DeviceId as it stands between dashes.
pub(super) fn encode(part: &str) -> String {
    utf8_percent_encode(part, ENCODED).to_string()
}

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for EndpointId {
    type Error = EndpointIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<EndpointId> for String {
    fn from(id: EndpointId) -> Self {
        id.0.into()
    }
}

/// Longest instance part (R-ARC.6).
const MAX_INSTANCE: usize = 50;
/// Longest identifier taken from a peer.
const MAX_TOTAL: usize = 256;
/// The authority schemes of TR-369's table.
const SCHEMES: [&str; 12] =
    ["oui", "cid", "pen", "self", "user", "os", "ops", "uuid", "imei", "proto", "doc", "fqdn"];
/// What is percent-encoded within a part: all but unreserved characters; '-' too, since it separates parts.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'_');

#[cfg(test)]
mod tests {
    use super::*;

    fn device(oui: &str, class: &str, serial: &str) -> DeviceId {
        DeviceId {
            manufacturer: "Acme".into(),
            oui: oui.into(),
            product_class: class.into(),
            serial_number: serial.into(),
        }
    }

    #[test]
    fn product_class_decides_between_ops_and_os() {
        assert_eq!(device("00256D", "HG100", "S1").endpoint_id().as_str(), "ops::00256D-HG100-S1");
        assert_eq!(device("00256D", "", "S1").endpoint_id().as_str(), "os::00256D-S1");
    }

    #[test]
    fn parts_are_encoded_so_that_no_two_devices_share_an_endpoint() {
        let a = device("00256D", "A-B", "C").endpoint_id();
        let b = device("00256D", "A", "B-C").endpoint_id();
        assert_ne!(a, b);
        assert_eq!(device("00256D", "HG 100", "a/b").endpoint_id().as_str(), "ops::00256D-HG%20100-a%2Fb");
    }

    #[test]
    fn long_identities_become_stable_uuids() {
        let long = device("00256D", "HG100", &"S".repeat(64));
        let id = long.endpoint_id();
        assert!(id.as_str().starts_with("uuid::"));
        assert_eq!(id, long.endpoint_id());
        assert_ne!(id, device("00256D", "HG100", &"S".repeat(63)).endpoint_id());
    }

    #[test]
    fn what_is_derived_parses() {
        for class in ["", "x", "ä ö/%"] {
            let id = device("00256D", class, "1:2 3").endpoint_id();
            assert_eq!(EndpointId::parse(id.as_str()), Ok(id));
        }
    }

    #[test]
    fn malformed_texts_are_refused() {
        for text in ["", "self", "self:", "self::", "nope::x", "self::a b", "self::a/b"] {
            assert!(EndpointId::parse(text).is_err(), "{text:?} passed");
        }
    }

    #[test]
    fn the_share_of_an_agent_never_moves() {
        let share = |id: &str| EndpointId::parse(id).unwrap().share_of(4);
        let shares = ["ops::00256D-A-1", "ops::00256D-A-2", "ops::00256D-A-3", "ops::00256D-A-4"].map(share);
        // Computed by another implementation of FNV-1a.
        assert_eq!(shares, [0, 1, 2, 3]);
    }
}
