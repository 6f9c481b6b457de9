//! Trouble in an open session, from either side: what the CPE gets, what becomes of the session, and when USP's work is
//! tried again. Beside these there are `refusal` (answers to the Inform) and `outage` (no answer to it).

use bytes::Bytes;

use crate::cwmp::rpc::{
    Array, Fault, GetParameterValues, InformResponse, Request, Response, TransferComplete,
};
use crate::cwmp::soap::{self, Envelope, Header, Message};
use crate::sim::soap::{Owned, write};
use crate::transport::http::Headers;

use super::super::*;
use super::NAMESPACE;
use super::outage::{Outage, out_reply, request_of};

/// A session in which it is the ACS's turn, and a controller waits for its end.
fn asked() -> Outage {
    let mut it = Outage::with(ProxyConfig::default());
    it.asked();
    it.opened();
    it.post(false, Bytes::new());
    it
}

fn fault(code: u32) -> Bytes {
    write(NAMESPACE, Some("1"), Owned::Fault(Fault::of(code)))
}

/// How the session ended, if it did.
fn ended(out: &[Output]) -> Option<String> {
    out.iter().find_map(|it| match it {
        Output::SessionEnded { outcome, .. } => Some(outcome.to_string()),
        _ => None,
    })
}

fn to_acs(out: &[Output]) -> Option<&Bytes> {
    out.iter().find_map(|it| if let Output::ToAcs { body, .. } = it { Some(body) } else { None })
}

/// An RPC that is not the ACS's.
fn is_ours(out: &[Output]) -> bool {
    out_reply(out).as_ref().and_then(request_of).is_some_and(|(id, _)| id.starts_with("dragoman-"))
}

/// After how many seconds the CPE is called again.
fn called_after(it: &mut Outage) -> Option<u64> {
    let calls = it.calls;
    (0..120).find(|_| {
        it.now += 1_000;
        it.tell(Input::Tick);
        it.calls > calls
    })
}

fn gone(it: &mut Outage, roams: bool) -> Vec<Output> {
    let session = it.session();
    it.tell(Input::CpeGone { session, roams })
}

fn rpc(hold_requests: bool) -> Bytes {
    let parameter_names = Array(vec!["Device.DeviceInfo.UpTime".into()]);
    says(hold_requests, Message::Request(Request::GetParameterValues(GetParameterValues { parameter_names })))
}

/// An envelope of the ACS's.
fn says(hold_requests: bool, message: Message<'_>) -> Bytes {
    let header = Header { id: Some("acs".into()), hold_requests, ..Header::default() };
    let mut body = Vec::new();
    soap::encode(&mut body, &Envelope::of(NAMESPACE, header, message));
    body.into()
}

fn complete() -> Bytes {
    write(NAMESPACE, Some("2"), Owned::Request(Request::TransferComplete(TransferComplete::default())))
}

#[test]
fn tr_069_3_4_an_http_error_in_mid_session_passes_and_is_its_end_for_usp_too() {
    for (status, body) in [(500, Bytes::new()), (500, fault(8002)), (400, Bytes::new()), (503, Bytes::new())]
    {
        let mut it = asked();
        let sent = it.sent;
        let out = it.acs_says(status, body.clone());
        let reply = out_reply(&out).unwrap();
        assert_eq!((reply.status, reply.body), (status, body), "it passes as it is");
        assert_eq!(ended(&out), None, "the CPE may go on, as it could without a gateway");
        let out = gone(&mut it, false);
        assert_eq!(ended(&out), Some(format!("the ACS answered with {status}")));
        assert!(!is_ours(&out) && it.sent == sent, "a controller has an answer of a session that failed");
        assert!(called_after(&mut it).is_some_and(|seconds| seconds >= 9), "an ACS in trouble is called for");
    }
}

#[test]
fn a_cpe_that_changes_connections_has_some_seconds_to_go_on_after_an_error() {
    let mut it = asked();
    it.acs_says(500, Bytes::new());
    assert_eq!(ended(&gone(&mut it, true)), None);
    it.now += 4_000;
    assert_eq!(ended(&it.tell(Input::Tick)), None);
    it.now += 1_000;
    assert_eq!(ended(&it.tell(Input::Tick)).as_deref(), Some("the ACS answered with 500"));
    // One that goes on is relayed, and nothing of ours follows.
    let mut it = asked();
    it.acs_says(500, Bytes::new());
    assert!(to_acs(&it.post(false, Bytes::new())).is_some());
    let out = it.acs_says(204, Bytes::new());
    assert_eq!(out_reply(&out).map(|reply| reply.status), Some(204));
    assert!(!is_ours(&out));
    // One that begins anew has not cut its session short.
    let mut it = asked();
    it.acs_says(500, Bytes::new());
    let inform = it.inform(&["2 PERIODIC"]);
    let out = it.post(true, inform);
    assert_eq!(ended(&out).as_deref(), Some("the ACS answered with 500"));
    assert!(to_acs(&out).is_some());
}

