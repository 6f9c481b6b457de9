//! A controller's WebSocket server against scripted agents over the loopback.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message as Frame};

use crate::identity::EndpointId;
use crate::net::Stream;
use crate::usp::message::{GetResp, Message, Response};
use crate::usp::record::{Payload, Record};

use super::{Controller, ControllerConfig, ControllerMtp, RequestError, requests};

const PATIENCE: Duration = Duration::from_secs(5);

type Socket = WebSocketStream<Stream>;

fn me() -> EndpointId {
    EndpointId::parse("self::controller").unwrap()
}

fn agent_id() -> EndpointId {
    EndpointId::parse("os::00256D-S1").unwrap()
}

async fn controller() -> (Controller, SocketAddr) {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let mtp = ControllerMtp::WebSocketServer { listen, path: "/usp".into(), tls: None };
    let controller = Controller::start(ControllerConfig { endpoint_id: me(), mtp }).await.unwrap();
    let address = controller.address().unwrap();
    (controller, address)
}

async fn connect(address: SocketAddr, target: &str, protocol: &'static str) -> Result<Socket, Error> {
    let stream = Stream::connect("127.0.0.1", address.port(), None, PATIENCE).await.unwrap();
    let mut request = format!("ws://{address}{target}").into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(protocol));
    tokio_tungstenite::client_async(request, stream).await.map(|(socket, _)| socket)
}

async fn agent(address: SocketAddr) -> Socket {
    connect(address, &format!("/usp?eid={}", agent_id()), "v1.usp").await.unwrap()
}

async fn next(socket: &mut Socket) -> Frame {
    tokio::time::timeout(PATIENCE, socket.next()).await.expect("the controller is silent").unwrap().unwrap()
}

/// Answers the next request with an empty GetResp.
async fn answer(socket: &mut Socket) {
    let Frame::Binary(record) = next(socket).await else { panic!("no record") };
    let Payload::NoSession(message) = Record::decode(record).unwrap().payload else { panic!("no message") };
    let request = Message::decode(message).unwrap();
    let message = Message::response(request.msg_id, Response::GetResp(GetResp::default()));
    let record = Record::plain(&agent_id(), &me(), message.encode()).encode();
    socket.send(Frame::Binary(record)).await.unwrap();
}

async fn ask(controller: &Controller) -> Result<Response, RequestError> {
    controller.request(&agent_id(), requests::get(&["Device."], 1), PATIENCE).await
}

#[tokio::test]
async fn an_agent_is_reached_over_its_newest_connection_and_not_after_its_last() {
    let (controller, address) = controller().await;
    assert_eq!(ask(&controller).await, Err(RequestError::NotConnected));
    let mut old = agent(address).await;
    let (result, ()) = tokio::join!(ask(&controller), answer(&mut old));
    assert!(result.is_ok(), "{result:?}");
    let mut new = agent(address).await;
    // The old one's end must not take the new one along.
    old.close(None).await.unwrap();
    while let Some(Ok(_)) = old.next().await {}
    let (result, ()) = tokio::join!(ask(&controller), answer(&mut new));
    assert!(result.is_ok(), "{result:?}");
    new.close(None).await.unwrap();
    let gone = async {
        let get = || requests::get(&["Device."], 1);
        let short = Duration::from_millis(20);
        while controller.request(&agent_id(), get(), short).await != Err(RequestError::NotConnected) {}
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("a closed connection stays the agent's way");
    assert_eq!(controller.agents(), [agent_id()]);
}

#[tokio::test]
async fn an_agent_without_a_query_is_known_by_its_first_record() {
    let (controller, address) = controller().await;
    let mut socket = connect(address, "/usp", "v1.usp").await.unwrap();
    let record = Record::of(&agent_id(), &me(), Payload::WebSocketConnect).encode();
    socket.send(Frame::Binary(record)).await.unwrap();
    let seen = async {
        while controller.agents().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, seen).await.unwrap();
    let (result, ()) = tokio::join!(ask(&controller), answer(&mut socket));
    assert!(result.is_ok(), "{result:?}");
}

#[tokio::test]
async fn other_paths_and_other_protocols_are_refused() {
    let (_controller, address) = controller().await;
    for (target, protocol, status) in [("/other", "v1.usp", 404), ("/usp", "chat", 400)] {
        match connect(address, target, protocol).await {
            Err(Error::Http(response)) => assert_eq!(response.status().as_u16(), status),
            other => panic!("{target} {protocol}: {:?}", other.map(|_| ())),
        }
    }
}

#[tokio::test]
async fn r_ws_16_what_is_no_record_closes_the_connection_with_1003() {
    let (_controller, address) = controller().await;
    for frame in [Frame::Text("hello".into()), Frame::Binary(vec![0xFF; 4].into())] {
        let mut socket = agent(address).await;
        socket.send(frame).await.unwrap();
        let Frame::Close(Some(close)) = next(&mut socket).await else { panic!("not closed") };
        assert_eq!(close.code, CloseCode::Unsupported);
    }
}

#[tokio::test]
async fn a_controller_that_stops_closes_its_connections() {
    let (controller, address) = controller().await;
    let mut socket = agent(address).await;
    let (frame, ()) = tokio::join!(next(&mut socket), controller.stop());
    assert!(matches!(frame, Frame::Close(Some(close)) if close.code == CloseCode::Away));
}
