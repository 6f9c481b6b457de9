//! What passes between an agent and its MQTT broker, seen at the tap: TP-469 section 11. Where the plan restarts
//! the device, the agent's client is enabled for the first time; where it waits for a minute, intervals are
//! configured that are seconds.

use std::time::Duration;

use tokio::time::Instant;

use crate::conformance::check::{Stop, Verdict};
use crate::conformance::expect::{ensure, equal, fail};
use crate::conformance::messages;
use crate::conformance::session::Session;
use crate::conformance::tap::{Heard, Line, Mqtt, MqttPlan, Way, filter, link_version};
use crate::sim::controller::requests;
use crate::transport::mqtt::{ConnAck, Connect, Packet, Version};
use crate::usp::message::Response;
use crate::usp::record::Payload;

use super::tapped::{self, SLACK, device_info};

/// The next connection, with its CONNECT.
async fn came(way: &mut Way<Mqtt>, session: &mut Session) -> Result<(Line<Mqtt>, Connect), Stop> {
    came_again(way, session, 0.0).await
}

/// The same, where the agent may wait so many seconds before it comes.
async fn came_again(
    way: &mut Way<Mqtt>,
    session: &mut Session,
    wait: f64,
) -> Result<(Line<Mqtt>, Connect), Stop> {
    match way.came(session, wait).await? {
        (line, Packet::Connect(connect)) => Ok((line, connect)),
        (_, packet) => fail(format!("the first packet is no CONNECT: {packet:?}")),
    }
}

/// Accepts a connection, and awaits the topics that the agent subscribes to, until all of these are there.
async fn accept(
    session: &mut Session,
    line: &mut Line<Mqtt>,
    ack: ConnAck,
    topics: &[String],
) -> Result<Vec<(String, u8)>, Stop> {
    line.say(&mut session.exchange, Packet::ConnAck(ack)).await?;
    let mut asked = Vec::new();
    let end = Instant::now() + session.patience();
    while asked.is_empty() || !topics.iter().all(|topic| asked.iter().any(|(it, _)| it == topic)) {
        let left = end.saturating_duration_since(Instant::now());
        let what = match asked.is_empty() {
            true => "a SUBSCRIBE".to_owned(),
            false => format!("a SUBSCRIBE with all of {topics:?}"),
        };
        asked.extend(subscribed(session, line, &what, left).await?);
    }
    Ok(asked)
}

async fn subscribed(
    session: &mut Session,
    line: &mut Line<Mqtt>,
    what: &str,
    within: Duration,
) -> Result<Vec<(String, u8)>, Stop> {
    let is_subscribe = |packet: &Packet| matches!(packet, Packet::Subscribe { .. });
    match line.wait_for(&mut session.exchange, what, within, is_subscribe).await? {
        Packet::Subscribe { filters, .. } => Ok(filters),
        _ => Ok(Vec::new()),
    }
}

/// Lays a way, and brings the connection up.
pub(super) async fn up(
    session: &mut Session,
    plan: MqttPlan<'_>,
) -> Result<(Way<Mqtt>, Line<Mqtt>, Connect), Stop> {
    let mut way = Way::over_mqtt(session, plan).await?;
    way.begin(session).await?;
    let (mut line, connect) = came(&mut way, session).await?;
    accept(session, &mut line, ConnAck::default(), &[]).await?;
    Ok((way, line, connect))
}

/// 11.2.
pub(super) async fn connects(session: &mut Session) -> Verdict {
    let mut way = Way::over_mqtt(session, MqttPlan::default()).await?;
    way.begin(session).await?;
    let (line, connect) = came(&mut way, session).await?;
    if line.dialect.version == Some(Version::V5) {
        let named = connect.user_properties.iter().find(|(name, _)| name == "usp-endpoint-id");
        let named = named.map(|(_, id)| id.as_str());
        equal("the User Property usp-endpoint-id", &named, &Some(session.agent().as_str()))?;
    }
    ensure(connect.login.is_some(), || "the CONNECT has no User Name and Password".to_owned())?;
    equal("User Name and Password", &connect.login, &Some(way.login.clone()))
}

/// 11.3. The tap offers TLS from 1.2 on.
pub(super) async fn tls(session: &mut Session) -> Verdict {
    let (way, mut line, _) = up(session, MqttPlan { secure: true, ..MqttPlan::default() }).await?;
    device_info(session, &way, &mut line, &way.places.0.clone()).await.map(|_| ())
}

