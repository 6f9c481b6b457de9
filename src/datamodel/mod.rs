//! Data model words: paths, values and types, the supported model (the standards' tables) and the
//! instantiated model (what one CPE has, the *shadow*).
//!
//! Layer 0: no protocol, no I/O, no clock.
