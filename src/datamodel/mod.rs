//! Data model words: paths, values and types, the instantiated model (what one CPE has, the *shadow*)
//! and the supported ones (what the standards define).
//!
//! Layer 0: no protocol, no I/O, no clock.

mod blob;
mod firmware;
mod firmware_blob;
mod instantiated;
mod packed;
mod part;
pub mod path;
pub mod supported;
mod value;

pub use blob::BlobError;
pub use firmware::{Firmware, FirmwareId};
pub use instantiated::{Instantiated, News, Param, Source, Value};
pub use value::{ValueType, WallTime};
