//! Session contexts: TP-469 3.8 to 3.15. The records are made here one by one, since the plan is about their
//! numbers. Each check ends its context by a Disconnect record.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::conformance::check::{Check, Running, Stop, Verdict};
use crate::conformance::expect::{ensure, equal, fail};
use crate::conformance::secured::Peer;
use crate::conformance::session::Session;
use crate::sim::controller::{Arrival, requests};
use crate::usp::message::{Message, MessageBody, Request, Response};
use crate::usp::record::{Payload, Record, SarState, SessionContextRecord};

pub(super) const CHECKS: &[Check] = &[
    context(8, "A session context begins", |s| Box::pin(ended(s, begins))),
    context(9, "A record of another session context begins that one", |s| Box::pin(ended(s, another))),
    Check::conditional(3, 10, "A session context ends", LIFE, |s| Box::pin(ended(s, lives))),
    context(11, "Records are taken in their order", |s| Box::pin(ended(s, in_order))),
    context(12, "A record is repeated when it is asked for again", |s| Box::pin(ended(s, kept))),
    context(14, "Repetitions have an end", |s| Box::pin(ended(s, repetitions))),
    context(15, "A record that comes again is not answered again", |s| Box::pin(ended(s, duplicates))),
];

/// What it takes to see contexts end: times of theirs, and notifications that come by themselves.
const LIFE: &[&str] = &[
    "Device.LocalAgent.Controller.{i}.E2ESession.SessionExpiration",
    "Device.LocalAgent.Controller.{i}.E2ESession.SessionMode",
    "Device.LocalAgent.Controller.{i}.PeriodicNotifInterval",
    "Device.LocalAgent.Periodic!",
];

const fn context(place: u16, title: &'static str, body: fn(&mut Session) -> Running<'_>) -> Check {
    Check::conditional(3, place, title, &["Device.LocalAgent.Controller.{i}.E2ESession."], body)
}

/// Runs a body and ends the context that it began.
async fn ended(session: &mut Session, body: fn(&mut Session) -> Running<'_>) -> Verdict {
    session.forget_arrivals();
    let verdict = body(session).await;
    let payload = Payload::Disconnect { reason: String::new(), reason_code: 0 };
    let record = Record::of(&session.setup.config.endpoint_id, session.agent(), payload);
    session.send_record(record).await;
    verdict
}

/// A request for the agent's endpoint id, which needs no device.
fn request() -> Request {
    requests::get(&["Device.LocalAgent.EndpointID"], 0)
}

/// A context number that was not used before.
fn fresh() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX).max(2)
}

/// Sends a record of a context, with a Get of this message id.
async fn send(session: &mut Session, id: u64, sequence: u64, expected: u64, msg_id: &str) {
    let message = Message::request(msg_id, request()).encode();
    let context = SessionContextRecord {
        session_id: id,
        sequence_id: sequence,
        expected_id: expected,
        payload: vec![message],
        ..SessionContextRecord::default()
    };
    send_context(session, context).await;
}

async fn send_context(session: &mut Session, context: SessionContextRecord) {
    let payload = Payload::Session(context);
    let record = Record::of(&session.setup.config.endpoint_id, session.agent(), payload);
    session.send_record(record).await;
}

/// The message id of a GetResp that is whole in one record.
fn answer_in(context: &SessionContextRecord) -> Option<String> {
    if context.payload_sar_state != SarState::None {
        return None;
    }
    let message = Message::decode(context.payload.first()?.clone()).ok()?;
    matches!(message.body, MessageBody::Response(Response::GetResp(_))).then_some(message.msg_id)
}

/// The next GetResp in a context, with its message id. Of other records of contexts, such as those that ask for
/// one that is missing, it counts how many come before.
async fn answer(
    session: &mut Session,
    within: Duration,
    others: &AtomicU64,
) -> Result<(SessionContextRecord, String), Stop> {
    let has_answer = |it: &Arrival| match &it.record.payload {
        Payload::Session(context) if answer_in(context).is_some() => true,
        Payload::Session(_) => {
            others.fetch_add(1, Ordering::Relaxed);
            false
        }
        _ => false,
    };
    let arrival = session.arrived(within, has_answer).await?;
    session.exchange.received(&arrival.record);
    match arrival.record.payload {
        Payload::Session(context) => {
            let msg_id = answer_in(&context).unwrap_or_default();
            Ok((context, msg_id))
        }
        _ => fail("the record is of no session context"),
    }
}

