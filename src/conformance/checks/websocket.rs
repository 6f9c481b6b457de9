//! The WebSocket transport as a controller sees it: TP-469 section 7. Where the plan restarts the device, the
//! connection is closed instead, which an agent mends by itself.

use std::time::{Duration, Instant};

use tokio::sync::broadcast::{Receiver, error::RecvError};

use crate::conformance::check::{Check, Mtp, Stop, Verdict};
use crate::conformance::expect::{ensure, equal, fail};
use crate::conformance::session::{CONTROLLERS, Session};
use crate::conformance::watching::{answers, seconds_since};
use crate::identity::EndpointId;
use crate::sim::controller::{Frame, Sign, requests};
use crate::usp::message::{Message, MessageBody, Response};
use crate::usp::record::{Payload, Record};

use super::websocket_server;

pub(super) const CHECKS: &[Check] = &[
    over(7, 1, "A connection is made and carries messages", |s| Box::pin(connects(s))),
    Check::conditional(
        7,
        2,
        "One connection at a time",
        &["Device.LocalAgent.MTP.{i}.WebSocket.Port", "Device.LocalAgent.MTP.{i}.WebSocket.Path"],
        |s| Box::pin(websocket_server::one_session(s)),
    ),
    Check::never(7, 3, "Connections that controllers open", "the plan says nothing of how")
        .over(Mtp::WebSocket),
    over(7, 4, "A Close is answered by a Close", |s| Box::pin(closes(s))),
    Check::never(7, 5, "A handshake without the subprotocol", "the plan has it no more").deprecated(),
    over(7, 6, "What is no record ends the connection with 1003", |s| Box::pin(unprocessed(s))),
    over(7, 7, "A Ping is answered, a Pong does no harm", |s| Box::pin(pings(s))),
    over(7, 8, "A connection that breaks is tried again in time", |s| Box::pin(retries(s))),
    Check::never(7, 9, "TLS", "it takes certificates, which are the operator's").over(Mtp::WebSocket),
    over(7, 10, "A connection begins with a Connect record", |s| Box::pin(connect_record(s))),
    over(7, 11, "A handshake without the extension bbf-usp-protocol is good", |s| Box::pin(connects(s))),
    over(7, 12, "A record may come in fragments", |s| Box::pin(fragmented(s))),
];

const fn over(
    section: u16,
    place: u16,
    title: &'static str,
    body: fn(&mut Session) -> crate::conformance::check::Running<'_>,
) -> Check {
    Check::conditional(section, place, title, &[], body).over(Mtp::WebSocket)
}

type Signs = Receiver<(EndpointId, Sign)>;

/// The next sign of the agent's connection that is wanted.
async fn sign(
    session: &mut Session,
    signs: &mut Signs,
    within: Duration,
    what: &str,
    wanted: fn(Sign) -> bool,
) -> Result<Sign, Stop> {
    let end = tokio::time::Instant::now() + within;
    loop {
        match tokio::time::timeout_at(end, signs.recv()).await {
            Ok(Ok((agent, sign))) if agent == *session.agent() => {
                session.exchange.note(format!("agent: {sign:?}"));
                if wanted(sign) {
                    return Ok(sign);
                }
            }
            Ok(Ok(_) | Err(RecvError::Lagged(_))) => {}
            Ok(Err(RecvError::Closed)) => return fail("the controller has ended"),
            Err(_) => return fail(format!("{what} did not come within {} s", within.as_secs_f32())),
        }
    }
}

async fn send(session: &mut Session, frame: Frame) -> Verdict {
    session.exchange.note(format!("controller: {frame:?}"));
    let sent = session.controller().send_frame(session.agent(), frame).await;
    sent.or_else(|error| fail(error.to_string()))
}

/// Closes the connection and awaits the next one.
async fn reconnects(session: &mut Session) -> Verdict {
    let mut signs = session.controller().signs();
    send(session, Frame::Close).await?;
    sign(session, &mut signs, CLOSING, "the agent's Close", |it| matches!(it, Sign::Closed(_))).await?;
    let patience = session.patience();
    sign(session, &mut signs, patience, "a new connection", |it| it == Sign::Opened).await.map(|_| ())
}

async fn connects(session: &mut Session) -> Verdict {
    reconnects(session).await?;
    answers(session).await?;
    session.read("Device.DeviceInfo.").await.map(|_| ())
}

async fn closes(session: &mut Session) -> Verdict {
    reconnects(session).await?;
    answers(session).await
}

