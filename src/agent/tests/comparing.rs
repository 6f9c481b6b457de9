//! Shadow mode: controllers read and subscribe, the ACS is compared, and nothing is sent for it.

use super::*;
use crate::cwmp::rpc::{Array, Fault, GetParameterValues, ParameterValueStruct, SetParameterValues};
use crate::datamodel::ValueType;
use crate::policy::{Class, Comparison, Glob, Stage, StageRule, Stages};
use crate::usp::message::operate_resp::operation_result::OperationResp;

const SSID: &str = "Device.WiFi.SSID.1.SSID";
const PASSPHRASE: &str = "Device.WiFi.AccessPoint.1.Security.KeyPassphrase";
const TR_098: &str = include_str!("../../../fixtures/models/tr098-small.csv");
const WLAN: &str = "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.";

fn at(stage: Stage) -> AgentConfig {
    let stages = Arc::new(Stages { usual: stage, rules: Vec::new() });
    AgentConfig { stages, ..AgentConfig::default() }
}

fn story(stage: Stage, model: &str) -> Story {
    let mut story = Story::of(at(stage), Bench::new(model));
    story.session();
    story.session();
    story.said.clear();
    story
}

fn values(names: &[&str]) -> CwmpRequest<'static> {
    let parameter_names = Array(names.iter().map(|name| name.to_string().into()).collect());
    CwmpRequest::GetParameterValues(GetParameterValues { parameter_names })
}

fn sets(name: &str, value: &str) -> CwmpRequest<'static> {
    let one = ParameterValueStruct::new(name.to_owned(), value.to_owned(), ValueType::String);
    let set = SetParameterValues { parameter_list: Array(vec![one]), parameter_key: "k".into() };
    CwmpRequest::SetParameterValues(set)
}

