//! An agent's connection against a broker that a test plays, for what a real one cannot be asked to do.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::identity::EndpointId;
use crate::mtp::AgentSide;
use crate::net::Round;
use crate::observe::Metrics;
use crate::sim::stomp_peer::{PATIENCE, Peer, connected, receipt};
use crate::transport::stomp::{Command, Frame, HEART_BEAT};
use crate::usp::Shown;
use crate::usp::record::{Payload, Record};

use super::{Stomp, StompConfig};

const CONTROLLER_AT: &str = "/queue/ctl";

#[derive(Default)]
struct Side {
    records: Mutex<Vec<Bytes>>,
    connected: Mutex<usize>,
}

impl AgentSide for Side {
    fn record(&self, _: &EndpointId, record: Bytes, _: Shown) {
        self.records.lock().unwrap().push(record);
    }

    fn connected(&self, _: &EndpointId, _: &EndpointId) {
        *self.connected.lock().unwrap() += 1;
    }

    fn knows(&self, _: &EndpointId) -> bool {
        true
    }

    fn changed(&self, _: &EndpointId) {}
}

fn agent() -> EndpointId {
    EndpointId::parse("os::00256D-1").unwrap()
}

fn controller() -> EndpointId {
    EndpointId::parse("self::ctl").unwrap()
}

/// A broker without connections yet, and one agent that looks for it.
struct World {
    listener: TcpListener,
    side: Arc<Side>,
    stomp: Stomp,
    stop: CancellationToken,
}

impl World {
    async fn new(change: impl FnOnce(&mut StompConfig)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut config = settings(&listener);
        change(&mut config);
        let (side, stop) = (Arc::new(Side::default()), CancellationToken::new());
        let stomp = Stomp::new(config, side.clone(), Arc::new(Metrics::default()), stop.clone());
        stomp.attach(&agent());
        Self { listener, side, stomp, stop }
    }

    /// Its configuration with something changed.
    fn config(&self, change: impl FnOnce(&mut StompConfig)) -> Arc<StompConfig> {
        let mut config = settings(&self.listener);
        change(&mut config);
        Arc::new(config)
    }

    /// The agent's next connection, with its first frame.
    async fn accept(&self) -> (Peer, Frame) {
        Peer::accept(&self.listener).await
    }

    /// The agent's next connection, up.
    async fn up(&self) -> Peer {
        Peer::up(&self.listener).await
    }
}

