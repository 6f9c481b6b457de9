//! Devices that the operator has listed: those that their ACS has known since before the gateway came. The list is as
//! long as a fleet, so that of each device no more than a digest is kept.

use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::identity::DeviceId;

/// A list of devices.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownDevices {
    /// In order.
    digests: Box<[u64]>,
}

/// Why a list cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ListError {
    #[error("line {0} is neither OUI-serial nor OUI,ProductClass,serial")]
    Line(usize),
    #[error("there are more than {MAX_DEVICES} devices")]
    Length,
}

impl KnownDevices {
    /// A device a line: `OUI,ProductClass,SerialNumber` or `OUI-SerialNumber`; without distinction of case in the
    /// OUI. Empty lines, and those that begin with `#`, say nothing.
    ///
    /// # Errors
    /// For a line that names no device, and for too many of them.
    pub fn parse(text: &str) -> Result<Self, ListError> {
        let mut digests = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if digests.len() >= MAX_DEVICES {
                return Err(ListError::Length);
            }
            digests.push(digest_of(line).ok_or(ListError::Line(number))?);
        }
        digests.sort_unstable();
        digests.dedup();
        Ok(Self { digests: digests.into() })
    }

    pub fn len(&self) -> usize {
        self.digests.len()
    }

    pub fn is_empty(&self) -> bool {
        self.digests.is_empty()
    }

    pub fn holds(&self, device: &DeviceId) -> bool {
        let DeviceId { oui, product_class, serial_number, .. } = device;
        let is_listed =
            |class: Option<&str>| self.digests.binary_search(&digest(oui, class, serial_number)).is_ok();
        is_listed(None) || is_listed(Some(product_class))
    }
}

fn digest_of(line: &str) -> Option<u64> {
    let named = |oui: &str, class: Option<&str>, serial: &str| {
        let is_named =
            oui.len() == OUI && oui.bytes().all(|byte| byte.is_ascii_hexdigit()) && !serial.is_empty();
        is_named.then(|| digest(oui, class, serial))
    };
    // A product class may have commas of its own; a serial number has none here.
    if let Some((oui, rest)) = line.split_once(',') {
        let (class, serial) = rest.rsplit_once(',')?;
        return named(oui.trim(), Some(class.trim()), serial.trim());
    }
    let (oui, serial) = line.split_once('-')?;
    named(oui, None, serial)
}

fn digest(oui: &str, class: Option<&str>, serial: &str) -> u64 {
    let mut hash = Sha256::new();
    for text in [&oui.to_ascii_uppercase(), class.unwrap_or("\n"), serial] {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    }
    hash.finalize().first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

/// Devices of one list: 8 bytes each.
const MAX_DEVICES: usize = 20_000_000;
/// Hexadecimal digits of an OUI.
const OUI: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    fn device(oui: &str, class: &str, serial: &str) -> DeviceId {
        let (oui, product_class, serial_number) = (oui.into(), class.into(), serial.into());
        DeviceId { oui, product_class, serial_number, ..DeviceId::default() }
    }

    #[test]
    fn a_device_is_known_by_either_of_its_names_and_no_other_is() {
        let list = KnownDevices::parse("# ours\n00256D-S-1\r\n\n00256d,Box, v2,S2 \n").unwrap();
        assert_eq!(list.len(), 2);
        for (oui, class, serial, is) in [
            ("00256D", "", "S-1", true),
            ("00256d", "Any", "S-1", true),
            ("00256D", "Box, v2", "S2", true),
            ("00256D", "Box", "S2", false),
            ("00256D", "", "S2", false),
            ("00256E", "", "S-1", false),
        ] {
            assert_eq!(list.holds(&device(oui, class, serial)), is, "{oui} {class} {serial}");
        }
    }

    #[test]
    fn a_line_that_names_no_device_is_told() {
        for line in ["S1", "00256D,S1", "0025-S1", "00256D-", "00256D,Box,"] {
            assert_eq!(KnownDevices::parse(&format!("00256D-S1\n{line}")), Err(ListError::Line(2)), "{line}");
        }
    }
}
