//! Retries and their ends: TP-469 1.54 to 1.56. The waits are the shortest that an agent can be told, not the
//! plan's, so that they take seconds.

use std::time::{Duration, Instant};

use crate::conformance::check::{Check, Stop, Verdict};
use crate::conformance::expect::ensure;
use crate::conformance::session::{SUBSCRIPTIONS, Session};
use crate::conformance::watching::seconds_since;

use super::notifications::{subscribed, watched};

pub(super) const CHECKS: &[Check] = &[
    Check::mandatory(1, 54, "A notification is retried until it is answered", |s| Box::pin(retried(s))),
    Check::conditional(
        1,
        55,
        "A subscription ends by itself",
        &["Device.LocalAgent.Subscription.{i}.TimeToLive"],
        |s| Box::pin(ends(s)),
    ),
    Check::conditional(
        1,
        56,
        "The retries of a notification end",
        &["Device.LocalAgent.Subscription.{i}.NotifExpiration"],
        |s| Box::pin(retries_end(s)),
    ),
];

/// Makes this controller's retries quick where that can be told, and gives the least wait in seconds.
async fn quick(session: &mut Session) -> Result<f64, Stop> {
    let me = session.me().await?;
    let wait = "Device.LocalAgent.Controller.{i}.USPNotifRetryMinimumWaitInterval";
    if !session.setup.supported.is_writable(wait) {
        return Ok(5.0);
    }
    session.put(&format!("{me}USPNotifRetryMinimumWaitInterval"), "1").await?;
    let multiplier = "Device.LocalAgent.Controller.{i}.USPNotifRetryIntervalMultiplier";
    if session.setup.supported.is_writable(multiplier) {
        session.put(&format!("{me}USPNotifRetryIntervalMultiplier"), "2000").await?;
    }
    Ok(1.0)
}

/// The next copy of a notification, and how long it took.
async fn copy(session: &mut Session, id: &str, within: f64) -> Result<f64, Stop> {
    let started = Instant::now();
    session.notified(Duration::from_secs_f64(within), |it| it.notify.subscription_id == id).await?;
    Ok(seconds_since(started))
}

async fn retried(session: &mut Session) -> Verdict {
    let wait = quick(session).await?;
    let path = watched(session).await?;
    let (id, _) = subscribed(session, "notify54", &path, &[]).await?;
    let agent = session.agent().clone();
    session.controller().leave_unanswered(&agent, true);
    session.write(&path, "TestValue54").await?;
    copy(session, &id, session.patience().as_secs_f64()).await?;
    for (least, most) in [(wait, 2.0 * wait), (2.0 * wait, 4.0 * wait)] {
        let took = copy(session, &id, most + SLACK).await?;
        ensure(took + EARLY >= least, || format!("the retry came after {took:.1} s, before {least} s"))?;
    }
    session.controller().leave_unanswered(&agent, false);
    copy(session, &id, 8.0 * wait + SLACK).await?;
    let quiet = Duration::from_secs_f64(2.0 * wait).max(session.quiet());
    session.not_notified(quiet, |it| it.notify.subscription_id == id).await
}

async fn ends(session: &mut Session) -> Verdict {
    let path = watched(session).await?;
    // The plan's 20 s also leave time to an agent that looks for changes now and then.
    let life = if session.setup.config.slow { 20_u8 } else { 4 };
    let (id, row) = subscribed(session, "notify55", &path, &[("TimeToLive", &life.to_string())]).await?;
    let started = Instant::now();
    session.write(&path, "TestValue55").await?;
    session.notified_of(&id).await?;
    let left = Duration::from_secs_f64(f64::from(life) + SLACK).saturating_sub(started.elapsed());
    session.exchange.note(format!("waiting {:.1} s", left.as_secs_f64()));
    tokio::time::sleep(left).await;
    let there = session.instances(&[SUBSCRIPTIONS], true).await?;
    let mut there = there.req_path_results.iter().flat_map(|it| &it.curr_insts);
    ensure(!there.any(|it| it.instantiated_obj_path == row), || format!("{row} is still there"))?;
    session.write(&path, "TestValue55-2").await?;
    let quiet = session.quiet();
    session.not_notified(quiet, |it| it.notify.subscription_id == id).await
}

async fn retries_end(session: &mut Session) -> Verdict {
    let wait = quick(session).await?;
    let path = watched(session).await?;
    let expiration = 4.0 * wait;
    let text = expiration.to_string();
    let (id, _) = subscribed(session, "notify56", &path, &[("NotifExpiration", &text)]).await?;
    let agent = session.agent().clone();
    session.controller().leave_unanswered(&agent, true);
    session.write(&path, "TestValue56").await?;
    copy(session, &id, session.patience().as_secs_f64()).await?;
    let started = Instant::now();
    copy(session, &id, 2.0 * wait + SLACK).await?;
    // Those that come in time may come; then none.
    while seconds_since(started) < expiration + SLACK {
        let left = expiration + SLACK - seconds_since(started);
        let _ = copy(session, &id, left.max(0.01)).await;
    }
    let later = Duration::from_secs_f64(8.0 * wait);
    session.not_notified(later, |it| it.notify.subscription_id == id).await
}

/// Seconds that a network and a busy machine may add.
const SLACK: f64 = 1.5;
/// Seconds that a first copy may have been late itself.
const EARLY: f64 = 0.3;
