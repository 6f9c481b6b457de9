//! CPU time that other processes have used.

use std::fs;
use std::time::Duration;

/// CPU time of a process and its children, threads that have ended included.
///
/// # Panics
///
/// If there is no such process.
pub fn cpu_of_tree(pid: u32) -> Duration {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|child| child.parse().ok());
    cpu_of(pid) + children.map(cpu_of_tree).sum::<Duration>()
}

fn cpu_of(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("a running process");
    // The name may hold blanks; after it come the state and eleven more fields before utime and stime.
    let (_, fields) = stat.rsplit_once(')').expect("the fields of a process");
    let ticks = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u32>().ok());
    TICK * ticks.sum::<u32>()
}

/// What the kernel tells processes about: `USER_HZ` is 100 on Linux.
const TICK: Duration = Duration::from_millis(10);
