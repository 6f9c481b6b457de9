//! An agent between two connections, at a broker whose every message the test places.

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::super::crossing::GRACE;
use super::*;
use crate::transport::mqtt::{Codec, ConnAck, Packet, Publish};

const CODEC: Codec = Codec { version: Version::V5, max_packet: 1 << 16 };
const TOPIC: &str = "usp/agent/0/os::00256D-1";

/// The broker's end of a connection.
struct End {
    socket: TcpStream,
    read: BytesMut,
}

impl End {
    /// A connection that subscribes, and so is up.
    async fn accept(listener: &TcpListener) -> Self {
        let (socket, _) = listener.accept().await.unwrap();
        let mut end = Self { socket, read: BytesMut::new() };
        assert!(matches!(end.hear().await, Packet::Connect(_)));
        end.say(Packet::ConnAck(ConnAck::default())).await;
        let Packet::Subscribe { id, filters } = end.hear().await else { panic!("no SUBSCRIBE") };
        end.say(Packet::SubAck { id, granted: vec![Some(1); filters.len()] }).await;
        end
    }

    async fn hear(&mut self) -> Packet {
        loop {
            if let Some(packet) = CODEC.decode(&mut self.read).unwrap() {
                return packet;
            }
            assert_ne!(self.socket.read_buf(&mut self.read).await.unwrap(), 0, "the connection has ended");
        }
    }

    async fn say(&mut self, packet: Packet) {
        let mut said = BytesMut::new();
        CODEC.encode(packet, usize::MAX, &mut said).unwrap();
        self.socket.write_all(&said).await.unwrap();
    }

    async fn deliver(&mut self, what: &'static str) {
        let payload = Bytes::from_static(what.as_bytes());
        self.say(Packet::Publish(Publish { topic: TOPIC.into(), payload, ..Publish::default() })).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_broker_has_for_the_shared_connection_is_heard_once_though_the_agent_has_left_it() {
    let (agent, us) = (EndpointId::parse("os::00256D-1").unwrap(), EndpointId::parse("self::ctl").unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (side, metrics, stop) =
        (Arc::new(Side::default()), Arc::new(Metrics::default()), CancellationToken::new());
    let config = config(port, &us);
    let mqtt = Mqtt::start(config.clone(), side.clone(), Arc::clone(&metrics), stop.clone());
    mqtt.attach(&agent);
    let mut shared = End::accept(&listener).await;
    let with = Arc::new(own(&config, &agent, mqtt.crossing(&agent)));
    let link = MqttLink::start(&agent, with, side.clone(), metrics, &stop);
    let mut own = End::accept(&listener).await;
    until("the agent's own connection is up", || link.is_up()).await;
    mqtt.detach(&agent, "127.0.0.1", port, std::slice::from_ref(&us));
    // So that it is obeyed before any of this comes.
    tokio::time::sleep(Duration::from_millis(50)).await;
    shared.deliver("before the own subscription").await;
    until("what was on its way is heard", || side.heard() == 1).await;
    for end in [&mut own, &mut shared] {
        end.deliver("after it").await;
        until("what both hear is heard", || side.heard() >= 2).await;
    }
    tokio::time::sleep(GRACE + Duration::from_millis(200)).await;
    shared.deliver("long after it").await;
    own.deliver("the last").await;
    until("the own connection is heard", || side.heard() >= 3).await;
    let heard: Vec<Bytes> = side.0.lock().unwrap().clone();
    assert_eq!(heard, ["before the own subscription", "after it", "the last"]);
    stop.cancel();
}
