//! The virtual USP agent of one CPE: dispatch, access, notifications, operations, `Device.LocalAgent.`.
//!
//! Layer 3: one `handle`, one `next_deadline`; no I/O, clock, randomness or async.
