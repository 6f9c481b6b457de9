//! A controller against scripted agents over the loopback.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use crate::identity::EndpointId;
use crate::net::{Round, Stream};
use crate::sim::broker::{Broker, BrokerConfig};
use crate::sim::wire::Wire;
use crate::transport::mqtt::{Codec, Connect, Packet, Publish, Version};
use crate::usp::ErrorCode;
use crate::usp::message::{GetResp, Message, MessageBody, Notify, Request, Response, notify};
use crate::usp::record::{Payload, Record};

use super::{Controller, ControllerConfig, ControllerMtp, Disconnect, RequestError, requests};

const PATIENCE: Duration = Duration::from_secs(5);
const TOPIC: &str = "usp/controller/c";
const OWN_TOPIC: &str = "usp/elsewhere/a";

fn me() -> EndpointId {
    EndpointId::parse("self::controller").unwrap()
}

fn agent_id() -> EndpointId {
    EndpointId::parse("ops::00256D-HG%20100-S1").unwrap()
}

async fn broker() -> Broker {
    Broker::start(BrokerConfig::default()).await.unwrap()
}

fn mtp_at(broker: SocketAddr, version: Version) -> ControllerMtp {
    ControllerMtp::Mqtt {
        host: broker.ip().to_string(),
        port: broker.port(),
        version,
        topic: TOPIC.into(),
        login: None,
        agent_topic_prefix: "usp/agent".into(),
        tls: None,
    }
}

async fn controller(broker: &Broker, version: Version) -> Controller {
    let mtp = mtp_at(broker.address(), version);
    Controller::start(ControllerConfig { endpoint_id: me(), mtp }).await.unwrap()
}

fn onboard(send_resp: bool) -> Request {
    Request::Notify(Notify {
        subscription_id: "boot".into(),
        send_resp,
        notification: Some(notify::Notification::OnBoardReq(notify::OnBoardRequest::default())),
    })
}

fn record_of(message: Message) -> Bytes {
    Record::plain(&agent_id(), &me(), message.encode()).encode()
}

/// An agent that does what a test says, record by record.
struct Agent {
    wire: Wire,
    version: Version,
}

impl Agent {
    async fn at(broker: &Broker, version: Version, filter: &str) -> Self {
        let stream = Stream::connect("127.0.0.1", broker.address().port(), None, PATIENCE).await.unwrap();
        let mut agent = Self { wire: Wire::new(stream, Codec { version, max_packet: 1 << 20 }), version };
        let connect = Connect { client_id: "agent".into(), clean_start: true, ..Connect::default() };
        agent.wire.push(Packet::Connect(connect)).unwrap();
        agent.packet().await;
        agent.wire.push(Packet::Subscribe { id: 1, filters: vec![(filter.into(), 1)] }).unwrap();
        agent.packet().await;
        agent
    }

    async fn packet(&mut self) -> Packet {
        let hearing = async {
            loop {
                if let Some(packet) = self.wire.next().unwrap() {
                    return packet;
                }
                if let Round::Over(why) = self.wire.round().await {
                    panic!("{why}");
                }
            }
        };
        tokio::time::timeout(PATIENCE, hearing).await.expect("the broker is silent")
    }

    /// Sends a record; answers shall go to `own`, if it is given.
    async fn send(&mut self, record: Bytes, own: Option<&str>) {
        let mut publish = Publish { topic: TOPIC.into(), payload: record, ..Publish::default() };
        match (self.version, own) {
            (Version::V5, own) => publish.properties.response_topic = own.map(str::to_owned),
            (Version::V311, Some(own)) => {
                publish.topic = format!("{TOPIC}/reply-to={}", own.replace('/', "%2F"));
            }
            (Version::V311, None) => {}
        }
        self.wire.push(Packet::Publish(publish)).unwrap();
        self.flush().await;
    }

    async fn flush(&mut self) {
        while self.wire.backlog() > 0 {
            self.wire.round().await;
        }
    }

    /// The next message for the agent, with the packet it came in.
    async fn message(&mut self) -> (Message, Publish) {
        let Packet::Publish(publish) = self.packet().await else { panic!("no message") };
        self.wire.push(Packet::PubAck { id: publish.packet_id, refused: None }).unwrap();
        let record = Record::decode(publish.payload.clone()).unwrap();
        assert_eq!((record.from_id.as_str(), record.to_id.as_str()), (me().as_str(), agent_id().as_str()));
        let Payload::NoSession(message) = record.payload else { panic!("{record:?}") };
        (Message::decode(message).unwrap(), publish)
    }

