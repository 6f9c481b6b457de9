//! What ValueChange subscriptions ask of the CPE (TR-069 A.3.2.4).

use super::*;

const SSID: &str = "Device.WiFi.SSID.1.SSID";

fn story() -> Story {
    let settings = AgentConfig { notification_attributes: true, ..AgentConfig::default() };
    let mut story = Story::with(settings);
    story.session();
    story.session();
    story.said.clear();
    story
}

fn subscribe(story: &mut Story, reference: &str) -> String {
    story.subscribe("ValueChange", reference, &[])
}

#[test]
fn what_is_subscribed_to_is_told_of_at_once_and_no_longer_when_the_subscription_is_gone() {
    let mut story = story();
    let row = subscribe(&mut story, SSID);
    story.settle();
    assert_eq!(story.cpe.notification(SSID), 2, "the CPE was called for it");
    story.notifications();
    story.cpe.change(SSID, "changed");
    assert!(story.cpe.wants_session(), "the CPE calls by itself");
    story.session();
    assert_eq!(story.notifications().len(), 1);
    story.ask(Request::Delete(message::Delete { allow_partial: false, obj_paths: vec![row] })).unwrap();
    for _ in 0..2 {
        story.session();
    }
    assert_eq!(story.cpe.notification(SSID), 0);
    assert!(
        !story.session().iter().any(|rpc| rpc.ends_with("Attributes")),
        "then there is nothing left to do"
    );
}

#[test]
fn a_gateway_that_dies_between_the_steps_still_knows_what_the_acs_had_set() {
    let mut story = story();
    let by_acs = crate::cwmp::rpc::SetParameterAttributesStruct {
        name: SSID.into(),
        notification_change: true,
        notification: 1,
        ..Default::default()
    };
    let by_acs =
        crate::cwmp::rpc::SetParameterAttributes { parameter_list: crate::cwmp::rpc::Array(vec![by_acs]) };
    story.cpe.handle(&CwmpRequest::SetParameterAttributes(by_acs)).unwrap();
    let row = subscribe(&mut story, SSID);
    for _ in 0..4 {
        story.restart();
        story.session();
    }
    assert_eq!(story.cpe.notification(SSID), 2);
    story.ask(Request::Delete(message::Delete { allow_partial: false, obj_paths: vec![row] })).unwrap();
    for _ in 0..3 {
        story.restart();
        story.session();
    }
    assert_eq!(story.cpe.notification(SSID), 1);
}

#[test]
fn counters_are_read_in_sessions_and_do_not_make_the_cpe_call() {
    let mut story = story();
    subscribe(&mut story, "Device.WiFi.");
    for _ in 0..3 {
        story.session();
    }
    assert_eq!(story.cpe.notification(SSID), 2);
    let counters = story.shadow.cpe.params_below("Device.WiFi.").filter(|(name, _)| name.contains("Stats."));
    let names: Vec<String> = counters.map(|(name, _)| name.to_owned()).collect();
    assert!(names.iter().all(|name| story.cpe.notification(name) == 0), "{names:?}");
}

#[test]
fn a_store_that_keeps_nothing_leaves_the_cpe_as_it_was() {
    let mut story = story();
    let settings = [("Enable", "true"), ("ID", "s"), ("NotifType", "ValueChange"), ("ReferenceList", SSID)];
    story.send(&controller(), add("Device.LocalAgent.Subscription.", &settings));
    story.broken_store = true;
    for _ in 0..4 {
        story.session();
    }
    assert_eq!(story.cpe.notification(SSID), 0);
}
