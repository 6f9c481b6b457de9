//! Rules of the operator's that bind whoever asks.
//!
//! Layer 2. Pure: what is asked is judged, nothing is done.

mod egress;

pub use egress::{Egress, PlaceError};
