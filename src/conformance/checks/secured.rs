//! Payload security and signatures: TP-469 2.7, 2.8, 3.2 to 3.7 and 3.13.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::conformance::check::{Check, Stop, Verdict};
use crate::conformance::expect::{ensure, fail};
use crate::conformance::secured::{Peer, Secrets};
use crate::conformance::session::Session;
use crate::payload_security::Keyring;
use crate::sim::controller::{Arrival, requests};
use crate::usp::message::{Message, MessageBody, Request, Response};
use crate::usp::record::{Payload, PayloadSecurity, Record, SessionContextRecord};

use super::contexts::configure;

pub(super) const CHECKS: &[Check] = &[
    Check::conditional(2, 7, "Wrong signatures of records", &[], |s| Box::pin(wrong_signature(s))),
    Check::conditional(2, 8, "Expired certificates", &[], |s| Box::pin(expired(s))),
    Check::never(
        3,
        2,
        "Integrity of a record without payload security",
        "it takes an agent that was told not to trust its transports, and would answer no other check",
    ),
    Check::conditional(3, 3, "A wrong signature at the start of a session", CONTEXTS, |s| {
        Box::pin(wrong_start(s))
    }),
    Check::conditional(3, 4, "Integrity of records by TLS", CONTEXTS, |s| Box::pin(macs(s))),
    Check::conditional(3, 5, "A handshake that fails", HANDSHAKES, |s| Box::pin(handshake_fails(s))),
    Check::never(3, 6, "Renegotiation", "it takes a TLS library that can be made to renegotiate"),
    Check::conditional(3, 7, "Certificates of endpoints", CONTEXTS, |s| Box::pin(certificates(s))),
    Check::conditional(3, 13, "Payload security does not change within a session", CONTEXTS, |s| {
        Box::pin(security_changes(s))
    }),
];

const CONTEXTS: &[&str] = &["Device.LocalAgent.Controller.{i}.E2ESession."];

/// What makes an agent begin contexts of its own.
const HANDSHAKES: &[&str] = &[
    "Device.LocalAgent.Controller.{i}.E2ESession.PayloadSecurity",
    "Device.LocalAgent.Controller.{i}.E2ESession.SessionMode",
    "Device.LocalAgent.Controller.{i}.E2ESession.SessionRetryMinimumWaitInterval",
    "Device.LocalAgent.Periodic!",
];

/// A request for the agent's endpoint id, which needs no device.
fn request() -> Request {
    requests::get(&["Device.LocalAgent.EndpointID"], 0)
}

/// A Get in a record of no context, as it is before it is signed.
fn plain(session: &Session, msg_id: &str) -> Record {
    let message = Message::request(msg_id, request()).encode();
    Record::plain(&session.setup.config.endpoint_id, session.agent(), message)
}

fn sealed(keyring: &Keyring, record: &Record) -> Result<Record, Stop> {
    Record::decode(keyring.sign(record.clone().encode())).or_else(|error| fail(error.to_string()))
}

/// A signature of the right form that is not of this record.
fn spoil(record: &mut Record) {
    let mut signature = record.mac_signature.to_vec();
    if let Some(last) = signature.last_mut() {
        *last ^= 1;
    }
    record.mac_signature = signature.into();
}

/// Nothing comes that answers it; notifications may.
async fn is_ignored(session: &mut Session, record: Record, msg_id: &str) -> Verdict {
    session.forget_arrivals();
    session.send_record(record).await;
    let quiet = session.quiet();
    session.exchange.note(format!("waiting {} s", quiet.as_secs_f32()));
    let answers = |it: &Arrival| match &it.record.payload {
        Payload::NoSession(bytes) => Message::decode(bytes.clone()).is_ok_and(|it| it.msg_id == msg_id),
        _ => false,
    };
    match session.arrived(quiet, answers).await {
        Ok(_) => fail("the agent answers"),
        Err(_) => Ok(()),
    }
}

/// A signature that is right is answered, or the check would say nothing.
async fn right_signature(session: &mut Session, keyring: &Keyring) -> Verdict {
    session.forget_arrivals();
    let record = sealed(keyring, &plain(session, "signed"))?;
    session.send_record(record).await;
    let patience = session.patience();
    let message = |it: &Arrival| matches!(it.record.payload, Payload::NoSession(_));
    session.arrived(patience, message).await.map(|_| ())
}

async fn wrong_signature(session: &mut Session) -> Verdict {
    let secrets = session.secrets()?;
    right_signature(session, &secrets.own).await?;
    let mut record = sealed(&secrets.own, &plain(session, "spoilt"))?;
    spoil(&mut record);
    is_ignored(session, record, "spoilt").await
}

