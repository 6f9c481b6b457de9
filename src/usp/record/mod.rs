//! USP records (TR-369 4): the envelope between two endpoints, session contexts, integrity.

mod envelope;
mod fault;
mod integrity;
pub mod session;
mod session_context;

pub use envelope::{MAX_RECORD, Payload, PayloadSecurity, Record, Turn};
pub use fault::{FaultyRequest, RecordError, RecordFault};
pub use integrity::{EXPORTER_LABEL, Integrity, KEYING_MATERIAL, MacKeys};
pub use session_context::{SarState, SessionContextRecord};
