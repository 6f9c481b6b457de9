//! A fleet whose broker, controller and gateway go away one after the other: every notification with NotifRetry
//! is delivered all the same.
//!
//! `DRAGOMAN_AGENTS=1000` runs it with as many agents; what CI runs is small.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dragoman::identity::EndpointId;
use dragoman::sim::acs::{Acs, AcsConfig};
use dragoman::sim::controller::{Controller, requests};
use dragoman::sim::cpe::Fleet;
use dragoman::transport::mqtt::Version;
use dragoman::usp::message::notify::Notification;
use tokio::task::JoinSet;

use super::gateway::{Setup, acs_and_mqtt};
use super::mosquitto::{Mosquitto, free_port};
use super::usp::{controller, fleet, persistent};

const CODE: &str = "Device.DeviceInfo.ProvisioningCode";
const SUBSCRIPTIONS: usize = 10;

/// What was heard: agent, subscription and value.
type Heard = Arc<Mutex<BTreeSet<(String, String, String)>>>;

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_survives_its_broker_its_controller_and_its_gateway() {
    let agents = std::env::var("DRAGOMAN_AGENTS").ok().and_then(|it| it.parse().ok()).unwrap_or(20);
    let patience = Duration::from_secs(60 + agents as u64 / 4);
    let mut broker = Mosquitto::start();
    let acs = Acs::start(AcsConfig::default()).await.unwrap();
    let setup = Setup::new(free_port(), &acs_and_mqtt(&acs.url(), broker.port, ""));
    let mut gateway = setup.start();
    let mut talker = controller(broker.port, Version::V5).await;
    let heard = Heard::default();
    listen(&talker, &heard);
    let fleet = fleet(&gateway, agents).await;
    assert!(talker.wait_for_agents(agents, patience).await, "{} onboard", talker.agents().len());
    subscribe(&talker, &fleet, patience).await;
    told("nothing is wrong", &fleet, &heard, patience, || change(&fleet, "nothing is wrong")).await;

    broker.kill();
    change(&fleet, "the broker is away");
    tokio::time::sleep(Duration::from_secs(2)).await;
    broker.start_again();
    told("the broker is away", &fleet, &heard, patience, || ()).await;

    talker.stop().await;
    change(&fleet, "the controller is away");
    tokio::time::sleep(Duration::from_secs(2)).await;
    talker = controller(broker.port, Version::V5).await;
    listen(&talker, &heard);
    told("the controller is away", &fleet, &heard, patience, || ()).await;

    change(&fleet, "the gateway is killed");
    // Some have called by now, some are calling, some have not.
    tokio::time::sleep(Duration::from_millis(30)).await;
    gateway.kill();
    gateway = setup.start();
    told("the gateway is killed", &fleet, &heard, patience, || ()).await;

    gateway.kill();
    fleet.stop().await;
    talker.stop().await;
    acs.stop().await;
}

fn listen(controller: &Controller, heard: &Heard) {
    let (mut notices, heard) = (controller.notifications(), Arc::clone(heard));
    // Ends with the controller.
    tokio::spawn(async move {
        loop {
            let notice = match notices.recv().await {
                Ok(notice) => notice,
                Err(tokio::sync::broadcast::error::RecvError::Lagged(missed)) => {
                    panic!("{missed} notifications were acknowledged and not looked at")
                }
                Err(_) => return,
            };
            if let Some(Notification::ValueChange(change)) = notice.notify.notification {
                let id = notice.notify.subscription_id;
                heard.lock().unwrap().insert((notice.agent.to_string(), id, change.param_value));
            }
        }
    });
}

/// Ten subscriptions at each agent, a few dozen agents at a time.
async fn subscribe(controller: &Controller, fleet: &Fleet, patience: Duration) {
    let mut asking = JoinSet::new();
    for device in fleet.device_ids() {
        if asking.len() >= 32 {
            asking.join_next().await.unwrap().unwrap();
        }
        asking.spawn(subscribe_at(controller.clone(), device.endpoint_id(), patience));
    }
    while let Some(done) = asking.join_next().await {
        done.unwrap();
    }
}

async fn subscribe_at(controller: Controller, agent: EndpointId, patience: Duration) {
    for number in 0..SUBSCRIPTIONS {
        let mut add = requests::subscribe(&format!("s{number}"), "ValueChange", &[CODE], true);
        persistent(&mut add);
        controller.request(&agent, add, patience).await.unwrap();
    }
    // What it is now is known, so that the next value is a change.
    controller.request(&agent, requests::get(&[CODE], 0), patience).await.unwrap();
}

/// At the devices themselves: each tells the gateway, and tries again if that is away.
fn change(fleet: &Fleet, value: &str) {
    for index in 0..fleet.device_ids().len() {
        assert!(fleet.set(index, CODE, value));
    }
}

/// Waits until every subscription of every agent has told the value.
async fn told(value: &str, fleet: &Fleet, heard: &Heard, patience: Duration, begin: impl FnOnce()) {
    let began = Instant::now();
    begin();
    let expected: BTreeSet<_> = fleet
        .device_ids()
        .into_iter()
        .flat_map(|device| {
            let agent = device.endpoint_id().to_string();
            (0..SUBSCRIPTIONS).map(move |number| (agent.clone(), format!("s{number}"), value.to_owned()))
        })
        .collect();
    loop {
        let missing: Vec<_> = expected.difference(&heard.lock().unwrap()).cloned().collect();
        if missing.is_empty() {
            break;
        }
        let first = &missing[..missing.len().min(12)];
        assert!(began.elapsed() < patience, "{value}: {} are missing, as {first:?}", missing.len());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!("{value}: {} notifications, the last after {:.1?}", expected.len(), began.elapsed());
}