#[test]
fn the_operator_reads_of_a_long_session_how_long_it_was() {
    let mut it = Outage::with(ProxyConfig::default());
    it.opened();
    for _ in 0..40 {
        it.post(false, complete());
        it.acs_says(200, fault(8000));
    }
    let out = gone(&mut it, false);
    assert_eq!(ended(&out), None);
    let inform = it.inform(&["2 PERIODIC"]);
    let out = it.post(true, inform);
    let noted =
        out.iter().find_map(|it| if let Output::SessionEnded { rpcs, .. } = it { Some(rpcs) } else { None });
    let (first, last) = (&noted.unwrap()[0], noted.unwrap().last().unwrap());
    assert!(first.starts_with("Inform(") && noted.unwrap().len() == 33, "{first}");
    // Those of an Inform, forty requests and as many faults.
    assert_eq!(last, "… and 49 more");
}

#[test]
fn tr_069_3_4_retry_after_of_an_acs_passes_with_its_503() {
    let mut it = Outage::with(ProxyConfig::default());
    let inform = it.inform(&["2 PERIODIC"]);
    it.post(true, inform);
    let mut headers = Headers::default();
    headers.push("retry-after", "120");
    let reply = AcsReply { status: 503, headers: headers.clone(), body: Bytes::new(), decoded_body: None };
    let session = it.session();
    let out = it.tell(Input::Acs { session, reply: Ok(reply) });
    assert_eq!(out_reply(&out), Some(Reply { status: 503, headers, body: Bytes::new(), close: false }));
    assert_eq!(ended(&out).as_deref(), Some("refused by the ACS: 503"));
}

#[test]
fn no_answer_in_mid_session_is_a_503_whoever_may_be_answered_in_an_outage() {
    let mut it = Outage::begin();
    it.asked();
    it.opened();
    it.post(false, Bytes::new());
    let session = it.session();
    let out = it.tell(Input::Acs { session, reply: Err(AcsFailure::NoAnswer("half a body".into())) });
    let reply = out_reply(&out).unwrap();
    assert_eq!((reply.status, reply.close, ended(&out).as_deref()), (503, true, Some("acs-failed")));
    assert!(called_after(&mut it).is_some_and(|seconds| seconds >= 9));
    // What the ACS says later is nobody's.
    let reply = AcsReply { status: 200, headers: Headers::default(), body: rpc(false), decoded_body: None };
    assert!(it.tell(Input::Acs { session, reply: Ok(reply) }).is_empty());
}

#[test]
fn a_challenge_in_mid_session_does_not_turn_usp_off() {
    let mut it = asked();
    let out = it.acs_says(401, Bytes::new());
    assert_eq!(out_reply(&out).map(|reply| reply.status), Some(401));
    assert!(to_acs(&it.post(false, Bytes::new())).is_some());
    assert!(is_ours(&it.acs_says(204, Bytes::new())));
}

#[test]
fn garbage_passes_and_nothing_of_ours_follows_it() {
    let mut it = asked();
    let garbage = Bytes::from_static(b"<html>maintenance</html>");
    let out = it.acs_says(200, garbage.clone());
    assert_eq!(out_reply(&out).map(|reply| reply.body), Some(garbage.clone()));
    it.post(false, Bytes::new());
    let out = it.acs_says(204, Bytes::new());
    assert_eq!((out_reply(&out).unwrap().status, is_ours(&out)), (204, false));
    // To an Inform it is no word that opens a session: nothing has taken effect, another Inform begins anew.
    let mut it = Outage::begin();
    let inform = it.inform(&["2 PERIODIC"]);
    it.post(true, inform);
    let out = it.acs_says(200, garbage);
    assert!(!out.iter().any(|it| matches!(it, Output::InformAgain(_))));
    let inform = it.inform(&["2 PERIODIC"]);
    assert_eq!(ended(&it.post(true, inform)).as_deref(), Some("superseded"));
}

#[test]
fn tr_069_3_7_a_fault_to_a_request_of_the_cpe_is_an_answer_like_others() {
    let mut it = Outage::with(ProxyConfig::default());
    it.asked();
    it.opened();
    assert!(to_acs(&it.post(false, complete())).is_some());
    let out = it.acs_says(200, fault(8000));
    assert_eq!((out_reply(&out).map(|reply| reply.body), ended(&out)), (Some(fault(8000)), None));
    it.post(false, Bytes::new());
    assert!(is_ours(&it.acs_says(204, Bytes::new())), "a fault has turned USP off");
}

