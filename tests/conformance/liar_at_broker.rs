//! Checks at the tap must fail where an agent is wrong on the wire: one that takes every row it is given, and then
//! tells its broker neither who it is nor what it was configured for, hears nothing, and never waits.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use dragoman::conformance::{self, Number, Outcome, Setup, SetupConfig, Tap};
use dragoman::transport::mqtt::{Codec, Connect, Packet, Publish, Version};
use dragoman::transport::stomp::{self, Command, Frame};
use dragoman::usp::message::{DeleteResp, GetResp, OperateResp, Request, Response, delete_resp, get_resp};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::brokers;
use super::careless;
use super::liar::{self, CONTROLLER, meet, plainly};

/// What it claims to support; rows can be added to all tables.
const SUPPORTED: &[(&str, &[&str])] = &[
    (
        "Device.MQTT.Client.{i}.",
        &[
            "Enable",
            "BrokerPort",
            "ClientID",
            "KeepAliveTime",
            "ConnectRetryTime",
            "ConnectRetryIntervalMultiplier",
            "TransportProtocol",
        ],
    ),
    ("Device.MQTT.Client.{i}.Subscription.{i}.", &["Enable", "Topic", "QoS"]),
    (
        "Device.STOMP.Connection.{i}.",
        &[
            "Enable",
            "Port",
            "EnableHeartbeats",
            "EnableEncryption",
            "OutgoingHeartbeat",
            "IncomingHeartbeat",
            "ServerRetryInitialInterval",
            "ServerRetryIntervalMultiplier",
        ],
    ),
    ("Device.LocalAgent.MTP.{i}.", &["Enable", "Protocol"]),
    ("Device.LocalAgent.MTP.{i}.MQTT.", &["Reference"]),
    ("Device.LocalAgent.MTP.{i}.STOMP.", &["Reference", "Destination"]),
    ("Device.LocalAgent.Controller.{i}.", &["EndpointID", "Enable", "AssignedRole", "SendOnBoardRequest()"]),
    ("Device.LocalAgent.Controller.{i}.MTP.{i}.", &["Enable", "Protocol"]),
    ("Device.LocalAgent.Controller.{i}.MTP.{i}.MQTT.", &["Topic"]),
    ("Device.LocalAgent.Controller.{i}.MTP.{i}.STOMP.", &["Destination"]),
];

/// One answer to a path of a Get: what was configured, or what every check asks for.
fn value(known: &BTreeMap<String, String>, path: &str) -> get_resp::RequestedPathResult {
    let (object, name, value) = match path.rsplit_once('.') {
        Some(("Device.LocalAgent.Controller.*", _)) => {
            ("Device.LocalAgent.Controller.1.", "EndpointID", CONTROLLER.to_owned())
        }
        Some((_, name)) if name.ends_with("Multiplier") => ("", name, "2000".to_owned()),
        Some((_, name)) if name.contains("Retry") => ("", name, "3".to_owned()),
        _ => {
            let name = path.rsplit('.').next().unwrap_or("");
            ("", name, known.get(path).cloned().unwrap_or_default())
        }
    };
    let object = if object.is_empty() { path.strip_suffix(name).unwrap_or(path) } else { object };
    let resolved = get_resp::ResolvedPathResult {
        resolved_path: object.to_owned(),
        result_params: [(name.to_owned(), value)].into(),
    };
    get_resp::RequestedPathResult {
        requested_path: path.to_owned(),
        resolved_path_results: vec![resolved],
        ..<_>::default()
    }
}

/// What it was told, and the connection that it has.
#[derive(Default)]
struct Liar {
    known: BTreeMap<String, String>,
    client: Option<JoinHandle<()>>,
    /// It speaks with those at its broker, instead of saying all at once.
    careless: bool,
}

