//! Configuration: as written (TOML), then as meant; what cannot be right cannot be built.
//!
//! Layer 6.
