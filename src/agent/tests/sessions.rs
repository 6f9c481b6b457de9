//! Stories of controllers that use session contexts, and of those that must or must not.

use crate::usp::record::SessionContextRecord;
use crate::usp::record::session::{self, Policy, Role as End, Session};

use super::*;

const ROW: &str = "Device.LocalAgent.Controller.1.";
const E2E: &str = "Device.LocalAgent.Controller.1.E2ESession.";

/// The controller's half of a session with the story's agent.
struct Peer {
    session: Session,
    got: Vec<Message>,
}

impl Peer {
    fn of(story: &Story) -> Self {
        let session = Session::new(controller(), story.cpe.id().endpoint_id(), End::Controller);
        Self { session, got: Vec::new() }
    }

    /// Sends a message to the agent and hears what comes back.
    fn send(&mut self, story: &mut Story, message: Message) {
        self.handle(story, session::Input::Send(message.encode()));
    }

    fn handle(&mut self, story: &mut Story, input: session::Input) {
        let mut out = Vec::new();
        let env = session::Env { now: story.now, seed: story.now * 77, policy: &Policy::default() };
        self.session.handle(&env, input, &mut out);
        for output in out {
            match output {
                session::Output::Send(record) => story.record(record.encode()),
                session::Output::Message(message) => self.got.push(Message::decode(message).unwrap()),
                session::Output::Secure { .. } => panic!("plain sessions need no TLS"),
                session::Output::Ended { .. } => {}
            }
        }
        self.hear(story);
    }

    /// Takes the records that the agent has sent.
    fn hear(&mut self, story: &mut Story) {
        for record in std::mem::take(&mut story.records) {
            self.handle(story, session::Input::Received { record, integrity: Integrity::Trusted });
        }
    }

    /// The answer to a request, from within the session.
    fn ask(&mut self, story: &mut Story, request: Request) -> MessageBody {
        story.next += 1;
        let msg_id = format!("s{}", story.next);
        self.send(story, Message::request(msg_id.clone(), request));
        if story.wanted {
            story.session();
            self.hear(story);
        }
        let at = self.got.iter().position(|message| message.msg_id == msg_id).expect("no answer");
        self.got.remove(at).body
    }
}

fn get(path: &str) -> Request {
    Request::Get(message::Get { param_paths: vec![path.into()], max_depth: 0 })
}

fn fields(record: &Record) -> &SessionContextRecord {
    let Payload::Session(fields) = &record.payload else { panic!("{record:?}") };
    fields
}

fn reason(record: &Record) -> u32 {
    let Payload::Disconnect { reason_code, .. } = &record.payload else { panic!("{record:?}") };
    *reason_code
}

#[test]
fn r_e2e_26_tp_469_3_8_requests_are_answered_the_way_they_came() {
    let mut story = Story::begin();
    let mut peer = Peer::of(&story);
    for path in ["Device.LocalAgent.EndpointID", "Device.DeviceInfo.SerialNumber"] {
        let body = peer.ask(&mut story, get(path));
        assert!(matches!(body, MessageBody::Response(Response::GetResp(_))), "{body:?}");
        assert!(story.said.is_empty(), "answered outside of the session");
    }
    // The same controller, outside of it.
    assert!(story.get("Device.DeviceInfo.SerialNumber").is_ok());
    assert!(story.records.is_empty());
    let shown = story.get(E2E).unwrap();
    assert_eq!(shown[&format!("{E2E}Status")], "Up");
    assert_eq!(shown[&format!("{E2E}SessionMode")], "Allow");
}

#[test]
fn notifications_follow_a_controller_into_its_session() {
    let mut story = Story::begin();
    let mut peer = Peer::of(&story);
    story.subscribe("Event", "Device.Boot!", &[("Persistent", "true")]);
    peer.ask(&mut story, get("Device.LocalAgent.EndpointID"));
    story.ask(operate("Device.Reboot()", &[])).unwrap();
    story.settle();
    assert!(story.notifications().is_empty());
    peer.hear(&mut story);
    assert!(peer.got.iter().any(|it| matches!(it.body, MessageBody::Request(Request::Notify(_)))));
}

