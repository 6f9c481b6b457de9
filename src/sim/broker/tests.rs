//! The broker over the loopback, against clients that speak packet by packet.

use std::time::Duration;

use crate::net::{Round, Stream};
use crate::sim::wire::Wire;
use crate::transport::mqtt::{Codec, ConnAck, Connect, Packet, Properties, Publish, Version};

use super::{Broker, BrokerConfig};

const BOTH: [Version; 2] = [Version::V5, Version::V311];
const PATIENCE: Duration = Duration::from_secs(5);

/// A client of a test.
struct Peer(Wire);

impl Peer {
    async fn open(broker: &Broker, version: Version) -> Self {
        let address = broker.address();
        let stream = Stream::connect("127.0.0.1", address.port(), None, PATIENCE).await.unwrap();
        Self(Wire::new(stream, Codec { version, max_packet: 1 << 20 }))
    }

    async fn connect(broker: &Broker, version: Version, connect: Connect) -> (Self, ConnAck) {
        let mut peer = Self::open(broker, version).await;
        peer.say(Packet::Connect(connect));
        let Some(Packet::ConnAck(ack)) = peer.hear().await else { panic!("no CONNACK") };
        (peer, ack)
    }

    fn say(&mut self, packet: Packet) {
        self.0.push(packet).unwrap();
    }

    /// The next packet; `None` when the connection is closed.
    async fn hear(&mut self) -> Option<Packet> {
        let hearing = async {
            loop {
                if let Some(packet) = self.0.next().unwrap() {
                    return Some(packet);
                }
                if let Round::Over(_) = self.0.round().await {
                    return None;
                }
            }
        };
        tokio::time::timeout(PATIENCE, hearing).await.expect("the broker is silent")
    }

    async fn subscribe(&mut self, filter: &str) {
        self.say(Packet::Subscribe { id: 1, filters: vec![(filter.into(), 1)] });
        assert_eq!(self.hear().await, Some(Packet::SubAck { id: 1, granted: vec![Some(1)] }));
    }
}

async fn broker() -> Broker {
    Broker::start(BrokerConfig::default()).await.unwrap()
}

fn named(client_id: &str) -> Connect {
    Connect { client_id: client_id.into(), clean_start: true, ..Connect::default() }
}

fn message(topic: &str, text: &'static str) -> Publish {
    Publish { topic: topic.into(), payload: text.into(), qos: 1, packet_id: 9, ..Publish::default() }
}

#[tokio::test]
async fn messages_pass_between_clients_of_both_versions() {
    let broker = broker().await;
    for (to, from) in [(Version::V5, Version::V311), (Version::V311, Version::V5)] {
        let (mut receiver, _) = Peer::connect(&broker, to, named("receiver")).await;
        receiver.subscribe("a/+").await;
        let (mut sender, _) = Peer::connect(&broker, from, named("sender")).await;
        sender.say(Packet::Publish(message("a/b", "hello")));
        assert_eq!(sender.hear().await, Some(Packet::PubAck { id: 9, refused: None }));
        let Some(Packet::Publish(got)) = receiver.hear().await else { panic!("no message") };
        assert_eq!((got.topic.as_str(), &got.payload[..], got.qos), ("a/b", &b"hello"[..], 1));
    }
    broker.stop().await;
}

#[tokio::test]
async fn properties_that_usp_needs_reach_the_subscriber() {
    let broker = broker().await;
    let (mut peer, _) = Peer::connect(&broker, Version::V5, named("c")).await;
    peer.subscribe("a").await;
    let properties = Properties {
        content_type: Some("usp.msg".into()),
        response_topic: Some("r".into()),
        ..Properties::default()
    };
    peer.say(Packet::Publish(Publish {
        properties: properties.clone(),
        qos: 0,
        packet_id: 0,
        ..message("a", "x")
    }));
    let Some(Packet::Publish(got)) = peer.hear().await else { panic!("no message") };
    assert_eq!((got.properties, got.qos), (properties, 0));
}

#[tokio::test]
async fn a_session_that_is_kept_gets_what_came_meanwhile() {
    let broker = broker().await;
    for version in BOTH {
        let kept = Connect { clean_start: false, session_expiry: Some(60), ..named("kept") };
        let (mut away, ack) = Peer::connect(&broker, version, kept.clone()).await;
        assert!(!ack.session_present);
        away.subscribe("a").await;
        away.say(Packet::Disconnect { reason: None });
        assert_eq!(away.hear().await, None);
        let (mut sender, _) = Peer::connect(&broker, version, named("sender")).await;
        sender.say(Packet::Publish(message("a", "meanwhile")));
        sender.hear().await;
        let (mut back, ack) = Peer::connect(&broker, version, kept).await;
        assert!(ack.session_present, "{version:?}");
        assert!(matches!(back.hear().await, Some(Packet::Publish(it)) if it.payload == "meanwhile"));
        // For the next version.
        Peer::connect(&broker, version, named("kept")).await;
    }
}

#[tokio::test]
async fn the_same_client_id_takes_the_session_over() {
    let broker = broker().await;
    let (mut old, _) = Peer::connect(&broker, Version::V5, named("c")).await;
    let (mut new, _) = Peer::connect(&broker, Version::V5, named("c")).await;
    assert!(matches!(old.hear().await, Some(Packet::Disconnect { .. })));
    assert_eq!(old.hear().await, None);
    new.say(Packet::PingReq);
    assert_eq!(new.hear().await, Some(Packet::PingResp));
    assert_eq!(broker.clients(), 1);
}

#[tokio::test]
async fn a_client_that_falls_silent_is_disconnected() {
    let broker = broker().await;
    let connect = Connect { keep_alive: 1, ..named("c") };
    let (mut peer, _) = Peer::connect(&broker, Version::V5, connect).await;
    let started = tokio::time::Instant::now();
    assert!(matches!(peer.hear().await, Some(Packet::Disconnect { .. })));
    assert!(started.elapsed() >= Duration::from_millis(1_400), "cut off too early");
}

#[tokio::test]
async fn who_breaks_the_protocol_is_disconnected_and_nobody_else() {
    let broker = broker().await;
    let (mut good, _) = Peer::connect(&broker, Version::V5, named("good")).await;
    let mut first = Peer::open(&broker, Version::V5).await;
    first.say(Packet::PingReq);
    assert_eq!(first.hear().await, None);
    for bad in [Packet::Publish(message("a/+", "")), Packet::Publish(Publish { qos: 2, ..message("a", "") })]
    {
        let (mut peer, _) = Peer::connect(&broker, Version::V311, named("bad")).await;
        peer.say(bad);
        assert_eq!(peer.hear().await, None);
    }
    good.say(Packet::PingReq);
    assert_eq!(good.hear().await, Some(Packet::PingResp));
}

#[tokio::test]
async fn a_client_without_a_name_gets_one() {
    let broker = broker().await;
    let (_peer, ack) = Peer::connect(&broker, Version::V5, named("")).await;
    assert!(ack.assigned_client_id.is_some_and(|id| !id.is_empty()));
}
