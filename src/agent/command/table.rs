//! The commands, how a path names them, and how one is carried out on each object that it names.

use std::collections::BTreeMap;

use crate::identity::EndpointId;
use crate::translation::{Models, Refusal, Rights, Sort, objects_for};
use crate::usp::ErrorCode;
use crate::usp::message::operate_resp::OperationResult;
use crate::usp::message::operate_resp::operation_result::{CommandFailure, OperationResp, OutputArgs};
use crate::usp::message::{self, Message, OperateResp, Response};
use crate::usp::path::{PathExpr, Segment};

use super::super::core::Agent;
use super::super::io::{Env, Output, Shadow};
use super::super::queue::Asker;
use super::{
    activate, add_certificate, add_my_certificate, arguments, cancel, delete_certificate, download,
    force_collection, get_fingerprint, reconnect, reset_session, schedule_timer, send_on_board_request,
};

/// A command of the agent's own.
#[derive(Debug)]
pub(in crate::agent) struct Command {
    /// In supported notation.
    pub path: &'static str,
    pub(super) run: Run,
}

type Run = fn(&mut Agent, &Call<'_>, &mut Vec<Output>) -> Result<Done, Refusal>;

/// One execution, on one object.
pub(super) struct Call<'c> {
    pub(super) env: &'c Env,
    pub(super) shadow: &'c Shadow,
    pub(super) controller: &'c EndpointId,
    /// The object, such as `Device.LocalAgent.Request.3.`.
    pub(super) object: &'c str,
    /// The command's full path.
    pub(super) command: &'c str,
    pub(super) command_key: &'c str,
    /// Checked, with defaults.
    pub(super) args: BTreeMap<String, String>,
}

/// How it went.
pub(super) enum Done {
    /// It is complete.
    Complete,
    /// It is complete, with these output arguments.
    With(BTreeMap<String, String>),
    /// It goes on; this is its Request row.
    Goes(String),
}

/// Those of firmware stand last.
const COMMANDS: [Command; 13] = [
    add_certificate::COMMAND,
    add_my_certificate::COMMAND,
    cancel::COMMAND,
    delete_certificate::COMMAND,
    force_collection::COMMAND,
    get_fingerprint::COMMAND,
    reset_session::COMMAND,
    schedule_timer::COMMAND,
    send_on_board_request::COMMAND,
    reconnect::FORCE_RECONNECT,
    reconnect::RESET,
    activate::COMMAND,
    download::COMMAND,
];

/// The paths of the commands of the agent's own, in supported notation.
const PATHS: [&str; COMMANDS.len()] = {
    let mut paths = [""; COMMANDS.len()];
    let mut at = 0;
    while at < paths.len() {
        paths[at] = COMMANDS[at].path;
        at += 1;
    }
    paths
};
/// The events that the agent itself sends; those of firmware stand last.
const EVENTS: [&str; 5] = [
    "Device.BulkData.Profile.{i}.Push!",
    "Device.Boot!",
    "Device.LocalAgent.Periodic!",
    "Device.LocalAgent.Threshold.{i}.Triggered!",
    "Device.LocalAgent.TransferComplete!",
];

/// The commands that there are, with or without those of firmware.
pub(in crate::agent) fn paths(firmware: bool) -> &'static [&'static str] {
    if firmware { &PATHS } else { PATHS.split_at(PATHS.len() - 2).0 }
}

/// The events that there are, likewise.
pub(in crate::agent) fn events(firmware: bool) -> &'static [&'static str] {
    if firmware { &EVENTS } else { EVENTS.split_at(EVENTS.len() - 1).0 }
}

/// The command that a path names, and the path of the objects that it is to be carried out on.
pub(in crate::agent) fn find(command: &str) -> Option<(&'static Command, PathExpr)> {
    let (object, leaf) = command.rsplit_once('.')?;
    let expr = PathExpr::parse(&format!("{object}.")).ok()?;
    let mut supported = String::new();
    for segment in &expr.segments {
        match segment {
            Segment::Name(name) => supported.push_str(name),
            Segment::Instance(_) | Segment::Wildcard | Segment::Search(_) => supported.push_str("{i}"),
            // Where a reference leads is the CPE's matter.
            Segment::Follow(_) => return None,
        }
        supported.push('.');
    }
    supported.push_str(leaf);
    COMMANDS.iter().find(|known| known.path == supported).map(|known| (known, expr))
}

