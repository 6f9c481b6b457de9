//! CWMP (TR-069): SOAP decoding with spans, encoding and splicing, the RPCs, faults.
//!
//! Layer 1: bytes in, types out. Never imports `usp`; XML events never leave `cwmp::soap`.

pub mod fault;
pub mod rpc;
pub mod soap;