/// 11.4.
pub(super) async fn client_id(session: &mut Session) -> Verdict {
    let plan = MqttPlan { v5: true, more: &[("ClientID", "")], ..MqttPlan::default() };
    let mut way = Way::over_mqtt(session, plan).await?;
    way.begin(session).await?;
    let (mut line, connect) = came(&mut way, session).await?;
    equal("the ClientID of the CONNECT", connect.client_id.as_str(), "")?;
    let given = session.name("given");
    let ack = ConnAck { assigned_client_id: Some(given.clone()), ..ConnAck::default() };
    accept(session, &mut line, ack, &[]).await?;
    tapped::becomes(session, &format!("{}ClientID", way.link), &given).await
}

/// 11.5.
pub(super) async fn client_id_stays(session: &mut Session) -> Verdict {
    let mut way = Way::over_mqtt(session, MqttPlan::default()).await?;
    way.begin(session).await?;
    let (mut line, connect) = came(&mut way, session).await?;
    let given = Some(session.name("given")).filter(|_| connect.client_id.is_empty());
    let expected = given.clone().unwrap_or(connect.client_id);
    let ack = ConnAck { assigned_client_id: given, ..ConnAck::default() };
    accept(session, &mut line, ack, &[]).await?;
    let wait = way.number(session, "ConnectRetryTime").await? * 2.0;
    line.close(&mut session.exchange).await;
    let (mut line, connect) = came_again(&mut way, session, wait).await?;
    equal("the ClientID of the next CONNECT", connect.client_id.as_str(), expected.as_str())?;
    accept(session, &mut line, ConnAck::default(), &[]).await.map(|_| ())
}

/// 11.6. What the plan calls within ConnectRetryTime may by TR-181 take up to ConnectRetryTime * multiplier.
pub(super) async fn retries(session: &mut Session) -> Verdict {
    let mut way = Way::over_mqtt(session, MqttPlan::default()).await?;
    let wait = way.number(session, "ConnectRetryTime").await?;
    let factor = way.number(session, "ConnectRetryIntervalMultiplier").await? / 1_000.0;
    way.begin(session).await?;
    let patience = session.patience().as_secs_f64();
    way.turn_away(session, patience).await?;
    way.turn_away(session, wait * factor + SLACK).await?;
    let most = wait * factor * factor;
    let took = way.turn_away(session, most + SLACK).await?;
    ensure(took + SLACK >= wait, || format!("the second retry came after {took:.1} s, before {wait} s"))?;
    let (mut line, _) = came_again(&mut way, session, most * factor).await?;
    accept(session, &mut line, ConnAck::default(), &[]).await.map(|_| ())
}

/// 11.7.
pub(super) async fn keeps_alive(session: &mut Session) -> Verdict {
    let keep = KEEP_ALIVE.to_string();
    let plan = MqttPlan { v5: true, more: &[("KeepAliveTime", &keep)], ..MqttPlan::default() };
    let mut way = Way::over_mqtt(session, plan).await?;
    way.begin(session).await?;
    let (mut line, connect) = came(&mut way, session).await?;
    equal("the Keep Alive of the CONNECT", &connect.keep_alive, &KEEP_ALIVE)?;
    let shorter = KEEP_ALIVE / 2;
    let ack = ConnAck { server_keep_alive: Some(shorter), ..ConnAck::default() };
    accept(session, &mut line, ack, &[]).await?;
    let mut silent_at = Instant::now();
    loop {
        let end = silent_at + Duration::from_millis(u64::from(shorter) * 1_500);
        match line.hear(&mut session.exchange, end).await? {
            Heard::Said(Packet::PingReq) => return Ok(()),
            Heard::Said(_) => silent_at = Instant::now(),
            Heard::End => return fail("the agent closed the connection in place of a PINGREQ"),
            Heard::Silence => return fail(format!("no PINGREQ came, with a Keep Alive of {shorter} s")),
        }
    }
}

/// 11.8.
pub(super) async fn subscribes(session: &mut Session) -> Verdict {
    let mut way = Way::over_mqtt(session, MqttPlan { v5: true, ..MqttPlan::default() }).await?;
    way.begin(session).await?;
    let (mut line, connect) = came(&mut way, session).await?;
    ensure(connect.request_response_information, || {
        "the Request Response Information of the CONNECT is not 1".to_owned()
    })?;
    let topics = [session.name("usp/tap-named"), session.name("usp/tap-response")];
    let ack = ConnAck {
        user_properties: vec![("subscribe-topic".to_owned(), topics[0].clone())],
        response_information: Some(topics[1].clone()),
        ..ConnAck::default()
    };
    accept(session, &mut line, ack, &topics).await.map(|_| ())
}

