//! An agent whose device is left to its ACS.

use super::*;
use crate::agent::Silence;

const SSID: &str = "Device.WiFi.SSID.1.SSID";

fn story() -> Story {
    let settings = AgentConfig { notification_attributes: true, ..AgentConfig::default() };
    let mut story = Story::with(settings);
    story.session();
    story.session();
    story.said.clear();
    story
}

impl Story {
    fn silence(&mut self, silence: Silence) {
        let mut out = Vec::new();
        let env = self.env();
        self.agent.silence(&env, &mut self.shadow, silence, &mut out);
        self.carry_out(out);
    }
}

#[test]
fn a_silent_agent_refuses_tells_nothing_and_gives_back_what_it_changed_of_the_cpe() {
    let mut story = story();
    story.subscribe("ValueChange", SSID, &[]);
    story.settle();
    assert_eq!((story.cpe.notification(SSID), story.agent.has_given_back()), (2, false));
    story.notifications();
    let waiting = story.send(&controller(), set("Device.WiFi.SSID.1.", &[("SSID", "waits")]));
    story.silence(Silence::GivingBack);
    let answer = story.said.pop().unwrap().1;
    let MessageBody::Error(error) = answer.body else { panic!("{answer:?}") };
    assert_eq!((answer.msg_id, error.err_code), (waiting, 7_002), "what waits is answered");
    let error = story.ask(set("Device.LocalAgent.Subscription.1.", &[("Enable", "false")])).unwrap_err();
    assert!(error.err_code == 7_002 && error.err_msg.contains("bypass"), "{error:?}");
    for _ in 0..3 {
        let rpcs = story.session();
        assert!(rpcs.iter().all(|rpc| rpc == "SetParameterAttributes"), "{rpcs:?}");
    }
    assert_eq!((story.cpe.notification(SSID), story.agent.has_given_back()), (0, true));
    story.cpe.change(SSID, "changed");
    assert!(story.session().is_empty() && story.notifications().is_empty());
    assert_eq!((story.agent.next_own_time(), story.alarm()), (None, None));
    story.silence(Silence::None);
    assert!(story.wanted, "the CPE is called to tell again");
    story.settle();
    assert_eq!(story.cpe.notification(SSID), 2);
    story.get(SSID).unwrap();
}

#[test]
fn in_an_emergency_the_cpe_is_not_even_given_back() {
    let mut story = story();
    story.subscribe("ValueChange", SSID, &[]);
    story.settle();
    story.silence(Silence::Total);
    for _ in 0..3 {
        assert!(story.session().is_empty());
    }
    assert!(story.cpe.notification(SSID) == 2 && !story.agent.has_work());
}