#[test]
fn a_cpe_that_vanishes_ends_what_hung_on_its_connection_and_the_acs_s_leg_with_it() {
    // While the ACS works.
    let mut it = asked();
    let out = gone(&mut it, false);
    assert_eq!(ended(&out).as_deref(), Some("cpe-gone"));
    assert!(out.iter().any(|it| matches!(it, Output::EndSession(_))));
    // Between two POSTs it may come back on another connection, with the same session at the ACS, within a minute.
    let mut it = asked();
    it.acs_says(200, rpc(false));
    assert_eq!(ended(&gone(&mut it, false)), None);
    assert!(to_acs(&it.post(false, fault(9005))).is_some());
    it.acs_says(200, rpc(false));
    gone(&mut it, false);
    it.now += 60_000;
    assert_eq!(ended(&it.tell(Input::Tick)).as_deref(), Some("timed-out"));
    // In the midst of an RPC of ours, and with the ACS's last answer in hand.
    let mut it = asked();
    assert!(is_ours(&it.acs_says(204, Bytes::new())));
    gone(&mut it, false);
    it.now += 60_000;
    assert_eq!(ended(&it.tell(Input::Tick)).as_deref(), Some("timed-out"));
    assert!(called_after(&mut it).is_some(), "the controller's request is forgotten");
}

#[test]
fn a_post_that_the_acs_leaves_waiting_for_too_long_is_refused_before_the_cpe_gives_up() {
    let mut it = asked();
    it.now += 60_000;
    let out = it.tell(Input::Tick);
    assert_eq!(out_reply(&out).map(|reply| reply.status), Some(503));
    assert_eq!(ended(&out).as_deref(), Some("timed-out"));
}

#[test]
fn tr_069_3_2_1_1_a_session_that_is_tried_again_is_a_new_one_and_its_inform_passes_as_it_is() {
    let mut it = Outage::with(ProxyConfig::default());
    let first = it.inform(&["1 BOOT", "2 PERIODIC"]);
    it.post(true, first);
    let old = it.session();
    let mut inform = it.bench.open();
    inform.retry_count = 3;
    let inform = write(NAMESPACE, Some("1"), Owned::Request(Request::Inform(inform)));
    let out = it.post(true, inform.clone());
    // The POST of the first session is answered, its leg closed, and then the new one begins.
    assert_eq!(out_reply(&out).map(|reply| (reply.status, reply.close)), Some((503, true)));
    assert!(out.iter().any(|it| matches!(it, Output::EndSession(session) if *session == old)));
    assert_eq!(ended(&out).as_deref(), Some("superseded"));
    assert_eq!(to_acs(&out), Some(&inform), "RetryCount is the ACS's to know");
    // What the ACS says to the old one reaches nobody.
    let response = Response::InformResponse(InformResponse { max_envelopes: 1 });
    let body = write(NAMESPACE, Some("1"), Owned::Response(response));
    let reply = AcsReply { status: 200, headers: Headers::default(), body, decoded_body: None };
    assert!(it.tell(Input::Acs { session: old, reply: Ok(reply) }).is_empty());
}

#[test]
fn tr_069_3_7_1_4_hold_requests_at_each_place_keeps_usp_away_until_it_is_taken_back() {
    let response = Response::InformResponse(InformResponse { max_envelopes: 1 });
    let response = Message::Response(response);
    let opened = |held: bool| {
        let mut it = Outage::with(ProxyConfig::default());
        it.asked();
        let inform = it.inform(&["2 PERIODIC"]);
        it.post(true, inform);
        it.acs_says(200, says(held, response.clone()));
        it
    };
    // In the InformResponse, and never taken back: the empty answer passes at once.
    let mut it = opened(true);
    it.post(false, Bytes::new());
    let out = it.acs_says(204, Bytes::new());
    assert_eq!((out_reply(&out).unwrap().status, is_ours(&out)), (204, false));
    // Taken back by an RPC.
    let mut it = opened(true);
    it.post(false, Bytes::new());
    it.acs_says(200, rpc(false));
    it.post(false, fault(9005));
    assert!(is_ours(&it.acs_says(204, Bytes::new())));
    // Begun by an RPC, and taken back by the next.
    let mut it = opened(false);
    it.post(false, Bytes::new());
    it.acs_says(200, rpc(true));
    it.post(false, fault(9005));
    it.acs_says(200, rpc(false));
    it.post(false, fault(9005));
    assert!(is_ours(&it.acs_says(204, Bytes::new())));
    // Begun by an RPC, with an empty answer under it.
    let mut it = opened(false);
    it.post(false, Bytes::new());
    it.acs_says(200, rpc(true));
    it.post(false, fault(9005));
    assert!(!is_ours(&it.acs_says(204, Bytes::new())));
}

#[test]
fn quirk_v01_what_the_gateway_says_itself_is_in_the_namespace_of_the_cpes_inform() {
    let mut it = Outage::with(ProxyConfig::default());
    it.asked();
    let (inform, other) = (it.inform(&["2 PERIODIC"]), NAMESPACE.replace("1-2", "1-4"));
    it.post(true, String::from_utf8(inform.to_vec()).unwrap().replace(NAMESPACE, &other).into());
    let response = Response::InformResponse(InformResponse { max_envelopes: 1 });
    it.acs_says(200, says(false, Message::Response(response)));
    it.post(false, Bytes::new());
    let out = it.acs_says(204, Bytes::new());
    let body = out_reply(&out).unwrap().body;
    let text = std::str::from_utf8(&body).unwrap();
    assert!(is_ours(&out) && text.contains(&other) && !text.contains(NAMESPACE), "{text}");
}
