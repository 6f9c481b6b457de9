//! The leg to the ACS: one HTTP connection for each CPE session.
//!
//! Layer 4 shell.
