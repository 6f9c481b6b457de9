//! The MQTT transport as a controller sees it at the broker: TP-469 section 11. What passes between agent and
//! broker alone is seen at the tap (`mqtt_wire`).

use crate::conformance::check::{Check, Mtp, Stop, Verdict};
use crate::conformance::expect::{ensure, equal, fail};
use crate::conformance::session::Session;
use crate::sim::controller::{Envelope, requests};
use crate::usp::message::Message;
use crate::usp::record::{Payload, Record};

use super::websocket::answered;
use super::{mqtt_wire, profiles, tapped};

pub(super) const CHECKS: &[Check] = &[
    Check::tapped(11, 1, "The profiles of MQTT are supported", &[], |s| Box::pin(complete(s))),
    Check::tapped(11, 2, "CONNECT", &[], |s| Box::pin(mqtt_wire::connects(s))),
    Check::tapped(11, 3, "TLS", &["Device.MQTT.Client.{i}.TransportProtocol"], |s| {
        Box::pin(mqtt_wire::tls(s))
    }),
    Check::tapped(11, 4, "A client id that the broker gives", &[CLIENT_ID], |s| {
        Box::pin(mqtt_wire::client_id(s))
    }),
    Check::tapped(11, 5, "The client id stays", RETRIES, |s| Box::pin(mqtt_wire::client_id_stays(s))),
    Check::tapped(11, 6, "Retries of the connection after a restart", RETRIES, |s| {
        Box::pin(mqtt_wire::retries(s))
    }),
    Check::tapped(11, 7, "Keep Alive", &["Device.MQTT.Client.{i}.KeepAliveTime"], |s| {
        Box::pin(mqtt_wire::keeps_alive(s))
    }),
    Check::tapped(11, 8, "SUBSCRIBE", &[], |s| Box::pin(mqtt_wire::subscribes(s))),
    Check::tapped(11, 9, "A subscription that is added", &[], |s| Box::pin(mqtt_wire::new_topic(s))),
    Check::tapped(11, 10, "No topic to subscribe to", &[], |s| Box::pin(mqtt_wire::no_topic(s))),
    Check::tapped(11, 11, "SUBACK with errors", RETRIES, |s| Box::pin(mqtt_wire::refused(s))),
    Check::tapped(11, 12, "A PUBLISH says what it is and where answers go", &[], |s| Box::pin(published(s))),
    Check::tapped(11, 13, "QoS of subscriptions", &[], |s| Box::pin(mqtt_wire::qos(s))),
    Check::tapped(11, 14, "Answers go to the topic that the controller names", &[], |s| Box::pin(replied(s))),
    Check::tapped(11, 15, "Both content types are taken", &[], |s| Box::pin(content_types(s))),
    Check::tapped(11, 16, "Retries of the connection", RETRIES, |s| Box::pin(mqtt_wire::comes_again(s))),
    Check::tapped(11, 17, "A connection begins with a Connect record", &[], |s| Box::pin(connect_record(s))),
];

const CLIENT_ID: &str = "Device.MQTT.Client.{i}.ClientID";
const RETRIES: &[&str] =
    &["Device.MQTT.Client.{i}.ConnectRetryTime", "Device.MQTT.Client.{i}.ConnectRetryIntervalMultiplier"];

async fn complete(session: &mut Session) -> Verdict {
    tapped::supported(session, Mtp::Mqtt5, "Device.LocalAgent.MTP.{i}.MQTT.")?;
    profiles::complete(session, "Device.MQTT.", profiles::MQTT).await
}

/// How the answer to a Get came: topic, content type and response topic.
async fn envelope(session: &mut Session) -> Result<(String, Option<String>, Option<String>), Stop> {
    match session.envelope().await? {
        Envelope::Mqtt { topic, content_type, response_topic } => Ok((topic, content_type, response_topic)),
        other => fail(format!("the record did not come over MQTT: {other:?}")),
    }
}

async fn published(session: &mut Session) -> Verdict {
    if tapped::at_tap(session, Mtp::Mqtt5) {
        return mqtt_wire::published(session).await;
    }
    let (topic, content_type, response_topic) = envelope(session).await?;
    if session.setup.config.mtp == Mtp::Mqtt311 {
        return ensure(reply_to(&topic).is_some(), || format!("the topic {topic:?} says nothing of answers"));
    }
    equal("the Content Type", &content_type.as_deref(), &Some("usp.msg"))?;
    ensure(response_topic.is_some_and(|it| !it.is_empty()), || "there is no Response Topic".to_owned())
}

/// The topic for answers that a topic of MQTT 3.1.1 carries.
fn reply_to(topic: &str) -> Option<&str> {
    topic.rsplit_once("/reply-to=").map(|(_, own)| own).filter(|own| !own.is_empty() && !own.contains('/'))
}

/// That the answer came at all says that it went to the controller's topic, which the agent has from nowhere
/// else, or from its configuration.
async fn replied(session: &mut Session) -> Verdict {
    if tapped::at_tap(session, Mtp::Mqtt5) {
        return mqtt_wire::replied(session).await;
    }
    let (topic, _, response_topic) = envelope(session).await?;
    let own = match session.setup.config.mtp {
        Mtp::Mqtt311 => reply_to(&topic).map(str::to_owned),
        _ => response_topic,
    };
    ensure(own.is_some_and(|it| !it.is_empty()), || "the agent does not say where answers go".to_owned())
}

async fn content_types(session: &mut Session) -> Verdict {
    if tapped::at_tap(session, Mtp::Mqtt5) {
        return mqtt_wire::content_types(session).await;
    }
    if session.setup.config.mtp == Mtp::Mqtt311 {
        return Err(Stop::NotApplicable("MQTT 3.1.1 has no content types".to_owned()));
    }
    for content_type in ["usp.msg", "application/vnd.bbf.usp.msg"] {
        let request = requests::get(&["Device.DeviceInfo."], 0);
        session.exchange.note(format!("the content type is {content_type}"));
        session.exchange.sent(&request);
        let id = session.name(content_type);
        let message = Message::request(&id, request).encode();
        let record = Record::plain(&session.setup.config.endpoint_id, session.agent(), message);
        session.forget_arrivals();
        session.controller().send_raw_as(session.agent(), record.encode(), content_type).await;
        answered(session, &id).await?;
    }
    Ok(())
}

async fn connect_record(session: &mut Session) -> Verdict {
    if tapped::at_tap(session, Mtp::Mqtt5) {
        return mqtt_wire::connect_record(session).await;
    }
    match session.connect_record()? {
        Payload::MqttConnect { v5, subscribed_topic } => {
            equal("whether the version is 5", &v5, &(session.setup.config.mtp == Mtp::Mqtt5))?;
            ensure(!subscribed_topic.is_empty(), || "the subscribed_topic is empty".to_owned())
        }
        other => fail(format!("the Connect record is {other:?}")),
    }
}
