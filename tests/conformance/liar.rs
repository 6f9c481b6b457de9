//! Checks must fail where an agent is wrong: an agent that answers Gets with nothing, supports hardly
//! anything, and deletes what it is told to without saying so. It reports bulk data, but does not say in
//! which format, and after a failure it does not try again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dragoman::conformance::{self, Mtp, Number, Outcome, Setup, SetupConfig, Tap};
use dragoman::identity::EndpointId;
use dragoman::net::{HttpClient, HttpLimits, HttpRequest, HttpUrl};
use dragoman::sim::controller::{Controller, ControllerConfig, ControllerMtp};
use dragoman::usp::message::{
    self, AddResp, DeleteResp, GetResp, GetSupportedDmResp, Message, MessageBody, Request, Response, SetResp,
    add_resp, get_resp, get_supported_dm_resp, set_resp,
};
use dragoman::usp::record::{Payload, Record};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

pub const AGENT: &str = "os::00256D-LIAR";
pub const CONTROLLER: &str = "self::liar-controller";

/// Connects to a controller, and says to each record what it has to say until the connection ends.
pub async fn agent(at: SocketAddr, speak: impl FnMut(Record) -> Vec<Record>) {
    let mut request = format!("ws://{at}/usp?eid={AGENT}").into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "v1.usp".parse().unwrap());
    let stream = TcpStream::connect(at).await.unwrap();
    let (socket, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
    converse(socket, speak).await;
}

pub async fn converse(mut socket: WebSocketStream<TcpStream>, mut speak: impl FnMut(Record) -> Vec<Record>) {
    while let Some(Ok(message)) = socket.next().await {
        let tungstenite::Message::Binary(bytes) = message else { continue };
        for record in speak(Record::decode(bytes).unwrap()) {
            socket.send(tungstenite::Message::Binary(record.encode())).await.unwrap();
        }
    }
}

/// Whatever is said of who sends a record, it is believed.
pub fn plainly(mut answer: impl FnMut(&Request) -> Option<Response>) -> impl FnMut(Record) -> Vec<Record> {
    move |record| {
        let Payload::NoSession(payload) = record.payload else { return Vec::new() };
        reply(&record.from_id, payload, &mut answer).into_iter().collect()
    }
}

/// The record with the answer to a message.
pub fn reply(
    from: &str,
    message: Bytes,
    answer: &mut impl FnMut(&Request) -> Option<Response>,
) -> Option<Record> {
    let Ok(Message { msg_id, body: MessageBody::Request(request) }) = Message::decode(message) else {
        return None;
    };
    let response = Message::response(msg_id, answer(&request)?).encode();
    let [me, controller] = [AGENT, from].map(|it| EndpointId::parse(it).unwrap());
    Some(Record::plain(&me, &controller, response))
}

/// Objects with these parameters, commands and events; all can be written, and rows be added to all tables.
pub fn supported(known: &[(&str, &[&str])]) -> GetSupportedDmResp {
    use get_supported_dm_resp as resp;
    let objects = known.iter().map(|(path, params)| resp::SupportedObjectResult {
        supported_obj_path: (*path).into(),
        is_multi_instance: path.ends_with("{i}."),
        access: resp::ObjAccessType::ObjAddDelete.into(),
        supported_params: params
            .iter()
            .map(|name| resp::SupportedParamResult {
                param_name: (*name).into(),
                access: resp::ParamAccessType::ParamReadWrite.into(),
                ..<_>::default()
            })
            .collect(),
        ..<_>::default()
    });
    let result = resp::RequestedObjectResult {
        req_obj_path: "Device.".into(),
        supported_objs: objects.collect(),
        ..<_>::default()
    };
    GetSupportedDmResp { req_obj_results: vec![result] }
}

const PROFILE: &str = "Device.BulkData.Profile.1.";

/// What a Get of bulk data tells.
fn told(path: &str) -> &'static [(&'static str, &'static str)] {
    match path {
        "Device.BulkData.Protocols" => &[("Protocols", "HTTP")],
        "Device.BulkData.EncodingTypes" => &[("EncodingTypes", "JSON")],
        "Device.BulkData.Enable" => &[("Enable", "false")],
        "Device.BulkData.Profile.1.JSONEncoding." => &[("ReportFormat", "NameValuePair")],
        _ => &[],
    }
}

fn get(path: &str) -> GetResp {
    let params = told(path).iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let object = get_resp::ResolvedPathResult {
        resolved_path: format!("{}.", path.rsplit_once('.').unwrap().0),
        result_params: params,
    };
    let result = get_resp::RequestedPathResult {
        requested_path: path.to_owned(),
        resolved_path_results: vec![object],
        ..<_>::default()
    };
    GetResp { req_path_results: vec![result] }
}

