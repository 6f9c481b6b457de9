//! What checks at the tap have in common, whatever is spoken there; and TP-469 9.9, for which the tap is the
//! added controller's transport of its own.

use std::time::{Duration, Instant};

use crate::conformance::check::{Mtp, Stop, Verdict};
use crate::conformance::expect::{ensure, equal};
use crate::conformance::messages;
use crate::conformance::session::Session;
use crate::conformance::tap::{Dialect, Line, MqttPlan, StompPlan, Way};
use crate::sim::controller::requests;
use crate::usp::message::notify::Notification;
use crate::usp::message::{MessageBody, NotifyResp, Request, Response};

use super::{mqtt_wire, stomp_wire};

/// Whether a check is carried out at the tap. Without one it looks at what the controller itself sees, if that
/// meets the agent over this transport.
pub(super) fn at_tap(session: &Session, mtp: Mtp) -> bool {
    let config = &session.setup.config;
    config.tap.is_some() || !config.mtp.is_kin(mtp)
}

/// Ends a check about a transport that the agent neither is met over nor has the object for.
pub(super) fn supported(session: &Session, mtp: Mtp, object: &str) -> Verdict {
    if session.setup.config.mtp.is_kin(mtp) || session.has(object) {
        return Ok(());
    }
    Err(Stop::NotApplicable(format!("the agent does not support {object}")))
}

/// Asks for `Device.DeviceInfo.` at one of the agent's places. Where the agent wants further answers.
pub(super) async fn device_info<D: Dialect>(
    session: &mut Session,
    way: &Way<D>,
    line: &mut Line<D>,
    at: &str,
) -> Result<Option<String>, Stop> {
    let request = requests::get(&["Device.DeviceInfo."], 1);
    let (_, response, reply_to) = way.ask(session, line, at, request).await?;
    ensure(matches!(response, Response::GetResp(_)), || "the answer is no GetResp".to_owned())?;
    Ok(reply_to)
}

/// Reads a parameter until it has this value.
pub(super) async fn becomes(session: &mut Session, path: &str, wanted: &str) -> Verdict {
    let end = Instant::now() + session.patience();
    loop {
        let value = session.value(path).await?;
        if value == wanted || Instant::now() > end {
            return equal(path, value.as_str(), wanted);
        }
        tokio::time::sleep(POLL).await;
    }
}

/// TP-469 9.9, over MQTT or else over STOMP.
pub(super) async fn controller_is_told(session: &mut Session) -> Verdict {
    if session.setup.supported.is_writable("Device.MQTT.Client.{i}.") {
        let (way, line, _) = mqtt_wire::up(session, MqttPlan::default()).await?;
        is_told(session, way, line).await
    } else {
        let (way, line, _) = stomp_wire::up(session, StompPlan::default()).await?;
        is_told(session, way, line).await
    }
}

async fn is_told<D: Dialect>(session: &mut Session, way: Way<D>, mut line: Line<D>) -> Verdict {
    let command = format!("{}SendOnBoardRequest()", way.controller);
    session.plain(messages::operate(&command, "test99", true, &[])).await?;
    let end = Instant::now() + session.patience();
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let (_, message, _) = way.message(session, &mut line, left).await?;
        let MessageBody::Request(Request::Notify(notify)) = message.body else { continue };
        if !matches!(notify.notification, Some(Notification::OnBoardReq(_))) {
            continue;
        }
        let response = Response::NotifyResp(NotifyResp { subscription_id: notify.subscription_id });
        let at = way.places.0.clone();
        return way.respond(session, &mut line, &at, &message.msg_id, response).await;
    }
}

/// Seconds that a network and a busy machine may add.
pub(super) const SLACK: f64 = 1.0;
const POLL: Duration = Duration::from_millis(200);
