//! A controller of which nothing is ours: USP by `rusp-lib`, MQTT by `rumqttc`'s own client.

use std::time::Duration;

use dragoman::sim::acs::{Acs, AcsConfig};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, PublishProperties};
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};
use rusp_lib::usp::Body;
use rusp_lib::usp_builder::{
    AddBuilder, CreateObjectBuilder, GetBuilder, GetInstancesBuilder, GetSupportedDMBuilder,
    GetSupportedProtocolBuilder, MsgBuilder, NotifyRespBuilder, RecordBuilder, SetBuilder,
    UpdateObjectBuilder,
};
use rusp_lib::usp_decoder::{try_decode_msg, try_decode_record};

use super::gateway::{CONTROLLER, Setup, acs_and_mqtt};
use super::mosquitto::Mosquitto;
use super::usp::{PATIENCE, SSID, fleet};

/// Somebody else's controller.
struct Foreign {
    client: AsyncClient,
    events: EventLoop,
    agent: String,
    topic: String,
    next: u32,
}

impl Foreign {
    async fn connect(port: u16) -> Self {
        let mut options = MqttOptions::new("foreign", "127.0.0.1", port);
        options.set_keep_alive(Duration::from_secs(30));
        let (client, events) = AsyncClient::new(options, 10);
        client.subscribe("usp/controller/test", QoS::AtLeastOnce).await.unwrap();
        Self { client, events, agent: String::new(), topic: String::new(), next: 0 }
    }

    /// The next message of an agent's: its id and body, as the foreign decoder reads them.
    async fn receive(&mut self) -> (String, serde_json::Value) {
        loop {
            let event = tokio::time::timeout(PATIENCE, self.events.poll()).await.expect("nothing came");
            let Ok(Event::Incoming(Packet::Publish(publish))) = event else { continue };
            let properties = publish.properties.expect("no properties");
            assert_eq!(properties.content_type.as_deref(), Some("usp.msg"), "R-MQTT.27");
            let record = try_decode_record(&publish.payload).expect("not a record to others");
            assert_eq!(record.to_id, CONTROLLER);
            self.agent = record.from_id.to_string();
            self.topic = properties.response_topic.expect("R-MQTT.23: no Response Topic");
            let payload = match &record.record_type {
                rusp_lib::usp_record::mod_Record::OneOfrecord_type::no_session_context(it) => {
                    it.payload.to_vec()
                }
                _ => continue,
            };
            let message = try_decode_msg(&payload).expect("not a message to others");
            message.check_validity().expect("a message that others call invalid");
            return (message.msg_id().to_owned(), serde_json::to_value(&message).unwrap());
        }
    }

    async fn send(&mut self, msg_id: &str, body: Body) {
        let message = MsgBuilder::new().with_msg_id(msg_id.to_owned()).with_body(body).build().unwrap();
        let record = RecordBuilder::new()
            .with_version("1.3".into())
            .with_to_id(self.agent.clone())
            .with_from_id(CONTROLLER.into())
            .with_no_session_context_payload(&message)
            .build()
            .unwrap();
        let bytes = record.to_vec().unwrap();
        let properties = PublishProperties {
            content_type: Some("usp.msg".into()),
            response_topic: Some("usp/controller/test".into()),
            ..PublishProperties::default()
        };
        let topic = self.topic.clone();
        self.client.publish_with_properties(topic, QoS::AtLeastOnce, false, bytes, properties).await.unwrap();
    }

    /// A request and its answer, as text.
    async fn ask(&mut self, body: Body) -> String {
        self.next += 1;
        let msg_id = format!("foreign-{}", self.next);
        self.send(&msg_id, body).await;
        loop {
            let (id, message) = self.receive().await;
            if id == msg_id {
                return message.to_string();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_of_which_nothing_is_ours_understands_and_drives_an_agent() {
    let broker = Mosquitto::start();
    let acs = Acs::start(AcsConfig::default()).await.unwrap();
    let setup = Setup::new(0, &acs_and_mqtt(&acs.url(), broker.port, ""));
    let gateway = setup.start();
    let mut foreign = Foreign::connect(broker.port).await;
    let fleet = fleet(&gateway, 1).await;
    let (msg_id, onboard) = foreign.receive().await;
    assert!(onboard.to_string().contains("SimGateway"), "{onboard}");
    foreign.send(&msg_id, NotifyRespBuilder::new(String::new()).build().unwrap()).await;

    let get = GetBuilder::new().with_params(vec![SSID.into()]).build().unwrap();
    let answer = foreign.ask(get).await;
    assert!(answer.contains("Home"), "{answer}");
    let object = UpdateObjectBuilder::new("Device.WiFi.SSID.1.".into()).with_param_settings(vec![(
        "SSID".into(),
        "foreign".into(),
        true,
    )]);
    let answer = foreign.ask(SetBuilder::new().with_update_objs(vec![object]).build().unwrap()).await;
    assert!(answer.contains("foreign"), "{answer}");
    assert_eq!(fleet.value(0, SSID).as_deref(), Some("foreign"));
    let object = CreateObjectBuilder::new("Device.NAT.PortMapping.".into()).with_param_settings(vec![(
        "ExternalPort".into(),
        "4711".into(),
        true,
    )]);
    let answer = foreign.ask(AddBuilder::new().with_create_objs(vec![object]).build().unwrap()).await;
    assert!(answer.contains("Device.NAT.PortMapping."), "{answer}");
    let instances = GetInstancesBuilder::new().with_obj_paths(vec!["Device.WiFi.SSID.".into()]);
    let answer = foreign.ask(instances.build().unwrap()).await;
    assert!(answer.contains("Device.WiFi.SSID.2."), "{answer}");
    let supported = GetSupportedDMBuilder::new().with_return_params(true);
    let supported = supported.with_obj_paths(vec!["Device.WiFi.".into()]).build().unwrap();
    let answer = foreign.ask(supported).await;
    assert!(answer.contains("Device.WiFi.SSID.{i}."), "{answer}");
    let protocol = GetSupportedProtocolBuilder::new("1.3".into()).build().unwrap();
    let answer = foreign.ask(protocol).await;
    assert!(answer.contains("1.4"), "{answer}");
    let wrong = GetBuilder::new().with_params(vec!["Device.Nope.".into()]).build().unwrap();
    let answer = foreign.ask(wrong).await;
    assert!(answer.contains("7026"), "{answer}");
    fleet.stop().await;
    acs.stop().await;
}
