//! Answers to RPCs of the gateway's that come when they are asked for no more: after the CPE has begun another session,
//! on the same connection or another.

use bytes::Bytes;

use crate::cwmp::rpc::{Array, GetParameterValues, Request};
use crate::sim::soap::{Owned, write};

use super::super::*;
use super::NAMESPACE;
use super::outage::{Outage, out_reply, request_of};

/// A session in which the gateway has the word; its RPC and what the CPE is going to say to it.
fn our_turn(it: &mut Outage) -> (String, Bytes) {
    it.opened();
    it.post(false, Bytes::new());
    let out = it.acs_answers(Bytes::new());
    let (id, request) = out_reply(&out).as_ref().and_then(request_of).expect("an RPC of ours");
    let answer = it.bench.handle(&request).map_or_else(Owned::Fault, Owned::Response);
    it.bench.close();
    (id.clone(), write(NAMESPACE, Some(&id), answer))
}

fn asked() -> (Outage, String, Bytes) {
    let mut it = Outage::with(ProxyConfig::default());
    it.asked();
    let (id, answer) = our_turn(&mut it);
    (it, id, answer)
}

/// The ACS asks for something with this SOAP ID; what the CPE answers.
fn acs_asks(it: &mut Outage, id: &str) -> Bytes {
    it.post(false, Bytes::new());
    let parameter_names = Array(vec!["Device.DeviceInfo.UpTime".into()]);
    let request = Request::GetParameterValues(GetParameterValues { parameter_names });
    it.acs_answers(write(NAMESPACE, Some(id), Owned::Request(request.clone())));
    write(NAMESPACE, Some(id), Owned::Response(it.bench.handle(&request).unwrap()))
}

fn to_acs(out: &[Output]) -> Option<&Bytes> {
    out.iter().find_map(|it| if let Output::ToAcs { body, .. } = it { Some(body) } else { None })
}

fn ended(out: &[Output]) -> Option<&'static str> {
    out.iter().find_map(|it| match it {
        Output::SessionEnded { outcome, .. } => Some(outcome.label()),
        _ => None,
    })
}

#[test]
fn an_answer_to_an_rpc_of_an_earlier_session_never_reaches_the_acs() {
    let (mut it, _, late) = asked();
    it.opened();
    // Before the ACS has asked anything.
    let out = it.post(false, late.clone());
    assert_eq!((to_acs(&out), ended(&out)), (None, None));
    assert_eq!(out_reply(&out).map(|reply| (reply.status, reply.close)), Some((400, false)));
    // In the place of the answer to the ACS's RPC, which is still awaited and still taken.
    let answer = acs_asks(&mut it, "acs");
    let out = it.post(false, late);
    assert_eq!((to_acs(&out), ended(&out)), (None, None));
    assert_eq!(to_acs(&it.post(false, answer.clone())), Some(&answer));
    // One that gives up here has not completed its session.
    let (mut it, _, late) = asked();
    it.opened();
    it.post(false, late);
    let session = it.session();
    let out = it.tell(Input::CpeGone { session, roams: false });
    assert_eq!(ended(&out), Some("bad-message"));
}

#[test]
fn an_answer_to_an_rpc_of_an_earlier_session_is_not_taken_for_another_s() {
    let (mut it, first, late) = asked();
    let sent = it.sent;
    let (second, answer) = our_turn(&mut it);
    assert_ne!(first, second, "two RPCs with one SOAP ID");
    let out = it.post(false, late);
    assert_eq!((out_reply(&out).map(|reply| reply.status), ended(&out)), (Some(400), Some("bad-message")));
    assert_eq!(it.sent, sent, "a controller is told what another RPC has brought");
    let (third, answer_to_third) = our_turn(&mut it);
    assert_ne!(second, third);
    it.post(false, answer_to_third);
    assert_eq!(it.sent, sent + 1, "what the controller has asked is not lost with it");
    // CPEs that do not give the ID back as it was are heard.
    let text = String::from_utf8(answer.to_vec()).unwrap();
    for cut in [true, false] {
        let mut it = asked().0;
        let sent = it.sent;
        let (third, _) = our_turn(&mut it);
        let theirs = if cut { &third[..third.len() - 4] } else { "17" };
        it.post(false, text.replace(&second, theirs).into());
        assert_eq!(it.sent, sent + 1, "the controller has its answer");
    }
}

#[test]
fn an_acs_that_is_such_a_gateway_itself_is_answered() {
    let mut it = Outage::with(ProxyConfig::default());
    it.opened();
    let answer = acs_asks(&mut it, "dragoman-0badcafe-1");
    assert_eq!(to_acs(&it.post(false, answer.clone())), Some(&answer));
}
