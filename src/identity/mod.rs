//! Who a CPE is on each side: its CWMP `DeviceId` and the USP `EndpointId` derived from it.
//!
//! Layer 0: plain words. Knows nothing of protocols, stores or devices at work.

mod device_id;
mod endpoint_id;
mod template;

pub use device_id::DeviceId;
pub use endpoint_id::{EndpointId, EndpointIdError};
pub use template::{DeviceTemplate, TemplateError};
