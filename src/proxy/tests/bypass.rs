//! A device that the operator leaves to its ACS: what the ACS and the CPE see of it.

use super::calls::{BASE, Line, URL};
use super::*;
use crate::policy::{Bypass, BypassMode, PASSED};

fn order(mode: BypassMode, since: u64) -> Option<Bypass> {
    Some(Bypass { mode, since: WallTime(since) })
}

fn line() -> Line {
    let (agent, _) = super::configs();
    let controllers = agent.controllers.clone();
    let agent = AgentConfig { controllers, notification_attributes: true, ..AgentConfig::default() };
    let mut line = Line::with(agent);
    let setting = |(param, value): (&str, &str)| message::add::CreateParamSetting {
        param: param.into(),
        value: value.into(),
        required: true,
    };
    let settings =
        [("Enable", "true"), ("ID", "s"), ("NotifType", "ValueChange"), ("ReferenceList", SSID)].map(setting);
    let object = message::add::CreateObject {
        obj_path: "Device.LocalAgent.Subscription.".into(),
        param_settings: settings.into(),
    };
    let add = message::Add { allow_partial: false, create_objs: vec![object] };
    let record = Message::request("q", message::Request::Add(add)).encode();
    let from = EndpointId::parse("self::ctl").unwrap();
    let record = Record::plain(&from, &line.bench.id().endpoint_id(), record).encode();
    line.tell(Input::Record(record, Integrity::Trusted, Shown::Untold));
    for _ in 0..2 {
        line.session(None);
    }
    assert_eq!(line.bench.notification(SSID), 2);
    line
}

/// Whether the next session's Inform reaches the ACS as the CPE sent it.
fn passes(line: &mut Line) -> bool {
    let own = line.bench.value(URL).unwrap().to_owned();
    let seen = line.informs("2 PERIODIC");
    line.is_informed();
    line.post(Bytes::new());
    let mut out = line.acs_says(None);
    line.work_off(&mut out);
    let seen = String::from_utf8(seen.to_vec()).unwrap();
    assert!(seen.contains(&own) != seen.contains(BASE), "{seen}");
    seen.contains(&own)
}

fn has_passed(line: &Line) -> bool {
    line.stored.iter().any(|entry| entry.kind == Kind::Bypass && entry.key == PASSED)
}

#[test]
fn a_bypassed_cpe_is_given_back_after_the_acss_leg_and_then_every_byte_passes_also_after_a_restart() {
    let mut line = line();
    let release = order(BypassMode::Release, 7);
    line.tell(Input::Bypass(release));
    assert!(!passes(&mut line), "splices stay until the CPE is restored");
    assert_eq!(line.bench.notification(SSID), 0);
    assert!(!has_passed(&line), "the ACS has not heard of the CPE's own address yet");
    assert!(!passes(&mut line), "the CPE could still tell what it was asked to before");
    assert!(passes(&mut line));
    assert!(has_passed(&line));
    line.restart();
    line.tell(Input::Bypass(release));
    assert!(passes(&mut line));
    line.tell(Input::Bypass(order(BypassMode::Bypass, 8)));
    assert!(passes(&mut line), "nothing is left to be given back");
    line.tell(Input::Bypass(None));
    assert!(!passes(&mut line));
    passes(&mut line);
    assert_eq!(line.bench.notification(SSID), 2, "the CPE is asked again to tell");
}

#[test]
fn in_an_emergency_nothing_is_spliced_from_the_next_post_on_and_the_cpe_is_left_as_it_is() {
    let mut line = line();
    line.tell(Input::Bypass(order(BypassMode::Emergency, 7)));
    for _ in 0..2 {
        assert!(passes(&mut line));
    }
    assert!(line.bench.notification(SSID) == 2 && !has_passed(&line));
    line.tell(Input::Bypass(order(BypassMode::Bypass, 8)));
    for _ in 0..2 {
        assert!(!passes(&mut line), "a bypass gives back what an emergency left");
    }
    assert!(passes(&mut line));
    assert!(line.bench.notification(SSID) == 0 && has_passed(&line));
}