async fn expired(session: &mut Session) -> Verdict {
    let secrets = session.secrets()?;
    let Some(expired) = secrets.expired.clone() else { return lacks("a certificate that is out of date") };
    right_signature(session, &secrets.own).await?;
    let record = sealed(&expired, &plain(session, "expired"))?;
    is_ignored(session, record, "expired").await?;
    refused_by_tls(session, &secrets, &expired).await
}

async fn wrong_start(session: &mut Session) -> Verdict {
    let secrets = session.secrets()?;
    session.forget_arrivals();
    let mut peer = Peer::new(session, &secrets, &secrets.own);
    let mut records = peer.ask("secured", request());
    records.iter_mut().for_each(spoil);
    let quiet = session.quiet();
    peer.talk(session, records, quiet, |_| false).await;
    let answered = peer.records.iter().any(has_payload);
    peer.leave(session).await;
    ensure(!answered, || "the agent goes on with the handshake".to_owned())
}

fn has_payload(record: &Record) -> bool {
    matches!(&record.payload, Payload::Session(context) if context.payload.iter().any(|part| !part.is_empty()))
}

/// Brings a context up and gets an answer in it.
async fn up(session: &mut Session, secrets: &Secrets) -> Result<Peer, Stop> {
    session.forget_arrivals();
    let mut peer = Peer::new(session, secrets, &secrets.own);
    let records = peer.ask("secured", request());
    let patience = session.patience();
    peer.talk(session, records, patience, |peer| !peer.got.is_empty()).await;
    match peer.got.first().map(|(_, message)| Message::decode(message.clone())) {
        Some(Ok(Message { body: MessageBody::Response(Response::GetResp(_)), .. })) => Ok(peer),
        Some(_) => fail("what came in the context is no GetResp"),
        None => fail(format!("no answer came in the context; it ended with {:?}", peer.ended)),
    }
}

async fn macs(session: &mut Session) -> Verdict {
    let secrets = session.secrets()?;
    let peer = up(session, &secrets).await?;
    let last = peer.records.iter().rfind(|record| has_payload(record)).cloned();
    peer.leave(session).await;
    // That it is right was found out when it was taken in: the message would not be here.
    let Some(record) = last else { return fail("no record came") };
    ensure(record.payload_security == PayloadSecurity::Tls12, || {
        format!("the payload_security is {:?}", record.payload_security)
    })?;
    ensure(record.mac_signature.len() == MAC, || {
        format!("the mac_signature has {} bytes, a MAC has {MAC}", record.mac_signature.len())
    })
}

async fn certificates(session: &mut Session) -> Verdict {
    let secrets = session.secrets()?;
    let Some(stranger) = secrets.stranger.clone() else { return lacks("a certificate of another endpoint") };
    // The agent's certificate names it, or this would not come up.
    up(session, &secrets).await?.leave(session).await;
    refused_by_tls(session, &secrets, &stranger).await
}

async fn handshake_fails(session: &mut Session) -> Verdict {
    let secrets = session.secrets()?;
    let Some(stranger) = secrets.stranger.clone() else { return lacks("a certificate of another endpoint") };
    refused_by_tls(session, &secrets, &stranger).await?;
    let me = session.me().await?;
    for param in ["PeriodicNotifInterval", "E2ESession.SessionRetryMinimumWaitInterval"] {
        session.keep(&format!("{me}{param}")).await?;
    }
    session.keep(&format!("{me}E2ESession.PayloadSecurity")).await?;
    let id = session.name("notify35");
    let periodic =
        [("ID", id.as_str()), ("NotifType", "Event"), ("ReferenceList", "Device.LocalAgent.Periodic!")];
    session.subscription(&periodic).await?;
    let mut peer = up(session, &secrets).await?;
    let verdict = waits_after_alerts(session, peer, &me).await;
    // It is let in again, so that what was changed can be set back.
    peer = Peer::new(session, &secrets, &secrets.own);
    let back = configure(session, &mut peer, &me, &[("E2ESession.SessionMode", "Allow")]).await;
    peer.leave(session).await;
    verdict.and(back)
}

