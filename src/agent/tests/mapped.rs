//! Devices of TR-098, which are told in terms of TR-181.

use super::*;

const TR_098: &str = include_str!("../../../fixtures/models/tr098-small.csv");
const ACCESS_POINT: &str = "Device.WiFi.AccessPoint.1.Enable";

fn begin() -> Story {
    let mut story = Story::of(AgentConfig::default(), Bench::new(TR_098));
    story.session();
    story.session();
    story.said.clear();
    story
}

#[test]
fn what_is_one_on_the_device_changes_together_and_its_watchers_are_told() {
    let mut story = begin();
    story.subscribe("ValueChange", ACCESS_POINT, &[]);
    story.settle();
    story.get("Device.WiFi.").unwrap();
    story.notifications();
    assert_eq!(story.shadow.cpe.value(ACCESS_POINT), Some("1"));
    story.ask(set("Device.WiFi.SSID.1.", &[("Enable", "0")])).unwrap();
    assert_eq!(story.shadow.cpe.value(ACCESS_POINT), Some("0"), "stale until the next read");
    let told = story.notifications();
    assert_eq!(told.len(), 1, "{told:?}");
    let Some(Notification::ValueChange(change)) = &told[0].1.notification else { panic!("{told:?}") };
    assert_eq!((change.param_path.as_str(), change.param_value.as_str()), (ACCESS_POINT, "0"));
    let refused = story.ask(set("Device.WiFi.SSID.1.", &[("Enable", "maybe")]));
    assert!(refused.is_err());
    assert_eq!(story.shadow.cpe.value(ACCESS_POINT), Some("0"));
}

/// The rules that translated the stored shadow were others.
#[test]
fn other_rules_translate_anew_and_lose_no_instance_and_no_subscription() {
    let mut story = begin();
    story.subscribe("ValueChange", ACCESS_POINT, &[("Persistent", "true")]);
    story.settle();
    let before = story.get("Device.WiFi.").unwrap();
    let entry = &story.stored[&(Kind::Device, String::new())];
    let mut device: serde_json::Value = serde_json::from_slice(entry).unwrap();
    device["mapping"] = 1.into();
    story.stored.insert((Kind::Device, String::new()), serde_json::to_vec(&device).unwrap().into());
    // A name that only the old rules told.
    let mut old = Shadow::default();
    old.cpe.put_param("Device.Old.Row.3.Name", false);
    story.stored.insert((Kind::Shadow, "Old".into()), old.cpe.encode_top("Old").into());
    story.restart();
    assert!(!story.agent.is_discovered() && story.shadow.cpe.has_object("Device.Old.Row.3."));
    story.asked.clear();
    story.notifications();
    assert_eq!(story.get("Device.WiFi.").unwrap(), before);
    assert!(!story.asked.is_empty() && !story.shadow.cpe.has_object("Device.Old."));
    assert_eq!(story.agent.local.subscriptions().len(), 1);
    assert!(story.notifications().is_empty(), "the device has not changed");
    story.restart();
    assert!(story.agent.is_discovered(), "once is enough");
}
