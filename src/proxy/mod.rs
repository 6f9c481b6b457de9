//! One CPE, whole: one `Input`, one `Output`; arbiter of turns, wake-up, timers.
//!
//! Layer 3: no I/O, clock, randomness or async.
