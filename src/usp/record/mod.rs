//! USP records (TR-369 4): the envelope between two endpoints.

mod envelope;

pub use envelope::{MAX_RECORD, Payload, Record, RecordError};