fn settings(listener: &TcpListener) -> StompConfig {
    StompConfig {
        host: "127.0.0.1".into(),
        port: listener.local_addr().unwrap().port(),
        tls: None,
        login: Some(("user".into(), "secret".into())),
        virtual_host: Some("/".into()),
        destination_prefix: "/queue/agent.".into(),
        controllers: vec![(controller(), CONTROLLER_AT.into())],
        heart_beat_ms: (0, 0),
        retry_ms: (20, 100),
        retry_multiplier: 2_000,
        own_destination: None,
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The next record that the agent sends, confirmed.
async fn record(peer: &mut Peer) -> (Frame, Record) {
    let frame = peer.message().await;
    let record = Record::decode(frame.body.clone()).unwrap();
    (frame, record)
}

fn message(reply_to: &str, content_type: &str) -> Frame {
    let mut frame = Frame::new(Command::Message)
        .with("subscription", "0")
        .with("message-id", "1")
        .with("destination", "/queue/agent.os::00256D-1")
        .with("content-type", content_type)
        .with("reply-to-dest", reply_to);
    frame.body = plain();
    frame
}

fn plain() -> Bytes {
    Record::plain(&controller(), &agent(), Bytes::from_static(b"message")).encode()
}

const USP: &str = "application/vnd.bbf.usp.msg";

#[tokio::test]
async fn tp469_6_5_6_12_the_connect_record_comes_first_and_names_what_the_server_named() {
    let world = World::new(|_| ()).await;
    let (mut peer, first) = world.accept().await;
    assert_eq!(first.header("endpoint-id"), Some("os::00256D-1"), "R-STOMP.4");
    world.stomp.send(&agent(), &controller(), plain());
    peer.say(connected().with("subscribe-dest", "/queue/given")).await;
    let subscribe = peer.frame().await;
    assert_eq!(subscribe.header("destination"), Some("/queue/given"), "R-STOMP.14");
    peer.say(receipt("subscribed")).await;
    let (frame, said) = record(&mut peer).await;
    let wanted = Payload::StompConnect { subscribed_destination: "/queue/given".into() };
    assert_eq!(said.payload, wanted);
    assert_eq!(frame.header("destination"), Some(CONTROLLER_AT));
    assert_eq!(frame.header("content-type"), Some(USP), "R-STOMP.20");
    assert_eq!(frame.header("reply-to-dest"), Some("/queue/given"), "R-STOMP.21");
    let (_, said) = record(&mut peer).await;
    assert!(matches!(said.payload, Payload::NoSession(_)));
    assert_eq!(*world.side.connected.lock().unwrap(), 1);
}

#[tokio::test]
async fn tp469_6_7_a_session_without_a_destination_is_ended_and_tried_again() {
    let world = World::new(|config| config.destination_prefix = String::new()).await;
    for _ in 0..2 {
        let (mut peer, _) = world.accept().await;
        peer.say(connected()).await;
        assert_eq!(peer.frame().await.command, Command::Disconnect, "R-STOMP.16");
        assert_eq!(peer.next().await, None);
    }
}

#[tokio::test]
async fn r_stomp_25_after_an_error_the_agent_comes_back_with_what_was_not_confirmed() {
    let world = World::new(|_| ()).await;
    let mut peer = world.up().await;
    record(&mut peer).await;
    world.stomp.send(&agent(), &controller(), plain());
    assert_eq!(peer.frame().await.body, plain());
    peer.say(Frame::new(Command::Error).with("message", "going down")).await;
    assert_eq!(peer.next().await, None, "the agent stays on a connection that is over");
    let mut peer = world.up().await;
    let (_, greeting) = record(&mut peer).await;
    assert!(matches!(greeting.payload, Payload::StompConnect { .. }));
    assert_eq!(record(&mut peer).await.0.body, plain());
}

#[tokio::test]
async fn r_stomp_7_a_login_that_is_refused_is_tried_again() {
    let world = World::new(|_| ()).await;
    for _ in 0..3 {
        let (mut peer, _) = world.accept().await;
        peer.say(Frame::new(Command::Error).with("message", "Bad CONNECT")).await;
        assert_eq!(peer.next().await, None);
    }
}

#[tokio::test]
async fn r_stomp_11_heart_beats_go_out_and_a_silent_broker_is_left() {
    let world = World::new(|config| config.heart_beat_ms = (100, 100)).await;
    let (mut peer, first) = world.accept().await;
    assert_eq!(first.header("heart-beat"), Some("100,100"));
    peer.say(connected().with("heart-beat", "100,100")).await;
    peer.frame().await;
    peer.say(receipt("subscribed")).await;
    record(&mut peer).await;
    let mut bytes = Vec::new();
    let listening = async {
        while !matches!(peer.io.round().await, Round::Over(_)) {
            bytes.extend(peer.io.incoming.split());
        }
    };
    tokio::time::timeout(PATIENCE, listening).await.expect("the agent stays with a silent broker");
    assert!(!bytes.is_empty() && bytes.iter().all(|byte| [*byte] == HEART_BEAT), "{bytes:?}");
    world.up().await;
}

#[tokio::test]
async fn r_stomp_23_answers_go_where_the_controller_wants_them_until_the_broker_refuses_that() {
    let world = World::new(|_| ()).await;
    let mut peer = world.up().await;
    record(&mut peer).await;
    peer.say(message("/nonsense", USP)).await;
    while world.side.records.lock().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    world.stomp.send(&agent(), &controller(), plain());
    let frame = peer.frame().await;
    assert_eq!(frame.header("destination"), Some("/nonsense"));
    let error = Frame::new(Command::Error).with("message", "no such destination");
    peer.say(error.with("receipt-id", frame.header("receipt").unwrap())).await;
    assert_eq!(peer.next().await, None);
    let mut peer = world.up().await;
    record(&mut peer).await;
    world.stomp.send(&agent(), &controller(), plain());
    assert_eq!(record(&mut peer).await.0.header("destination"), Some(CONTROLLER_AT));
}

#[tokio::test]
async fn r_mtp_8_after_a_disconnect_record_over_a_connection_that_stays_the_agent_connects() {
    let world = World::new(|_| ()).await;
    let mut peer = world.up().await;
    let (_, connect) = record(&mut peer).await;
    let over = Payload::Disconnect { reason: "why".into(), reason_code: 7106 };
    world.stomp.send(&agent(), &controller(), Record::of(&agent(), &controller(), over.clone()).encode());
    world.stomp.send(&agent(), &controller(), plain());
    assert_eq!(record(&mut peer).await.1.payload, over);
    assert_eq!(record(&mut peer).await.1.payload, connect.payload);
    assert_eq!(record(&mut peer).await.1, Record::decode(plain()).unwrap());
}

#[tokio::test]
async fn tp469_6_9_what_is_no_record_is_dropped_and_the_connection_lives_on() {
    let world = World::new(|_| ()).await;
    let mut peer = world.up().await;
    record(&mut peer).await;
    peer.say(message(CONTROLLER_AT, "application/vnd.bbf.usp.error")).await;
    peer.say(message(CONTROLLER_AT, "text/plain")).await;
    peer.say(message(CONTROLLER_AT, USP)).await;
    while world.side.records.lock().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(*world.side.records.lock().unwrap(), [plain()]);
}

#[tokio::test]
async fn r_stomp_28_a_gateway_that_stops_sends_disconnect_records_and_waits_for_the_receipt() {
    let world = World::new(|_| ()).await;
    let mut peer = world.up().await;
    record(&mut peer).await;
    world.stop.cancel();
    let (_, said) = record(&mut peer).await;
    assert!(matches!(said.payload, Payload::Disconnect { .. }));
    let goodbye = peer.frame().await;
    assert_eq!(goodbye.command, Command::Disconnect);
    let early = tokio::time::timeout(Duration::from_millis(100), peer.io.round()).await;
    assert!(early.is_err(), "the agent leaves before its goodbye is confirmed");
    peer.say(receipt(goodbye.header("receipt").unwrap())).await;
    assert_eq!(peer.next().await, None);
}

#[tokio::test]
async fn tp469_6_10_another_destination_is_subscribed_on_the_connection_that_is_up() {
    let world = World::new(|_| ()).await;
    let mut peer = world.up().await;
    record(&mut peer).await;
    let link = world.stomp.release(&agent()).unwrap();
    let config = world.config(|config| config.own_destination = Some("/queue/new".into()));
    assert!(link.adapt(config));
    assert_eq!(peer.frame().await.command, Command::Unsubscribe);
    let subscribe = peer.frame().await;
    assert_eq!(subscribe.header("destination"), Some("/queue/new"));
    peer.say(receipt("subscribed")).await;
    let (frame, said) = record(&mut peer).await;
    assert_eq!(said.payload, Payload::StompConnect { subscribed_destination: "/queue/new".into() });
    assert_eq!(frame.header("reply-to-dest"), Some("/queue/new"));
    assert!(link.is_up());
}

#[tokio::test]
async fn who_is_not_to_be_met_any_more_is_told_and_another_place_takes_another_connection() {
    let world = World::new(|_| ()).await;
    let mut peer = world.up().await;
    record(&mut peer).await;
    let link = world.stomp.release(&agent()).unwrap();
    let other = EndpointId::parse("self::other").unwrap();
    let met = vec![(other.clone(), "/queue/other".to_owned())];
    assert!(link.adapt(world.config(|config| config.controllers.clone_from(&met))));
    // The greeting goes before all that waits.
    let mut said = [record(&mut peer).await, record(&mut peer).await];
    said.sort_by_key(|(frame, _)| frame.header("destination") == Some("/queue/other"));
    assert_eq!(said[0].0.header("destination"), Some(CONTROLLER_AT));
    assert!(matches!(&said[0].1.payload, Payload::Disconnect { reason, .. } if reason == "the agent leaves"));
    assert!(matches!(said[1].1.payload, Payload::StompConnect { .. }));
    assert!(link.adapt(world.config(|config| {
        config.controllers.clone_from(&met);
        config.login = Some(("another".into(), "secret".into()));
    })));
    let (_, goodbye) = record(&mut peer).await;
    assert!(matches!(goodbye.payload, Payload::Disconnect { .. }));
    let last = peer.frame().await;
    assert_eq!(last.command, Command::Disconnect);
    peer.say(receipt(last.header("receipt").unwrap())).await;
    let (_, first) = world.accept().await;
    assert_eq!(first.header("login"), Some("another"));
}
