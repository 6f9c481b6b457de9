//! What was run against whom.

use crate::conformance::check::Outcome;
use crate::conformance::runner::Finished;

/// All checks of one run, in the order of the plan.
#[derive(Debug, Clone)]
pub struct Run {
    pub agent: String,
    /// The transport's name.
    pub mtp: &'static str,
    /// When it began, as the standard writes times.
    pub began: String,
    pub finished: Vec<Finished>,
}

/// How many checks came out how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub pass: usize,
    pub fail: usize,
    pub not_applicable: usize,
}

impl Run {
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for finished in &self.finished {
            match finished.outcome {
                Outcome::Pass => counts.pass += 1,
                Outcome::Fail { .. } => counts.fail += 1,
                Outcome::NotApplicable { .. } => counts.not_applicable += 1,
            }
        }
        counts
    }

    /// The checks that failed, with why and what was said.
    pub(super) fn failures(&self) -> impl Iterator<Item = (&Finished, &str, &str)> {
        self.finished.iter().filter_map(|finished| match &finished.outcome {
            Outcome::Fail { why, exchange } => Some((finished, why.as_str(), exchange.as_str())),
            _ => None,
        })
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} pass, {} fail, {} do not apply", self.pass, self.fail, self.not_applicable)
    }
}

/// What there is to say of an outcome beside its name.
pub(super) fn remark(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Pass => "",
        Outcome::Fail { why, .. } => why,
        Outcome::NotApplicable { reason } => reason,
    }
}

#[cfg(test)]
pub(super) fn example() -> Run {
    use std::time::Duration;
    let check = crate::conformance::find(crate::conformance::Number(1, 3)).unwrap();
    let other = crate::conformance::find(crate::conformance::Number(1, 59)).unwrap();
    let fail = Outcome::Fail { why: "a <b> | c".into(), exchange: "controller -> agent\n    Get".into() };
    let reason = "the agent does not support it".to_owned();
    Run {
        agent: "os::00256D-1".into(),
        mtp: "MQTT 5.0",
        began: "2026-01-01T00:00:00Z".into(),
        finished: vec![
            Finished { check, outcome: fail, took: Duration::from_millis(1_500) },
            Finished { check: other, outcome: Outcome::NotApplicable { reason }, took: Duration::ZERO },
        ],
    }
}
