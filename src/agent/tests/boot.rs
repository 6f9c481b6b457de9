//! The restart of the device is the restart of its agent.

use super::*;

const TABLE: &str = "Device.LocalAgent.Controller.1.BootParameter.";

fn boot_parameter(story: &mut Story, name: &str) {
    story.ask(add(TABLE, &[("Enable", "true"), ("ParameterName", name)])).unwrap();
}

#[test]
fn tp469_9_10_boot_tells_the_parameters_that_the_controller_wants_as_they_are_now() {
    let mut story = Story::begin();
    story.subscribe("Event", "Device.Boot!", &[("Persistent", "true"), ("NotifRetry", "true")]);
    for name in [
        "Device.DeviceInfo.MemoryStatus.Total",
        "Device.WiFi.SSID.*.SSID",
        "Device.LocalAgent.EndpointID",
        "Device.Time.Enable",
        "Device.Nope.Nothing",
        "Device.ManagementServer.Password",
    ] {
        boot_parameter(&mut story, name);
    }
    story.get("Device.WiFi.SSID.1.SSID").unwrap();
    story.ask(operate("Device.Reboot()", &[])).unwrap();
    story.cpe.change("Device.WiFi.SSID.1.SSID", "after \"boot\"");
    story.settle();
    let (name, params) = story.events().remove(0);
    assert_eq!((name.as_str(), params["Cause"].as_str()), ("Boot!", "RemoteReboot"));
    assert_eq!(params["CommandKey"], "key");
    let map: serde_json::Value = serde_json::from_str(&params["ParameterMap"]).unwrap();
    assert_eq!(map["Device.DeviceInfo.MemoryStatus.Total"], 262_144, "a number is one");
    assert_eq!(map["Device.Time.Enable"], true);
    assert_eq!(map["Device.WiFi.SSID.1.SSID"], "after \"boot\"", "what was known from before the boot");
    assert_eq!(map["Device.LocalAgent.EndpointID"], story.cpe.id().endpoint_id().as_str());
    assert!(
        map.get("Device.ManagementServer.Password").is_none() && !params["ParameterMap"].contains("Nope")
    );
}

#[test]
fn a_boot_whose_parameters_cannot_be_read_is_told_and_survives_a_crash() {
    for crash in [false, true] {
        let mut story = Story::begin();
        story.subscribe("Event", "Device.Boot!", &[("Persistent", "true")]);
        boot_parameter(&mut story, "Device.WiFi.SSID.1.SSID");
        story.ask(operate("Device.Reboot()", &[])).unwrap();
        let inform = story.cpe.open();
        story.handle(Input::Informed { inform: &inform, first_contact: false });
        story.handle(Input::SessionEnded);
        assert!(story.events().is_empty(), "it waits for its parameters");
        if crash {
            story.restart();
            assert!(story.alarm().unwrap() <= story.env().wall, "nobody would wake it");
            story.handle(Input::Tick);
        } else {
            story.pass(story.config.request_timeout_ms + 1);
        }
        assert_eq!(story.events().len(), 1);
        story.handle(Input::Tick);
        assert!(story.events().is_empty());
        assert!(story.alarm().is_none_or(|at| at > story.env().wall));
    }
}

#[test]
fn a_reboot_restarts_the_agent() {
    let mut story = Story::begin();
    assert_eq!(story.restarts, 0, "a first contact is no restart");
    story.now += 100_000;
    story.ask(operate("Device.Reboot()", &[])).unwrap();
    let up_time = "Device.LocalAgent.UpTime";
    assert_eq!(story.get(up_time).unwrap()[up_time], "100");
    story.settle();
    assert_eq!(story.restarts, 1);
    assert_eq!(story.get(up_time).unwrap()[up_time], "0");
}

#[test]
fn causes_and_command_keys_are_those_of_whoever_asked() {
    let mut story = Story::begin();
    story.subscribe("Event", "Device.Boot!", &[("Persistent", "true")]);
    let boot = |story: &mut Story, codes: &[(&'static str, &'static str)]| {
        let mut inform = story.cpe.open();
        let event = |(code, key): &(&'static str, &'static str)| crate::cwmp::rpc::EventStruct {
            event_code: (*code).into(),
            command_key: (*key).into(),
        };
        inform.event.0 = codes.iter().map(event).collect();
        story.handle(Input::Informed { inform: &inform, first_contact: false });
        story.handle(Input::SessionEnded);
        let (_, params) = story.events().remove(0);
        (params["Cause"].clone(), params["CommandKey"].clone())
    };
    let is = |cause: &str, key: &str| (cause.to_owned(), key.to_owned());
    assert_eq!(boot(&mut story, &[("1 BOOT", "")]), is("LocalReboot", ""));
    let by_acs = [("1 BOOT", ""), ("M Reboot", "acs")];
    assert_eq!(boot(&mut story, &by_acs), is("RemoteReboot", ""), "the ACS's key is the ACS's");
    assert_eq!(boot(&mut story, &[("0 BOOTSTRAP", ""), ("1 BOOT", "")]), is("LocalFactoryReset", ""));
    story.ask(operate("Device.FactoryReset()", &[])).unwrap();
    assert_eq!(boot(&mut story, &[("0 BOOTSTRAP", "")]), is("RemoteFactoryReset", "key"));
    assert_eq!(boot(&mut story, &[("0 BOOTSTRAP", "")]), is("LocalFactoryReset", ""));
}
