//! Runs a check: decides whether it applies, bounds its time, cleans up, and gives the outcome.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::check::{Body, Check, Outcome, Stop};
use super::session::Session;
use super::setup::Setup;

/// A check that has been run.
#[derive(Debug, Clone)]
pub struct Finished {
    pub check: &'static Check,
    pub outcome: Outcome,
    pub took: Duration,
}

/// Runs one check against the agent of a setup.
pub async fn run(check: &'static Check, setup: &Arc<Setup>) -> Finished {
    let started = Instant::now();
    let outcome = match applies(check, setup) {
        Ok(body) => carry_out(body, setup).await,
        Err(reason) => Outcome::NotApplicable { reason },
    };
    Finished { check, outcome, took: started.elapsed() }
}

type Run = fn(&mut Session) -> super::check::Running<'_>;

/// The body of a check, or why it says nothing about this agent.
fn applies(check: &Check, setup: &Setup) -> Result<Run, String> {
    let body = match &check.body {
        Body::Run(body) => *body,
        Body::Never(why) => return Err((*why).to_owned()),
    };
    if let Some(mtp) = check.mtp.filter(|mtp| !mtp.is_kin(setup.config.mtp)) {
        return Err(format!(
            "the agent is met over {}, this is about {}",
            setup.config.mtp.name(),
            mtp.name()
        ));
    }
    if let Some(path) = setup.lacks(check.needs) {
        return Err(format!("the agent does not support {path}"));
    }
    Ok(body)
}

async fn carry_out(body: Run, setup: &Arc<Setup>) -> Outcome {
    let mut session = Session::new(Arc::clone(setup));
    let limit = if setup.config.slow { LONGEST } else { LONG };
    let verdict = match tokio::time::timeout(limit, body(&mut session)).await {
        Ok(verdict) => verdict,
        Err(_) => Err(Stop::Fail(format!("it did not end within {} s", limit.as_secs()))),
    };
    session.controller().leave_unanswered(session.agent(), false);
    let text = session.exchange.text();
    let left = session.clean_up().await;
    match verdict {
        Err(Stop::Fail(why)) => Outcome::Fail { why, exchange: text },
        _ if !left.is_empty() => {
            let why = format!("what the check did could not be undone: {}", left.join(", "));
            Outcome::Fail { why, exchange: session.exchange.text() }
        }
        Err(Stop::NotApplicable(reason)) => Outcome::NotApplicable { reason },
        Ok(()) => Outcome::Pass,
    }
}

/// Longest time for a check, its waiting included.
const LONG: Duration = Duration::from_secs(180);
/// The same where waits are as long as the plan has them.
const LONGEST: Duration = Duration::from_secs(900);
