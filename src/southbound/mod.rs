//! The CWMP door: HTTP(S) sessions of CPEs.
//!
//! Layer 4 shell. Holds no session state: it hands requests to the device's task and awaits answers.
