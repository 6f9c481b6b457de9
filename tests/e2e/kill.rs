//! `kill -9` at any moment: what was confirmed is there again. The oracle is what the controller heard.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dragoman::identity::EndpointId;
use dragoman::sim::acs::{Acs, AcsConfig};
use dragoman::sim::controller::{Controller, requests};
use dragoman::transport::mqtt::Version;
use dragoman::usp::message::Response;
use dragoman::usp::message::notify::Notification;
use dragoman::usp::message::operate_resp::operation_result::OperationResp;

use super::gateway::{Setup, acs_and_mqtt};
use super::mosquitto::{Mosquitto, free_port};
use super::usp::{PATIENCE, SSID, controller, fleet, persistent, value};

/// What the gateway has confirmed, kept outside of it.
#[derive(Default)]
struct Oracle {
    /// Subscriptions whose Add was answered and whose Delete was not asked for.
    subscriptions: BTreeSet<String>,
    /// Those of which it is not known whether they are there: no answer came.
    unknown: BTreeSet<String>,
    /// Operations that were taken on, by their command keys.
    operations: BTreeSet<String>,
    /// Notifications that came and were not acknowledged.
    unacknowledged: BTreeSet<String>,
    completed: BTreeSet<String>,
    values: BTreeMap<String, usize>,
}

const ROUNDS: u64 = 20;
const PING: &str = "Device.IP.Diagnostics.IPPing()";

#[tokio::test(flavor = "multi_thread")]
async fn what_was_confirmed_survives_twenty_kills_spread_over_all_states() {
    let broker = Mosquitto::start();
    let acs = Acs::start(AcsConfig::default()).await.unwrap();
    let setup = Setup::new(free_port(), &acs_and_mqtt(&acs.url(), broker.port, ""));
    let mut gateway = setup.start();
    let controller = controller(broker.port, Version::V5).await;
    let mut notices = controller.notifications();
    let fleet = fleet(&gateway, 2).await;
    assert!(controller.wait_for_agents(2, PATIENCE).await);
    let agent = fleet.device_ids()[0].endpoint_id();
    let mut oracle = Oracle::default();
    for (id, notif_type, path) in [("value", "ValueChange", SSID), ("done", "OperationComplete", PING)] {
        let mut subscribe = requests::subscribe(id, notif_type, &[path], true);
        persistent(&mut subscribe);
        controller.request(&agent, subscribe, PATIENCE).await.unwrap();
        oracle.subscriptions.insert(id.to_owned());
    }
    value(&controller, &agent, SSID).await.unwrap();
    controller.answer_notify(false);
    while notices.try_recv().is_ok() {}
    for round in 0..ROUNDS {
        // The moment of death moves through everything that goes on after the requests are sent.
        let work = load(&controller, &agent, round, &mut oracle);
        let _ = tokio::time::timeout(Duration::from_millis(round * 23 % 460), work).await;
        gateway.kill();
        while let Ok(notice) = notices.try_recv() {
            oracle.heard(&notice.msg_id, notice.notify.notification.as_ref());
        }
        gateway = setup.start();
        let there = subscriptions(&controller, &agent).await;
        for confirmed in &oracle.subscriptions {
            assert!(there.contains(confirmed), "round {round}: {confirmed} is lost; there: {there:?}");
        }
        for id in &there {
            let known = oracle.subscriptions.contains(id) || oracle.unknown.contains(id);
            assert!(known, "round {round}: {id} was never asked for");
        }
    }
    let (there, begun, owed) =
        (oracle.subscriptions.len(), oracle.operations.len(), oracle.unacknowledged.len());
    println!("confirmed: {there} subscriptions, {begun} operations; {owed} notifications owed");
    assert!(there > 10 && begun > 5 && owed > 5, "{there} {begun} {owed}: hardly anything was at stake");
    controller.answer_notify(true);
    oracle.settle(&mut notices).await;
    gateway.kill();
    fleet.stop().await;
    controller.stop().await;
    acs.stop().await;
}

/// Requests of every kind; what is confirmed before the end is noted.
async fn load(controller: &Controller, agent: &EndpointId, round: u64, oracle: &mut Oracle) {
    let id = format!("s{round}");
    oracle.unknown.insert(id.clone());
    let mut subscribe = requests::subscribe(&id, "Event", &["Device.Boot!"], true);
    persistent(&mut subscribe);
    if controller.request(agent, subscribe, PATIENCE).await.is_ok() {
        oracle.subscriptions.insert(id);
    }
    let key = format!("ping-{round}");
    let operate = requests::operate(PING, &key, &[("Host", "127.0.0.1")]);
    let answer = controller.request(agent, operate, PATIENCE).await;
    if let Ok(Response::OperateResp(resp)) = answer
        && let Some(OperationResp::ReqObjPath(_)) = &resp.operation_results[0].operation_resp
    {
        oracle.operations.insert(key);
    }
    let set = requests::set(&[(SSID, &format!("round {round}"))], false);
    let _ = controller.request(agent, set, PATIENCE).await;
    std::future::pending::<()>().await;
}

/// The ids of the subscriptions that the agent has, once it can be reached again.
async fn subscriptions(controller: &Controller, agent: &EndpointId) -> BTreeSet<String> {
    let request = || requests::get(&["Device.LocalAgent.Subscription.*.ID"], 0);
    for _ in 0..40 {
        let answer = controller.request(agent, request(), Duration::from_millis(500)).await;
        if let Ok(Response::GetResp(resp)) = answer {
            let objects = resp.req_path_results.into_iter().flat_map(|result| result.resolved_path_results);
            return objects.filter_map(|mut object| object.result_params.remove("ID")).collect();
        }
    }
    panic!("the agent did not come back");
}

impl Oracle {
    fn heard(&mut self, msg_id: &str, notification: Option<&Notification>) {
        self.unacknowledged.insert(msg_id.to_owned());
        match notification {
            Some(Notification::OperComplete(complete)) => {
                self.completed.insert(complete.command_key.clone());
            }
            Some(Notification::ValueChange(change)) => {
                *self.values.entry(change.param_value.clone()).or_default() += 1;
            }
            _ => {}
        }
    }

    /// Everything that was heard and not acknowledged comes again, and everything taken on comes to an end.
    async fn settle(
        &mut self,
        notices: &mut tokio::sync::broadcast::Receiver<dragoman::sim::controller::Notification>,
    ) {
        let mut missing = std::mem::take(&mut self.unacknowledged);
        let deadline = tokio::time::Instant::now() + Duration::from_secs(40);
        loop {
            let open: Vec<&String> = self.operations.difference(&self.completed).collect();
            if missing.is_empty() && open.is_empty() {
                return;
            }
            let notice = tokio::time::timeout_at(deadline, notices.recv()).await.unwrap_or_else(|_| {
                panic!("lost: notifications {missing:?}, operations {open:?}");
            });
            let notice = notice.unwrap();
            missing.remove(&notice.msg_id);
            self.heard(&notice.msg_id, notice.notify.notification.as_ref());
        }
    }
}
