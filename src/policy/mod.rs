//! Decisions an operator makes: what may be written by whom, budgets, egress.
//!
//! Layer 2: pure decisions over configuration; no I/O.
