//! OnBoardRequest, by the parameters of the controller's row.

use super::*;

const SEND: &str = "Device.LocalAgent.Controller.1.SendOnBoardRequest()";
const ROW: &str = "Device.LocalAgent.Controller.1.";

/// The message ids of OnBoardRequests since this was last asked.
fn requests(story: &mut Story) -> Vec<String> {
    let told = story.notifications().into_iter();
    let requests = told.filter(|(_, it)| matches!(it.notification, Some(Notification::OnBoardReq(_))));
    requests.map(|(msg_id, _)| msg_id).collect()
}

fn complete(story: &mut Story) -> String {
    story.get(&format!("{ROW}OnBoardingComplete")).unwrap().into_values().next().unwrap()
}

#[test]
fn tp469_1_101_send_on_board_request_begins_onboarding_anew() {
    let mut story = Story::begin();
    story.ask(set(ROW, &[("OnBoardingComplete", "true")])).unwrap();
    story.handle(Input::ControllerConnected { controller: controller() });
    assert!(requests(&mut story).is_empty());
    story.ask(operate(SEND, &[])).unwrap();
    let sent = requests(&mut story);
    assert_eq!(sent.len(), 1);
    story.acknowledge(&sent[0]);
    assert_eq!(complete(&mut story), "false");
    story.restart();
    story.handle(Input::ControllerConnected { controller: controller() });
    assert!(requests(&mut story).is_empty(), "it has been acknowledged");
}

#[test]
fn tp469_1_102_r_not_5_onboarding_is_begun_anew_until_it_is_complete() {
    let mut story = Story::begin();
    story.ask(set(ROW, &[("OnBoardingRestartTime", "60")])).unwrap();
    story.ask(operate(SEND, &[])).unwrap();
    let sent = requests(&mut story);
    story.acknowledge(&sent[0]);
    story.pass(59_000);
    assert!(requests(&mut story).is_empty());
    story.restart();
    assert_eq!(story.alarm().unwrap().0, story.env().wall.0 + 1_000, "rest does not lose it");
    story.pass(1_000);
    let again = requests(&mut story);
    assert_eq!(again.len(), 1);
    story.acknowledge(&again[0]);
    story.ask(set(ROW, &[("OnBoardingComplete", "true")])).unwrap();
    story.pass(600_000);
    assert!(requests(&mut story).is_empty());
    assert_eq!(story.alarm(), None);
}

#[test]
fn tp469_1_103_r_not_6a_without_a_restart_time_only_the_acknowledgement_is_waited_for() {
    let mut story = Story::begin();
    story.ask(operate(SEND, &[])).unwrap();
    assert_eq!(requests(&mut story).len(), 1);
    story.pass(10_000);
    let again = requests(&mut story);
    assert_eq!(again.len(), 1, "R-NOT.6a");
    story.acknowledge(&again[0]);
    story.pass(600_000);
    assert!(requests(&mut story).is_empty());
    assert!(story.agent.is_idle());
}

#[test]
fn a_controller_that_is_done_is_not_asked_again() {
    let mut story = Story::begin();
    story.ask(operate(SEND, &[])).unwrap();
    requests(&mut story);
    story.ask(set(ROW, &[("OnBoardingComplete", "true")])).unwrap();
    story.pass(600_000);
    assert!(requests(&mut story).is_empty());
    story.ask(set(ROW, &[("OnBoardingComplete", "false")])).unwrap();
    assert_eq!(requests(&mut story).len(), 1, "R-NOT.5: set to false by a controller");
}

#[test]
fn tp469_9_9_a_new_controller_is_asked_where_an_mtp_leads_to_it() {
    let mut story = Story::begin();
    let settings = [("EndpointID", "self::new"), ("Enable", "true")];
    let row = created(&story.ask(add("Device.LocalAgent.Controller.", &settings)).unwrap());
    assert!(requests(&mut story).is_empty(), "nothing leads there");
    let answer = story.ask(operate(&format!("{row}SendOnBoardRequest()"), &[])).unwrap();
    assert!(format!("{answer:?}").contains("7022"), "{answer:?}");
    story.ask(set("Device.LocalAgent.Controller.2.", &[("Enable", "false")])).unwrap();
    assert!(requests(&mut story).is_empty());
    story.ask(set("Device.LocalAgent.Controller.2.", &[("Enable", "true")])).unwrap();
    assert_eq!(requests(&mut story).len(), 1, "an MTP leads to this one");
}
