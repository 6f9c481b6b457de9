//! Durable state behind one trait.
//!
//! Layer 4 shells: `embedded` (SQLite, one file).