/// Answers as one that does what it is told. A connection begins when it is enabled, and ends with its row.
fn answer(liar: &mut Liar, request: &Request) -> Option<Response> {
    let Liar { known, client, careless } = liar;
    Some(match request {
        Request::GetSupportedDm(_) => Response::GetSupportedDmResp(liar::supported(SUPPORTED)),
        Request::Get(get) => Response::GetResp(GetResp {
            req_path_results: get.param_paths.iter().map(|path| value(known, path)).collect(),
        }),
        Request::Add(add) => {
            for object in &add.create_objs {
                let settings = object.param_settings.iter();
                known.extend(
                    settings.map(|it| (format!("{}1.{}", object.obj_path, it.param), it.value.clone())),
                );
            }
            Response::AddResp(liar::add(add))
        }
        Request::Set(set) => {
            for object in &set.update_objs {
                let enabled =
                    object.param_settings.iter().any(|it| it.param == "Enable" && it.value == "true");
                let port = |name: &str| known.get(&format!("{}{name}", object.obj_path))?.parse::<u16>().ok();
                let met = known.get("Device.LocalAgent.Controller.1.EndpointID").cloned().unwrap_or_default();
                *client = match (enabled, port("BrokerPort"), port("Port")) {
                    (true, Some(port), _) if *careless => {
                        Some(tokio::spawn(careless::at_mqtt_broker(port, met)))
                    }
                    (true, Some(port), _) => Some(tokio::spawn(at_mqtt_broker(port))),
                    (true, _, Some(port)) if *careless => {
                        Some(tokio::spawn(careless::at_stomp_broker(port, met)))
                    }
                    (true, _, Some(port)) => Some(tokio::spawn(at_stomp_broker(port))),
                    _ => client.take(),
                };
            }
            Response::SetResp(liar::set(set))
        }
        Request::Delete(delete) => {
            use delete_resp::deleted_object_result::{OperationStatus, operation_status as status};
            client.take().inspect(JoinHandle::abort);
            let deleted = delete.obj_paths.iter().map(|path| {
                let success =
                    status::OperationSuccess { affected_paths: vec![path.clone()], ..<_>::default() };
                delete_resp::DeletedObjectResult {
                    requested_path: path.clone(),
                    oper_status: Some(OperationStatus {
                        oper_status: Some(status::OperStatus::OperSuccess(success)),
                    }),
                }
            });
            Response::DeleteResp(DeleteResp { deleted_obj_results: deleted.collect() })
        }
        Request::Operate(operate) if operate.send_resp => Response::OperateResp(OperateResp::default()),
        _ => return None,
    })
}

/// Connects under another name each time, says everything at once, and comes again without a pause.
async fn at_mqtt_broker(port: u16) {
    let codec = Codec { version: Version::V5, max_packet: 1 << 16 };
    for time in 0..CONNECTIONS {
        let Ok(mut socket) = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).await else {
            return;
        };
        let mut said = BytesMut::new();
        for packet in [
            Packet::Connect(Connect { client_id: format!("liar-{time}"), ..Connect::default() }),
            Packet::Subscribe { id: 1, filters: vec![("somewhere/else".into(), 0)] },
            Packet::Publish(Publish { topic: "usp".into(), ..Publish::default() }),
        ] {
            codec.encode(packet, usize::MAX, &mut said).unwrap();
        }
        hear_nothing(&mut socket, &said).await;
    }
}

async fn at_stomp_broker(port: u16) {
    for _ in 0..CONNECTIONS {
        let Ok(mut socket) = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).await else {
            return;
        };
        let mut said = BytesMut::new();
        for frame in [
            Frame::new(Command::Connect).with("accept-version", "1.2").with("heart-beat", "0,0"),
            Frame::new(Command::Subscribe).with("id", "0").with("destination", "/queue/elsewhere"),
        ] {
            stomp::Codec::encode(&frame, &mut said);
        }
        hear_nothing(&mut socket, &said).await;
    }
}

