//! For a repository: a document of one or more runs.

use std::fmt::Write as _;

use crate::conformance::check::Outcome;

use super::run::{Run, remark};

/// A run as a document that says how it was made.
pub fn markdown(run: &Run) -> String {
    let mut text = format!(
        "# Conformance to TP-469\n\n\
         Made by `dragoman conformance --markdown` of dragoman {}; do not edit. The agent `{}`\n\
         was met over {} in a run that began {}. Numbers are those of TP-469, the test plan of USP\n\
         agents; titles are ours.\n\n\
         {}.\n\n| check | outcome | title | tag | why |\n| --- | --- | --- | --- | --- |\n",
        env!("CARGO_PKG_VERSION"),
        run.agent,
        run.mtp,
        run.began,
        run.counts(),
    );
    for finished in &run.finished {
        let check = finished.check;
        let outcome = match finished.outcome {
            Outcome::Fail { .. } => "**fail**",
            _ => finished.outcome.name(),
        };
        let why = cell(remark(&finished.outcome));
        let _ = writeln!(
            text,
            "| {} | {outcome} | {} | {} | {why} |",
            check.number,
            check.title,
            check.tag.name()
        );
    }
    text
}

/// Text that stays in its cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::super::run::example;
    use super::*;

    #[test]
    fn a_failure_stays_in_its_row() {
        let text = markdown(&example());
        assert!(text.contains("| 1.3 | **fail** | "), "{text}");
        assert!(text.contains("| a <b> \\| c |"), "{text}");
    }
}