#[test]
fn notifications_do_not_look_for_the_session_of_a_controller_that_has_left_it() {
    let mut story = Story::begin();
    let mut peer = Peer::of(&story);
    story.subscribe("Event", "Device.Boot!", &[("Persistent", "true")]);
    peer.ask(&mut story, get("Device.LocalAgent.EndpointID"));
    let payload = Payload::Disconnect { reason: String::new(), reason_code: 0 };
    let record = Record::of(&controller(), &story.cpe.id().endpoint_id(), payload);
    story.record(record.encode());
    assert_eq!(story.records.remove(0).payload, Payload::WebSocketConnect, "R-MTP.8");
    assert_eq!(story.get(E2E).unwrap()[&format!("{E2E}Status")], "Down");
    story.ask(operate("Device.Reboot()", &[])).unwrap();
    story.settle();
    assert!(story.records.is_empty(), "a session began");
    assert!(!story.notifications().is_empty());
}

#[test]
fn r_mtp_8_a_controller_that_says_goodbye_is_greeted_but_not_for_ever() {
    let mut story = Story::begin();
    let payload = Payload::Disconnect { reason: String::new(), reason_code: 0 };
    let goodbye = Record::of(&controller(), &story.cpe.id().endpoint_id(), payload).encode();
    for _ in 0..20 {
        story.record(goodbye.clone());
    }
    assert_eq!(story.records.len(), 6);
    assert!(story.records.iter().all(|record| record.payload == Payload::WebSocketConnect));
    story.pass(60_000);
    story.record(goodbye);
    assert_eq!(story.records.len(), 7);
}

#[test]
fn r_e2e_6a_r_e2e_6b_session_contexts_that_are_forbidden_are_refused_and_ended() {
    let mut story = Story::begin();
    let mut peer = Peer::of(&story);
    peer.ask(&mut story, get("Device.LocalAgent.EndpointID"));
    story.ask(set(E2E, &[("SessionMode", "Forbid")])).unwrap();
    story.pass(1);
    assert_eq!(reason(&story.records.remove(0)), 7105);
    peer.session = Peer::of(&story).session;
    let mut out = Vec::new();
    let policy = Policy::default();
    let env = session::Env { now: story.now, seed: 9, policy: &policy };
    peer.session.handle(&env, session::Input::Restart, &mut out);
    let [session::Output::Send(record)] = &out[..] else { panic!("{out:?}") };
    story.record(record.clone().encode());
    assert_eq!(reason(&story.records[0]), 7106);
    assert!(story.get("Device.LocalAgent.EndpointID").is_ok(), "without a session all goes on");
}

#[test]
fn tls_without_a_certificate_is_refused_with_7102_and_cannot_be_set() {
    let mut story = Story::begin();
    let refused = story.ask(set(E2E, &[("PayloadSecurity", "TLS")]));
    assert!(format!("{refused:?}").contains("7012"), "{refused:?}");
    let fields = SessionContextRecord { session_id: 5, sequence_id: 1, expected_id: 1, ..Default::default() };
    let to = story.cpe.id().endpoint_id();
    let mut record = Record::of(&controller(), &to, Payload::Session(fields));
    record.payload_security = crate::usp::record::PayloadSecurity::Tls12;
    story.record(record.encode());
    assert_eq!(reason(&story.records[0]), 7102);
}

#[test]
fn r_mtp_5_a_required_session_refuses_requests_outside_of_one_and_is_begun_for_notifications() {
    let mut story = Story::begin();
    story.subscribe("Event", "Device.Boot!", &[("Persistent", "true"), ("NotifRetry", "true")]);
    story.ask(set(E2E, &[("SessionMode", "Require")])).unwrap_or_else(|error| panic!("{error:?}"));
    let mut peer = Peer::of(&story);
    story.records.clear();
    story.send(&controller(), get("Device.LocalAgent.EndpointID"));
    let MessageBody::Error(error) = story.said.remove(0).1.body else { panic!() };
    assert_eq!(error.err_code, ErrorCode::INVALID_RECORD_VALUE.0);
    peer.ask(&mut story, operate("Device.Reboot()", &[]));
    story.settle();
    peer.hear(&mut story);
    let notified = |peer: &Peer| {
        let ids = peer.got.iter().filter(|it| matches!(it.body, MessageBody::Request(Request::Notify(_))));
        ids.map(|it| it.msg_id.clone()).collect::<Vec<_>>()
    };
    let first = notified(&peer);
    assert_eq!(first.len(), 1);
    // The session breaks before the controller has acknowledged: a durable notification comes again in the
    // next one, with the same id.
    peer = Peer::of(&story);
    story.now += 50;
    peer.handle(&mut story, session::Input::Restart);
    story.pass(10_000);
    peer.hear(&mut story);
    assert_eq!(notified(&peer), first);
}

