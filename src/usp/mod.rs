//! USP (TR-369): records, messages, paths with search expressions, errors.
//!
//! Layer 1. Never imports `cwmp`; protobuf types never leave this module.
