//! An ACS that answers an Inform without opening a session.

use bytes::Bytes;

use crate::cwmp::rpc::{Fault, Request};
use crate::sim::soap::{Owned, write};

use super::super::*;
use super::NAMESPACE;
use super::outage::{Outage, out_reply};

/// What the ACS answers to an Inform, and how the session then ended, if it did.
fn answered(status: u16, body: Bytes) -> (Outage, Vec<Output>) {
    let mut it = Outage::begin();
    let inform = it.inform(&["2 PERIODIC"]);
    it.post(true, inform);
    let out = it.acs_says(status, body.clone());
    let reply = out_reply(&out).expect("the ACS's answer passes");
    assert_eq!((reply.status, reply.body), (status, body), "the ACS's answer passes as it is");
    (it, out)
}

fn fault(code: u32) -> Bytes {
    write(NAMESPACE, Some("1"), Owned::Fault(Fault::of(code)))
}

fn ending(out: &[Output]) -> String {
    assert!(out.iter().any(|it| matches!(it, Output::EndSession(_))), "the ACS's leg stays open");
    let ended = out.iter().find_map(|it| match it {
        Output::SessionEnded { outcome, .. } => Some((outcome.label(), outcome.to_string())),
        _ => None,
    });
    let (label, text) = ended.expect("the session goes on");
    assert_eq!(label, "acs-refused");
    text
}

#[test]
fn a_session_that_the_acs_refuses_is_over_at_once() {
    for (status, body, text) in [
        (503, Bytes::new(), "refused by the ACS: 503"),
        (403, Bytes::from_static(b"<html>no</html>"), "refused by the ACS: 403"),
        (500, fault(8001), "refused by the ACS: 500"),
        (200, fault(8003), "refused by the ACS: fault 8003"),
        (204, Bytes::new(), "refused by the ACS: an empty answer to the Inform"),
    ] {
        let (it, out) = answered(status, body);
        assert_eq!(ending(&out), text);
        assert!(!it.device.is_in_session());
    }
}

#[test]
fn a_challenge_and_retry_request_leave_the_session_to_the_next_post() {
    for (status, body) in [(401, Bytes::new()), (407, Bytes::new()), (200, fault(8005))] {
        let (mut it, _) = answered(status, body);
        let session = it.session();
        let inform = it.inform(&["2 PERIODIC"]);
        let out = it.post(false, inform);
        assert!(matches!(&out[..], [Output::ToAcs { .. }]), "{status}: {out:?}");
        assert_eq!(it.session(), session);
    }
}

/// A session that refuses what `body` makes of it; whether it is refused.
fn refuses(config: ProxyConfig, body: impl FnOnce(&mut Outage) -> Bytes) -> bool {
    let mut it = Outage::with(config);
    it.opened();
    let body = body(&mut it);
    let out = it.post(false, body);
    let relayed = out.iter().any(|it| matches!(it, Output::ToAcs { .. }));
    assert_eq!(out_reply(&out).map(|reply| reply.status), (!relayed).then_some(400));
    assert_eq!(it.device.is_in_session(), relayed);
    !relayed
}

#[test]
fn an_inform_of_another_device_does_not_come_in_by_an_open_session() {
    let other = |it: &mut Outage| {
        let mut inform = it.bench.open();
        inform.device_id.serial_number = "S2".into();
        write(NAMESPACE, Some("2"), Owned::Request(Request::Inform(inform)))
    };
    assert!(refuses(ProxyConfig::default(), other));
    assert!(!refuses(ProxyConfig::default(), |it| it.inform(&["2 PERIODIC"])));
}

#[test]
fn what_cannot_be_decoded_is_relayed_unless_cpes_are_bound_to_their_credentials() {
    let opaque = |_: &mut Outage| Bytes::from_static(b"<Inform>");
    assert!(!refuses(ProxyConfig::default(), opaque));
    assert!(refuses(ProxyConfig { refuse_opaque: true, ..ProxyConfig::default() }, opaque));
    let bound = ProxyConfig { refuse_opaque: true, ..ProxyConfig::default() };
    assert!(!refuses(bound, |_| Bytes::new()), "an empty POST says all that it has to say");
}

#[test]
fn who_is_wanted_is_not_called_at_once_by_an_acs_that_refuses() {
    let mut it = Outage::begin();
    it.asked();
    let calls = it.calls;
    let inform = it.inform(&["6 CONNECTION REQUEST"]);
    it.post(true, inform);
    it.acs_says(503, Bytes::new());
    let seconds = (1..60).find(|_| {
        it.now += 1_000;
        it.tell(Input::Tick);
        it.calls > calls
    });
    assert!(seconds.is_some_and(|seconds| seconds >= 9), "called after {seconds:?} s");
}

#[test]
fn a_redirect_that_is_not_followed_is_no_outage_and_never_reaches_the_cpe() {
    for in_mid_session in [false, true] {
        let mut it = Outage::begin();
        it.asked();
        if in_mid_session {
            it.opened();
            it.post(false, Bytes::new());
        } else {
            // One that would be answered in the ACS's place if the ACS were down.
            let inform = it.inform(&["6 CONNECTION REQUEST"]);
            it.post(true, inform);
        }
        let session = it.session();
        let reply = Err(AcsFailure::Redirect("http://evil.example is not allowed by acs.redirects".into()));
        let out = it.tell(Input::Acs { session, reply });
        let reply = out_reply(&out).unwrap();
        assert_eq!((reply.status, reply.headers.is_empty(), reply.body.len()), (503, true, 0));
        let said = |it: &Output| match it {
            Output::SessionEnded { outcome, .. } => Some(outcome.label()),
            _ => None,
        };
        assert_eq!(out.iter().find_map(said), Some("acs-redirect"));
        let logged = |it: &Output| matches!(it, Output::Log(line) if line.contains("evil.example"));
        assert!(out.iter().any(logged), "{out:?}");
    }
}
