//! CPU time of this process, and its memory: the machine is shared, so the clock on the wall says little.

use std::fs;
use std::time::Duration;

/// CPU time that all threads of this process have used, ended ones too, in steps of 10 ms.
///
/// # Panics
///
/// On a kernel without `/proc/self/stat`.
pub fn of_process() -> Duration {
    let text = fs::read_to_string("/proc/self/stat").expect("a kernel with /proc");
    // The name, in parentheses, may hold anything; user and system time are the 12th and 13th after it.
    let after = text.rsplit_once(')').map_or("", |(_, after)| after);
    let ticks = after.split_ascii_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok());
    Duration::from_millis(10 * ticks.sum::<u64>())
}

/// Resident memory of this process in bytes.
///
/// # Panics
///
/// On a kernel without `/proc/self/statm`.
pub fn resident() -> u64 {
    let text = fs::read_to_string("/proc/self/statm").expect("a kernel with /proc");
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    4_096 * pages.expect("pages")
}