/// The answer to a message comes in this context with this number.
async fn answered(session: &mut Session, id: u64, sequence: u64, wanted: &str) -> Verdict {
    answered_among(session, id, sequence, wanted, &AtomicU64::new(0)).await
}

/// The same where other records may have taken numbers; how many did so far is known already.
async fn answered_among(
    session: &mut Session,
    id: u64,
    sequence: u64,
    wanted: &str,
    others: &AtomicU64,
) -> Verdict {
    let patience = session.patience();
    let (context, msg_id) = answer(session, patience, others).await?;
    equal("the msg_id", msg_id.as_str(), wanted)?;
    equal("the session_id", &context.session_id, &id)?;
    equal("the sequence_id", &context.sequence_id, &(sequence + others.load(Ordering::Relaxed)))
}

fn begins(session: &mut Session) -> Running<'_> {
    Box::pin(async move {
        let id = fresh();
        send(session, id, 1, 1, "context-1").await;
        answered(session, id, 1, "context-1").await
    })
}

fn another(session: &mut Session) -> Running<'_> {
    Box::pin(async move {
        let id = fresh();
        send(session, id, 1, 1, "context-1").await;
        answered(session, id, 1, "context-1").await?;
        send(session, id + 1, 1, 1, "context-2").await;
        answered(session, id + 1, 1, "context-2").await
    })
}

/// The fourth record comes before the second and the third.
fn in_order(session: &mut Session) -> Running<'_> {
    Box::pin(async move {
        let id = fresh();
        send(session, id, 1, 1, "context-1").await;
        answered(session, id, 1, "context-1").await?;
        send(session, id, 4, 4, "context-4").await;
        let (quiet, others) = (session.quiet(), AtomicU64::new(0));
        let early = answer(session, quiet, &others).await;
        ensure(early.is_err(), || "a record was answered out of order".to_owned())?;
        send(session, id, 2, 2, "context-2").await;
        answered_among(session, id, 2, "context-2", &others).await?;
        send(session, id, 3, 3, "context-3").await;
        answered_among(session, id, 3, "context-3", &others).await?;
        answered_among(session, id, 4, "context-4", &others).await
    })
}

/// Asks for a record again.
async fn again(session: &mut Session, id: u64, sequence: u64, retransmit_id: u64) {
    let context = SessionContextRecord {
        session_id: id,
        sequence_id: sequence,
        expected_id: retransmit_id,
        retransmit_id,
        ..SessionContextRecord::default()
    };
    send_context(session, context).await;
}

fn kept(session: &mut Session) -> Running<'_> {
    Box::pin(async move {
        let id = fresh();
        send(session, id, 1, 1, "context-1").await;
        answered(session, id, 1, "context-1").await?;
        again(session, id, 2, 1).await;
        answered(session, id, 1, "context-1").await
    })
}

fn repetitions(session: &mut Session) -> Running<'_> {
    Box::pin(async move {
        let path = format!("{}E2ESession.MaxRetransmitTries", session.me().await?);
        session.put(&path, "2").await?;
        let id = fresh();
        send(session, id, 1, 1, "context-1").await;
        answered(session, id, 1, "context-1").await?;
        for sequence in [2, 3] {
            again(session, id, sequence, 1).await;
            answered(session, id, 1, "context-1").await?;
        }
        again(session, id, 4, 1).await;
        let patience = session.patience();
        let is_other = |it: &Arrival| match &it.record.payload {
            Payload::Session(context) => context.session_id != id || answer_in(context).is_some(),
            _ => false,
        };
        let arrival = session.arrived(patience, is_other).await?;
        session.exchange.received(&arrival.record);
        match arrival.record.payload {
            Payload::Session(context) if context.session_id != id => Ok(()),
            _ => fail("the record was repeated once more"),
        }
    })
}

