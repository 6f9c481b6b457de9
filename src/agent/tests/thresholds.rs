//! Triggered!: integers that pass a threshold.

use super::*;

const TABLE: &str = "Device.LocalAgent.Threshold.";
const FREE: &str = "Device.DeviceInfo.MemoryStatus.Free";

fn threshold(story: &mut Story, operator: &str, value: &str, more: &[(&str, &str)]) -> String {
    let mut settings = vec![
        ("Enable", "true"),
        ("ReferencePath", "Device.DeviceInfo.MemoryStatus."),
        ("ThresholdParam", "Free"),
        ("ThresholdOperator", operator),
        ("ThresholdValue", value),
    ];
    settings.extend(more);
    created(&story.ask(add(TABLE, &settings)).unwrap())
}

/// What the next session of a device tells that has so much free.
fn becomes(story: &mut Story, free: &str) -> Vec<(String, BTreeMap<String, String>)> {
    story.cpe.change(FREE, free);
    story.session();
    story.events()
}

#[test]
fn triggered_tells_once_that_a_value_has_passed_its_threshold() {
    let mut story = Story::begin();
    story.subscribe("Event", "Device.LocalAgent.Threshold.*.Triggered!", &[("Persistent", "true")]);
    let row = threshold(&mut story, "Fall", "1000", &[]);
    assert!(becomes(&mut story, "500").is_empty(), "nothing was seen of it before");
    assert!(becomes(&mut story, "1500").is_empty());
    let told = becomes(&mut story, "900");
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].0.as_str(), told[0].1["ParamPath"].as_str()), ("Triggered!", FREE));
    assert_eq!(told[0].1["ParamValue"], "900");
    story.restart();
    assert!(becomes(&mut story, "800").is_empty(), "told twice");
    becomes(&mut story, "2000");
    story.restart();
    assert_eq!(becomes(&mut story, "10").len(), 1, "rest and restarts forget where it stood");
    story.ask(set(&row, &[("ThresholdValue", "5")])).unwrap();
    assert!(becomes(&mut story, "11").is_empty());
    assert_eq!(becomes(&mut story, "4").len(), 1, "the new value counts");
}

#[test]
fn a_single_threshold_is_disabled_by_its_first_event() {
    let mut story = Story::begin();
    story.subscribe("Event", TABLE, &[("Persistent", "true")]);
    let row = threshold(&mut story, "Cross", "1000", &[("OperatingMode", "Single")]);
    becomes(&mut story, "500");
    assert_eq!(becomes(&mut story, "1500").len(), 1);
    assert_eq!(story.get(&format!("{row}Enable")).unwrap()[&format!("{row}Enable")], "false");
    assert!(becomes(&mut story, "500").is_empty());
}

#[test]
fn only_the_controller_that_made_it_is_told_and_by_its_rights() {
    let mut story = Story::begin();
    let subscribe = [("Enable", "true"), ("ID", "t"), ("NotifType", "Event"), ("ReferenceList", TABLE)];
    story.ask(add("Device.LocalAgent.Subscription.", &subscribe)).unwrap();
    let row = threshold(&mut story, "Rise", "1000", &[]);
    let controller = format!("{row}Controller");
    assert_eq!(story.get(&controller).unwrap()[&controller], "Device.LocalAgent.Controller.1");
    // The subscription becomes one of the other controller's: it made no threshold.
    story
        .ask(set(
            "Device.LocalAgent.Controller.2.",
            &[("AssignedRole", "Device.LocalAgent.ControllerTrust.Role.1")],
        ))
        .unwrap();
    story.ask_as(&reader(), add("Device.LocalAgent.Subscription.", &subscribe)).unwrap();
    becomes(&mut story, "500");
    assert_eq!(becomes(&mut story, "1500").len(), 1, "one controller alone");
    story.ask(set("Device.LocalAgent.Controller.1.", &[("AssignedRole", "")])).unwrap();
    becomes(&mut story, "500");
    assert!(becomes(&mut story, "1500").is_empty(), "who may not read it is not told of it");
}

#[test]
fn thresholds_of_the_agents_own_parameters_are_judged_at_once() {
    let mut story = Story::begin();
    let own = [("ReferencePath", "Device.LocalAgent."), ("ThresholdParam", "SubscriptionNumberOfEntries")];
    let more = [("Enable", "true"), ("ThresholdOperator", "Eq"), ("ThresholdValue", "2")];
    story.ask(add(TABLE, &[&own[..], &more[..]].concat())).unwrap();
    story.subscribe("Event", TABLE, &[]);
    story.subscribe("ValueChange", FREE, &[]);
    assert_eq!(story.events().len(), 1);
}

#[test]
fn what_is_no_integer_of_the_supported_model_is_refused() {
    let mut story = Story::begin();
    let wrong = |story: &mut Story, settings: &[(&str, &str)]| story.ask(add(TABLE, settings)).is_err();
    for settings in [
        [("ReferencePath", "Device.DeviceInfo."), ("ThresholdParam", "SerialNumber")],
        [("ReferencePath", "Device.Nope."), ("ThresholdParam", "Free")],
        [("ThresholdOperator", "Jump"), ("ThresholdValue", "1")],
        [("ThresholdOperator", "Rise"), ("ThresholdValue", "high")],
    ] {
        assert!(wrong(&mut story, &settings), "{settings:?}");
    }
    let row = threshold(&mut story, "Rise", "1", &[]);
    assert!(story.ask(set(&row, &[("ThresholdParam", "Nope")])).is_err());
}
