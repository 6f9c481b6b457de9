//! Durable state of devices: what was confirmed is there again after `kill -9`.
//!
//! Layer 4. Stores entries by endpoint, kind and key, and knows nothing of what they mean,
//! but which are secret.

mod contract;
mod embedded;
mod looking;
mod opening;
mod peeking;
mod sealing;

pub use contract::{Known, MAX_PEEKED, Peeked, Store, StoreError};
pub use embedded::{Embedded, EmbeddedConfig};
pub use looking::look;
pub use sealing::{SealKeyError, SealKeys};
