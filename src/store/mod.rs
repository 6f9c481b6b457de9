//! Durable state of devices: what was confirmed is there again after `kill -9`.
//!
//! Layer 4. Stores entries by endpoint, kind and key, and knows nothing of what they mean.

mod contract;
mod embedded;
mod peeking;

pub use contract::{Known, MAX_PEEKED, Peeked, Store, StoreError};
pub use embedded::{Embedded, EmbeddedConfig};
