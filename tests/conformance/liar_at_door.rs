//! The check of an agent's own WebSocket server must fail where the agent keeps two connections of one controller.

use std::sync::Arc;

use dragoman::conformance::{self, Number, Outcome, Setup, SetupConfig};
use dragoman::usp::message::{GetResp, Request, Response, get_resp};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::handshake::server;

use super::liar::{converse, meet, plainly, supported};

fn answer(port: u16, request: &Request) -> Option<Response> {
    Some(match request {
        Request::GetSupportedDm(_) => Response::GetSupportedDmResp(supported(&[(
            "Device.LocalAgent.MTP.{i}.WebSocket.",
            &["Port", "Path"],
        )])),
        Request::Get(get) => {
            let row = [("Protocol", "WebSocket"), ("Enable", "true"), ("WebSocket.Path", "usp")];
            let row = row.map(|(name, value)| (name.to_owned(), value.to_owned()));
            let object = get_resp::ResolvedPathResult {
                resolved_path: "Device.LocalAgent.MTP.1.".into(),
                result_params: row
                    .into_iter()
                    .chain([("WebSocket.Port".to_owned(), port.to_string())])
                    .collect(),
            };
            let result = get_resp::RequestedPathResult {
                requested_path: get.param_paths[0].clone(),
                resolved_path_results: vec![object],
                ..<_>::default()
            };
            Response::GetResp(GetResp { req_path_results: vec![result] })
        }
        _ => return None,
    })
}

/// Lets in who comes, and goes on with all of them.
async fn serve(listener: TcpListener, port: u16) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            #[expect(clippy::result_large_err, reason = "the library wants this type")]
            let welcome = |_: &server::Request, mut response: server::Response| {
                response.headers_mut().insert("sec-websocket-protocol", "v1.usp".parse().unwrap());
                Ok(response)
            };
            let socket = tokio_tungstenite::accept_hdr_async(stream, welcome).await.unwrap();
            converse(socket, plainly(move |request| answer(port, request))).await;
        });
    }
}

#[tokio::test]
async fn an_agent_that_keeps_two_connections_of_a_controller_fails() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(serve(listener, port));
    let (controller, lying, config) = meet(plainly(move |request| answer(port, request)), None).await;
    let config = SetupConfig { agent_host: Some("127.0.0.1".into()), ..config };
    let setup = Arc::new(Setup::learn(config).await.unwrap());
    let outcome = conformance::run(conformance::find(Number(7, 2)).unwrap(), &setup).await.outcome;
    let Outcome::Fail { why, .. } = &outcome else { panic!("{outcome:?}") };
    assert_eq!(why, "both connections live on");
    controller.stop().await;
    lying.await.unwrap();
    serving.abort();
}
