//! CWMP (TR-069): SOAP decoding with spans, encoding and splicing, a file per RPC, faults, event codes,
//! the two sides of a session.
//!
//! Layer 1: bytes in, types out. Never imports `usp`; XML events never leave `cwmp::soap`.
