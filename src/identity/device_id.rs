//! The CWMP identity of a CPE, as its Inform states it (TR-069 A.3.3.1, DeviceIdStruct).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::EndpointId;

/// What a CPE calls itself. OUI, ProductClass and SerialNumber identify it; Manufacturer is for people.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DeviceId {
    pub manufacturer: String,
    pub oui: String,
    pub product_class: String,
    pub serial_number: String,
}

impl DeviceId {
    /// Whether the device can be told from others: without OUI or serial number it cannot (quirk D11).
    pub fn is_usable(&self) -> bool {
        !self.oui.is_empty() && !self.serial_number.is_empty()
    }

    /// The endpoint under which the device's virtual agent is known; see [`EndpointId::for_device`].
    pub fn endpoint_id(&self) -> EndpointId {
        EndpointId::for_device(self)
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.oui, self.product_class, self.serial_number)
    }
}
