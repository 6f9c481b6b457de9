//! The rules against the standards.