/// The agent begins a context, has it refused, and waits before it tries again.
async fn waits_after_alerts(session: &mut Session, mut peer: Peer, me: &str) -> Verdict {
    // Seconds: the plan's, or such as make a short run.
    let [every, least] = if session.setup.config.slow { ["60", "5"] } else { ["2", "2"] };
    let wanted = [
        ("E2ESession.SessionMode", "Require"),
        ("E2ESession.PayloadSecurity", "TLS"),
        ("E2ESession.SessionRetryMinimumWaitInterval", least),
        ("PeriodicNotifInterval", every),
    ];
    configure(session, &mut peer, me, &wanted).await?;
    peer.leave(session).await;
    session.forget_arrivals();
    let (first, _) = begun(session, Duration::from_secs(90), 0).await?;
    refuse(session, first).await;
    let refused = Instant::now();
    let (second, at) = begun(session, Duration::from_secs(30), first).await?;
    refuse(session, second).await;
    let waited = at.saturating_duration_since(refused).as_secs_f64();
    let least: f64 = least.parse().unwrap_or_default();
    ensure((least - EARLY..=2.0 * least + LATE).contains(&waited), || {
        format!("the agent tried again after {waited:.1} s, not after {least} to {} s", 2.0 * least)
    })
}

/// The next context, other than this one, that the agent begins by a handshake.
async fn begun(session: &mut Session, within: Duration, other: u64) -> Result<(u64, Instant), Stop> {
    let hello = |it: &Arrival| match &it.record.payload {
        Payload::Session(context) => {
            context.session_id != other && context.sequence_id == 1 && has_payload(&it.record)
        }
        _ => false,
    };
    let arrival = session.arrived(within, hello).await?;
    session.exchange.received(&arrival.record);
    match arrival.record.payload {
        Payload::Session(context) => Ok((context.session_id, Instant::now())),
        _ => fail("the record is of no session context"),
    }
}

/// Sends a fatal TLS alert, handshake_failure, in place of the answer to the agent's hello.
async fn refuse(session: &mut Session, session_id: u64) {
    let context = SessionContextRecord {
        session_id,
        sequence_id: 1,
        expected_id: 2,
        payload: vec![Bytes::from_static(&[21, 3, 3, 0, 2, 2, 40])],
        ..Default::default()
    };
    let mut record =
        Record::of(&session.setup.config.endpoint_id, session.agent(), Payload::Session(context));
    record.payload_security = PayloadSecurity::Tls12;
    session.send_record(record).await;
}

/// The agent ends the handshake by a TLS alert.
async fn refused_by_tls(session: &mut Session, secrets: &Secrets, keyring: &Arc<Keyring>) -> Verdict {
    session.forget_arrivals();
    let mut peer = Peer::new(session, secrets, keyring);
    let records = peer.ask("refused", request());
    let quiet = session.quiet();
    peer.talk(session, records, quiet, |peer| !peer.got.is_empty() || peer.records.iter().any(alerts)).await;
    let (answered, alerted) = (!peer.got.is_empty(), peer.records.iter().any(alerts));
    peer.leave(session).await;
    ensure(!answered, || "the agent answers the request".to_owned())?;
    ensure(alerted, || "the agent ends the handshake without a TLS alert".to_owned())
}

/// Whether it carries a TLS alert.
fn alerts(record: &Record) -> bool {
    const ALERT: u8 = 21;
    let Payload::Session(context) = &record.payload else { return false };
    context.payload.iter().any(|part: &Bytes| part.first() == Some(&ALERT))
}

async fn security_changes(session: &mut Session) -> Verdict {
    let secrets = session.secrets()?;
    let peer = up(session, &secrets).await?;
    let last = peer.records.last().map(|record| &record.payload);
    let Some(Payload::Session(last)) = last else { return fail("no record came") };
    let id = last.session_id;
    // The number that the agent expects, with a payload that anybody can read.
    let context = SessionContextRecord {
        session_id: id,
        sequence_id: last.expected_id,
        expected_id: last.sequence_id + 1,
        payload: vec![Message::request("plain", request()).encode()],
        ..Default::default()
    };
    let record = Record::of(&session.setup.config.endpoint_id, session.agent(), Payload::Session(context));
    session.forget_arrivals();
    session.send_record(sealed(&secrets.own, &record)?).await;
    let patience = session.patience();
    let any = |it: &Arrival| matches!(it.record.payload, Payload::Session(_) | Payload::NoSession(_));
    let arrival = session.arrived(patience, any).await?;
    session.exchange.received(&arrival.record);
    peer.leave(session).await;
    match arrival.record.payload {
        Payload::Session(context) => {
            ensure(context.session_id != id, || "the agent goes on in the same context".to_owned())
        }
        _ => fail("the agent answers"),
    }
}

fn lacks(what: &str) -> Verdict {
    Err(Stop::NotApplicable(format!("it takes {what}")))
}

/// Seconds that a wait may seem shorter, and longer by a network and a busy machine.
const EARLY: f64 = 0.3;
const LATE: f64 = 2.0;
/// Length of a MAC in bytes (R-E2E.37).
const MAC: usize = 32;
