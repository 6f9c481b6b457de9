//! Message transfer protocols of USP, one folder each, alike in shape.
//!
//! Layer 4 shells.
