//! OnBoardRequest: TP-469 1.60, 1.101 to 1.103. Waits are seconds in place of the plan's minute.

use std::time::Duration;

use crate::conformance::check::{Check, Stop, Verdict};
use crate::conformance::expect::{ensure, equal, fail};
use crate::conformance::messages;
use crate::conformance::session::Session;
use crate::sim::controller::Notification;
use crate::usp::message::notify::{Notification as Kind, OnBoardRequest};

pub(super) const CHECKS: &[Check] = &[
    Check::conditional(1, 60, "An OnBoardRequest is sent at request", &[SEND], |s| Box::pin(sent(s))),
    Check::conditional(1, 101, "On-boarding is complete when the controller says so", COMPLETE, |s| {
        Box::pin(completed(s))
    }),
    Check::conditional(
        1,
        102,
        "An OnBoardRequest is repeated until on-boarding is complete",
        COMPLETE,
        |s| Box::pin(repeated(s)),
    ),
    Check::conditional(1, 103, "An OnBoardRequest is not repeated without a restart time", COMPLETE, |s| {
        Box::pin(not_repeated(s))
    }),
];

const SEND: &str = "Device.LocalAgent.Controller.{i}.SendOnBoardRequest()";
const COMPLETE: &[&str] = &[
    SEND,
    "Device.LocalAgent.Controller.{i}.OnBoardingComplete",
    "Device.LocalAgent.Controller.{i}.OnBoardingRestartTime",
];
/// The restart time that is set, in seconds.
const RESTART: u64 = 3;

fn is_onboard(it: &Notification) -> bool {
    matches!(it.notify.notification, Some(Kind::OnBoardReq(_)))
}

/// Asks for an OnBoardRequest and awaits it.
async fn ask(session: &mut Session, me: &str, key: &str) -> Result<OnBoardRequest, Stop> {
    session.forget_notifications();
    session.unanswered(messages::operate(&format!("{me}SendOnBoardRequest()"), key, false, &[])).await?;
    let patience = session.patience();
    let notice = session.notified(patience, is_onboard).await?;
    equal("the subscription_id", notice.notify.subscription_id.as_str(), "")?;
    match notice.notify.notification {
        Some(Kind::OnBoardReq(request)) => Ok(request),
        _ => fail("the notification is no OnBoardRequest"),
    }
}

async fn sent(session: &mut Session) -> Verdict {
    let me = session.me().await?;
    let request = ask(session, &me, "test60").await?;
    let is_oui = request.oui.len() == 6 && request.oui.bytes().all(|b| b.is_ascii_hexdigit());
    ensure(is_oui, || format!("the oui is {:?}", request.oui))?;
    ensure(!request.serial_number.is_empty(), || "the serial_number is empty".to_owned())?;
    let versions = &request.agent_supported_protocol_versions;
    ensure(versions.contains("1."), || format!("the versions are {versions:?}"))
}

async fn completed(session: &mut Session) -> Verdict {
    let me = session.me().await?;
    let path = format!("{me}OnBoardingComplete");
    session.keep(&path).await?;
    ask(session, &me, "test101").await?;
    let value = session.value(&path).await?;
    session.write(&path, "true").await?;
    equal(&path, value.as_str(), "false")
}

async fn repeated(session: &mut Session) -> Verdict {
    let me = session.me().await?;
    session.keep(&format!("{me}OnBoardingComplete")).await?;
    session.put(&format!("{me}OnBoardingRestartTime"), &RESTART.to_string()).await?;
    ask(session, &me, "test102").await?;
    let within = Duration::from_secs(RESTART) + session.patience();
    session.notified(within, is_onboard).await?;
    session.write(&format!("{me}OnBoardingComplete"), "true").await?;
    session.not_notified(Duration::from_secs(2 * RESTART), is_onboard).await
}

async fn not_repeated(session: &mut Session) -> Verdict {
    let me = session.me().await?;
    session.keep(&format!("{me}OnBoardingComplete")).await?;
    session.put(&format!("{me}OnBoardingRestartTime"), "0").await?;
    ask(session, &me, "test103").await?;
    session.not_notified(Duration::from_secs(2 * RESTART), is_onboard).await
}
