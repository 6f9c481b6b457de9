//! Subscriptions that write settings: TP-469 1.93, 1.94.

use crate::conformance::check::{Check, Verdict};
use crate::conformance::expect::equal;
use crate::conformance::session::Session;

use super::notifications::{subscribed, watched};

pub(super) const CHECKS: &[Check] = &[
    Check::conditional(1, 93, "A subscription writes settings", TRIGGERS, |s| Box::pin(config(s))),
    Check::conditional(1, 94, "A subscription notifies and writes settings", TRIGGERS, |s| {
        Box::pin(notify_and_config(s))
    }),
];

const TRIGGERS: &[&str] = &[
    "Device.LocalAgent.Subscription.{i}.TriggerAction",
    "Device.LocalAgent.Subscription.{i}.TriggerConfigSettings",
];

/// A subscription that disables itself when the parameter changes.
async fn triggered(
    session: &mut Session,
    id: &str,
    action: &str,
    value: &str,
) -> Result<(String, String, String), crate::conformance::Stop> {
    let path = watched(session).await?;
    let (id, row) = subscribed(session, id, &path, &[("TriggerAction", action)]).await?;
    session.write(&format!("{row}TriggerConfigSettings"), &format!("{row}Enable=false")).await?;
    session.write(&path, value).await?;
    Ok((id, row, path))
}

async fn is_disabled(session: &mut Session, row: &str) -> Verdict {
    let path = format!("{row}Enable");
    let value = session.value(&path).await?;
    equal(&path, value.as_str(), "false")
}

async fn config(session: &mut Session) -> Verdict {
    let (id, row, _) = triggered(session, "notify93", "Config", "TestValue93").await?;
    is_disabled(session, &row).await?;
    let quiet = session.quiet();
    session.not_notified(quiet, |it| it.notify.subscription_id == id).await
}

async fn notify_and_config(session: &mut Session) -> Verdict {
    let (id, row, path) = triggered(session, "notify94", "NotifyAndConfig", "TestValue94").await?;
    let notification = session.notified_of(&id).await?;
    Session::value_changed(&notification, &path, "TestValue94")?;
    is_disabled(session, &row).await
}
