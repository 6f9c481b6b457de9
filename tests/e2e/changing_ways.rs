//! An agent that goes to a connection of its own and back to the one that all share, again and again, while its
//! controller never stops asking: at a real broker, where neither end knows what is on its way.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use dragoman::identity::EndpointId;
use dragoman::sim::acs::{Acs, AcsConfig};
use dragoman::sim::controller::{Arrival, Controller, requests};
use dragoman::transport::mqtt::Version;
use dragoman::usp::message::{Message, MessageBody};
use dragoman::usp::record::Payload;
use tokio::sync::broadcast::Receiver;

use super::gateway::{Setup, acs_and_mqtt};
use super::mosquitto::Mosquitto;
use super::usp::{PATIENCE, controller, fleet};

const KEEP_ALIVE: &str = "Device.MQTT.Client.1.KeepAliveTime";
/// Ways to its own connection and back.
const ROUNDS: usize = 20;
/// Requests under way at a time.
const ASKING: usize = 4;
const LOST: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn every_request_is_answered_once_while_an_agent_changes_between_connections() {
    let broker = Mosquitto::start();
    let acs = Acs::start(AcsConfig::default()).await.unwrap();
    let setup = Setup::new(0, &acs_and_mqtt(&acs.url(), broker.port, "shared_connections = 1"));
    let gateway = setup.start();
    let controller = controller(broker.port, Version::V5).await;
    let fleet = fleet(&gateway, 1).await;
    assert!(controller.wait_for_agents(1, PATIENCE).await, "agents did not onboard");
    let agent = fleet.device_ids()[0].endpoint_id();
    let (mut connects, answers) = (controller.arrivals(), controller.arrivals());
    let counting = tokio::spawn(count(answers));
    let (ends, lost) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let asking: Vec<_> = (0..ASKING)
        .map(|_| tokio::spawn(ask(controller.clone(), agent.clone(), Arc::clone(&ends), Arc::clone(&lost))))
        .collect();
    for round in 0..2 * ROUNDS {
        // As the configuration has it, the agent is back on the shared connection.
        let value = if round % 2 == 0 { "61" } else { "60" };
        let set = requests::set(&[(KEEP_ALIVE, value)], false);
        let answer = controller.request(&agent, set, LOST).await;
        assert!(answer.is_ok(), "in round {round}: {answer:?}");
        let connected = async {
            while !matches!(connects.recv().await, Ok(it) if matches!(it.record.payload, Payload::MqttConnect { .. }))
            {
            }
        };
        tokio::time::timeout(PATIENCE, connected)
            .await
            .expect("the agent does not come over another connection");
    }
    ends.store(true, Ordering::Relaxed);
    let mut asked = 2 * ROUNDS;
    for task in asking {
        asked += task.await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    fleet.stop().await;
    controller.stop().await;
    let answered = counting.await.unwrap();
    let twice = answered.values().filter(|times| **times > 1).count();
    println!("{asked} requests, {} lost, {twice} answered twice", lost.load(Ordering::Relaxed));
    assert_eq!((lost.load(Ordering::Relaxed), twice, answered.len()), (0, 0, asked));
    acs.stop().await;
}

/// Asks one request after the other. How many.
async fn ask(
    controller: Controller,
    agent: EndpointId,
    ends: Arc<AtomicBool>,
    lost: Arc<AtomicUsize>,
) -> usize {
    let mut asked = 0;
    while !ends.load(Ordering::Relaxed) {
        asked += 1;
        let get = requests::get(&["Device.LocalAgent.EndpointID"], 0);
        lost.fetch_add(usize::from(controller.request(&agent, get, LOST).await.is_err()), Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    asked
}

/// How often each request was answered, by its id.
async fn count(mut answers: Receiver<Arrival>) -> HashMap<String, usize> {
    let mut answered = HashMap::new();
    while let Ok(arrival) = answers.recv().await {
        let Payload::NoSession(message) = arrival.record.payload else { continue };
        let Ok(Message { msg_id, body: MessageBody::Response(_) }) = Message::decode(message) else {
            continue;
        };
        *answered.entry(msg_id).or_default() += 1;
    }
    answered
}
