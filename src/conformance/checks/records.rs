//! Records and their security: TP-469 section 3 but for session contexts, and 4.1.

use bytes::Bytes;

use crate::conformance::check::{Check, Verdict};
use crate::conformance::expect::fail;
use crate::conformance::session::Session;
use crate::conformance::watching;
use crate::usp::record::Payload;

pub(super) const CHECKS: &[Check] = &[
    Check::mandatory(3, 1, "What is no record does no harm", |s| Box::pin(no_record(s))),
    Check::never(4, 1, "Certificates of the transport", "it takes certificates, which are the operator's"),
];

/// Bytes that no decoder takes for a record.
const NO_RECORD: &[u8] = &[0xff, 0x00, 0xff, 0x13, 0x37];

/// The agent ignores it, or says so in a Disconnect record or by closing, and goes on afterwards.
pub(super) async fn no_record(session: &mut Session) -> Verdict {
    session.exchange.note("controller -> agent: 5 bytes that are no record");
    session.forget_arrivals();
    let agent = session.agent().clone();
    session.controller().send_raw(&agent, Bytes::from_static(NO_RECORD)).await;
    let quiet = session.quiet();
    let unexpected =
        |it: &crate::sim::controller::Arrival| matches!(it.record.payload, Payload::NoSession(_));
    if session.arrived(quiet, unexpected).await.is_ok() {
        return fail("the agent answers with a message");
    }
    watching::answers(session).await
}
