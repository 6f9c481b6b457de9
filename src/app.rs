//! Composition: reads like a parts list. Layer 6; the only place besides `main` that uses `anyhow`.
