//! A controller at a STOMP broker that a test plays.

use tokio::net::TcpListener;

use crate::identity::EndpointId;
use crate::sim::stomp_peer::{PATIENCE, Peer};
use crate::transport::stomp::{Command, Frame};
use crate::usp::message::{GetResp, Message, Response};
use crate::usp::record::{Payload, Record, SessionContextRecord};

use super::{Controller, ControllerConfig, ControllerMtp, requests};

const DESTINATION: &str = "/queue/ctl";

fn me() -> EndpointId {
    EndpointId::parse("self::controller").unwrap()
}

fn agent_id() -> EndpointId {
    EndpointId::parse("os::00256D-S1").unwrap()
}

fn config(listener: &TcpListener) -> ControllerConfig {
    let mtp = ControllerMtp::Stomp {
        host: "127.0.0.1".into(),
        port: listener.local_addr().unwrap().port(),
        destination: DESTINATION.into(),
        login: Some(("user".into(), "secret".into())),
        virtual_host: None,
        agent_destination_prefix: "/queue/agent.".into(),
        tls: None,
    };
    ControllerConfig { endpoint_id: me(), mtp }
}

async fn start() -> (Controller, TcpListener, Peer) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (controller, peer) = tokio::join!(Controller::start(config(&listener)), Peer::up(&listener));
    (controller.unwrap(), listener, peer)
}

fn from_agent(payload: Payload, reply_to: Option<&str>) -> Frame {
    let mut frame = Frame::new(Command::Message).with("destination", DESTINATION);
    if let Some(reply_to) = reply_to {
        frame = frame.with("reply-to-dest", reply_to);
    }
    frame.body = Record::of(&agent_id(), &me(), payload).encode();
    frame
}

/// Answers the next request; returns the frame that it came in.
async fn answer(peer: &mut Peer) -> Frame {
    let frame = peer.message().await;
    let Payload::NoSession(message) = Record::decode(frame.body.clone()).unwrap().payload else {
        panic!("no message")
    };
    let request = Message::decode(message).unwrap();
    let response = Message::response(request.msg_id, Response::GetResp(GetResp::default()));
    peer.say(from_agent(Payload::NoSession(response.encode()), None)).await;
    frame
}

#[tokio::test]
async fn r_stomp_20_21_23_a_request_says_where_its_answer_goes_and_goes_where_the_agent_wants_it() {
    let (controller, _listener, mut peer) = start().await;
    let agent = agent_id();
    let context = SessionContextRecord { session_id: 5, sequence_id: 1, ..Default::default() };
    let connect = Payload::StompConnect { subscribed_destination: "/queue/elsewhere".into() };
    for (said, reply_to, wanted) in [
        (None, None, "/queue/agent.os::00256D-S1"),
        (Some(connect), None, "/queue/elsewhere"),
        (Some(Payload::Session(context)), Some("/queue/again"), "/queue/again"),
    ] {
        if let Some(payload) = said {
            peer.say(from_agent(payload, reply_to)).await;
            // The controller answers it, and so it has heard what came before.
            let request = Message::request("r", requests::get(&["Device."], 1));
            peer.say(from_agent(Payload::NoSession(request.encode()), None)).await;
            assert_eq!(peer.message().await.header("destination"), Some(wanted));
        }
        let asking = controller.request(&agent, requests::get(&["Device."], 1), PATIENCE);
        let (result, frame) = tokio::join!(asking, answer(&mut peer));
        assert!(result.is_ok(), "{result:?}");
        assert_eq!(frame.header("destination"), Some(wanted));
        assert_eq!(frame.header("reply-to-dest"), Some(DESTINATION));
        assert_eq!(frame.header("content-type"), Some("application/vnd.bbf.usp.msg"));
    }
}

#[tokio::test]
async fn a_controller_that_is_refused_does_not_start_and_one_that_lost_its_broker_comes_back() {
    let (controller, listener, peer) = start().await;
    drop(peer);
    let mut peer = Peer::up(&listener).await;
    let agent = agent_id();
    let asking = controller.request(&agent, requests::get(&["Device."], 1), PATIENCE);
    let (result, _) = tokio::join!(asking, answer(&mut peer));
    assert!(result.is_ok(), "{result:?}");
    controller.stop().await;
    let error = Frame::new(Command::Error).with("message", "who are you");
    for refusal in [error, Frame::new(Command::Connected)] {
        let refusing = async {
            let (mut peer, first) = Peer::accept(&listener).await;
            assert_eq!(first.header("login"), Some("user"), "R-STOMP.3");
            peer.say(refusal).await;
            peer
        };
        let (started, _) = tokio::join!(Controller::start(config(&listener)), refusing);
        assert!(started.is_err());
    }
}