impl Agent {
    /// Carries a command out on each object that its path names (R-OPR.1, R-OPR.2).
    pub(in crate::agent) fn execute(
        &mut self,
        env: &Env,
        shadow: &Shadow,
        Asker { controller, msg_id, wants_answer, way, .. }: Asker,
        request: &message::Operate,
        (command, expr): (&'static Command, &PathExpr),
        out: &mut Vec<Output>,
    ) {
        self.local.acting_for(Some(&controller), env.wall);
        let access = self.local.access_of(&controller);
        let models = Models { cpe: &shadow.cpe, local: &self.local.tree().model };
        let objects = match command.path.contains("{i}") {
            true => objects_for(expr, models, &access),
            false => Ok(vec![expr.object()]),
        };
        let objects = match objects {
            Ok(objects) => objects,
            Err(missing) => return self.refuse(&controller, msg_id, missing.code, missing.why),
        };
        let leaf = crate::datamodel::path::name(command.path);
        let mut operation_results = Vec::with_capacity(objects.len());
        for object in objects {
            let executed = format!("{object}{leaf}");
            let models = Models { cpe: &shadow.cpe, local: &self.local.tree().model };
            let may = access.may(Rights::EXECUTE, Sort::CommandEvent, &executed, models);
            let by = (&controller, msg_id.as_str());
            let owned = may.then(|| self.judge_operation(env, shadow, by, &executed, out)).flatten();
            let done = match (may, arguments::check(command.path, &request.input_args)) {
                (false, _) => Err(Refusal::new(ErrorCode::PERMISSION_DENIED, FORBIDDEN)),
                (true, Err(refusal)) => Err(refusal),
                (true, Ok(_)) if let Some(refusal) = owned => Err(refusal),
                (true, Ok(args)) => {
                    let command_key = request.command_key.as_str();
                    let call = Call {
                        env,
                        shadow,
                        controller: &controller,
                        object: &object,
                        command: &executed,
                        command_key,
                        args,
                    };
                    (command.run)(self, &call, out)
                }
            };
            operation_results.push(result(executed, done));
        }
        let after = self.flush_local(out);
        if wants_answer {
            let response = Response::OperateResp(OperateResp { operation_results });
            self.send(&controller, Message::response(msg_id, response), way, after);
        }
    }
}

fn result(executed_command: String, done: Result<Done, Refusal>) -> OperationResult {
    let resp = match done {
        Ok(Done::Complete) => OperationResp::ReqOutputArgs(OutputArgs::default()),
        Ok(Done::With(output_args)) => {
            OperationResp::ReqOutputArgs(OutputArgs { output_args: output_args.into_iter().collect() })
        }
        Ok(Done::Goes(row)) => OperationResp::ReqObjPath(row),
        Err(Refusal { code, why }) => {
            OperationResp::CmdFailure(CommandFailure { err_code: code.0, err_msg: why })
        }
    };
    OperationResult { executed_command, operation_resp: Some(resp) }
}

/// Why a controller may not execute a command.
pub(in crate::agent) const FORBIDDEN: &str = "this controller's roles do not let it be executed";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datamodel::supported::{Kind, Supported};

    #[test]
    fn commands_and_events_are_the_standards() {
        let kinds = [(&PATHS[..], Kind::Command), (&EVENTS[..], Kind::Event)];
        for (path, kind) in
            kinds.into_iter().flat_map(|(paths, kind)| paths.iter().map(move |path| (path, kind)))
        {
            assert_eq!(Supported::device2().find(path).map(|row| row.kind), Some(kind), "{path}");
        }
        let named = |path: &str| find(path).map(|(command, _)| command.path);
        assert_eq!(named("Device.LocalAgent.Request.*.Cancel()"), Some(cancel::COMMAND.path));
        assert_eq!(
            named(r#"Device.LocalAgent.Controller.[Alias=="a"].SendOnBoardRequest()"#),
            Some(send_on_board_request::COMMAND.path)
        );
        assert_eq!(named("Device.LocalAgent.Request.Cancel()"), None);
        assert_eq!(named("Device.Reboot()"), None);
    }
}