/// Adds whatever is wanted; a profile's URL gets reports from then on.
pub fn add(request: &message::Add) -> AddResp {
    use add_resp::created_object_result::{OperationStatus, operation_status as status};
    let created = request.create_objs.iter().map(|object| {
        let url = object.param_settings.iter().find(|setting| setting.param == "HTTP.URL");
        if let Some(url) = url {
            tokio::spawn(report(url.value.clone()));
        }
        let path = if object.obj_path.ends_with("Profile.") {
            PROFILE.to_owned()
        } else {
            format!("{}1.", object.obj_path)
        };
        let success = status::OperationSuccess { instantiated_path: path, ..<_>::default() };
        let status = OperationStatus { oper_status: Some(status::OperStatus::OperSuccess(success)) };
        add_resp::CreatedObjectResult { requested_path: object.obj_path.clone(), oper_status: Some(status) }
    });
    AddResp { created_obj_results: created.collect() }
}

/// Does as if all of it were set.
pub fn set(request: &message::Set) -> SetResp {
    use set_resp::updated_object_result::{OperationStatus, operation_status as status};
    let updated = request.update_objs.iter().map(|object| {
        let success = status::OperationSuccess { updated_inst_results: Vec::new() };
        let status = OperationStatus { oper_status: Some(status::OperStatus::OperSuccess(success)) };
        set_resp::UpdatedObjectResult { requested_path: object.obj_path.clone(), oper_status: Some(status) }
    });
    SetResp { updated_obj_results: updated.collect() }
}

/// Sends one report after a while, without a word of its format.
async fn report(url: String) {
    tokio::time::sleep(Duration::from_millis(300)).await;
    let url = HttpUrl::parse(&url).unwrap();
    let patience = Duration::from_secs(5);
    let limits = HttpLimits { connect: patience, answer: patience, body: 1 << 10 };
    let mut client = HttpClient::connect(&url, None, limits).await.unwrap();
    let headers = vec![("Content-Type".to_owned(), "application/json; charset=UTF-8".to_owned())].into();
    let body = r#"{"Report":[{"CollectionTime":1,"UpTime":2}]}"#.into();
    let request =
        HttpRequest { method: "POST", target: format!("{}?eid={AGENT}", url.target), headers, body };
    // The check may be over.
    let _ = client.send(request).await;
}

fn answer(request: &Request) -> Option<Response> {
    Some(match request {
        Request::Get(get_) if get_.param_paths.iter().any(|path| path.starts_with("Device.BulkData.")) => {
            Response::GetResp(get(&get_.param_paths[0]))
        }
        Request::Get(_) => Response::GetResp(GetResp::default()),
        Request::Add(request) => Response::AddResp(add(request)),
        Request::Set(request) => Response::SetResp(set(request)),
        Request::Delete(_) => Response::DeleteResp(DeleteResp::default()),
        Request::GetSupportedDm(wanted) => {
            let mut told = supported(&[
                ("Device.LocalAgent.", &[]),
                ("Device.BulkData.Profile.{i}.", &["Enable"]),
                ("Device.BulkData.Profile.{i}.HTTP.", &["URL"]),
            ]);
            if !wanted.return_params {
                let objects = told.req_obj_results.iter_mut().flat_map(|result| &mut result.supported_objs);
                objects.for_each(|object| object.supported_params.clear());
            }
            Response::GetSupportedDmResp(told)
        }
        _ => return None,
    })
}

/// A controller, the agent that has come to it, and what checks are given.
pub async fn meet(
    speak: impl FnMut(Record) -> Vec<Record> + Send + 'static,
    tap: Option<Tap>,
) -> (Controller, JoinHandle<()>, SetupConfig) {
    let mtp = ControllerMtp::WebSocketServer {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        path: "/usp".into(),
        tls: None,
    };
    let endpoint_id = EndpointId::parse(CONTROLLER).unwrap();
    let controller =
        Controller::start(ControllerConfig { endpoint_id: endpoint_id.clone(), mtp }).await.unwrap();
    let lying = tokio::spawn(agent(controller.address().unwrap(), speak));
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
        tap,
        secure_tap: None,
        agent_host: None,
        agent_tls: None,
        patience: Duration::from_millis(500),
        quiet: Duration::from_millis(100),
        may_clear: true,
        may_reboot: true,
        slow: false,
        secrets: None,
        firmware: None,
        collector: None,
        secure_collector: None,
    };
    (controller, lying, config)
}

#[tokio::test]
async fn an_agent_that_is_wrong_fails_and_one_that_lacks_something_is_told_so() {
    let (controller, lying, config) = meet(plainly(answer), None).await;
    let collector = super::world::collector(None).await;
    let config = SetupConfig { collector: Some(collector.clone()), ..config };
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
    for (number, wanted) in [
        (Number(10, 1), "there is no header BBF-Report-Format (R-BULK.8)"),
        (Number(10, 7), "no report came to"),
    ] {
        let finished = conformance::run(conformance::find(number).unwrap(), &setup).await;
        let Outcome::Fail { why, exchange } = finished.outcome else { panic!("{:?}", finished.outcome) };
        assert!(why.contains(wanted), "{number}: {why}");
        assert!(
            exchange.contains("Delivery") && exchange.contains("UpTime"),
            "the report is not shown: {exchange}"
        );
    }
    collector.stop();
    controller.stop().await;
    lying.await.unwrap();
}
