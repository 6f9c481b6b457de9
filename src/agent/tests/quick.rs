//! What the shadow of a device at rest answers is what its agent would have answered.

use super::*;

fn begin() -> Story {
    let mut story = Story::with(AgentConfig { fresh_ms: 10_000, ..AgentConfig::default() });
    story.session();
    story.session();
    story.get("Device.").unwrap();
    story.get("Device.WiFi.").unwrap();
    // What was read is stored with the end of the session.
    story.handle(Input::SessionEnded);
    story
}

fn question(story: &Story, from: &EndpointId, request: Request) -> Option<Question> {
    let to = story.cpe.id().endpoint_id();
    let message = Message::request("q", request).encode();
    Question::of(&to, &story.config, &Record::plain(from, &to, message).encode(), &story.shown)
}

fn get(paths: &[&str], max_depth: u32) -> Request {
    Request::Get(message::Get {
        param_paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        max_depth,
    })
}

/// The answer from what is stored of the entries that the question wants.
fn quick(story: &Story, paths: &[&str], max_depth: u32) -> Option<Response> {
    let question = question(story, &controller(), get(paths, max_depth))?;
    let wanted = question.wanted();
    let mut entries = story.entries();
    entries.retain(|entry| wanted.iter().any(|range| range.holds(entry)));
    let to = story.cpe.id().endpoint_id();
    let (controller, record) = question.answer(&to, &story.config, &entries, story.env().wall)?;
    let record = Record::decode(record).unwrap();
    assert_eq!((record.to_id, record.from_id), (controller.to_string(), to.to_string()));
    let Payload::NoSession(payload) = record.payload else { panic!("no payload") };
    match Message::decode(payload).unwrap() {
        Message { msg_id, body: MessageBody::Response(response) } if msg_id == "q" => Some(response),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_device_at_rest_answers_as_its_agent_would() {
    let mut story = begin();
    let cases: [(&[&str], u32); 10] = [
        (&["Device.WiFi.SSID.1.SSID"], 0),
        (&["Device.WiFi.SSID.*.SSID", "Device.WiFi.SSIDNumberOfEntries"], 0),
        (&["Device.WiFi."], 1),
        (&["Device.WiFi.", "Device.Time.", "Device.Hosts."], 0),
        (&["Device.WiFi.SSID.[Enable==1].SSID"], 0),
        (&["Device.WiFi.SSID.77.SSID"], 0),
        (&["Device.WiFi.SSID.1.Nope", "Device.Nope."], 0),
        (&["Device.RootDataModelVersion"], 0),
        (&["Device.ManagementServer.URL"], 0),
        (&["Device.WiFi.SSID.1"], 0),
    ];
    for (paths, depth) in cases {
        let quick = quick(&story, paths, depth).unwrap_or_else(|| panic!("{paths:?} went to the agent"));
        assert_eq!(Ok(quick), story.ask(get(paths, depth)), "{paths:?}");
        assert!(!story.wanted, "{paths:?}: the agent asked the device");
    }
}

#[test]
fn a_device_on_which_rights_were_changed_is_asked_itself() {
    let mut story = begin();
    let ssid: &[&str] = &["Device.WiFi.SSID.1.SSID"];
    assert!(quick(&story, ssid, 0).is_some());
    story.ask(set("Device.LocalAgent.ControllerTrust.Role.1.", &[("Enable", "false")])).unwrap();
    assert!(quick(&story, ssid, 0).is_none(), "it is told what it may not read any more");
}

#[test]
fn what_is_old_unknown_or_not_plain_goes_to_the_agent() {
    let mut story = begin();
    let ssid: &[&str] = &["Device.WiFi.SSID.1.SSID"];
    let others =
        [get(&["Device.WiFi.SSID.1.LowerLayers+.Name"], 0), get(&["Device."], 0), add("Device.X.", &[])];
    for request in others {
        assert!(question(&story, &controller(), request).is_none());
    }
    let stranger = EndpointId::parse("self::stranger").unwrap();
    assert!(question(&story, &stranger, get(ssid, 0)).is_none());
    assert!(question(&story, &reader(), get(ssid, 0)).is_some());
    story.now += 11_000;
    assert!(quick(&story, ssid, 0).is_none(), "it is too old");
    story.now -= 11_000;
    assert!(quick(&story, ssid, 0).is_some());
    let device = story.stored.get_mut(&(Kind::Device, String::new())).unwrap();
    let undiscovered = String::from_utf8(device.to_vec())
        .unwrap()
        .replace("\"discovery_left\":[]", "\"discovery_left\":null");
    *device = undiscovered.into();
    assert!(quick(&story, ssid, 0).is_none(), "nobody knows what the device has");
    story.stored.remove(&(Kind::Device, String::new()));
    assert!(quick(&story, ssid, 0).is_none());
}

#[test]
fn what_the_gateway_has_of_firmware_is_told_by_the_agent() {
    let mut story = Story::with(AgentConfig { fresh_ms: 10_000, firmware: true, ..AgentConfig::default() });
    story.session();
    for (path, quick) in [
        ("Device.DeviceInfo.SoftwareVersion", true),
        ("Device.DeviceInfo.", false),
        ("Device.DeviceInfo.ActiveFirmwareImage", false),
        ("Device.DeviceInfo.*.Status", false),
    ] {
        assert_eq!(question(&story, &controller(), get(&[path], 0)).is_some(), quick, "{path}");
    }
}
