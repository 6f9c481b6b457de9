//! Who may write what, and what is noted of writes that are in each other's way.

use super::*;
use crate::cwmp::rpc::{AddObject, Array, DeleteObject, ParameterValueStruct, SetParameterValues};
use crate::datamodel::ValueType;
use crate::policy::{Action, Conflict, Ledger, OwnedPath, Owner, Ownership, OwnershipMode, OwnershipRule};
use crate::usp::message::set_resp::updated_object_result::operation_status::OperStatus;

const SSID: &str = "Device.WiFi.SSID.1.SSID";
const ENABLE: &str = "Device.WiFi.SSID.1.Enable";
const ZONE: &str = "Device.Time.LocalTimeZone";
const TR_098: &str = include_str!("../../../fixtures/models/tr098-small.csv");

fn other() -> EndpointId {
    EndpointId::parse("self::other").unwrap()
}

fn story(mode: OwnershipMode, rules: &[(&str, Owner)]) -> Story {
    story_of(mode, rules, Bench::new(MODEL))
}

fn story_of(mode: OwnershipMode, rules: &[(&str, Owner)], cpe: Bench) -> Story {
    let rules = rules.iter().map(|(path, owner)| OwnershipRule {
        name: format!("rule of {path}"),
        path: OwnedPath::parse(path).unwrap(),
        owner: owner.clone(),
    });
    let ownership = Ownership { mode, rules: rules.collect(), window_ms: 3_600_000 };
    let mut story = Story::of(AgentConfig { ownership: Arc::new(ownership), ..AgentConfig::default() }, cpe);
    story.session();
    story.session();
    story.said.clear();
    story
}

fn set_all(allow_partial: bool, settings: &[(&str, &str, bool)]) -> Request {
    let settings = settings.iter().map(|(param, value, required)| message::set::UpdateParamSetting {
        param: (*param).into(),
        value: (*value).into(),
        required: *required,
    });
    let object = message::set::UpdateObject {
        obj_path: "Device.WiFi.SSID.1.".into(),
        param_settings: settings.collect(),
    };
    Request::Set(message::Set { allow_partial, update_objs: vec![object] })
}

impl Story {
    fn acs(&mut self, request: &CwmpRequest<'_>) {
        let response = self.cpe.handle(request).unwrap();
        self.handle(Input::Observed { request, response: &response });
    }

    fn acs_sets(&mut self, name: &str, value: &str) {
        let one = ParameterValueStruct::new(name.to_owned(), value.to_owned(), ValueType::String);
        let set = SetParameterValues { parameter_list: Array(vec![one]), parameter_key: "k".into() };
        self.acs(&CwmpRequest::SetParameterValues(set));
    }

    fn conflicts(&self) -> Vec<Conflict> {
        let stored = self.stored.get(&(Kind::Conflicts, String::new()));
        stored.map(|it| Ledger::decode(it).conflicts().cloned().collect()).unwrap_or_default()
    }

    /// Path, writer, action and who wrote before.
    fn brief(&self) -> Vec<(String, String, Action, Option<String>)> {
        let all = self.conflicts().into_iter();
        all.map(|it| (it.path, it.writer, it.action, it.previous)).collect()
    }

    fn cpe_value(&mut self, name: &str) -> String {
        self.get(name).unwrap().remove(name).unwrap()
    }
}

#[test]
fn a_set_of_what_the_acs_owns_is_refused_with_7006_before_the_cpe_is_touched() {
    let mut story = story(OwnershipMode::Enforce, &[("Device.WiFi.", Owner::Acs)]);
    let before = story.cpe_value(SSID);
    let error = story.ask(set("Device.WiFi.SSID.1.", &[("SSID", "mine")])).unwrap_err();
    assert_eq!(error.err_code, 7_006);
    assert_eq!((error.param_errs[0].param_path.as_str(), error.param_errs[0].err_code), (SSID, 7_006));
    assert!(error.param_errs[0].err_msg.contains("rule of Device.WiFi.\" leaves"), "{error:?}");
    assert_eq!(story.cpe_value(SSID), before);
    let noted = story.conflicts();
    assert_eq!(noted.len(), 1);
    assert_eq!((noted[0].old.as_deref(), noted[0].new.as_deref()), (Some(before.as_str()), Some("mine")));
    assert_eq!((noted[0].action, noted[0].owner.as_deref()), (Action::Denied, Some("acs")));
    assert!(noted[0].by.starts_with("message q"), "{noted:?}");
    assert!(story.log.iter().any(|line| line.contains(SSID) && !line.contains("mine")), "{:?}", story.log);
    story.ask(set("Device.Time.", &[("LocalTimeZone", "UTC")])).unwrap();
}

