//! Operate on commands of the agent's own.

use super::*;
use crate::usp::message::operate_resp::operation_result::OperationResp;

fn results(story: &mut Story, from: &EndpointId, command: &str, args: &[(&str, &str)]) -> Vec<(String, u32)> {
    let Ok(Response::OperateResp(resp)) = story.ask_as(from, operate(command, args)) else {
        panic!("no OperateResp")
    };
    let code = |resp: &Option<OperationResp>| match resp {
        Some(OperationResp::CmdFailure(failure)) => failure.err_code,
        _ => 0,
    };
    resp.operation_results.iter().map(|it| (it.executed_command.clone(), code(&it.operation_resp))).collect()
}

#[test]
fn r_opr_1_r_opr_2_a_search_path_is_carried_out_on_each_object() {
    let mut story = Story::begin();
    let command = |row: u32| format!("Device.LocalAgent.Controller.{row}.SendOnBoardRequest()");
    let any = "Device.LocalAgent.Controller.*.SendOnBoardRequest()";
    assert_eq!(results(&mut story, &controller(), any, &[]), [(command(1), 0), (command(2), 0)]);
    story.ask(set("Device.LocalAgent.Controller.2.", &[("Enable", "false")])).unwrap();
    assert_eq!(results(&mut story, &controller(), any, &[]), [(command(1), 0), (command(2), 7022)]);
    let one = r#"Device.LocalAgent.Controller.[EndpointID=="self::ctl"].SendOnBoardRequest()"#;
    assert_eq!(results(&mut story, &controller(), one, &[]), [(command(1), 0)]);
    let none = r#"Device.LocalAgent.Controller.[EndpointID=="self::no"].SendOnBoardRequest()"#;
    assert_eq!(results(&mut story, &controller(), none, &[]), []);
    let missing = story.ask(operate("Device.LocalAgent.Controller.9.SendOnBoardRequest()", &[])).unwrap_err();
    assert_eq!(ErrorCode(missing.err_code), ErrorCode::OBJECT_DOES_NOT_EXIST);
}

#[test]
fn what_would_lead_a_cpe_away_that_was_taken_over_by_its_url_is_refused_to_controllers() {
    let refused = |reset_departs: bool| {
        let mut story = Story::with(AgentConfig { reset_departs, ..AgentConfig::default() });
        story.session();
        story.session();
        results(&mut story, &controller(), "Device.FactoryReset()", &[]).remove(0).1
    };
    assert_eq!(refused(true), 7022);
    assert_eq!(refused(false), 0);
}

#[test]
fn a_controller_executes_what_its_roles_let_it() {
    let mut story = Story::begin();
    let timer = ("Device.ScheduleTimer()".to_owned(), 7006);
    assert_eq!(
        results(&mut story, &reader(), &timer.0, &[("DelaySeconds", "1")]),
        std::slice::from_ref(&timer)
    );
    assert!(story.agent.operations.is_empty());
}

#[test]
fn tp469_1_100_r_opr_5_missing_arguments_are_told_and_nothing_is_done() {
    let mut story = Story::begin();
    story.subscribe("OperationComplete", "Device.ScheduleTimer()", &[]);
    let refused = results(&mut story, &controller(), "Device.ScheduleTimer()", &[]);
    assert_eq!(refused, [("Device.ScheduleTimer()".to_owned(), 7027)]);
    story.pass(120_000);
    assert!(story.notifications().is_empty());
}

#[test]
fn r_opr_4_without_send_resp_nothing_is_answered() {
    let mut story = Story::begin();
    let Request::Operate(request) = operate("Device.ScheduleTimer()", &[("DelaySeconds", "5")]) else {
        panic!()
    };
    story.send(&controller(), Request::Operate(message::Operate { send_resp: false, ..request }));
    assert!(story.said.is_empty());
    assert_eq!(story.agent.operations.len(), 1);
}

#[test]
fn r_opr_3_cancel_ends_an_operation_and_its_subscribers_are_told() {
    let mut story = Story::begin();
    story.subscribe("OperationComplete", "Device.", &[]);
    story.ask(operate("Device.ScheduleTimer()", &[("DelaySeconds", "60")])).unwrap();
    story.send(&controller(), operate("Device.IP.Diagnostics.IPPing()", &[("Host", "127.0.0.1")]));
    let done = results(&mut story, &controller(), "Device.LocalAgent.Request.*.Cancel()", &[]);
    assert_eq!(done.iter().map(|(_, code)| *code).collect::<Vec<_>>(), [0, 0]);
    let told = story.notifications();
    assert_eq!(told.len(), 2);
    assert!(told.iter().all(|it| format!("{it:?}").contains("7023")), "{told:?}");
    assert!(story.session().iter().all(|rpc| rpc != "SetParameterValues"), "it was started all the same");
    story.pass(600_000);
    assert!(story.notifications().is_empty());
}

#[test]
fn what_is_listed_is_what_can_be_executed() {
    let mut story = Story::begin();
    let request = message::GetSupportedDm {
        obj_paths: vec!["Device.".into()],
        first_level_only: false,
        return_commands: true,
        return_events: true,
        return_params: false,
        return_unique_key_sets: false,
    };
    let answer = format!("{:?}", story.ask(Request::GetSupportedDm(request)).unwrap());
    for name in ["Cancel()", "ScheduleTimer()", "SendOnBoardRequest()", "Reboot()", "Boot!", "Periodic!"] {
        assert!(answer.contains(&format!("\"{name}\"")), "{name}");
    }
}
