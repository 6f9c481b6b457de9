//! Device tasks, registry, router, clock, shutdown: what drives the cores.
//!
//! Layer 5.
