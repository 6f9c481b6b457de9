//! The listener, with controllers that are played frame by frame.

mod certified;

use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::identity::EndpointId;
use crate::mtp::AgentSide;
use crate::observe::Metrics;
use crate::usp::Shown;
use crate::usp::record::{Payload, Record};

type Peer = WebSocketStream<TcpStream>;

#[derive(Default)]
struct Side {
    records: Mutex<Vec<Bytes>>,
}

impl AgentSide for Side {
    fn record(&self, _: &EndpointId, record: Bytes, _: Shown) {
        self.records.lock().unwrap().push(record);
    }

    fn connected(&self, _: &EndpointId, _: &EndpointId) {}

    fn knows(&self, agent: &EndpointId) -> bool {
        *agent == self::agent()
    }

    fn changed(&self, _: &EndpointId) {}
}

fn agent() -> EndpointId {
    EndpointId::parse("ops::00256D-HG%20100-1").unwrap()
}

fn controller() -> EndpointId {
    EndpointId::parse("self::ctl").unwrap()
}

fn record(from: &EndpointId, text: &'static str) -> Bytes {
    Record::plain(from, &agent(), Bytes::from_static(text.as_bytes())).encode()
}

struct World {
    listener: Listener,
    side: std::sync::Arc<Side>,
    address: std::net::SocketAddr,
    stop: CancellationToken,
}

impl World {
    async fn new() -> Self {
        let config = ListenerConfig {
            listen: std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into(),
            tls: None,
            anchors: None,
            unauthenticated: true,
            path: ("/usp/".into(), String::new()),
            ping: Duration::from_secs(60),
            max_connections: 8,
        };
        let (side, stop) = (std::sync::Arc::new(Side::default()), CancellationToken::new());
        let metrics = std::sync::Arc::new(Metrics::default());
        let (listener, address) = Listener::open(config, side.clone(), metrics, stop.clone()).await.unwrap();
        Self { listener, side, address, stop }
    }

    async fn visit(&self, target: &str, protocol: Option<&'static str>) -> Result<Peer, u16> {
        let uri = format!("ws://{}{target}", self.address);
        let mut request = uri.into_client_request().unwrap();
        if let Some(protocol) = protocol {
            request.headers_mut().insert("sec-websocket-protocol", protocol.parse().unwrap());
        }
        let stream = TcpStream::connect(self.address).await.unwrap();
        match tokio_tungstenite::client_async(request, stream).await {
            Ok((peer, _)) => Ok(peer),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    /// A controller's session, greeted.
    async fn up(&self) -> Peer {
        let mut peer = self.visit(TARGET, Some("v1.usp")).await.unwrap();
        let Message::Binary(connect) = next(&mut peer).await else { panic!("no record") };
        assert_eq!(Record::decode(connect).unwrap().payload, Payload::WebSocketConnect);
        peer
    }

    async fn heard(&self, count: usize) -> Vec<Bytes> {
        let hearing = async {
            loop {
                let records = self.side.records.lock().unwrap().clone();
                if records.len() >= count {
                    return records;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, hearing).await.expect("the agent hears nothing")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn next(peer: &mut Peer) -> Message {
    let next = tokio::time::timeout(PATIENCE, peer.next()).await.expect("the agent is silent");
    next.expect("the agent hung up").unwrap()
}

const PATIENCE: Duration = Duration::from_secs(10);
/// R-WS.10c: the percent sign of the endpoint id is encoded.
const TARGET: &str = "/usp/ops::00256D-HG%2520100-1?eid=self::ctl";

#[tokio::test]
async fn r_ws_6_tp469_7_11_7_12_a_controller_comes_to_its_agent_whole_or_in_fragments() {
    let world = World::new().await;
    let mut peer = world.up().await;
    let whole = record(&controller(), "one");
    peer.send(Message::Binary(whole.clone())).await.unwrap();
    let (start, end) = (whole.slice(..5), whole.slice(5..));
    peer.send(Message::Frame(Frame::message(start, OpCode::Data(Data::Binary), false))).await.unwrap();
    peer.send(Message::Frame(Frame::message(end, OpCode::Data(Data::Continue), true))).await.unwrap();
    assert_eq!(world.heard(2).await, [whole.clone(), whole]);
    world.listener.send(&agent(), &controller(), record(&controller(), "answer")).unwrap();
    assert_eq!(next(&mut peer).await, Message::Binary(record(&controller(), "answer")));
    // R-MTP.8.
    let over = Payload::Disconnect { reason: "why".into(), reason_code: 7106 };
    let over = Record::of(&agent(), &controller(), over).encode();
    world.listener.send(&agent(), &controller(), over.clone()).unwrap();
    assert_eq!(next(&mut peer).await, Message::Binary(over));
    let Message::Binary(connect) = next(&mut peer).await else { panic!("no Connect") };
    assert_eq!(Record::decode(connect).unwrap().payload, Payload::WebSocketConnect);
    // Nobody speaks for somebody else.
    peer.send(Message::Binary(record(&EndpointId::parse("self::other").unwrap(), "x"))).await.unwrap();
    peer.send(Message::Ping(Bytes::from_static(b"p"))).await.unwrap();
    assert_eq!(next(&mut peer).await, Message::Pong(Bytes::from_static(b"p")), "TP-469 7.7");
    assert_eq!(world.heard(2).await.len(), 2);
    world.stop.cancel();
    let Message::Binary(goodbye) = next(&mut peer).await else { panic!("no goodbye") };
    assert!(matches!(Record::decode(goodbye).unwrap().payload, Payload::Disconnect { .. }));
}

#[tokio::test]
async fn r_ws_12a_a_visitor_without_the_protocol_an_agent_or_a_name_is_turned_away() {
    let world = World::new().await;
    for (target, protocol, status) in [
        (TARGET, None, 400),
        (TARGET, Some("v2.usp"), 400),
        ("/usp/ops::00256D-HG%2520100-1", Some("v1.usp"), 400),
        ("/usp/os::00256D-9?eid=self::ctl", Some("v1.usp"), 404),
        ("/other?eid=self::ctl", Some("v1.usp"), 404),
    ] {
        assert_eq!(world.visit(target, protocol).await.err(), Some(status), "{target}");
    }
}

#[tokio::test]
async fn tp469_7_2_the_newer_session_of_a_controller_ends_the_older() {
    let world = World::new().await;
    let mut older = world.up().await;
    let mut newer = world.up().await;
    let Message::Binary(goodbye) = next(&mut older).await else { panic!("no goodbye") };
    assert!(matches!(Record::decode(goodbye).unwrap().payload, Payload::Disconnect { .. }));
    assert!(matches!(next(&mut older).await, Message::Close(_)));
    world.listener.send(&agent(), &controller(), record(&controller(), "a")).unwrap();
    assert_eq!(next(&mut newer).await, Message::Binary(record(&controller(), "a")));
}

#[tokio::test]
async fn tp469_7_4_7_6_a_close_is_answered_and_what_is_no_record_ends_the_session_with_1003() {
    let world = World::new().await;
    let mut peer = world.up().await;
    peer.send(Message::Binary(Bytes::from_static(b"\xff\xff"))).await.unwrap();
    let Message::Close(Some(frame)) = next(&mut peer).await else { panic!("no Close") };
    assert_eq!(frame.code, CloseCode::Unsupported);
    let mut peer = world.up().await;
    peer.close(None).await.unwrap();
    assert!(matches!(next(&mut peer).await, Message::Close(_)));
    let gone = async {
        while world.listener.send(&agent(), &controller(), Bytes::new()).is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("the session stays");
}
