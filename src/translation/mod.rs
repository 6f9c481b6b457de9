//! Turns USP messages into plans of CWMP RPCs and their answers back; the TR-098 to TR-181 mapping.
//!
//! Layer 2: the only place where `cwmp` and `usp` meet.