impl Story {
    /// What the ACS has the CPE do, in its turn; then the session ends.
    fn acs_does(&mut self, requests: &[CwmpRequest<'_>]) {
        let inform = self.cpe.open();
        self.handle(Input::Informed { inform: &inform, first_contact: false });
        for request in requests {
            match self.cpe.handle(request) {
                Ok(response) => self.handle(Input::Observed { request, response: &response }),
                Err(fault) => self.handle(Input::Refused { request, fault: &fault }),
            }
        }
        self.handle(Input::SessionEnded);
        self.cpe.close();
    }

    fn kept(&self) -> Option<Comparison> {
        self.stored.get(&(Kind::Comparison, String::new())).map(|value| Comparison::decode(value))
    }
}

fn refusal(answer: Result<Response, message::Error>) -> (u32, String) {
    match answer {
        Err(error) => (error.err_code, error.err_msg),
        Ok(Response::OperateResp(resp)) => match &resp.operation_results[0].operation_resp {
            Some(OperationResp::CmdFailure(failure)) => (failure.err_code, failure.err_msg.clone()),
            other => panic!("{other:?}"),
        },
        Ok(other) => panic!("{other:?}"),
    }
}

#[test]
fn in_shadow_mode_every_write_is_refused_with_7006_before_the_cpe_hears_of_it() {
    let mut story = story(Stage::Shadow, MODEL);
    let delete = message::Delete { allow_partial: true, obj_paths: vec!["Device.NAT.PortMapping.1.".into()] };
    let row = "Device.WiFi.SSID.1.";
    for request in [
        set(row, &[("SSID", "mine")]),
        add("Device.NAT.PortMapping.", &[]),
        operate("Device.Reboot()", &[]),
        operate("Device.FactoryReset()", &[]),
        operate("Device.IP.Diagnostics.IPPing()", &[("Host", "h")]),
    ] {
        let (code, why) = refusal(story.ask(request.clone()));
        assert!(code == 7_006 && why.contains("shadow mode"), "{request:?}: {code} {why}");
        assert!(!story.wanted, "the CPE is not even called: {request:?}");
    }
    let Ok(Response::DeleteResp(resp)) = story.ask(Request::Delete(delete)) else { panic!() };
    assert!(format!("{resp:?}").contains("7006"), "{resp:?}");
    assert_eq!((story.cpe.value(SSID), story.operations()), (Some("Home"), 0));
    assert!(story.cpe.value("Device.NAT.PortMapping.1.Enable").is_some());
}

impl Story {
    fn operations(&self) -> usize {
        self.stored.keys().filter(|(kind, _)| *kind == Kind::Operation).count()
    }
}

#[test]
fn in_shadow_mode_controllers_read_subscribe_and_write_what_is_the_agents_own() {
    let stages = Arc::new(Stages { usual: Stage::Shadow, rules: Vec::new() });
    let config = AgentConfig { stages, notification_attributes: true, ..AgentConfig::default() };
    let mut story = Story::of(config, Bench::new(MODEL));
    story.session();
    story.session();
    story.said.clear();
    assert_eq!(story.get(SSID).unwrap()[SSID], "Home");
    let row = story.subscribe("ValueChange", SSID, &[]);
    story.settle();
    assert_eq!(story.cpe.notification(SSID), 0, "its attributes are the ACS's");
    story.cpe.change(SSID, "other");
    story.session();
    assert_eq!(story.notifications().len(), 1, "found by reading");
    story.ask(set(&row, &[("Enable", "false")])).unwrap();
    story.ask(operate("Device.ScheduleTimer()", &[("DelaySeconds", "5")])).unwrap();
    // What a subscription would set is a write as well.
    let trigger = [
        ("Enable", "true"),
        ("ID", "trigger"),
        ("NotifType", "ValueChange"),
        ("ReferenceList", "Device.WiFi.SSID.2.Enable"),
        ("TriggerAction", "Config"),
        ("TriggerConfigSettings", "Device.WiFi.SSID.2.SSID=x"),
    ];
    story.ask(add("Device.LocalAgent.Subscription.", &trigger)).unwrap();
    story.get("Device.WiFi.SSID.2.Enable").unwrap();
    story.cpe.change("Device.WiFi.SSID.2.Enable", "0");
    story.session();
    story.settle();
    assert_eq!(story.cpe.value("Device.WiFi.SSID.2.SSID"), Some("Home 5G"));
    assert!(story.log.iter().any(|line| line.contains("7006")), "{:?}", story.log);
}

#[test]
fn the_score_is_kept_over_sessions_and_restarts() {
    let mut story = story(Stage::Shadow, MODEL);
    story.acs_does(&[values(&["Device.WiFi."]), sets(SSID, "the ACS's")]);
    let first = story.kept().unwrap();
    assert!(first.tally.compared > 40 && first.tally.score() == Some(1.0), "{first:?}");
    story.restart();
    story.acs_does(&[values(&["Device.WiFi.X_ACME"]), sets("Device.DeviceInfo.UpTime", "x")]);
    let kept = story.kept().unwrap();
    assert_eq!(kept.tally.compared, first.tally.compared + 2);
    assert_eq!(story.tallies.last().unwrap().compared, 2);
    assert_eq!(kept.model.software_version, "1.4.2");
    // Both refuse: a controller would have been told the same.
    assert!(kept.differences().next().is_none() && kept.tally.score() == Some(1.0), "{kept:?}");
}

#[test]
fn nothing_is_sent_to_the_cpe_for_comparing() {
    let traffic = |stage| {
        let mut story = story(stage, MODEL);
        story.wanted = false;
        story.acs_does(&[values(&["Device."]), sets(SSID, "x"), sets("Device.Gone", "x")]);
        (story.wanted, story.session(), story.session())
    };
    assert_eq!(traffic(Stage::Shadow), traffic(Stage::Read));
}

#[test]
fn a_difference_is_noted_without_secrets_and_counted_when_it_comes_again() {
    let mut story = story(Stage::Shadow, MODEL);
    for _ in 0..3 {
        let request = sets(PASSPHRASE, "very secret");
        let fault = Fault::of(9001);
        story.handle(Input::Refused { request: &request, fault: &fault });
        story.shadow.cpe.put_param("Device.WiFi.X_Gone", false);
        story.acs_does(&[values(&["Device.WiFi."])]);
    }
    let kept = story.kept().unwrap();
    let all: Vec<_> = kept.differences().map(|it| (it.class, it.path.as_str(), it.times)).collect();
    assert_eq!(all, [(Class::Path, "Device.WiFi.X_Gone", 3)]);
    let bytes = story.stored[&(Kind::Comparison, String::new())].clone();
    assert!(!String::from_utf8(bytes.to_vec()).unwrap().contains("very secret"));
}

#[test]
fn devices_of_tr_098_are_compared_in_their_own_words() {
    let mut story = story(Stage::Shadow, TR_098);
    let (ssid, rate) = (format!("{WLAN}SSID"), format!("{WLAN}MaxBitRate"));
    story.acs_does(&[values(&[&ssid, &rate]), sets(&ssid, "new")]);
    let kept = story.kept().unwrap();
    assert_eq!((kept.tally.compared, kept.tally.differing), (3, 1));
    let only = kept.differences().next().unwrap();
    assert_eq!((only.class, only.path.as_str()), (Class::Unmapped, rate.as_str()));
}

#[test]
fn another_firmware_may_be_at_another_stage_and_has_a_score_of_its_own() {
    let rule = StageRule {
        oui: None,
        product_class: None,
        software_version: Some(Glob::new("1.4.*")),
        stage: Stage::Shadow,
    };
    let stages = Arc::new(Stages { usual: Stage::Write, rules: vec![rule] });
    let config = AgentConfig { stages, ..AgentConfig::default() };
    let mut story = Story::of(config, Bench::new(MODEL));
    story.session();
    story.session();
    story.acs_does(&[values(&[SSID])]);
    let request = || set("Device.WiFi.SSID.1.", &[("SSID", "mine")]);
    assert_eq!(refusal(story.ask(request())).0, 7_006);
    story.cpe.flash(&MODEL.replace("1.4.2", "1.5.0"));
    story.session();
    story.session();
    story.ask(request()).unwrap();
    let before = story.kept();
    story.acs_does(&[values(&[SSID])]);
    assert_eq!(story.kept(), before, "it is not compared any more");
    story.restart();
    story.ask(request()).unwrap();
}

#[test]
fn attributes_that_were_set_for_subscriptions_are_given_back_in_shadow_mode() {
    let config = AgentConfig { notification_attributes: true, ..AgentConfig::default() };
    let mut story = Story::of(config, Bench::new(MODEL));
    story.session();
    story.session();
    story.subscribe("ValueChange", SSID, &[("Persistent", "true")]);
    story.settle();
    story.session();
    assert_ne!(story.cpe.notification(SSID), 0);
    let controllers = story.config.controllers.clone();
    let config = AgentConfig { controllers, notification_attributes: true, ..at(Stage::Shadow) };
    story.config = Arc::new(config);
    story.restart();
    (0..3).for_each(|_| _ = story.session());
    assert_eq!((story.cpe.notification(SSID), story.agent.local.subscriptions().len()), (0, 1));
}

#[test]
fn what_waited_from_before_does_not_begin_in_shadow_mode() {
    let mut story = story(Stage::Write, MODEL);
    story.subscribe("OperationComplete", "Device.IP.Diagnostics.IPPing()", &[]);
    story.send(&controller(), operate("Device.IP.Diagnostics.IPPing()", &[("Host", "h")]));
    assert_eq!(story.operations(), 1);
    story.config =
        Arc::new(AgentConfig { controllers: story.config.controllers.clone(), ..at(Stage::Shadow) });
    story.restart();
    story.said.clear();
    let rpcs = story.session();
    assert!(!rpcs.iter().any(|rpc| rpc == "SetParameterValues"), "{rpcs:?}");
    assert_eq!((story.operations(), story.agent.has_work()), (0, false));
    let told = story.notifications();
    assert!(format!("{told:?}").contains("7006"), "{told:?}");
}

#[test]
fn elsewhere_nothing_is_compared_or_stored() {
    for stage in [Stage::Write, Stage::Read] {
        let mut story = story(stage, MODEL);
        assert!(!story.agent.compares());
        story.acs_does(&[values(&["Device."])]);
        assert!(story.kept().is_none() && story.tallies.is_empty());
        let written = story.ask(set("Device.WiFi.SSID.1.", &[("SSID", "mine")]));
        assert_eq!(written.is_ok(), stage == Stage::Write);
    }
    let mut fresh = Story::with(at(Stage::Shadow));
    fresh.acs_does(&[values(&["Device."])]);
    assert!(fresh.kept().is_none(), "what the device has is not known yet");
}
