//! The STOMP transport as a controller sees it at the broker: TP-469 section 6. What passes between agent and
//! broker alone is not seen from here.

use crate::conformance::check::{Check, Mtp, Running, Verdict};
use crate::conformance::expect::{ensure, equal, fail};
use crate::conformance::session::Session;
use crate::sim::controller::Envelope;
use crate::usp::record::Payload;

use super::{profiles, records};

pub(super) const CHECKS: &[Check] = &[
    over(1, "The profiles of STOMP are supported", |s| {
        Box::pin(profiles::complete(s, "Device.STOMP.", profiles::STOMP))
    }),
    unseen(2, "CONNECT"),
    unseen(3, "Retries of the connection"),
    over(4, "A SEND says what it is and where answers go", |s| Box::pin(sent(s))),
    unseen(5, "A destination that the broker gives"),
    unseen(6, "A destination of the data model"),
    unseen(7, "No destination"),
    unseen(8, "Heart-beats"),
    over(9, "What is no record does no harm", |s| Box::pin(records::no_record(s))),
    unseen(10, "A destination that changes"),
    unseen(11, "TLS"),
    over(12, "A connection begins with a Connect record", |s| Box::pin(connect_record(s))),
];

const fn over(place: u16, title: &'static str, body: fn(&mut Session) -> Running<'_>) -> Check {
    Check::conditional(6, place, title, &[], body).over(Mtp::Stomp)
}

const fn unseen(place: u16, title: &'static str) -> Check {
    Check::never(6, place, title, "it takes a look at the frames between agent and broker").over(Mtp::Stomp)
}

/// Length and content are the broker's to pass on; a record that was cut would not have been decoded.
async fn sent(session: &mut Session) -> Verdict {
    let Envelope::Stomp { content_type, reply_to } = session.envelope().await? else {
        return fail("the record did not come over STOMP");
    };
    equal("the content-type", &content_type.as_deref(), &Some("application/vnd.bbf.usp.msg"))?;
    ensure(reply_to.is_some_and(|it| !it.is_empty()), || "there is no reply-to-dest".to_owned())
}

async fn connect_record(session: &mut Session) -> Verdict {
    match session.connect_record()? {
        Payload::StompConnect { subscribed_destination } => {
            ensure(!subscribed_destination.is_empty(), || "the subscribed_destination is empty".to_owned())
        }
        other => fail(format!("the Connect record is {other:?}")),
    }
}
