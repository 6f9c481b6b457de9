//! What a capture may hold of subscribers, beside the secrets, which it never does.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::translation::Mapping;

/// The operator's rules for captures.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Values below these paths are replaced, as secrets are.
    pub redact: Vec<HiddenPath>,
    /// Serial numbers, IP and MAC addresses are replaced by others, the same by the same.
    pub pseudonymise: bool,
    /// Bodies in which nothing can be found are stored as they are, rather than by length and hash.
    pub opaque: bool,
}

/// An object with all below it, or a parameter; `*` or `{i}` is any instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HiddenPath(String);

/// A text that is no such path.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "\"{0}\" is no path to redact; such as \"Device.Hosts.\" or \"InternetGatewayDevice.LANDevice.*.Hosts.\""
)]
pub struct HiddenPathError(String);

impl Policy {
    /// Whether the operator hides the value of a parameter of a CPE, of either root.
    pub fn hides(&self, path: &str) -> bool {
        if self.redact.is_empty() {
            return false;
        }
        let usp = path.starts_with(TR_098).then(|| Mapping::tr098().to_usp(path)).flatten();
        self.redact.iter().any(|it| it.holds(path) || usp.as_deref().is_some_and(|usp| it.holds(usp)))
    }
}

impl HiddenPath {
    /// # Errors
    /// A text that begins with neither root.
    pub fn parse(text: &str) -> Result<Self, HiddenPathError> {
        let rooted = text.starts_with("Device.") || text.starts_with(TR_098);
        let sound = !text.contains("..") && text.bytes().all(|byte| byte.is_ascii_graphic());
        if rooted && sound { Ok(Self(text.to_owned())) } else { Err(HiddenPathError(text.to_owned())) }
    }

    fn holds(&self, path: &str) -> bool {
        let mut left = path.split('.');
        let own = self.0.strip_suffix('.').unwrap_or(&self.0);
        let begins = own.split('.').all(|own| left.next().is_some_and(|it| is_same(own, it)));
        begins && (self.0.ends_with('.') || left.next().is_none())
    }
}

impl TryFrom<String> for HiddenPath {
    type Error = HiddenPathError;

    fn try_from(text: String) -> Result<Self, HiddenPathError> {
        Self::parse(&text)
    }
}

impl From<HiddenPath> for String {
    fn from(path: HiddenPath) -> Self {
        path.0
    }
}

/// An instance is a number, or an alias or search expression in brackets.
fn is_same(own: &str, segment: &str) -> bool {
    let is_instance = || segment.starts_with('[') || segment.bytes().all(|byte| byte.is_ascii_digit());
    own == segment || (matches!(own, "*" | "{i}") && (segment == "*" || is_instance()))
}

const TR_098: &str = "InternetGatewayDevice.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_hides_what_is_below_it_in_either_root() {
        let of = |paths: &[&str]| Policy {
            redact: paths.iter().map(|path| HiddenPath::parse(path).unwrap()).collect(),
            ..Policy::default()
        };
        let policy = of(&["Device.Hosts.", "Device.WiFi.SSID.*.SSID"]);
        assert!(
            policy.hides("Device.Hosts.Host.1.HostName") && policy.hides("Device.Hosts.HostNumberOfEntries")
        );
        assert!(
            policy.hides("Device.WiFi.SSID.12.SSID") && !policy.hides("Device.WiFi.SSID.12.SSIDReference")
        );
        assert!(!policy.hides("Device.HostsOther.A") && !policy.hides("Device.WiFi.SSID.1.BSSID"));
        let igd = "InternetGatewayDevice.LANDevice.1.WLANConfiguration.2.SSID";
        assert!(policy.hides(igd), "a rule in TR-181 terms does not hold for TR-098");
        assert!(of(&["InternetGatewayDevice.LANDevice.{i}.WLANConfiguration."]).hides(igd));
        for wrong in ["", "Hosts.", "Device", "Device..A", "Device.A B"] {
            assert!(HiddenPath::parse(wrong).is_err(), "{wrong}");
        }
    }
}