async fn unprocessed(session: &mut Session) -> Verdict {
    let mut signs = session.controller().signs();
    send(session, Frame::Record(bytes::Bytes::from_static(b"\xff\x00\xff"))).await?;
    let patience = session.patience();
    let closed = |it| matches!(it, Sign::Closed(_));
    let Sign::Closed(code) = sign(session, &mut signs, patience, "the agent's Close", closed).await? else {
        return fail("the connection was not closed");
    };
    equal("the status code of the Close", &code, &Some(1003))?;
    sign(session, &mut signs, patience, "a new connection", |it| it == Sign::Opened).await?;
    answers(session).await
}

async fn pings(session: &mut Session) -> Verdict {
    let mut signs = session.controller().signs();
    send(session, Frame::Ping).await?;
    sign(session, &mut signs, Duration::from_secs(60), "the Pong", |it| it == Sign::Pong).await?;
    send(session, Frame::Pong).await?;
    answers(session).await?;
    match signs.try_recv() {
        Ok((agent, sign @ (Sign::Closed(_) | Sign::Opened))) if agent == *session.agent() => {
            fail(format!("the connection did not stay: {sign:?}"))
        }
        _ => Ok(()),
    }
}

/// The least wait in seconds and the multiplier in thousandths of this controller's transport.
async fn waits(session: &mut Session) -> Result<(f64, f64), Stop> {
    let me = session.me().await?;
    let values = session.read(&format!("{me}MTP.")).await?;
    let number = |name: &str| {
        let found = values.iter().find(|(path, _)| path.starts_with(CONTROLLERS) && path.ends_with(name));
        found.and_then(|(_, value)| value.parse::<f64>().ok())
    };
    let wait = number(".WebSocket.SessionRetryMinimumWaitInterval");
    let multiplier = number(".WebSocket.SessionRetryIntervalMultiplier");
    wait.zip(multiplier)
        .ok_or_else(|| Stop::Fail("the agent does not tell the intervals of its retries".to_owned()))
}

async fn retries(session: &mut Session) -> Verdict {
    let (wait, multiplier) = waits(session).await?;
    let factor = multiplier / 1_000.0;
    let agent = session.agent().clone();
    let mut signs = session.controller().signs();
    session.controller().turn_away(&agent, true);
    let result = turned_away(session, &mut signs, wait, factor).await;
    session.controller().turn_away(&agent, false);
    result?;
    let within = Duration::from_secs_f64(wait * factor.powi(3)) + session.patience();
    sign(session, &mut signs, within, "a new connection", |it| it == Sign::Opened).await?;
    answers(session).await
}

async fn turned_away(session: &mut Session, signs: &mut Signs, wait: f64, factor: f64) -> Verdict {
    send(session, Frame::Close).await?;
    sign(session, signs, CLOSING, "the agent's Close", |it| matches!(it, Sign::Closed(_))).await?;
    for (least, most) in [(wait, wait * factor), (wait * factor, wait * factor * factor)] {
        let started = Instant::now();
        let within = Duration::from_secs_f64(most + SLACK);
        sign(session, signs, within, "another attempt", |it| it == Sign::TurnedAway).await?;
        let took = seconds_since(started);
        ensure(took + SLACK >= least, || format!("the attempt came after {took:.1} s, before {least} s"))?;
    }
    Ok(())
}

async fn connect_record(session: &mut Session) -> Verdict {
    reconnects(session).await?;
    let connect = |it: &crate::sim::controller::Arrival| it.record.payload == Payload::WebSocketConnect;
    session.arrived(Duration::from_secs(30), connect).await.map(|_| ())
}

async fn fragmented(session: &mut Session) -> Verdict {
    let request = requests::get(&["Device.DeviceInfo."], 0);
    session.exchange.sent(&request);
    let id = session.name("fragments");
    let message = Message::request(&id, request).encode();
    let record = Record::plain(&session.setup.config.endpoint_id, session.agent(), message);
    session.forget_arrivals();
    send(session, Frame::Fragments(record.encode())).await?;
    answered(session, &id).await
}

/// A GetResp with this message id comes.
pub(super) async fn answered(session: &mut Session, id: &str) -> Verdict {
    let patience = session.patience();
    let is_answer = |it: &crate::sim::controller::Arrival| {
        let Payload::NoSession(message) = &it.record.payload else { return false };
        let message = Message::decode(message.clone());
        message
            .is_ok_and(|it| it.msg_id == id && matches!(it.body, MessageBody::Response(Response::GetResp(_))))
    };
    session.arrived(patience, is_answer).await.map(|_| ())
}

/// How long an agent may take to answer a Close.
const CLOSING: Duration = Duration::from_secs(10);
/// Seconds that a network and a busy machine may add.
const SLACK: f64 = 1.0;
