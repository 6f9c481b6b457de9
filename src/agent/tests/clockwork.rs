//! What happens at times of the agent's own.

use super::*;

const CONTROLLER: &str = "Device.LocalAgent.Controller.1.";
const CODE: &str = "Device.LocalAgent.Controller.1.ProvisioningCode";

fn periodic(story: &mut Story, interval: &str, time: &str) {
    story.ask(set(CONTROLLER, &[("PeriodicNotifInterval", interval), ("PeriodicNotifTime", time)])).unwrap();
    story.subscribe("Event", "Device.LocalAgent.Periodic!", &[("Persistent", "true")]);
}

#[test]
fn tp469_1_55_a_subscription_is_gone_when_its_time_to_live_is_over() {
    let mut story = Story::begin();
    let row = story.subscribe("ValueChange", CODE, &[("NotifRetry", "true"), ("TimeToLive", "20")]);
    let disabled = [("Enable", "false"), ("TimeToLive", "20"), ("ID", "off")];
    let off = created(&story.ask(add("Device.LocalAgent.Subscription.", &disabled)).unwrap());
    story.ask(set(CONTROLLER, &[("ProvisioningCode", "TestValue55")])).unwrap();
    assert_eq!(story.notifications().len(), 1);
    // Nobody has ticked: whoever asks then finds it gone all the same.
    story.now += 20_001;
    assert_eq!(story.get(&row), Err(ErrorCode::OBJECT_DOES_NOT_EXIST));
    assert_eq!(story.get(&off), Err(ErrorCode::OBJECT_DOES_NOT_EXIST), "one that is not enabled ends too");
    story.ask(set(CONTROLLER, &[("ProvisioningCode", "TestValue55-2")])).unwrap();
    assert!(story.notifications().is_empty());
    assert_eq!(story.alarm(), None, "nothing is left to wake for");
}

#[test]
fn tp469_1_56_retries_end_when_the_notification_expires() {
    let mut story = Story::begin();
    story.subscribe("ValueChange", CODE, &[("NotifRetry", "true"), ("NotifExpiration", "20")]);
    story.ask(set(CONTROLLER, &[("ProvisioningCode", "TestValue56")])).unwrap();
    assert_eq!(story.notifications().len(), 1);
    story.pass(10_000);
    assert_eq!(story.notifications().len(), 1, "R-NOT.1: 5 to 10 seconds");
    story.pass(20_000);
    story.pass(600_000);
    assert!(story.notifications().is_empty());
    assert!(story.agent.is_idle());
}

#[test]
fn tp469_1_59_periodic_comes_at_its_times_over_rest_and_restarts() {
    let mut story = Story::begin();
    periodic(&mut story, "60", "2019-01-01T00:00:00Z");
    let first = story.alarm().unwrap();
    assert_eq!(first.0 % 60_000, 0, "the time reference is a whole minute");
    let mut at = Vec::new();
    for _ in 0..3 {
        // At rest until the alarm goes off.
        story.restart();
        let due = story.alarm().unwrap();
        assert!(story.events().is_empty());
        story.now = due.0 - 1_700_000_000_000;
        story.handle(Input::Tick);
        assert_eq!(story.events().len(), 1);
        story.handle(Input::Tick);
        assert!(story.events().is_empty(), "told twice");
        at.push(due.0);
    }
    assert_eq!([at[1] - at[0], at[2] - at[1]], [60_000; 2]);
    // Off for an hour and a half minute: what was missed is not made up for.
    story.now += 3_600_000 + 70_000;
    story.restart();
    story.handle(Input::Tick);
    assert_eq!(story.events().len(), 1, "ten seconds late");
}

#[test]
fn tp469_1_59_a_schedule_counts_from_when_it_is_made() {
    let mut story = Story::begin();
    story.handle(Input::Tick);
    let minute = (story.env().wall.0 / 60_000 + 2) * 60_000;
    // Half a second after a full minute, and nobody has looked since before it.
    story.now += minute + 500 - story.env().wall.0;
    periodic(&mut story, "60", "2019-01-01T00:00:00Z");
    story.handle(Input::Tick);
    assert!(story.events().is_empty(), "the minute was over when the subscription was made");
    assert_eq!(story.alarm().unwrap().0, minute + 60_000);
    story.pass(59_500);
    assert_eq!(story.events().len(), 1);
    // What was due when it was changed is not lost.
    story.now += 60_000;
    story.ask(set(CONTROLLER, &[("PeriodicNotifInterval", "3600")])).unwrap();
    assert_eq!(story.events().len(), 1);
}

#[test]
fn a_fleet_without_time_reference_does_not_speak_all_at_once() {
    let mut story = Story::begin();
    periodic(&mut story, "3600", "0001-01-01T00:00:00Z");
    let due = story.alarm().unwrap();
    let now = story.env().wall;
    assert!(due > now && due.0 <= now.0 + 3_600_000);
    story.restart();
    story.handle(Input::Tick);
    assert_eq!(story.alarm(), Some(due), "its place in the interval is its own and stays");
    story.ask(set(CONTROLLER, &[("PeriodicNotifInterval", "60")])).unwrap();
    assert!(story.alarm().unwrap().0 <= now.0 + 60_000, "a new interval counts at once");
}

#[test]
fn a_clock_that_is_put_back_does_not_silence_an_agent() {
    let mut story = Story::begin();
    story.now = 7_200_000;
    periodic(&mut story, "60", "2019-01-01T00:00:00Z");
    story.handle(Input::Tick);
    story.now = 10_000;
    story.handle(Input::Tick);
    story.events();
    story.pass(60_000);
    assert_eq!(story.events().len(), 1);
}

#[test]
fn tp469_9_11_1_91_a_timer_completes_over_reboots_and_restarts() {
    let mut story = Story::begin();
    let timer = "Device.ScheduleTimer()";
    story.subscribe("OperationComplete", timer, &[("Persistent", "true")]);
    let args = [("DelaySeconds", "60"), ("InvalidArgument", "2")];
    let answer = format!("{:?}", story.ask(operate(timer, &args)).unwrap());
    assert!(answer.contains("Device.LocalAgent.Request.1."), "{answer}");
    let twin = format!("{:?}", story.ask(operate(timer, &args)).unwrap());
    assert!(twin.contains("7005"), "its row would have the keys of another: {twin}");
    assert!(!story.wanted, "a timer is nothing of the CPE's");
    story.ask(operate("Device.Reboot()", &[])).unwrap();
    story.settle();
    story.restart();
    assert!(story.agent.is_idle(), "a timer keeps nobody awake");
    story.pass(50_000);
    assert!(story.notifications().is_empty());
    assert_eq!(story.alarm().unwrap().0, story.env().wall.0 + 10_000);
    story.pass(10_000);
    let told = story.notifications();
    let Some(Notification::OperComplete(complete)) = &told[0].1.notification else { panic!("{told:?}") };
    assert_eq!((complete.obj_path.as_str(), complete.command_name.as_str()), ("Device.", "ScheduleTimer()"));
    assert_eq!(story.get("Device.LocalAgent.Request.1."), Err(ErrorCode::OBJECT_DOES_NOT_EXIST));
    assert!(!story.wanted);
}
