//! Captures: what passed between CPE, ACS and controllers, as lines of a file that can be played back.
//!
//! Layer 3: pure. `line` is the format, `script` reads a file of it, `scribe` makes its lines of what passes, and
//! all that it writes has gone through `redactor` (`body`, `headers` and `record` are its hands).

mod body;
mod compare;
mod event;
mod headers;
mod line;
mod lossless;
mod policy;
mod pseudonyms;
mod record;
mod redactor;
mod scribe;
mod script;
#[cfg(test)]
mod tests;

pub use compare::{Normal, difference, normal, with_id};
pub use event::{Event, Head, Http, Way};
pub use line::{Field, HttpLine, LegName, Line, Opening, Stored, VERSION, WayName};
pub use policy::{HiddenPath, HiddenPathError, Policy};
pub use scribe::{Ended, Scribe};
pub use script::{Exchange, MAX_LINE, Play, ReadError, Script, Sitting};
