//! What `0 BOOTSTRAP` means to the agent (TR-069 3.7.1.5), and which ParameterKey its RPCs carry (A.3.2.1).

use super::*;
use crate::cwmp::rpc::{Array, EventStruct, ParameterValueStruct, SetParameterValues};
use crate::datamodel::ValueType;

const SSID: &str = "Device.WiFi.SSID.1.SSID";
const KEY: &str = "Device.ManagementServer.ParameterKey";

fn story() -> Story {
    let settings = AgentConfig { notification_attributes: true, ..AgentConfig::default() };
    let mut story = Story::with(settings);
    story.session();
    story.session();
    story.subscribe("ValueChange", SSID, &[("Persistent", "true")]);
    story.settle();
    assert_eq!(story.cpe.notification(SSID), 2);
    story.subscribe("Event", "Device.Boot!", &[("Persistent", "true")]);
    story.said.clear();
    story
}

/// The ACS sets something, with this key.
fn acs_sets(story: &mut Story, key: &'static str) {
    let value = ParameterValueStruct::new("Device.Time.LocalTimeZone", key, ValueType::String);
    let set = SetParameterValues { parameter_list: Array(vec![value]), parameter_key: key.into() };
    let request = CwmpRequest::SetParameterValues(set);
    let response = story.cpe.handle(&request).unwrap();
    story.handle(Input::Observed { request: &request, response: &response });
}

/// The device calls with these events, as it is. Returns the causes of starts that controllers are told.
fn calls(story: &mut Story, codes: &[&'static str]) -> Vec<String> {
    let mut inform = story.cpe.open();
    let event = |code: &&'static str| EventStruct { event_code: (*code).into(), command_key: "".into() };
    inform.event.0 = codes.iter().map(event).collect();
    story.handle(Input::Informed { inform: &inform, first_contact: false });
    story.rpcs();
    story.events().into_iter().map(|(_, params)| params["Cause"].clone()).collect()
}

fn reset_device(story: &mut Story) {
    story.cpe.handle(&CwmpRequest::FactoryReset(crate::cwmp::rpc::FactoryReset {})).unwrap();
    story.cpe.close();
    assert_eq!(story.cpe.value(KEY), Some(""));
}

#[test]
fn tr069_3_7_1_5_a_bootstrap_with_the_acs_s_key_is_another_url_and_no_reset() {
    let mut story = story();
    acs_sets(&mut story, "k1");
    let discovered = story.asked.len();
    assert_eq!(calls(&mut story, &["0 BOOTSTRAP"]), Vec::<String>::new(), "the device has not started");
    assert_eq!(calls(&mut story, &["0 BOOTSTRAP", "1 BOOT"]), ["LocalReboot"]);
    story.settle();
    assert_eq!(story.asked.len(), discovered, "nothing is discovered again");
    assert!(!story.session().iter().any(|rpc| rpc.ends_with("Attributes")), "the attributes are there");
}

#[test]
fn tr069_3_7_1_5_a_bootstrap_without_the_acs_s_key_is_a_reset_and_attributes_are_set_again() {
    for restart in [false, true] {
        let mut story = story();
        acs_sets(&mut story, "k1");
        if restart {
            story.restart();
        }
        reset_device(&mut story);
        assert_eq!(calls(&mut story, &["0 BOOTSTRAP", "1 BOOT"]), ["LocalFactoryReset"]);
        story.asked.clear();
        story.session();
        story.session();
        assert_eq!(story.cpe.notification(SSID), 2);
        assert!(!story.asked.is_empty(), "instances are learnt again");
    }
}

#[test]
fn where_the_acs_never_set_a_key_what_the_gateway_has_set_tells_a_reset() {
    let mut story = story();
    assert_eq!(calls(&mut story, &["0 BOOTSTRAP", "1 BOOT"]), ["LocalReboot"], "the attribute is there");
    reset_device(&mut story);
    assert_eq!(calls(&mut story, &["0 BOOTSTRAP", "1 BOOT"]), ["LocalFactoryReset"]);
    story.session();
    story.session();
    assert_eq!(story.cpe.notification(SSID), 2);
}

#[test]
fn a_gateway_that_dies_in_doubt_asks_in_the_next_session() {
    let mut story = story();
    reset_device(&mut story);
    let inform = story.cpe.open();
    story.handle(Input::Informed { inform: &inform, first_contact: false });
    story.restart();
    story.session();
    story.session();
    story.session();
    assert_eq!(story.cpe.notification(SSID), 2, "set again");
}

#[test]
fn tr069_a_3_2_1_rpcs_carry_the_acs_s_last_key_even_if_it_was_set_after_they_were_asked_for() {
    let mut story = story();
    acs_sets(&mut story, "k1");
    story.send(&controller(), set("Device.WiFi.SSID.1.", &[("SSID", "by usp")]));
    let inform = story.cpe.open();
    story.handle(Input::Informed { inform: &inform, first_contact: false });
    acs_sets(&mut story, "k2");
    story.rpcs();
    assert_eq!(story.cpe.value(SSID), Some("by usp"));
    assert_eq!(story.cpe.value(KEY), Some("k2"));
}

#[test]
fn tr069_a_3_2_1_while_it_is_not_known_whether_the_cpe_has_the_acs_s_new_key_nothing_is_asked_of_it() {
    let mut story = story();
    story.send(&controller(), set("Device.WiFi.SSID.1.", &[("SSID", "by usp")]));
    let inform = story.cpe.open();
    story.handle(Input::Informed { inform: &inform, first_contact: false });
    story.handle(Input::AcsUnanswered);
    assert_eq!(story.rpcs(), Vec::<String>::new());
    assert!(story.session().contains(&"SetParameterValues".to_owned()), "the next Inform tells it");
}

#[test]
fn a_cpe_that_leaves_its_key_out_of_informs_keeps_the_one_that_the_acs_was_seen_to_set() {
    let mut story = story();
    acs_sets(&mut story, "k1");
    story.restart();
    story.send(&controller(), set("Device.WiFi.SSID.1.", &[("SSID", "by usp")]));
    let mut inform = story.cpe.open();
    inform.parameter_list.0.retain(|it| it.name != KEY);
    story.handle(Input::Informed { inform: &inform, first_contact: false });
    story.rpcs();
    assert_eq!((story.cpe.value(SSID), story.cpe.value(KEY)), (Some("by usp"), Some("k1")));
}
