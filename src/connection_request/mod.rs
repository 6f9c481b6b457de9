//! Sends connection requests to CPEs (TR-069 3.2.2), HTTP with digest.
//!
//! Layer 4 shell.
