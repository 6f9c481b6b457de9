//! What real CPEs send, what attackers send, and that we read what we write. Quirk numbers in the names.

mod envelope;
mod faults;
mod hostile;
mod quirks;
mod rig;
mod units;
