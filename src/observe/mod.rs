//! What an operator sees: logs, metrics, health. Log line and metric of one event live together.
//!
//! Layer 4, importable by every shell.
