//! Bulk data collection (TR-369 Annex A, `Device.BulkData.`): when a profile's data is collected, what of the
//! data model it selects under which names, and how a report is written.
//!
//! Layer 3: no I/O, clock, randomness or async. Who reads the values and who sends the report is not known here.

mod csv;
mod json;
mod report;
mod schedule;
mod selection;

pub use csv::{CsvEncoding, CsvLayout};
pub use json::{JsonEncoding, JsonLayout};
pub use report::{Encoding, Item, Report, Timestamp};
pub use schedule::Schedule;
pub use selection::Selection;
