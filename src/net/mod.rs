//! Listening, TLS, HTTP client connections, back-off: the base that the shells share.
//!
//! Layer 4.
