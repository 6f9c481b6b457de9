//! The admin port: `/metrics`, `/healthz`, `/readyz`.
//!
//! Layer 6.
