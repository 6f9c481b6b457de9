//! Subscriptions that change the configuration, and those of search paths.

use super::*;

const CONTROLLER: &str = "Device.LocalAgent.Controller.1.";
const CODE: &str = "Device.LocalAgent.Controller.1.ProvisioningCode";
const SSID: &str = "Device.WiFi.SSID.1.SSID";

fn enabled(story: &mut Story, row: &str) -> String {
    story.get(&format!("{row}Enable")).unwrap().into_values().next().unwrap()
}

#[test]
fn tp469_1_93_1_94_a_subscription_configures_the_agent_and_tells_only_if_it_is_to() {
    for (action, told) in [("Config", 0), ("NotifyAndConfig", 1)] {
        let mut story = Story::begin();
        let row = story.subscribe("ValueChange", CODE, &[("TriggerAction", action), ("NotifRetry", "true")]);
        let settings = format!("{row}Enable=false");
        story.ask(set(&row, &[("TriggerConfigSettings", &settings)])).unwrap();
        assert_eq!(enabled(&mut story, &row), "true");
        story.ask(set(CONTROLLER, &[("ProvisioningCode", "TestValue93")])).unwrap();
        assert_eq!(story.notifications().len(), told, "{action}");
        assert_eq!(enabled(&mut story, &row), "false");
        story.restart();
        assert_eq!(enabled(&mut story, &row), "false", "it was not durable");
    }
}

#[test]
fn a_trigger_sets_what_is_the_cpes_in_its_session() {
    let mut story = Story::begin();
    let settings =
        r#"Device.WiFi.SSID.[Alias!="x"].SSID="a, b",Device.LocalAgent.Controller.2.ProvisioningCode="p""#;
    let more = [("TriggerAction", "Config"), ("TriggerConfigSettings", settings)];
    story.subscribe("ValueChange", CODE, &more);
    story.ask(set(CONTROLLER, &[("ProvisioningCode", "x")])).unwrap();
    let code = "Device.LocalAgent.Controller.2.ProvisioningCode";
    assert_eq!(story.get(code).unwrap()[code], "p");
    story.settle();
    assert_eq!(story.cpe.value(SSID), Some("a, b"));
}

#[test]
fn a_trigger_has_the_rights_of_its_recipient_and_failures_are_logged() {
    let mut story = Story::begin();
    let recipient = "Device.LocalAgent.Controller.1.";
    let settings = format!("{CODE}=y,Device.WiFi.SSID.1.SSID=z,Device.LocalAgent.EndpointID=self::other");
    let more = [("TriggerAction", "Config"), ("TriggerConfigSettings", settings.as_str())];
    story.subscribe("Event", "Device.LocalAgent.Periodic!", &more);
    let role = "Device.LocalAgent.ControllerTrust.Role.2";
    story.ask(set(recipient, &[("PeriodicNotifInterval", "60"), ("AssignedRole", role)])).unwrap();
    story.pass(60_000);
    story.settle();
    assert_ne!(story.cpe.value(SSID), Some("z"));
    let failed: Vec<_> = story.log.iter().filter(|line| line.contains("could not set")).collect();
    assert!(failed.len() >= 2, "{:?}", story.log);
    assert!(failed.iter().any(|line| line.contains("7006")), "{failed:?}");
}

#[test]
fn triggers_that_set_each_other_off_come_to_an_end() {
    let mut story = Story::begin();
    for (id, value) in [("a", "1"), ("b", "2")] {
        let settings = format!("{CODE}={value}");
        let more = [("ID", id), ("TriggerAction", "Config"), ("TriggerConfigSettings", settings.as_str())];
        let mut all = vec![("Enable", "true"), ("NotifType", "ValueChange"), ("ReferenceList", CODE)];
        all.extend(more);
        story.ask(add("Device.LocalAgent.Subscription.", &all)).unwrap();
    }
    story.ask(set(CONTROLLER, &[("ProvisioningCode", "0")])).unwrap();
    assert!(story.log.iter().any(|line| line.contains("triggers led to it")), "{:?}", story.log);
    assert!(story.log.len() < 100);
}

#[test]
fn settings_that_are_none_are_refused() {
    let mut story = Story::begin();
    let row = story.subscribe("ValueChange", CODE, &[]);
    for wrong in ["Device.X", "=1", "Device.LocalAgent.=1"] {
        let refused = story.ask(set(&row, &[("TriggerConfigSettings", wrong)])).unwrap_err();
        assert_eq!(refused.param_errs[0].err_code, ErrorCode::INVALID_VALUE.0, "{wrong}");
    }
}

#[test]
fn tp469_1_84_search_paths_are_evaluated_when_something_happens() {
    let mut story = Story::begin();
    let table = format!("{CONTROLLER}BootParameter.");
    story.subscribe("ValueChange", &format!("{table}*.Enable"), &[]);
    let search = format!(r#"{table}[ParameterName=="Device.LocalAgent.UpTime"].Enable"#);
    let more =
        [("Enable", "true"), ("ID", "search"), ("NotifType", "ValueChange"), ("ReferenceList", &search)];
    story.ask(add("Device.LocalAgent.Subscription.", &more)).unwrap();
    let setting = [("Enable", "true"), ("ParameterName", "Device.LocalAgent.EndpointID")];
    let row = created(&story.ask(add(&table, &setting)).unwrap());
    story.notifications();
    story.ask(set(&row, &[("Enable", "false")])).unwrap();
    assert_eq!(story.notifications().len(), 1);
    story.ask(set(&row, &[("ParameterName", "Device.LocalAgent.UpTime")])).unwrap();
    story.ask(set(&row, &[("Enable", "true")])).unwrap();
    let told: Vec<_> = story.notifications().into_iter().map(|(_, it)| it.subscription_id).collect();
    assert_eq!(told, ["ValueChange", "search"]);
}
