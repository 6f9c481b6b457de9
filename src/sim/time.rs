//! The wall clock.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::datamodel::WallTime;

/// The time now.
pub(super) fn now() -> WallTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    WallTime(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
