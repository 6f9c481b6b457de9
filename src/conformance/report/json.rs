//! For machines.

use serde_json::{Value, json as object};

use crate::conformance::check::Outcome;
use crate::conformance::runner::Finished;

use super::run::Run;

/// The run as one object; `checks` holds one for each check, with `exchange` where it failed.
pub fn json(run: &Run) -> Value {
    let counts = run.counts();
    object!({
        "product": concat!("dragoman ", env!("CARGO_PKG_VERSION")),
        "plan": "TP-469",
        "agent": run.agent,
        "mtp": run.mtp,
        "began": run.began,
        "pass": counts.pass,
        "fail": counts.fail,
        "not_applicable": counts.not_applicable,
        "checks": run.finished.iter().map(check).collect::<Vec<_>>(),
    })
}

fn check(finished: &Finished) -> Value {
    let mut value = object!({
        "number": finished.check.number.to_string(),
        "title": finished.check.title,
        "tag": finished.check.tag.name(),
        "outcome": finished.outcome.name(),
        "seconds": finished.took.as_secs_f64(),
    });
    match &finished.outcome {
        Outcome::Pass => {}
        Outcome::Fail { why, exchange } => {
            value["why"] = why.as_str().into();
            value["exchange"] = exchange.as_str().into();
        }
        Outcome::NotApplicable { reason } => value["why"] = reason.as_str().into(),
    }
    value
}

#[cfg(test)]
mod tests {
    use super::super::run::example;
    use super::*;

    #[test]
    fn failures_carry_why_and_the_exchange() {
        let value = json(&example());
        assert_eq!(value["fail"], 1);
        assert_eq!(value["checks"][0]["number"], "1.3");
        assert_eq!(value["checks"][0]["exchange"], "controller -> agent\n    Get");
        assert_eq!(value["checks"][1]["outcome"], "not applicable");
    }
}
