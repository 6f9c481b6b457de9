//! The operator's order to leave a CPE to its ACS alone, and its stored form.

use serde::{Deserialize, Serialize};

use crate::datamodel::WallTime;

/// An order that is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bypass {
    pub mode: BypassMode,
    /// When it was given; it names it.
    pub since: WallTime,
}

/// How the CPE is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BypassMode {
    /// USP stops at once; what it changed of the CPE is given back, then the gateway only relays.
    Bypass,
    /// The same, before the gateway is taken out of the way.
    Release,
    /// Nothing of the CPE is touched any more, not even to give it back, and no byte is spliced.
    Emergency,
}

#[derive(Serialize, Deserialize)]
struct Form {
    format: u32,
    order: Bypass,
}

impl Bypass {
    pub fn is_emergency(self) -> bool {
        self.mode == BypassMode::Emergency
    }

    /// Which order holds for a device: its own, but for an emergency of all.
    pub fn in_force(own: Option<Self>, all: Option<Self>) -> Option<Self> {
        all.filter(|all| all.is_emergency()).or(own).or(all)
    }

    /// Reads the stored form; of an unknown format nothing is known.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let form = serde_json::from_slice::<Form>(bytes).ok()?;
        (form.format == FORMAT).then_some(form.order)
    }

    /// The stored form.
    pub fn encode(self) -> Vec<u8> {
        serde_json::to_vec(&Form { format: FORMAT, order: self }).unwrap_or_default()
    }
}

impl BypassMode {
    /// As operators write it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Release => "release",
            Self::Emergency => "emergency",
        }
    }
}

const FORMAT: u32 = 1;
/// The key, among [`crate::durable::Kind::Bypass`], of an order.
pub const ORDER: &str = "order";
/// The key of the order under which the device has passed to the ACS alone.
pub const PASSED: &str = "passed";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_devices_own_order_stands_but_for_an_emergency_of_all() {
        let order = |mode, since| Some(Bypass { mode, since: WallTime(since) });
        let (own, all) = (order(BypassMode::Bypass, 1), order(BypassMode::Release, 2));
        let emergency = order(BypassMode::Emergency, 3);
        assert_eq!(Bypass::in_force(own, all), own);
        assert_eq!(Bypass::in_force(None, all), all);
        assert_eq!(Bypass::in_force(own, emergency), emergency);
        assert_eq!(Bypass::in_force(emergency, all), emergency);
        assert_eq!(Bypass::in_force(None, None), None);
        assert_eq!(own.and_then(|it| Bypass::decode(&it.encode())), own);
        assert_eq!(Bypass::decode(b"{\"format\":2}"), None);
    }
}