#[test]
fn r_set_2_of_an_owned_parameter_that_was_not_required_the_rest_is_set() {
    let mut story = story(OwnershipMode::Enforce, &[(SSID, Owner::Acs)]);
    let request = set_all(true, &[("SSID", "mine", false), ("Enable", "false", true)]);
    let Response::SetResp(resp) = story.ask(request).unwrap() else { panic!() };
    let status = resp.updated_obj_results[0].oper_status.as_ref().unwrap().oper_status.as_ref();
    let Some(OperStatus::OperSuccess(success)) = status else { panic!("{status:?}") };
    assert_eq!(success.updated_inst_results[0].param_errs[0].err_code, 7_006);
    assert!(success.updated_inst_results[0].updated_params.contains_key("Enable"));
    let request = set_all(true, &[("SSID", "mine", true), ("Enable", "true", true)]);
    let Response::SetResp(resp) = story.ask(request).unwrap() else { panic!() };
    let status = resp.updated_obj_results[0].oper_status.as_ref().unwrap().oper_status.as_ref();
    let Some(OperStatus::OperFailure(failure)) = status else { panic!("{status:?}") };
    assert_eq!(failure.err_code, 7_006);
    assert_eq!(story.conflicts().len(), 1, "the same again is one entry");
    assert_eq!(story.conflicts()[0].times, 2);
}

#[test]
fn the_owner_writes_and_every_other_controller_is_refused_and_the_acs_is_not() {
    let rules = [("Device.WiFi.", Owner::Controller(controller())), (ZONE, Owner::Controller(other()))];
    let mut story = story(OwnershipMode::Enforce, &rules);
    story.ask(set("Device.WiFi.SSID.1.", &[("SSID", "mine")])).unwrap();
    assert!(story.ask(set("Device.Time.", &[("LocalTimeZone", "UTC")])).is_err());
    story.acs_sets(SSID, "the ACS's");
    assert_eq!(story.cpe_value(SSID), "the ACS's");
    let found = story.brief();
    let us = Some(controller().to_string());
    assert_eq!(found[0], (ZONE.into(), controller().to_string(), Action::Denied, None));
    assert_eq!(found[1], (SSID.into(), "acs".into(), Action::Overwritten, us));
    let last = story.conflicts().pop().unwrap();
    assert_eq!((last.by.as_str(), last.old.as_deref()), ("SetParameterValues", Some("mine")));
    story.acs_sets(SSID, "the ACS's");
    assert_eq!(story.conflicts().len(), 2, "the same value again is in nobody's way");
}

#[test]
fn add_delete_and_operate_are_judged_as_set_is() {
    let rules = [("Device.WiFi.SSID.*.SSID", Owner::Acs), ("Device.IP.Diagnostics.", Owner::Acs)];
    let mut story = story(OwnershipMode::Enforce, &rules);
    let table = "Device.WiFi.SSID.";
    let refused = story.ask(add(table, &[("SSID", "new")])).unwrap_err();
    assert_eq!(refused.err_code, 7_006);
    assert_eq!(story.shadow.cpe.instances(table), [1, 2], "nothing was added");
    let row = format!("{table}1.");
    let delete = |row: &str| message::Delete { allow_partial: false, obj_paths: vec![row.into()] };
    let refused = story.ask(Request::Delete(delete(&row))).unwrap_err();
    assert_eq!((refused.err_code, story.shadow.cpe.has_object(&row)), (7_006, true));
    for command in ["Device.IP.Diagnostics.IPPing()", "Device.FactoryReset()"] {
        let Ok(Response::OperateResp(resp)) = story.ask(operate(command, &[("Host", "h")])) else { panic!() };
        use message::operate_resp::operation_result::OperationResp;
        let Some(OperationResp::CmdFailure(failure)) = &resp.operation_results[0].operation_resp else {
            panic!("{resp:?}")
        };
        assert_eq!(failure.err_code, 7_006, "{command}");
    }
    assert_eq!(story.brief().iter().filter(|it| it.2 == Action::Denied).count(), 4);
}

#[test]
fn advice_lets_everything_through_and_notes_what_would_be_refused() {
    let rules = [("Device.WiFi.", Owner::Acs), ("Device.IP.Diagnostics.", Owner::Acs)];
    let mut story = story(OwnershipMode::Advise, &rules);
    story.ask(set("Device.WiFi.SSID.1.", &[("SSID", "mine")])).unwrap();
    let row = created(&story.ask(add("Device.WiFi.SSID.", &[])).unwrap());
    let delete = message::Delete { allow_partial: false, obj_paths: vec![row.clone()] };
    story.ask(Request::Delete(delete)).unwrap();
    story.ask(operate("Device.IP.Diagnostics.IPPing()", &[("Host", "h")])).unwrap();
    let found: Vec<_> = story.brief().into_iter().map(|(path, _, action, _)| (path, action)).collect();
    let would = |path: &str| (path.to_owned(), Action::WouldBeDenied);
    assert_eq!(found, [would(SSID), would(&row), would("Device.IP.Diagnostics.IPPing()")]);
    assert_eq!(story.conflicts()[1].times, 2, "added and deleted");
}

