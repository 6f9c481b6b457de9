//! Diagnostics of two masters on one CPE (TR-069 A.3.2.1, TR-181 Device.IP.Diagnostics.).

use super::*;
use crate::cwmp::rpc::{Array, GetParameterValues, ParameterValueStruct, SetParameterValues};
use crate::datamodel::ValueType;

const PING: &str = "Device.IP.Diagnostics.IPPing()";
const HOST: &str = "Device.IP.Diagnostics.IPPing.Host";
const REPETITIONS: &str = "Device.IP.Diagnostics.IPPing.NumberOfRepetitions";
const STATE: &str = "Device.IP.Diagnostics.IPPing.DiagnosticsState";

fn story() -> Story {
    let mut story = Story::begin();
    story.subscribe("OperationComplete", PING, &[("Persistent", "true")]);
    story.cpe.change(HOST, "acs.example");
    story.cpe.change(REPETITIONS, "7");
    story
}

fn ping(story: &mut Story) {
    story.send(&controller(), operate(PING, &[("Host", "127.0.0.1"), ("NumberOfRepetitions", "2")]));
}

fn by_acs(story: &mut Story, values: &[(&'static str, &'static str)]) {
    let value = |(name, value): &(&'static str, &'static str)| {
        ParameterValueStruct::new(*name, *value, ValueType::String)
    };
    let parameter_list = Array(values.iter().map(value).collect());
    observed(
        story,
        CwmpRequest::SetParameterValues(SetParameterValues { parameter_list, parameter_key: "acs".into() }),
    );
}

fn observed(story: &mut Story, request: CwmpRequest<'static>) {
    let response = story.cpe.handle(&request).unwrap();
    story.handle(Input::Observed { request: &request, response: &response });
}

/// A session in which the ACS does this before it is our turn.
fn session_with(story: &mut Story, acs: impl FnOnce(&mut Story)) -> Vec<String> {
    let inform = story.cpe.open();
    story.handle(Input::Informed { inform: &inform, first_contact: false });
    acs(story);
    let rpcs = story.rpcs();
    story.wanted = false;
    rpcs
}

fn results(story: &mut Story) -> Vec<String> {
    let told = story.notifications().into_iter().filter_map(|(_, it)| match it.notification {
        Some(Notification::OperComplete(complete)) => Some(format!("{complete:?}")),
        _ => None,
    });
    told.collect()
}

#[test]
fn after_our_diagnostic_the_acs_s_inputs_are_written_back_even_if_the_gateway_dies_at_any_step() {
    for dies_at in 0..6 {
        let mut story = story();
        ping(&mut story);
        for step in 0..8 {
            if step == dies_at {
                story.restart();
            }
            if story.wanted || story.cpe.wants_session() || step <= dies_at {
                story.session();
            }
            story.handle(Input::Tick);
        }
        let told = results(&mut story);
        assert_eq!(told.len(), 1, "{dies_at}: {told:?}");
        assert!(told[0].contains("\"SuccessCount\": \"2\""), "{told:?}");
        let values = (story.cpe.value(HOST), story.cpe.value(REPETITIONS));
        assert_eq!(values, (Some("acs.example"), Some("7")), "{dies_at}");
        assert!(!story.agent.has_work(), "{dies_at}");
        assert_eq!(story.session(), Vec::<String>::new(), "nothing is written twice");
    }
}

#[test]
fn what_our_diagnostic_changes_is_written_down_before_it_starts() {
    let mut story = story();
    story.broken_store = true;
    ping(&mut story);
    for _ in 0..3 {
        story.session();
    }
    assert_eq!(story.cpe.value(HOST), Some("acs.example"));
}

#[test]
fn ours_does_not_start_while_the_acs_s_is_open_and_does_when_that_is_complete() {
    let mut story = story();
    ping(&mut story);
    let rpcs =
        session_with(&mut story, |story| by_acs(story, &[(HOST, "acs2.example"), (STATE, "Requested")]));
    assert!(!rpcs.contains(&"SetParameterValues".to_owned()), "{rpcs:?}");
    assert!(!story.agent.has_work(), "the CPE is not called for it again and again");
    assert_eq!(story.agent.own_events(), super::super::OwnEvents::default(), "the event is the ACS's");
    // 8 DIAGNOSTICS COMPLETE of the ACS's.
    story.settle();
    assert_eq!(results(&mut story).len(), 1);
    assert_eq!(story.cpe.value(HOST), Some("acs2.example"), "its newer input");
}

#[test]
fn ours_starts_when_nothing_is_heard_of_the_acs_s_for_an_hour() {
    let mut story = story();
    ping(&mut story);
    session_with(&mut story, |story| by_acs(story, &[(STATE, "Requested")]));
    assert!(story.alarm().is_some(), "somebody wakes it");
    story.restart();
    story.pass(3_600_001);
    assert!(story.wanted && story.agent.has_work());
}

#[test]
fn the_acs_s_own_run_is_never_taken_for_ours() {
    let mut story = story();
    ping(&mut story);
    story.session();
    story.session();
    let started = story.cpe.value(STATE).unwrap().to_owned();
    assert_ne!(started, "None", "ours has begun");
    results(&mut story);
    // Before its results are read the ACS begins its own.
    session_with(&mut story, |story| {
        let mine = results(story);
        if mine.is_empty() {
            by_acs(story, &[(HOST, "acs3.example"), (STATE, "Requested")]);
        }
    });
    let told = results(&mut story);
    assert!(told.len() == 1 && told[0].contains("the ACS has begun"), "{told:?}");
    assert_eq!(story.agent.own_events(), super::super::OwnEvents::default(), "what comes is the ACS's");
    story.settle();
    assert!(results(&mut story).is_empty());
    assert_eq!(story.cpe.value(HOST), Some("acs3.example"));
    assert_eq!(story.cpe.value(REPETITIONS), Some("7"), "what the ACS has not set again is given back");
}

#[test]
fn the_acs_s_reading_of_its_results_ends_its_diagnostic() {
    let mut story = story();
    ping(&mut story);
    session_with(&mut story, |story| by_acs(story, &[(STATE, "Requested")]));
    // The event is lost on the way: the ACS asks by itself.
    let mut inform = story.cpe.open();
    inform.event.0.retain(|event| !event.event_code.starts_with("8 "));
    story.handle(Input::Informed { inform: &inform, first_contact: false });
    let names = Array(vec![STATE.into()]);
    observed(&mut story, CwmpRequest::GetParameterValues(GetParameterValues { parameter_names: names }));
    assert!(story.agent.has_work());
    story.rpcs();
    story.settle();
    assert_eq!(results(&mut story).len(), 1);
}
