//! Agents that change between shared connections and their own, and what these count, at the sandbox's broker and at
//! one that does what it is told.

mod scripted;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::identity::EndpointId;
use crate::mtp::AgentSide;
use crate::observe::Metrics;
use crate::sim::broker::{Broker, BrokerConfig};
use crate::sim::controller::{Controller, ControllerConfig, ControllerMtp};
use crate::transport::mqtt::Version;
use crate::usp::Shown;

use super::{Crossing, Mqtt, MqttConfig, MqttLink, OwnNames, Sharing};

#[derive(Default)]
struct Side(Mutex<Vec<Bytes>>);

impl Side {
    /// How many records came for agents.
    fn heard(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

impl AgentSide for Side {
    fn record(&self, _: &EndpointId, record: Bytes, _: Shown) {
        self.0.lock().unwrap().push(record);
    }

    fn connected(&self, _: &EndpointId, _: &EndpointId) {}

    fn knows(&self, _: &EndpointId) -> bool {
        true
    }

    fn changed(&self, _: &EndpointId) {}
}

fn config(port: u16, controller: &EndpointId) -> MqttConfig {
    MqttConfig {
        host: "127.0.0.1".into(),
        port,
        tls: None,
        version: Version::V5,
        login: None,
        sharing: Sharing::Shared(1),
        client_id_prefix: String::new(),
        topic_prefix: "usp/agent".into(),
        controllers: vec![(controller.clone(), "usp/controller".into())],
        keep_alive: 60,
        retry_ms: (50, 50),
        retry_multiplier: 1_000,
        own: None,
    }
}

async fn until(what: &str, so: impl Fn() -> bool) {
    let waiting = async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect(what);
}

/// As a controller that has written to an agent's rows makes it: at the topic of the shared connection.
fn own(shared: &MqttConfig, agent: &EndpointId, crossing: Option<Crossing>) -> MqttConfig {
    let topic = format!("usp/agent/0/{agent}");
    let own = OwnNames {
        client_id: String::new(),
        clean: true,
        session_expiry: 0,
        filters: vec![(topic.clone(), 1)],
        reply_topic: topic,
        qos: 1,
        for_reports: false,
        crossing,
    };
    MqttConfig { sharing: Sharing::PerAgent, own: Some(own), ..shared.clone() }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_record_is_lost_or_comes_twice_while_an_agent_goes_to_its_own_connection_and_back() {
    let (agent, us) = (EndpointId::parse("os::00256D-1").unwrap(), EndpointId::parse("self::ctl").unwrap());
    let broker = Broker::start(BrokerConfig::default()).await.unwrap();
    let port = broker.address().port();
    let mtp = ControllerMtp::Mqtt {
        host: "127.0.0.1".into(),
        port,
        version: Version::V5,
        topic: "usp/controller".into(),
        login: None,
        agent_topic_prefix: "usp/agent/0".into(),
        tls: None,
    };
    let controller = Controller::start(ControllerConfig { endpoint_id: us.clone(), mtp }).await.unwrap();
    let (side, metrics, stop) =
        (Arc::new(Side::default()), Arc::new(Metrics::default()), CancellationToken::new());
    let shared = config(port, &us);
    let mqtt = Mqtt::start(shared.clone(), side.clone(), Arc::clone(&metrics), stop.clone());
    mqtt.attach(&agent);
    until("the shared connection is up", || mqtt.state(&agent).is_some_and(|it| it.is_up())).await;
    for round in 0..ROUNDS {
        // A controller that speaks all the while.
        let (speaker, to) = (controller.clone(), agent.clone());
        let speaking = tokio::spawn(async move {
            for said in 0..SAID {
                speaker.send_raw(&to, Bytes::from(format!("{round} {said}"))).await;
                tokio::time::sleep(Duration::from_micros(200)).await;
            }
        });
        let own = Arc::new(own(&shared, &agent, mqtt.crossing(&agent)));
        let link = MqttLink::start(&agent, own, side.clone(), Arc::clone(&metrics), &stop);
        until("the agent's own connection is up", || link.is_up()).await;
        mqtt.detach(&agent, "127.0.0.1", port, std::slice::from_ref(&us));
        tokio::time::sleep(Duration::from_millis(5)).await;
        mqtt.adopt(&agent, link);
        mqtt.attach(&agent);
        speaking.await.unwrap();
        until("no record is lost", || side.heard() >= (round + 1) * SAID).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(side.heard(), ROUNDS * SAID, "records came twice");
    stop.cancel();
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_counts_its_failures_and_begins_anew_at_another_broker() {
    let (agent, us) = (EndpointId::parse("os::00256D-1").unwrap(), EndpointId::parse("self::ctl").unwrap());
    let broker = Broker::start(BrokerConfig::default()).await.unwrap();
    let stop = CancellationToken::new();
    let (side, metrics) = (Arc::new(Side::default()), Arc::new(Metrics::default()));
    // Nobody listens on port 9.
    let nowhere = MqttConfig { sharing: Sharing::PerAgent, ..config(9, &us) };
    let link = MqttLink::start(&agent, Arc::new(nowhere.clone()), side.clone(), Arc::clone(&metrics), &stop);
    let traffic = || link.state().traffic.unwrap();
    until("failures are counted", || traffic().errors() >= 2).await;
    assert_eq!((traffic().sent(), traffic().received(), link.state().since), (0, 0, None));
    assert!(link.adapt(Arc::new(MqttConfig { port: broker.address().port(), ..nowhere })));
    until("it comes up elsewhere", || link.is_up()).await;
    // CONNECT, SUBSCRIBE and a Connect record; CONNACK, SUBACK and the PUBACK of the Connect record.
    until("all is counted", || (traffic().sent(), traffic().received()) == (3, 3)).await;
    assert_eq!(traffic().errors(), 0, "those of another broker");
    assert!(link.state().since.is_some());
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_on_a_shared_connection_show_what_it_carries() {
    let us = EndpointId::parse("self::ctl").unwrap();
    let agents = ["os::00256D-1", "os::00256D-2"].map(|agent| EndpointId::parse(agent).unwrap());
    let broker = Broker::start(BrokerConfig::default()).await.unwrap();
    let stop = CancellationToken::new();
    let (side, metrics) = (Arc::new(Side::default()), Arc::new(Metrics::default()));
    let mqtt = Mqtt::start(config(broker.address().port(), &us), side, metrics, stop.clone());
    agents.iter().for_each(|agent| mqtt.attach(agent));
    let sent = |agent| mqtt.state(agent).and_then(|state| state.traffic).map_or(0, |it| it.sent());
    // CONNECT, SUBSCRIBE and a Connect record of each.
    for agent in &agents {
        until("what it carries is shown", || sent(agent) == 4).await;
    }
    stop.cancel();
}

const ROUNDS: usize = 20;
/// Records said in each.
const SAID: usize = 40;
