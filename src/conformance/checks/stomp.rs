//! The STOMP transport as a controller sees it at the broker: TP-469 section 6. What passes between agent and
//! broker alone is seen at the tap (`stomp_wire`).

use crate::conformance::check::{Check, Mtp, Verdict};
use crate::conformance::expect::{ensure, equal, fail};
use crate::conformance::session::Session;
use crate::sim::controller::Envelope;
use crate::usp::record::Payload;

use super::{profiles, records, stomp_wire, tapped};

pub(super) const CHECKS: &[Check] = &[
    Check::tapped(6, 1, "The profiles of STOMP are supported", &[], |s| Box::pin(complete(s))),
    Check::tapped(6, 2, "CONNECT", &[], |s| Box::pin(stomp_wire::connects(s))),
    Check::tapped(6, 3, "Retries of the connection", RETRIES, |s| Box::pin(stomp_wire::retries(s))),
    Check::tapped(6, 4, "A SEND says what it is and where answers go", &[], |s| Box::pin(sent(s))),
    Check::tapped(6, 5, "A destination that the broker gives", &[], |s| {
        Box::pin(stomp_wire::destination_given(s))
    }),
    Check::tapped(6, 6, "A destination of the data model", DESTINATION, |s| {
        Box::pin(stomp_wire::destination_configured(s))
    }),
    Check::tapped(6, 7, "No destination", &[], |s| Box::pin(stomp_wire::no_destination(s))),
    Check::tapped(6, 8, "Heart-beats", HEART_BEATS, |s| Box::pin(stomp_wire::heart_beats(s))),
    Check::tapped(6, 9, "What is no record does no harm", &[], |s| Box::pin(no_record(s))),
    Check::tapped(6, 10, "A destination that changes", DESTINATION, |s| {
        Box::pin(stomp_wire::destination_changes(s))
    }),
    Check::tapped(6, 11, "TLS", &["Device.STOMP.Connection.{i}.EnableEncryption"], |s| {
        Box::pin(stomp_wire::tls(s))
    }),
    Check::tapped(6, 12, "A connection begins with a Connect record", &[], |s| Box::pin(connect_record(s))),
];

const DESTINATION: &[&str] = &["Device.LocalAgent.MTP.{i}.STOMP.Destination"];
const RETRIES: &[&str] = &[
    "Device.STOMP.Connection.{i}.ServerRetryInitialInterval",
    "Device.STOMP.Connection.{i}.ServerRetryIntervalMultiplier",
];
const HEART_BEATS: &[&str] = &[
    "Device.STOMP.Connection.{i}.EnableHeartbeats",
    "Device.STOMP.Connection.{i}.OutgoingHeartbeat",
    "Device.STOMP.Connection.{i}.IncomingHeartbeat",
];

async fn complete(session: &mut Session) -> Verdict {
    tapped::supported(session, Mtp::Stomp, "Device.LocalAgent.MTP.{i}.STOMP.")?;
    profiles::complete(session, "Device.STOMP.", profiles::STOMP).await
}

async fn no_record(session: &mut Session) -> Verdict {
    if tapped::at_tap(session, Mtp::Stomp) {
        return stomp_wire::no_record(session).await;
    }
    records::no_record(session).await
}

/// Length and content are the broker's to pass on; a record that was cut would not have been decoded.
async fn sent(session: &mut Session) -> Verdict {
    if tapped::at_tap(session, Mtp::Stomp) {
        return stomp_wire::sent(session).await;
    }
    let Envelope::Stomp { content_type, reply_to } = session.envelope().await? else {
        return fail("the record did not come over STOMP");
    };
    equal("the content-type", &content_type.as_deref(), &Some("application/vnd.bbf.usp.msg"))?;
    ensure(reply_to.is_some_and(|it| !it.is_empty()), || "there is no reply-to-dest".to_owned())
}

async fn connect_record(session: &mut Session) -> Verdict {
    if tapped::at_tap(session, Mtp::Stomp) {
        return stomp_wire::connect_record(session).await;
    }
    match session.connect_record()? {
        Payload::StompConnect { subscribed_destination } => {
            ensure(!subscribed_destination.is_empty(), || "the subscribed_destination is empty".to_owned())
        }
        other => fail(format!("the Connect record is {other:?}")),
    }
}
