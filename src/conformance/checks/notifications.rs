//! Notifications that subscriptions ask for: TP-469 1.52, 1.53, 1.57 to 1.59, 1.84.

use std::time::{Duration, Instant};

use crate::conformance::check::{Check, Stop, Verdict};
use crate::conformance::expect::{ensure, equal, fail};
use crate::conformance::session::{SOFTWARE_VERSION, SUBSCRIPTIONS, Session};
use crate::usp::message::notify::Notification as Kind;

use super::add::BOOT_PARAMETERS;
use super::delete::boot_parameter;

pub(super) const CHECKS: &[Check] = &[
    Check::mandatory(1, 52, "A value change is notified", |s| Box::pin(value_change(s))),
    Check::mandatory(1, 53, "Without its subscription nothing is notified", |s| Box::pin(unsubscribed(s))),
    Check::mandatory(1, 57, "The creation of an object is notified", |s| Box::pin(creation(s))),
    Check::mandatory(1, 58, "The deletion of an object is notified", |s| Box::pin(deletion(s))),
    Check::conditional(
        1,
        59,
        "Periodic! is sent at its interval",
        &[
            "Device.LocalAgent.Periodic!",
            "Device.LocalAgent.Controller.{i}.PeriodicNotifInterval",
            "Device.LocalAgent.Controller.{i}.PeriodicNotifTime",
        ],
        |s| Box::pin(periodic(s)),
    ),
    Check::conditional(1, 84, "A subscription by a search is notified", BOOT_PARAMETERS, |s| {
        Box::pin(by_search(s))
    }),
];

/// The parameter whose changes are watched, holding something else than what it will be set to.
pub(super) async fn watched(session: &mut Session) -> Result<String, Stop> {
    let path = format!("{}ProvisioningCode", session.me().await?);
    session.put(&path, "before").await?;
    Ok(path)
}

/// Subscribes to the changes of a parameter with retries; gives the ID and the row.
pub(super) async fn subscribed(
    session: &mut Session,
    id: &str,
    path: &str,
    more: &[(&str, &str)],
) -> Result<(String, String), Stop> {
    let id = session.name(id);
    let usual = [("ID", id.as_str()), ("ReferenceList", path), ("NotifRetry", "true")];
    let row = session.subscription(&[usual.as_slice(), more].concat()).await?;
    Ok((id, row))
}

async fn value_change(session: &mut Session) -> Verdict {
    let path = watched(session).await?;
    let (id, _) = subscribed(session, "notify52", &path, &[]).await?;
    session.write(&path, "TestValue52").await?;
    let notification = session.notified_of(&id).await?;
    Session::value_changed(&notification, &path, "TestValue52")
}

async fn unsubscribed(session: &mut Session) -> Verdict {
    let path = watched(session).await?;
    let (id, row) = subscribed(session, "notify53", &path, &[]).await?;
    session.write(&path, "TestValue53").await?;
    session.notified_of(&id).await?;
    let response = session.delete(false, &[&row]).await?;
    crate::conformance::expect::deleted(crate::conformance::expect::one(
        &response.deleted_obj_results,
        "DeletedObjectResult",
    )?)?;
    // A copy of the first may still be on its way.
    session.forget_notifications();
    session.write(&path, "notify53-2").await?;
    let quiet = session.quiet();
    let told = |it: &crate::sim::controller::Notification| {
        matches!(
            &it.notify.notification,
            Some(Kind::ValueChange(change)) if change.param_path == path && change.param_value == "notify53-2"
        )
    };
    session.not_notified(quiet, told).await
}

async fn creation(session: &mut Session) -> Verdict {
    let id = session.name("notify57");
    let settings = [("ID", id.as_str()), ("NotifType", "ObjectCreation"), ("ReferenceList", SUBSCRIPTIONS)];
    session.subscription(&[settings.as_slice(), &[("NotifRetry", "true")]].concat()).await?;
    let new = session.name("notify57-2");
    let row = session.subscription(&[("ID", &new)]).await?;
    let me = session.me().await?;
    match session.notified_of(&id).await? {
        Kind::ObjCreation(creation) => {
            equal("the obj_path", creation.obj_path.as_str(), row.as_str())?;
            let key = |name: &str| creation.unique_keys.get(name).map_or("", String::as_str);
            equal("the unique key ID", key("ID"), new.as_str())?;
            equal(
                "the unique key Recipient",
                key("Recipient").trim_end_matches('.'),
                me.trim_end_matches('.'),
            )
        }
        other => fail(format!("the notification is not about an object that was created: {other:?}")),
    }
}

async fn deletion(session: &mut Session) -> Verdict {
    let row = session.subscription(&[]).await?;
    let id = session.name("notify58");
    let settings = [("ID", id.as_str()), ("NotifType", "ObjectDeletion"), ("ReferenceList", SUBSCRIPTIONS)];
    session.subscription(&[settings.as_slice(), &[("NotifRetry", "true")]].concat()).await?;
    session.delete(false, &[&row]).await?;
    match session.notified_of(&id).await? {
        Kind::ObjDeletion(deletion) => equal("the obj_path", deletion.obj_path.as_str(), row.as_str()),
        other => fail(format!("the notification is not about an object that was deleted: {other:?}")),
    }
}

/// The interval is shorter than the plan's minute; what is allowed around it is the plan's.
async fn periodic(session: &mut Session) -> Verdict {
    let me = session.me().await?;
    session.put(&format!("{me}PeriodicNotifTime"), "2019-01-01T00:00:00Z").await?;
    session.put(&format!("{me}PeriodicNotifInterval"), &PERIOD.as_secs().to_string()).await?;
    let id = session.name("sub-103");
    let event = "Device.LocalAgent.Periodic!";
    session.subscription(&[("ID", &id), ("NotifType", "Event"), ("ReferenceList", event)]).await?;
    let mut times = Vec::new();
    for _ in 0..2 {
        let patience = session.patience() + PERIOD;
        let notice = session.notified(patience, |it| it.notify.subscription_id == id).await?;
        times.push(Instant::now());
        match notice.notify.notification {
            Some(Kind::Event(event)) if event.event_name == "Periodic!" => {}
            other => return fail(format!("the notification is not about Periodic!: {other:?}")),
        }
    }
    let apart = times[1].duration_since(times[0]).as_secs_f64();
    let off = (apart - PERIOD.as_secs_f64()).abs();
    ensure(off <= 4.0, || format!("{apart:.1} s lie between two events, not {}", PERIOD.as_secs()))
}

async fn by_search(session: &mut Session) -> Verdict {
    let first = boot_parameter(session, "true", SOFTWARE_VERSION).await?;
    boot_parameter(session, "true", "Device.LocalAgent.EndpointID").await?;
    let me = session.me().await?;
    let (id, _) = subscribed(session, "notify84", &format!("{me}BootParameter.*.Enable"), &[]).await?;
    let path = format!("{first}Enable");
    session.write(&path, "false").await?;
    let notification = session.notified_of(&id).await?;
    Session::value_changed(&notification, &path, "false")
}

const PERIOD: Duration = Duration::from_secs(5);