/// 11.9.
pub(super) async fn new_topic(session: &mut Session) -> Verdict {
    let (way, mut line, _) = up(session, MqttPlan::default()).await?;
    let version = line.dialect.version.unwrap_or_default();
    let topic = session.name("usp/tap-new");
    let wanted = filter(version, &topic);
    let row = way.add_topic(session, &wanted, "1").await?;
    awaits(session, &mut line, &wanted, 1).await?;
    let path = row.clone();
    let (_, response, _) = way.ask(session, &mut line, &topic, requests::get(&[&path], 0)).await?;
    ensure(matches!(response, Response::GetResp(_)), || "the answer is no GetResp".to_owned())?;
    session.write(&format!("{row}Enable"), "false").await?;
    let patience = session.patience();
    let is_taken_back =
        |packet: &Packet| matches!(packet, Packet::Unsubscribe { filters, .. } if filters.contains(&wanted));
    line.wait_for(&mut session.exchange, "an UNSUBSCRIBE of the topic", patience, is_taken_back)
        .await
        .map(|_| ())
}

/// A SUBSCRIBE with this topic at this QoS.
async fn awaits(session: &mut Session, line: &mut Line<Mqtt>, topic: &str, qos: u8) -> Verdict {
    let what = format!("a SUBSCRIBE with {topic:?}");
    let has = |filter: &(String, u8)| filter.0 == topic;
    let wanted =
        |packet: &Packet| matches!(packet, Packet::Subscribe { filters, .. } if filters.iter().any(has));
    let patience = session.patience();
    let Packet::Subscribe { filters, .. } =
        line.wait_for(&mut session.exchange, &what, patience, wanted).await?
    else {
        return Ok(());
    };
    let asked = filters.into_iter().find(has).map(|(_, qos)| qos);
    equal(&format!("the QoS asked for {topic:?}"), &asked, &Some(qos))
}

/// 11.10.
pub(super) async fn no_topic(session: &mut Session) -> Verdict {
    let mut way = Way::over_mqtt(session, MqttPlan { v5: true, bare: true, ..MqttPlan::default() }).await?;
    way.begin(session).await?;
    let (mut line, _) = came(&mut way, session).await?;
    line.say(&mut session.exchange, Packet::ConnAck(ConnAck::default())).await?;
    disconnects(session, &mut line).await
}

/// 11.11. The agent has something to say: it is asked for an OnBoardRequest, where it supports that. If it comes
/// again it is refused again, and must not say it then either.
pub(super) async fn refused(session: &mut Session) -> Verdict {
    let mut way = Way::over_mqtt(session, MqttPlan::default()).await?;
    let wait = way.number(session, "ConnectRetryTime").await? * 2.0;
    way.begin(session).await?;
    let (mut line, _) = came(&mut way, session).await?;
    line.dialect.refuses = true;
    line.say(&mut session.exchange, Packet::ConnAck(ConnAck::default())).await?;
    if session.has("Device.LocalAgent.Controller.{i}.SendOnBoardRequest()") {
        let command = format!("{}SendOnBoardRequest()", way.controller);
        session.unanswered(messages::operate(&command, "", false, &[])).await?;
    }
    disconnects(session, &mut line).await?;
    drop(line);
    let Ok((mut line, _)) = came_again(&mut way, session, wait).await else { return Ok(()) };
    line.dialect.refuses = true;
    line.say(&mut session.exchange, Packet::ConnAck(ConnAck::default())).await?;
    disconnects(session, &mut line).await
}

/// A DISCONNECT comes, and no PUBLISH before it.
async fn disconnects(session: &mut Session, line: &mut Line<Mqtt>) -> Verdict {
    let end = Instant::now() + session.patience();
    loop {
        match line.hear(&mut session.exchange, end).await? {
            Heard::Said(Packet::Disconnect { .. }) => return Ok(()),
            Heard::Said(Packet::Publish(_)) => return fail("the agent publishes without a subscription"),
            Heard::Said(_) => {}
            Heard::End => return fail("the agent closed the connection without a DISCONNECT"),
            Heard::Silence => return fail("the agent sent no DISCONNECT"),
        }
    }
}

/// 11.12.
pub(super) async fn published(session: &mut Session) -> Verdict {
    let mut way = Way::over_mqtt(session, MqttPlan::default()).await?;
    way.begin(session).await?;
    let (mut line, _) = came(&mut way, session).await?;
    let v5 = line.dialect.version == Some(Version::V5);
    let given = Some(session.name("usp/tap-response")).filter(|_| v5);
    let ack = ConnAck { response_information: given.clone(), ..ConnAck::default() };
    accept(session, &mut line, ack, &given.iter().cloned().collect::<Vec<_>>()).await?;
    let request = requests::get(&["Device.DeviceInfo."], 1);
    let at = given.clone().unwrap_or_else(|| way.places.0.clone());
    let (packet, _, reply_to) = way.ask(session, &mut line, &at, request).await?;
    let Packet::Publish(publish) = packet else { return fail("the answer is no PUBLISH") };
    if !v5 {
        let own = publish.topic.rsplit_once("/reply-to=").map(|(_, own)| own);
        return ensure(own.is_some_and(|own| !own.is_empty() && !own.contains('/')), || {
            format!("the topic {:?} says nothing of answers", publish.topic)
        });
    }
    equal("the Response Topic", &reply_to, &given)?;
    equal("the Content Type", &publish.properties.content_type.as_deref(), &Some("usp.msg"))
}