#[test]
fn what_one_master_writes_over_the_others_is_noted_without_any_rule_and_survives_a_restart() {
    let mut story = story(OwnershipMode::Advise, &[]);
    story.restless = true;
    story.acs_sets(SSID, "the ACS's");
    story.ask(set("Device.WiFi.SSID.1.", &[("SSID", "mine")])).unwrap();
    story.restart();
    story.acs_sets(SSID, "the ACS's again");
    story.pass(3_600_001);
    story.ask(set("Device.WiFi.SSID.1.", &[("SSID", "much later")])).unwrap();
    let us = controller().to_string();
    let expected = [
        (SSID.to_owned(), us.clone(), Action::Overwritten, Some("acs".to_owned())),
        (SSID.to_owned(), "acs".to_owned(), Action::Overwritten, Some(us)),
    ];
    assert_eq!(story.brief(), expected);
    assert!(story.conflicts().iter().all(|it| it.rule.is_none()));
}

#[test]
fn objects_that_the_acs_deletes_are_conflicts_where_a_controller_wrote_in_them() {
    let mut story = story(OwnershipMode::Advise, &[]);
    let row = created(&story.ask(add("Device.WiFi.SSID.", &[("SSID", "mine")])).unwrap());
    let parameter_key = || "k".into();
    let delete = DeleteObject { object_name: row.clone().into(), parameter_key: parameter_key() };
    story.acs(&CwmpRequest::DeleteObject(delete));
    let added = AddObject { object_name: "Device.WiFi.SSID.".into(), parameter_key: parameter_key() };
    story.acs(&CwmpRequest::AddObject(added));
    assert_eq!(story.brief(), [(row, "acs".into(), Action::Overwritten, Some(controller().to_string()))]);
}

#[test]
fn rules_off_judge_and_store_nothing() {
    let mut story = story(OwnershipMode::Off, &[("Device.", Owner::Acs)]);
    story.ask(set("Device.WiFi.SSID.1.", &[("SSID", "mine")])).unwrap();
    story.acs_sets(SSID, "the ACS's");
    assert!(!story.stored.contains_key(&(Kind::Conflicts, String::new())));
}

#[test]
fn devices_of_tr_098_are_judged_by_the_paths_of_tr_181() {
    let rules = [("Device.WiFi.SSID.", Owner::Controller(other()))];
    let mut story = story_of(OwnershipMode::Enforce, &rules, Bench::new(TR_098));
    let error = story.ask(set("Device.WiFi.SSID.1.", &[("SSID", "mine")])).unwrap_err();
    assert_eq!(error.err_code, 7_006);
    story.acs_sets("InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.SSID", "the ACS's");
    let found: Vec<_> = story.brief().into_iter().map(|(path, writer, ..)| (path, writer)).collect();
    assert_eq!(found, [(SSID.to_owned(), controller().to_string()), (SSID.to_owned(), "acs".into())]);
}

#[test]
fn secrets_and_the_gateways_own_objects_leave_no_trace() {
    let mut story = story(OwnershipMode::Enforce, &[("Device.", Owner::Acs)]);
    let secured = "Device.WiFi.AccessPoint.1.Security.";
    let error = story.ask(set(secured, &[("KeyPassphrase", "very secret")])).unwrap_err();
    assert_eq!(error.err_code, 7_006);
    let bytes = story.stored[&(Kind::Conflicts, String::new())].clone();
    assert!(!String::from_utf8(bytes.to_vec()).unwrap().contains("very secret"));
    story.subscribe("ValueChange", ENABLE, &[]);
    assert_eq!(story.conflicts().len(), 1);
}

#[test]
fn a_flood_of_refused_writes_fills_no_log() {
    let mut story = story(OwnershipMode::Enforce, &[("Device.", Owner::Acs)]);
    for number in 0..40 {
        let value = format!("{number}");
        story.ask(set("Device.WiFi.SSID.1.", &[("SSID", &value)])).unwrap_err();
    }
    assert_eq!(story.conflicts().len(), 1);
    assert_eq!(story.log.iter().filter(|line| line.contains("writes")).count(), 10);
}
