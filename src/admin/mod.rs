//! What operators and their monitoring ask the gateway itself.
//!
//! Layer 6.

mod captures;
mod control;
mod metrics;

pub use control::{AdminConfig, Control};
pub use metrics::{Health, serve};