/// 11.14.
pub(super) async fn replied(session: &mut Session) -> Verdict {
    let (mut way, mut line, _) = up(session, MqttPlan::default()).await?;
    let wanted = session.name("usp/tap-controller");
    way.places.1.clone_from(&wanted);
    let (at, request) = (way.places.0.clone(), requests::get(&["Device.DeviceInfo."], 1));
    let (packet, _, reply_to) = way.ask(session, &mut line, &at, request).await?;
    let Packet::Publish(publish) = packet else { return fail("the answer is no PUBLISH") };
    let topic = match line.dialect.version {
        Some(Version::V311) => publish.topic.rsplit_once("/reply-to=").map_or("", |(topic, _)| topic),
        _ => &publish.topic,
    };
    equal("the topic of the answer", topic, wanted.as_str())?;
    ensure(reply_to.is_some_and(|it| !it.is_empty()), || "the agent does not say where answers go".to_owned())
}

/// 11.15.
pub(super) async fn content_types(session: &mut Session) -> Verdict {
    let (way, mut line, _) = up(session, MqttPlan { v5: true, ..MqttPlan::default() }).await?;
    for content_type in ["usp.msg", "application/vnd.bbf.usp.msg"] {
        line.dialect.content_type = Some(content_type);
        device_info(session, &way, &mut line, &way.places.0.clone()).await?;
    }
    Ok(())
}

/// 11.17.
pub(super) async fn connect_record(session: &mut Session) -> Verdict {
    let mut way = Way::over_mqtt(session, MqttPlan::default()).await?;
    way.begin(session).await?;
    let (mut line, _) = came(&mut way, session).await?;
    let asked = accept(session, &mut line, ConnAck::default(), &[]).await?;
    let version = line.dialect.version.unwrap_or_default();
    match way.connect_record(session, &mut line).await? {
        Payload::MqttConnect { v5, subscribed_topic } => {
            equal("whether the version is 5", &v5, &(version == Version::V5))?;
            let is_asked = asked
                .iter()
                .any(|(it, _)| *it == subscribed_topic || *it == filter(version, &subscribed_topic));
            ensure(is_asked, || format!("{subscribed_topic:?} is not subscribed to"))
        }
        other => fail(format!("the Connect record is {other:?}")),
    }
}

/// 11.13.
pub(super) async fn qos(session: &mut Session) -> Verdict {
    let (way, mut line, _) = up(session, MqttPlan::default()).await?;
    let version = line.dialect.version.unwrap_or_default();
    let mut added = Vec::new();
    for qos in [0, 1] {
        let topic = session.name(&format!("usp/tap-qos{qos}"));
        let wanted = filter(version, &topic);
        let row = way.add_topic(session, &wanted, &qos.to_string()).await?;
        awaits(session, &mut line, &wanted, qos).await?;
        added.push((topic, row, qos));
    }
    for (topic, row, qos) in added {
        line.dialect.qos = qos;
        let request = requests::get(&[&row], 0);
        let (_, response, _) = way.ask(session, &mut line, &topic, request).await?;
        ensure(matches!(response, Response::GetResp(_)), || "the answer is no GetResp".to_owned())?;
    }
    Ok(())
}

/// 11.16.
pub(super) async fn comes_again(session: &mut Session) -> Verdict {
    let (mut way, mut line, _) = up(session, MqttPlan::default()).await?;
    let wait = way.number(session, "ConnectRetryTime").await?;
    let factor = way.number(session, "ConnectRetryIntervalMultiplier").await? / 1_000.0;
    if link_version(session) == Version::V5 {
        line.say(&mut session.exchange, Packet::Disconnect { reason: Some("TP-469 11.16".into()) }).await?;
    }
    line.close(&mut session.exchange).await;
    let took = way.turn_away(session, wait * factor + SLACK).await?;
    ensure(took + SLACK >= wait, || format!("the agent came after {took:.1} s, before {wait} s"))?;
    let (mut line, _) = came_again(&mut way, session, wait * factor * factor).await?;
    accept(session, &mut line, ConnAck::default(), &[]).await.map(|_| ())
}

/// In seconds.
const KEEP_ALIVE: u16 = 6;
