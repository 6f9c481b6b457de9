//! What a device keeps over `kill -9`, as plain data: kinds of entry, keys and changes.
//!
//! Layer 0. The cores emit [`Change`]s, the stores write them; neither knows the other.

mod change;
mod deadline;

pub use change::{Change, Entry, Kind, Range, Token};
pub use deadline::Deadline;
