//! CPU time of this thread: the machine is shared, so the clock on the wall says little.

use std::fs;
use std::time::Duration;

/// CPU time that the main thread of this process has used, to the nanosecond.
///
/// # Panics
///
/// On a kernel without `/proc/self/schedstat`.
pub fn of_main_thread() -> Duration {
    let text = fs::read_to_string("/proc/self/schedstat").expect("a kernel with scheduler statistics");
    let first = text.split(' ').next().and_then(|first| first.parse().ok());
    Duration::from_nanos(first.expect("nanoseconds"))
}
