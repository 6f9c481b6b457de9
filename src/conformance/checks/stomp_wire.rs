//! What passes between an agent and its STOMP broker, seen at the tap: TP-469 section 6. Where the plan restarts
//! the device, the agent's connection is enabled for the first time; where it waits for a minute, intervals are
//! configured that are seconds.

use std::time::Duration;

use tokio::time::Instant;

use crate::conformance::check::{Stop, Verdict};
use crate::conformance::expect::{ensure, equal, fail};
use crate::conformance::session::Session;
use crate::conformance::tap::{Dialect as _, Heard, Line, Stomp, StompPlan, StompUnit, Way};
use crate::sim::controller::requests;
use crate::transport::stomp::{Command, Frame};
use crate::usp::record::Payload;

use super::tapped::{SLACK, device_info};

/// The next connection, with its first frame.
async fn came(way: &mut Way<Stomp>, session: &mut Session) -> Result<(Line<Stomp>, Frame), Stop> {
    came_again(way, session, 0.0).await
}

/// The same, where the agent may wait so many seconds before it comes.
async fn came_again(
    way: &mut Way<Stomp>,
    session: &mut Session,
    wait: f64,
) -> Result<(Line<Stomp>, Frame), Stop> {
    match way.came(session, wait).await? {
        (line, StompUnit::Frame(first)) => Ok((line, first)),
        (_, StompUnit::HeartBeat) => fail("the first thing that the agent says is a heart-beat"),
    }
}

/// Accepts a connection, and awaits the destination that the agent subscribes to.
async fn accept(session: &mut Session, line: &mut Line<Stomp>, connected: Frame) -> Result<String, Stop> {
    line.say(&mut session.exchange, StompUnit::Frame(connected)).await?;
    frame(session, line, Command::Subscribe).await.map(|frame| destination(&frame))
}

fn destination(frame: &Frame) -> String {
    frame.header("destination").unwrap_or_default().to_owned()
}

/// The next frame of this kind.
async fn frame(session: &mut Session, line: &mut Line<Stomp>, command: Command) -> Result<Frame, Stop> {
    let what = format!("{} {}", if command == Command::Send { "a" } else { "the" }, command.name());
    let patience = session.patience();
    let is_wanted = |unit: &StompUnit| unit.frame(command).is_some();
    match line.wait_for(&mut session.exchange, &what, patience, is_wanted).await? {
        StompUnit::Frame(frame) => Ok(frame),
        StompUnit::HeartBeat => fail(format!("{what} did not come")),
    }
}

fn connected() -> Frame {
    Frame::new(Command::Connected).with("version", "1.2")
}

/// Lays a way, and brings the connection up.
pub(super) async fn up(
    session: &mut Session,
    plan: StompPlan<'_>,
) -> Result<(Way<Stomp>, Line<Stomp>, String), Stop> {
    let mut way = Way::over_stomp(session, plan).await?;
    way.begin(session).await?;
    let (mut line, _) = came(&mut way, session).await?;
    let destination = accept(session, &mut line, connected()).await?;
    Ok((way, line, destination))
}

/// 6.2.
pub(super) async fn connects(session: &mut Session) -> Verdict {
    let mut way = Way::over_stomp(session, StompPlan::default()).await?;
    way.begin(session).await?;
    let (mut line, first) = came(&mut way, session).await?;
    equal("the first frame", first.command.name(), Command::Stomp.name())?;
    accept(session, &mut line, connected()).await.map(|_| ())
}

/// 6.3. Waits may be shorter, down to nothing: the agent is to spread them.
pub(super) async fn retries(session: &mut Session) -> Verdict {
    let mut way = Way::over_stomp(session, StompPlan::default()).await?;
    let wait = way.number(session, "ServerRetryInitialInterval").await?;
    let factor = way.number(session, "ServerRetryIntervalMultiplier").await? / 1_000.0;
    way.begin(session).await?;
    let patience = session.patience().as_secs_f64();
    for within in [patience, wait + SLACK, wait * factor + SLACK] {
        way.turn_away(session, within).await?;
    }
    let (mut line, _) = came_again(&mut way, session, wait * factor * factor).await?;
    accept(session, &mut line, connected()).await.map(|_| ())
}

/// 6.4.
pub(super) async fn sent(session: &mut Session) -> Verdict {
    let (way, mut line, destination) = up(session, StompPlan::default()).await?;
    let request = requests::get(&["Device.DeviceInfo."], 1);
    let (unit, _, reply_to) = way.ask(session, &mut line, &destination, request).await?;
    let Some(frame) = unit.frame(Command::Send) else { return fail("the answer is no SEND") };
    equal("the content-length", &line.dialect.last_length(), &Some(frame.body.len()))?;
    equal("the content-type", &frame.header("content-type"), &Some("application/vnd.bbf.usp.msg"))?;
    equal("the reply-to-dest", &reply_to, &Some(destination))
}

/// 6.9.
pub(super) async fn no_record(session: &mut Session) -> Verdict {
    let (way, mut line, destination) = up(session, StompPlan::default()).await?;
    let bytes = bytes::Bytes::from_static(b"\xff\x00\xff");
    let delivery = line.dialect.delivery(&destination, &way.places.1, bytes);
    line.say(&mut session.exchange, delivery).await?;
    device_info(session, &way, &mut line, &destination).await.map(|_| ())
}

