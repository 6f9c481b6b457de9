//! What operators and their monitoring ask the gateway itself.
//!
//! Layer 6.

mod metrics;

pub use metrics::{Health, serve};