/// Notifications come in one context as long as it lives, and each in one of its own where it does not.
fn lives(session: &mut Session) -> Running<'_> {
    Box::pin(async move {
        let me = session.me().await?;
        for param in ["E2ESession.SessionExpiration", "PeriodicNotifInterval"] {
            session.keep(&format!("{me}{param}")).await?;
        }
        let id = session.name("notify310");
        let periodic =
            [("ID", id.as_str()), ("NotifType", "Event"), ("ReferenceList", "Device.LocalAgent.Periodic!")];
        session.subscription(&periodic).await?;
        session.forget_arrivals();
        let mut peer = Peer::plain(session);
        let verdict = lives_with(session, &mut peer, &me).await;
        let back = configure(session, &mut peer, &me, &[("E2ESession.SessionMode", "Allow")]).await;
        verdict.and(back)
    })
}

async fn lives_with(session: &mut Session, peer: &mut Peer, me: &str) -> Verdict {
    // Seconds: the plan's, or such as make a short run.
    let [every, short, rarely] = if session.setup.config.slow { ["10", "5", "10"] } else { ["2", "1", "3"] };
    let life = "E2ESession.SessionExpiration";
    let begin = [("E2ESession.SessionMode", "Require"), (life, "60"), ("PeriodicNotifInterval", every)];
    configure(session, peer, me, &begin).await?;
    let contexts = three_notifications(session, peer).await?;
    ensure(contexts.iter().all(|it| *it == contexts[0]), || {
        format!("notifications came in the contexts {contexts:?} while one lives")
    })?;
    configure(session, peer, me, &[(life, short), ("PeriodicNotifInterval", rarely)]).await?;
    let contexts = three_notifications(session, peer).await?;
    let [one, two, three] = contexts;
    ensure(one != two && two != three && one != three, || {
        format!("notifications came in the contexts {contexts:?} although each was over")
    })
}

/// Sets parameters of this controller's row within a context.
pub(super) async fn configure(
    session: &mut Session,
    peer: &mut Peer,
    me: &str,
    values: &[(&str, &str)],
) -> Verdict {
    let values: Vec<_> = values.iter().map(|(name, value)| (format!("{me}{name}"), *value)).collect();
    let values: Vec<_> = values.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let records = peer.ask(&session.name("configure"), requests::set(&values, false));
    let patience = session.patience();
    peer.got.clear();
    let is_set = |message: &Message| matches!(message.body, MessageBody::Response(Response::SetResp(_)));
    peer.talk(session, records, patience, |peer| came(peer, is_set).next().is_some()).await;
    let done = came(peer, is_set).next().is_some();
    peer.got.clear();
    ensure(done, || "the Set has no answer in the context".to_owned())
}

/// The contexts of the next three notifications.
async fn three_notifications(session: &mut Session, peer: &mut Peer) -> Result<[u64; 3], Stop> {
    let is_notify = |message: &Message| matches!(message.body, MessageBody::Request(Request::Notify(_)));
    let patience = session.patience().max(Duration::from_secs(45));
    peer.talk(session, Vec::new(), patience, |peer| came(peer, is_notify).count() >= 3).await;
    let contexts: Vec<u64> = came(peer, is_notify).take(3).collect();
    let count = contexts.len();
    contexts.try_into().or_else(|_| fail(format!("{count} notifications came in contexts, not three")))
}

/// The contexts of the messages that came and are such.
fn came(peer: &Peer, is_such: impl Fn(&Message) -> bool) -> impl Iterator<Item = u64> {
    let such =
        peer.got.iter().filter(move |(_, bytes)| Message::decode(bytes.clone()).is_ok_and(|it| is_such(&it)));
    such.map(|(context, _)| *context)
}

fn duplicates(session: &mut Session) -> Running<'_> {
    Box::pin(async move {
        let id = fresh();
        for _ in 0..4 {
            send(session, id, 1, 1, "context-1").await;
        }
        answered(session, id, 1, "context-1").await?;
        let quiet = session.quiet();
        ensure(answer(session, quiet, &AtomicU64::new(0)).await.is_err(), || {
            "a record was answered twice".to_owned()
        })
    })
}
