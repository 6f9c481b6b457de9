//! Checks must fail where an agent is wrong: an agent that answers every Get with nothing, supports hardly
//! anything, and deletes what it is told to without saying so.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dragoman::conformance::{self, Mtp, Number, Outcome, Setup, SetupConfig};
use dragoman::identity::EndpointId;
use dragoman::sim::controller::{Controller, ControllerConfig, ControllerMtp};
use dragoman::usp::message::{
    DeleteResp, GetResp, GetSupportedDmResp, Message, MessageBody, Request, Response, get_supported_dm_resp,
};
use dragoman::usp::record::{Payload, Record};
use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

const AGENT: &str = "os::00256D-LIAR";

/// Connects to a controller and answers until the connection ends.
async fn agent(at: SocketAddr) {
    let mut request = format!("ws://{at}/usp?eid={AGENT}").into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "v1.usp".parse().unwrap());
    let stream = tokio::net::TcpStream::connect(at).await.unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
    let me = EndpointId::parse(AGENT).unwrap();
    while let Some(Ok(message)) = socket.next().await {
        let tungstenite::Message::Binary(bytes) = message else { continue };
        let record = Record::decode(bytes).unwrap();
        let Payload::NoSession(payload) = record.payload else { continue };
        let Ok(Message { msg_id, body: MessageBody::Request(request) }) = Message::decode(payload) else {
            continue;
        };
        let Some(response) = answer(&request) else { continue };
        let controller = EndpointId::parse(&record.from_id).unwrap();
        let answer = Record::plain(&me, &controller, Message::response(msg_id, response).encode());
        socket.send(tungstenite::Message::Binary(answer.encode())).await.unwrap();
    }
}

fn answer(request: &Request) -> Option<Response> {
    Some(match request {
        Request::Get(_) => Response::GetResp(GetResp::default()),
        Request::Delete(_) => Response::DeleteResp(DeleteResp::default()),
        Request::GetSupportedDm(_) => {
            let object = get_supported_dm_resp::SupportedObjectResult {
                supported_obj_path: "Device.LocalAgent.".into(),
                ..<_>::default()
            };
            let result = get_supported_dm_resp::RequestedObjectResult {
                req_obj_path: "Device.".into(),
                supported_objs: vec![object],
                ..<_>::default()
            };
            Response::GetSupportedDmResp(GetSupportedDmResp { req_obj_results: vec![result] })
        }
        _ => return None,
    })
}

#[tokio::test]
async fn an_agent_that_is_wrong_fails_and_one_that_lacks_something_is_told_so() {
    let mtp = ControllerMtp::WebSocketServer {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        path: "/usp".into(),
        tls: None,
    };
    let endpoint_id = EndpointId::parse("self::liar-controller").unwrap();
    let controller =
        Controller::start(ControllerConfig { endpoint_id: endpoint_id.clone(), mtp }).await.unwrap();
    let lying = tokio::spawn(agent(controller.address().unwrap()));
    let agent = EndpointId::parse(AGENT).unwrap();
    while !controller.agents().contains(&agent) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let config = SetupConfig {
        controller: controller.clone(),
        endpoint_id,
        second: None,
        agent,
        mtp: Mtp::WebSocket,
        patience: Duration::from_millis(500),
        quiet: Duration::from_millis(100),
        may_clear: true,
        may_reboot: true,
        slow: false,
        secrets: None,
    };
    let setup = Arc::new(Setup::learn(config).await.unwrap());
    let mut outcomes = Vec::new();
    for number in [Number(1, 1), Number(1, 26), Number(1, 36), Number(1, 59), Number(1, 97), Number(11, 12)] {
        let check = conformance::find(number).unwrap();
        outcomes.push(conformance::run(check, &setup).await.outcome);
    }
    let told: Vec<&str> = outcomes.iter().map(Outcome::name).collect();
    assert_eq!(
        told,
        ["fail", "fail", "fail", "not applicable", "not applicable", "not applicable"],
        "{outcomes:?}"
    );
    let Outcome::Fail { why, exchange } = &outcomes[2] else { panic!() };
    assert_eq!(why, "there are 0 of RequestedPathResult, not one");
    assert!(
        exchange.contains("\"Device.LocalAgent.EndpointID\"") && exchange.contains("GetResp"),
        "{exchange}"
    );
    controller.stop().await;
    lying.await.unwrap();
}