    /// Answers the next request.
    async fn answer(&mut self, body: MessageBody) -> Publish {
        let (request, publish) = self.message().await;
        assert!(matches!(request.body, MessageBody::Request(_)));
        self.send(record_of(Message { msg_id: request.msg_id, body }), None).await;
        publish
    }
}

async fn until(mut wanted: impl FnMut() -> bool) {
    let waiting = async {
        while !wanted() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it did not come to that");
}

fn got() -> Response {
    Response::GetResp(GetResp::default())
}

#[tokio::test]
async fn r_mqtt_24_r_mqtt_27_a_request_says_where_its_answer_goes() {
    let broker = broker().await;
    for (version, filter) in [(Version::V5, ""), (Version::V311, "/+")] {
        let controller = controller(&broker, version).await;
        let topic = format!("usp/agent/{}{filter}", agent_id());
        let mut agent = Agent::at(&broker, version, &topic).await;
        let id = agent_id();
        let asking = controller.request(&id, requests::get(&["Device."], 1), PATIENCE);
        let (result, publish) = tokio::join!(asking, agent.answer(MessageBody::Response(got())));
        assert_eq!(result, Ok(got()));
        assert_eq!(controller.agents(), [id]);
        match version {
            Version::V5 => {
                assert_eq!(publish.properties.content_type.as_deref(), Some("usp.msg"));
                assert_eq!(publish.properties.response_topic.as_deref(), Some(TOPIC));
            }
            Version::V311 => assert!(publish.topic.ends_with("/reply-to=usp%2Fcontroller%2Fc")),
        }
        controller.stop().await;
    }
}

#[tokio::test]
async fn r_mqtt_25_r_mqtt_26_requests_go_where_the_agent_wants_them() {
    let broker = broker().await;
    for (version, filter) in [(Version::V5, OWN_TOPIC.to_owned()), (Version::V311, format!("{OWN_TOPIC}/+"))]
    {
        let controller = controller(&broker, version).await;
        let mut agent = Agent::at(&broker, version, &filter).await;
        agent.send(record_of(Message::request("n1", onboard(false))), Some(OWN_TOPIC)).await;
        assert!(controller.wait_for_agents(1, PATIENCE).await);
        let id = agent_id();
        let asking = controller.request(&id, requests::get(&["Device."], 1), PATIENCE);
        let (result, _) = tokio::join!(asking, agent.answer(MessageBody::Response(got())));
        assert_eq!(result, Ok(got()));
        controller.stop().await;
    }
}

#[tokio::test]
async fn a_connect_record_tells_where_its_agent_is() {
    let broker = broker().await;
    let controller = controller(&broker, Version::V5).await;
    let mut agent = Agent::at(&broker, Version::V5, OWN_TOPIC).await;
    let payload = Payload::MqttConnect { v5: true, subscribed_topic: OWN_TOPIC.into() };
    agent.send(Record::of(&agent_id(), &me(), payload).encode(), None).await;
    until(|| !controller.agents().is_empty()).await;
    let id = agent_id();
    let asking = controller.request(&id, requests::get(&["Device."], 1), PATIENCE);
    let (result, _) = tokio::join!(asking, agent.answer(MessageBody::Response(got())));
    assert_eq!(result, Ok(got()));
}

#[tokio::test]
async fn an_error_message_is_the_result_of_its_request() {
    let broker = broker().await;
    let controller = controller(&broker, Version::V5).await;
    let mut agent = Agent::at(&broker, Version::V5, "usp/agent/+").await;
    let error = Message::error("", ErrorCode::REQUEST_DENIED, "not today").body;
    let id = agent_id();
    let asking = controller.request(&id, requests::get(&["Device."], 1), PATIENCE);
    let (result, _) = tokio::join!(asking, agent.answer(error));
    let text = result.unwrap_err().to_string();
    assert_eq!(text, "the agent answers with error 7002 Request denied (no reason specified): not today");
}

#[tokio::test]
async fn nobody_but_the_agent_that_was_asked_can_answer() {
    let broker = broker().await;
    let controller = controller(&broker, Version::V5).await;
    let mut agent = Agent::at(&broker, Version::V5, "usp/agent/+").await;
    let asked = agent_id();
    let asking = controller.request(&asked, requests::get(&["Device."], 1), Duration::from_millis(300));
    let (result, ()) = tokio::join!(asking, async {
        let (request, _) = agent.message().await;
        let message = Message::response(request.msg_id, got()).encode();
        let other = EndpointId::parse("os::00256D-S2").unwrap();
        agent.send(Record::plain(&other, &me(), message).encode(), None).await;
    });
    assert_eq!(result, Err(RequestError::Timeout(Duration::from_millis(300))));
}

#[tokio::test]
async fn notifications_are_handed_out_and_answered_only_when_asked_and_switched_on() {
    let broker = broker().await;
    let controller = controller(&broker, Version::V5).await;
    let mut seen = controller.notifications();
    let mut agent = Agent::at(&broker, Version::V5, OWN_TOPIC).await;
    agent.send(record_of(Message::request("n1", onboard(false))), Some(OWN_TOPIC)).await;
    assert_eq!(seen.recv().await.unwrap().msg_id, "n1");
    controller.answer_notify(false);
    agent.send(record_of(Message::request("n2", onboard(true))), Some(OWN_TOPIC)).await;
    assert_eq!(seen.recv().await.unwrap().msg_id, "n2");
    controller.answer_notify(true);
    agent.send(record_of(Message::request("n3", onboard(true))), Some(OWN_TOPIC)).await;
    let notification = seen.recv().await.unwrap();
    assert_eq!((notification.agent, notification.msg_id.as_str()), (agent_id(), "n3"));
    // The first answer is to the third.
    let (answer, _) = agent.message().await;
    assert_eq!(answer.msg_id, "n3");
    assert!(
        matches!(answer.body, MessageBody::Response(Response::NotifyResp(it)) if it.subscription_id == "boot")
    );
    assert!(!controller.wait_for_agents(2, Duration::ZERO).await, "one agent counted twice");
}

#[tokio::test]
async fn requests_of_an_agent_are_refused_and_its_disconnect_is_kept() {
    let broker = broker().await;
    let controller = controller(&broker, Version::V5).await;
    let mut agent = Agent::at(&broker, Version::V5, OWN_TOPIC).await;
    agent.send(record_of(Message::request("r1", requests::get(&["Device."], 0))), Some(OWN_TOPIC)).await;
    let (answer, _) = agent.message().await;
    assert!(matches!(answer.body, MessageBody::Error(it) if it.err_code == 7001));
    let payload = Payload::Disconnect { reason: "bye".into(), reason_code: 7100 };
    agent.send(Record::of(&agent_id(), &me(), payload).encode(), None).await;
    let wanted = Disconnect { reason: "bye".into(), reason_code: 7100 };
    until(|| controller.disconnect_of(&agent_id()).as_ref() == Some(&wanted)).await;
}

#[tokio::test]
async fn the_controller_comes_back_when_its_broker_does() {
    let first = broker().await;
    let controller = controller(&first, Version::V5).await;
    let listen = first.address();
    first.stop().await;
    let second = loop {
        match Broker::start(BrokerConfig { listen }).await {
            Ok(broker) => break broker,
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    let mut agent = Agent::at(&second, Version::V5, "usp/agent/+").await;
    let id = agent_id();
    let asking = controller.request(&id, requests::get(&["Device."], 1), PATIENCE);
    let (result, _) = tokio::join!(asking, agent.answer(MessageBody::Response(got())));
    assert_eq!(result, Ok(got()));
}

#[tokio::test]
async fn a_controller_without_a_broker_does_not_start_and_one_that_stops_fails_its_requests() {
    let gone = broker().await;
    let running = controller(&gone, Version::V5).await;
    let id = agent_id();
    let asking = running.request(&id, requests::get(&["Device."], 1), PATIENCE);
    let (result, ()) = tokio::join!(asking, running.clone().stop());
    assert_eq!(result, Err(RequestError::Stopped));
    let mtp = mtp_at("127.0.0.1:1".parse().unwrap(), Version::V5);
    assert!(Controller::start(ControllerConfig { endpoint_id: me(), mtp }).await.is_err());
}
