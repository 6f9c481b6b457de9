//! Rules that bind whoever asks: the operator's, and those of two masters on one CPE.
//!
//! Layer 2. Pure: what is asked is judged, nothing is done.

mod attributes;
mod egress;

pub use attributes::{Attributes, Owed, Urgency};
pub use egress::{Egress, PlaceError};