/// 6.12.
pub(super) async fn connect_record(session: &mut Session) -> Verdict {
    let (way, mut line, destination) = up(session, StompPlan::default()).await?;
    match way.connect_record(session, &mut line).await? {
        Payload::StompConnect { subscribed_destination } => {
            equal("the subscribed_destination", subscribed_destination.as_str(), destination.as_str())
        }
        other => fail(format!("the Connect record is {other:?}")),
    }
}

/// 6.5.
pub(super) async fn destination_given(session: &mut Session) -> Verdict {
    let mut way = Way::over_stomp(session, StompPlan::default()).await?;
    way.begin(session).await?;
    let (mut line, _) = came(&mut way, session).await?;
    let given = format!("/queue/{}", session.name("given"));
    let asked = accept(session, &mut line, connected().with("subscribe-dest", &given)).await?;
    equal("the destination of the SUBSCRIBE", asked.as_str(), given.as_str())?;
    let reply_to = device_info(session, &way, &mut line, &given).await?;
    equal("the reply-to-dest", &reply_to, &Some(given))
}

/// 6.6.
pub(super) async fn destination_configured(session: &mut Session) -> Verdict {
    let mut way = Way::over_stomp(session, StompPlan::default()).await?;
    let wanted = format!("/queue/{}", session.name("new"));
    session.write(&format!("{}STOMP.Destination", way.mtp), &wanted).await?;
    way.begin(session).await?;
    let (mut line, _) = came(&mut way, session).await?;
    let asked = accept(session, &mut line, connected()).await?;
    equal("the destination of the SUBSCRIBE", asked.as_str(), wanted.as_str())?;
    let reply_to = device_info(session, &way, &mut line, &wanted).await?;
    equal("the reply-to-dest", &reply_to, &Some(wanted))
}

/// 6.7.
pub(super) async fn no_destination(session: &mut Session) -> Verdict {
    let mut way = Way::over_stomp(session, StompPlan { bare: true, ..StompPlan::default() }).await?;
    way.begin(session).await?;
    let (mut line, _) = came(&mut way, session).await?;
    line.say(&mut session.exchange, StompUnit::Frame(connected())).await?;
    let end = Instant::now() + session.patience();
    loop {
        match line.hear(&mut session.exchange, end).await? {
            Heard::End => return Ok(()),
            Heard::Said(StompUnit::Frame(frame)) => match frame.command {
                Command::Disconnect => return Ok(()),
                command => return fail(format!("the agent goes on with {}", command.name())),
            },
            Heard::Said(StompUnit::HeartBeat) => {}
            Heard::Silence => return fail("the agent did not end the session"),
        }
    }
}

/// 6.8.
pub(super) async fn heart_beats(session: &mut Session) -> Verdict {
    let (outgoing, incoming) = (OUTGOING_MS.to_string(), INCOMING_MS.to_string());
    let more = [
        ("EnableHeartbeats", "true"),
        ("OutgoingHeartbeat", outgoing.as_str()),
        ("IncomingHeartbeat", incoming.as_str()),
    ];
    let mut way = Way::over_stomp(session, StompPlan { more: &more, ..StompPlan::default() }).await?;
    way.begin(session).await?;
    let (mut line, first) = came(&mut way, session).await?;
    let told: Option<String> = first.header("heart-beat").map(|it| it.replace(' ', ""));
    equal("the heart-beat header", &told, &Some(format!("{outgoing},{incoming}")))?;
    let ours = connected().with("heart-beat", &format!("{incoming},{outgoing}"));
    accept(session, &mut line, ours).await?;
    let (mut heard, mut said, mut beats) = (Instant::now(), Instant::now(), 0);
    let longest = Duration::from_millis(OUTGOING_MS) + Duration::from_secs_f64(SLACK);
    while beats < BEATS {
        let due = said + Duration::from_millis(INCOMING_MS / 2);
        match line.hear(&mut session.exchange, due).await? {
            Heard::Said(unit) => {
                beats += usize::from(unit == StompUnit::HeartBeat);
                heard = Instant::now();
            }
            Heard::Silence => {
                line.say(&mut session.exchange, StompUnit::HeartBeat).await?;
                said = Instant::now();
            }
            Heard::End => return fail("the agent closed the connection in place of a heart-beat"),
        }
        ensure(heard.elapsed() <= longest, || {
            format!("the agent was silent for {:.1} s", heard.elapsed().as_secs_f32())
        })?;
    }
    Ok(())
}

/// 6.10.
pub(super) async fn destination_changes(session: &mut Session) -> Verdict {
    let (way, mut line, _) = up(session, StompPlan::default()).await?;
    let wanted = format!("/queue/{}", session.name("new"));
    session.write(&format!("{}STOMP.Destination", way.mtp), &wanted).await?;
    frame(session, &mut line, Command::Unsubscribe).await?;
    let asked = frame(session, &mut line, Command::Subscribe).await?;
    equal("the destination of the SUBSCRIBE", destination(&asked).as_str(), wanted.as_str())
}

/// 6.11. The tap offers TLS from 1.2 on.
pub(super) async fn tls(session: &mut Session) -> Verdict {
    let plan = StompPlan { secure: true, ..StompPlan::default() };
    let (way, mut line, destination) = up(session, plan).await?;
    device_info(session, &way, &mut line, &destination).await.map(|_| ())
}

/// What the agent is to send, and what it is to get, each so many milliseconds.
const OUTGOING_MS: u64 = 3_000;
const INCOMING_MS: u64 = 2_000;
/// Heart-beats that are awaited.
const BEATS: usize = 3;
