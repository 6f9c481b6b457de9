//! For the terminal.

use std::fmt::Write as _;

use crate::conformance::check::Check;
use crate::conformance::runner::Finished;

use super::run::{Run, remark};

/// A check that is through, in one line.
pub fn line(finished: &Finished) -> String {
    let Finished { check, outcome, took } = finished;
    let number = check.number.to_string();
    let seconds = format!("{:.1} s", took.as_secs_f32());
    let mut line = format!("{number:<7} {:<14} {seconds:>8}  {}", outcome.name(), check.title);
    if !remark(outcome).is_empty() {
        let _ = write!(line, ": {}", remark(outcome));
    }
    line
}

/// The failures with what was said, then how many checks came out how.
pub fn table(run: &Run) -> String {
    let mut text = String::new();
    for (finished, why, exchange) in run.failures() {
        let _ = writeln!(text, "\n{} {}\n{why}\n{exchange}", finished.check.number, finished.check.title);
    }
    let _ = writeln!(text, "\n{}: {}", run.agent, run.counts());
    text
}

/// What checks there are.
pub fn list<'c>(checks: impl Iterator<Item = &'c Check>) -> String {
    let lines = checks.map(|check| {
        let never = if check.can_run() { "" } else { ", not from a controller" };
        format!("{:<7} {} ({}{never})\n", check.number.to_string(), check.title, check.tag.name())
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::super::run::example;
    use super::*;

    #[test]
    fn a_failure_is_told_with_its_exchange_and_all_are_counted() {
        let text = table(&example());
        assert!(text.contains("a <b> | c\ncontroller -> agent\n    Get"), "{text}");
        assert!(text.ends_with("os::00256D-1: 0 pass, 1 fail, 1 do not apply\n"), "{text}");
    }
}
