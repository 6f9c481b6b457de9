//! What a figure is worth nothing without: the command and the machine it was measured on.

use std::fs;

/// Prints what is measured, by which command, on which machine.
pub fn heading(what: &str, command: &str) {
    println!("what     {what}");
    println!("command  {command}");
    println!("machine  {}", machine());
}

/// CPU model, cores and kernel.
fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown CPU");
    let model = model.trim_start_matches([' ', '\t', ':']);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{model}, {cores} cores, Linux {}", kernel.trim())
}