/// Says it all, and listens without a word until the other side goes.
async fn hear_nothing(socket: &mut TcpStream, said: &[u8]) {
    let mut ignored = [0; 1_024];
    if socket.write_all(said).await.is_ok() {
        while socket.read(&mut ignored).await.is_ok_and(|read| read > 0) {}
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// What each check finds wrong, as its words begin.
const FOUND: &[(u16, u16, &str)] = &[
    (6, 1, "not supported is Device.LocalAgent.Controller.{i}.MTP.{i}.STOMP.Reference, Device.STOMP."),
    (6, 2, "the first frame is \"CONNECT\""),
    (6, 5, "the destination of the SUBSCRIBE is"),
    (6, 6, "the destination of the SUBSCRIBE is"),
    (6, 7, "the agent goes on with SUBSCRIBE"),
    (6, 8, "the heart-beat header is Some(\"0,0\")"),
    (6, 10, "the UNSUBSCRIBE did not come"),
    (11, 1, "not supported is Device.MQTT.ClientNumberOfEntries, Device.MQTT.Capabilities."),
    (11, 2, "the User Property usp-endpoint-id is None"),
    (11, 4, "the ClientID of the CONNECT is \"liar-0\""),
    (11, 5, "the ClientID of the next CONNECT is \"liar-1\""),
    (11, 6, "the second retry came after 0."),
    (11, 7, "the Keep Alive of the CONNECT is 0"),
    (11, 8, "the Request Response Information of the CONNECT"),
    (11, 9, "a SUBSCRIBE with \"usp/tap-new"),
    (11, 10, "the agent publishes without a subscription"),
    (11, 11, "the agent publishes without a subscription"),
    (11, 13, "a SUBSCRIBE with \"usp/tap-qos0"),
    (11, 14, "a message of the agent did not come"),
    (11, 16, "the agent came after 0."),
];

/// The same of one that comes once, takes part in what is said, and has each detail wrong.
const FOUND_CARELESS: &[(u16, u16, &str)] = &[
    (6, 3, "the agent did not come to"),
    (6, 4, "the content-type is None"),
    (6, 9, "the agent closed the connection in place of a message of the agent"),
    (6, 11, "the agent did not come to"),
    (6, 12, "the subscribed_destination is \"/queue/elsewhere\""),
    (9, 9, "a message of the agent did not come"),
    (11, 3, "the agent did not come to"),
    (11, 12, "the Response Topic is None"),
    (11, 15, "a message of the agent did not come"),
    (11, 17, "\"somewhere/else\" is not subscribed to"),
];

async fn is_found(careless: bool, found: &[(u16, u16, &str)]) {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let tap = Tap::bind(any, None).await.unwrap();
    let secure_tap = Tap::bind(any, Some(brokers::tls_server())).await.unwrap();
    let mut liar = Liar { careless, ..Liar::default() };
    let speak = plainly(move |request| answer(&mut liar, request));
    let (controller, lying, config) = meet(speak, Some(tap)).await;
    let config = SetupConfig { secure_tap: Some(secure_tap), ..config };
    let setup = Arc::new(Setup::learn(config).await.unwrap());
    let mut passed = Vec::new();
    for (section, place, found) in found {
        let number = Number(*section, *place);
        let outcome = conformance::run(conformance::find(number).unwrap(), &setup).await.outcome;
        match &outcome {
            // What came over no TLS is no connection, and what is supported is asked for at no broker.
            Outcome::Fail { why, exchange }
                if why.starts_with(found)
                    && (place < &2
                        || found.contains("did not come to")
                        || exchange.contains("the agent opens a connection")) => {}
            _ => passed.push(format!("{number}: {outcome:?}")),
        }
    }
    assert!(passed.is_empty(), "{}", passed.join("\n"));
    controller.stop().await;
    lying.await.unwrap();
}

#[tokio::test]
async fn an_agent_that_is_wrong_on_the_wire_fails_and_what_it_said_is_shown() {
    is_found(false, FOUND).await;
}

#[tokio::test]
async fn an_agent_that_is_careless_on_the_wire_fails() {
    is_found(true, FOUND_CARELESS).await;
}

/// Bound on how often it comes.
const CONNECTIONS: usize = 50;