#[test]
fn segmentation_a_large_answer_comes_in_records_within_max_usp_record_size() {
    let mut story = Story::begin();
    let mut peer = Peer::of(&story);
    peer.ask(&mut story, set(E2E, &[("MaxUSPRecordSize", "512")]));
    let whole = story.get("Device.LocalAgent.").unwrap();
    story.next += 1;
    let request = Message::request("big", get("Device.LocalAgent."));
    let mut out = Vec::new();
    let policy = Policy::default();
    let env = session::Env { now: story.now, seed: 1, policy: &policy };
    peer.session.handle(&env, session::Input::Send(request.encode()), &mut out);
    let Some(session::Output::Send(record)) = out.pop() else { panic!() };
    story.record(record.encode());
    assert!(story.records.len() > 3, "{}", story.records.len());
    assert!(story.records.iter().all(|record| record.clone().encode().len() <= 512));
    // In whatever order they come.
    story.records.reverse();
    peer.hear(&mut story);
    let MessageBody::Response(Response::GetResp(resp)) = &peer.got[0].body else { panic!() };
    let objects = &resp.req_path_results[0].resolved_path_results;
    let params: usize = objects.iter().map(|object| object.result_params.len()).sum();
    assert_eq!(params, whole.len());
}

#[test]
fn what_could_not_be_stored_is_neither_told_nor_leaves_a_hole_in_the_session() {
    let mut story = Story::begin();
    let mut peer = Peer::of(&story);
    peer.ask(&mut story, get("Device.LocalAgent.EndpointID"));
    story.broken_store = true;
    peer.send(&mut story, Message::request("lost", set(ROW, &[("ProvisioningCode", "x")])));
    assert!(peer.got.is_empty(), "a success that is not on disk was told");
    story.broken_store = false;
    let body = peer.ask(&mut story, get("Device.LocalAgent.EndpointID"));
    assert!(matches!(body, MessageBody::Response(_)), "the next answer waits for one that never comes");
}

#[test]
fn e2esession_reset_is_answered_as_the_first_record_of_a_new_context() {
    let mut story = Story::begin();
    let mut peer = Peer::of(&story);
    peer.ask(&mut story, get("Device.LocalAgent.EndpointID"));
    let mut out = Vec::new();
    let policy = Policy::default();
    let env = session::Env { now: story.now, seed: 1, policy: &policy };
    let reset = Message::request("reset", operate(&format!("{E2E}Reset()"), &[])).encode();
    peer.session.handle(&env, session::Input::Send(reset), &mut out);
    let Some(session::Output::Send(record)) = out.pop() else { panic!() };
    let before = fields(&record).session_id;
    story.record(record.encode());
    let first = story.records.iter().map(fields).find(|fields| fields.has_payload()).unwrap();
    assert!(first.session_id != before);
    peer.hear(&mut story);
    assert!(matches!(peer.got[0].body, MessageBody::Response(Response::OperateResp(_))));
}

#[test]
fn r_e2e_23_r_e2e_30_a_signature_that_cannot_be_checked_is_no_proof() {
    let mut story = Story::begin();
    let to = story.cpe.id().endpoint_id();
    let message = Message::request("q", get("Device.LocalAgent.EndpointID")).encode();
    let mut record = Record::plain(&controller(), &to, message);
    record.mac_signature = Bytes::from_static(b"made up");
    story.record(record.encode());
    assert!(story.said.is_empty());
}

#[test]
fn r_mtp_5_a_request_in_a_faulty_record_gets_an_error_with_the_codes_of_records() {
    let mut story = Story::begin();
    let to = story.cpe.id().endpoint_id();
    let message = Message::request("q", get("Device.LocalAgent.EndpointID")).encode();
    let mut bytes = Record::plain(&controller(), &to, message.clone()).encode().to_vec();
    // An unknown payload_security.
    bytes.extend_from_slice(b"\x20\x07");
    story.record(bytes.clone().into());
    let MessageBody::Error(error) = &story.said[0].1.body else { panic!() };
    assert_eq!((error.err_code, story.said[0].1.msg_id.as_str()), (7104, "q"));
    // R-E2E.1, and TP-469 2.1: nothing for others, nothing from ourselves.
    story.said.clear();
    let other = EndpointId::parse("self::somebody").unwrap();
    story.record(Record::plain(&controller(), &other, message.clone()).encode());
    story.record(Record::plain(&to, &to, message).encode());
    assert!(story.said.is_empty());
}
