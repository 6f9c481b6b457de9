//! Asynchronous operations (TR-369 6.1.8.2): a Request row each, from Operate to OperationComplete. They
//! survive restarts of the gateway.

use std::collections::BTreeMap;

use crate::datamodel::path;
use crate::durable::{Change, Entry, Kind};
use crate::identity::EndpointId;
use crate::translation::{Diagnostic, Outcome, Refusal};
use crate::usp::ErrorCode;
use crate::usp::message::notify::{self, operation_complete};
use crate::usp::message::{self, Message, Response, operate_resp};

use super::core::Agent;
use super::io::{Env, Output, Shadow};
use super::local::Operation;
use super::queue::Work;
use super::upgrade::Upgrade;

impl Operation {
    /// One that has not begun and has no row yet.
    pub fn new(
        originator: &EndpointId,
        command: &str,
        command_key: &str,
        input_args: &BTreeMap<String, String>,
    ) -> Self {
        Self {
            format: FORMAT,
            instance: 0,
            originator: originator.clone(),
            command: command.to_owned(),
            command_key: command_key.to_owned(),
            input_args: input_args.clone(),
            started: false,
            noted: false,
            due: None,
            canceling: false,
            upgrade: None,
        }
    }

    /// Whether the CPE is at it, for as long as it stays up.
    pub fn is_diagnostic(&self) -> bool {
        self.due.is_none() && self.upgrade.is_none()
    }

    pub fn restore(entries: &[Entry]) -> Vec<Self> {
        let kept = entries.iter().filter(|entry| entry.kind == Kind::Operation);
        let read = kept.filter_map(|entry| serde_json::from_slice::<Self>(&entry.value).ok());
        read.filter(|operation| operation.format == FORMAT).collect()
    }

    pub fn change(&self) -> Change {
        let value = serde_json::to_vec(self).unwrap_or_default();
        Change::put(Kind::Operation, self.instance.to_string(), value)
    }
}

impl Agent {
    /// Takes an asynchronous command on: its row and the operation are durable before it is answered.
    pub(super) fn operate(
        &mut self,
        controller: &EndpointId,
        msg_id: String,
        request: message::Operate,
        diagnostic: &'static Diagnostic,
        out: &mut Vec<Output>,
    ) {
        let send_resp = request.send_resp;
        let executed_command = request.command.clone();
        use operate_resp::operation_result::{CommandFailure, OperationResp};
        let resp = match self.take_on(controller, request, diagnostic) {
            Ok((row, change)) => {
                self.persist(vec![change], out);
                out.push(Output::WantSession);
                OperationResp::ReqObjPath(row)
            }
            Err(refusal) => {
                OperationResp::CmdFailure(CommandFailure { err_code: refusal.code.0, err_msg: refusal.why })
            }
        };
        let result = operate_resp::OperationResult { executed_command, operation_resp: Some(resp) };
        let resp = message::OperateResp { operation_results: vec![result] };
        // The row's commit comes after the operation's, and a device's commits keep their order.
        let after = self.flush_local(out);
        if send_resp {
            let message = Message::response(msg_id, Response::OperateResp(resp));
            self.send(controller, message, self.exchange.way(), after);
        }
    }

    fn take_on(
        &mut self,
        controller: &EndpointId,
        request: message::Operate,
        diagnostic: &'static Diagnostic,
    ) -> Result<(String, Change), Refusal> {
        diagnostic.check(&request.input_args)?;
        if self.operations.iter().any(|operation| operation.command == request.command) {
            let why = "the device is at this command already, and can do one at a time";
            return Err(Refusal::new(ErrorCode::RESOURCES_EXCEEDED, why));
        }
        let message::Operate { command, command_key, input_args, .. } = &request;
        self.begin(Operation::new(controller, command, command_key, input_args))
    }

    /// Gives an operation its Request row; the change makes it durable.
    pub(super) fn begin(&mut self, mut operation: Operation) -> Result<(String, Change), Refusal> {
        let originator = self.local.row_of(&operation.originator).unwrap_or_default();
        let params = [
            ("Originator", originator.trim_end_matches('.')),
            ("Command", &operation.command),
            ("CommandKey", &operation.command_key),
            ("Status", if operation.started { "Active" } else { "Requested" }),
        ];
        let params = params.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let Some((instance, row)) = self.local.add_request(&params) else {
            return Err(Refusal::new(ErrorCode::RESOURCES_EXCEEDED, "too many operations are under way"));
        };
        operation.instance = instance;
        let change = operation.change();
        self.operations.push(operation);
        Ok((row, change))
    }

    /// Ends an operation because a controller asked for it; what the CPE is at at this moment is awaited.
    pub(super) fn cancel(
        &mut self,
        env: &Env,
        shadow: &Shadow,
        instance: u32,
        out: &mut Vec<Output>,
    ) -> bool {
        let Some(operation) = self.operations.iter_mut().find(|it| it.instance == instance) else {
            return false;
        };
        if operation.upgrade.as_ref().is_some_and(Upgrade::is_told) {
            return false;
        }
        operation.canceling = true;
        if self.queue.cancel(instance) {
            self.completed(env, shadow, instance, Outcome::Silent, out);
        } else {
            let change = operation.change();
            self.local.set_request_status(instance, "Canceling");
            self.persist(vec![change], out);
        }
        true
    }

    /// Timers whose time has come are complete.
    pub(super) fn end_timers(&mut self, env: &Env, shadow: &Shadow, out: &mut Vec<Output>) {
        let is_due = |it: &&Operation| it.due.is_some_and(|at| at <= env.wall);
        let due: Vec<u32> = self.operations.iter().filter(is_due).map(|it| it.instance).collect();
        for instance in due {
            self.completed(env, shadow, instance, Outcome::Completed(BTreeMap::new()), out);
        }
    }

    pub(super) fn wants_start(&self) -> bool {
        let waits = |it: &Operation| match it.upgrade {
            Some(_) => self.is_to_be_told(it),
            None => !it.started && !Diagnostic::of(&it.command).is_some_and(|kind| self.acs_diagnoses(kind)),
        };
        self.recheck || self.owes_inputs() || self.operations.iter().any(waits)
    }

    /// Puts the starts of operations that have not begun in the queue.
    pub(super) fn plan_operations(&mut self, env: &Env) {
        let waiting: Vec<(u32, &'static Diagnostic)> = self
            .operations
            .iter()
            .filter(|it| !it.started)
            .filter_map(|it| Some((it.instance, Diagnostic::of(&it.command)?)))
            .filter(|(_, diagnostic)| !self.acs_diagnoses(diagnostic))
            .collect();
        for (instance, diagnostic) in waiting {
            self.plan_diagnostic(env, instance, diagnostic);
        }
        self.plan_inputs(env);
        self.plan_orders(env);
        if std::mem::take(&mut self.recheck) {
            self.read_results(env);
        }
    }

    /// The CPE was told to start, or would not.
    pub(super) fn started(
        &mut self,
        env: &Env,
        shadow: &Shadow,
        instance: u32,
        outcome: &Outcome,
        out: &mut Vec<Output>,
    ) {
        let Some(operation) = self.operations.iter_mut().find(|it| it.instance == instance) else { return };
        if operation.canceling || matches!(outcome, Outcome::Error(_)) {
            if operation.upgrade.is_some() && !operation.canceling {
                return self.told(env, shadow, instance, outcome, out);
            }
            return self.completed(env, shadow, instance, outcome.clone(), out);
        }
        if operation.upgrade.is_some() {
            return self.told(env, shadow, instance, outcome, out);
        }
        operation.started = true;
        let change = operation.change();
        self.local.set_request_status(instance, "Active");
        self.persist(vec![change], out);
    }

    /// `8 DIAGNOSTICS COMPLETE`, or a restart of the gateway: the results of ours are read in this session.
    pub(super) fn read_results(&mut self, env: &Env) {
        let started: Vec<(u32, &'static Diagnostic)> = self
            .operations
            .iter()
            .filter(|it| it.started && !self.queue.has(Work::Finish(it.instance)))
            .filter_map(|it| Some((it.instance, Diagnostic::of(&it.command)?)))
            .collect();
        for (instance, diagnostic) in started {
            self.push_own(env, Box::new(diagnostic.finish()), Work::Finish(instance));
        }
    }

    /// A restart of the device ends what it was at.
    pub(super) fn fail_operations(&mut self, env: &Env, shadow: &Shadow, out: &mut Vec<Output>) {
        // A timer goes on, and new firmware makes it restart.
        let ends = |it: &&Operation| it.is_diagnostic() && it.started;
        let begun: Vec<u32> = self.operations.iter().filter(ends).map(|it| it.instance).collect();
        for instance in begun {
            let why = "the device restarted before it was through";
            self.completed(env, shadow, instance, Outcome::error(ErrorCode::COMMAND_FAILURE, why), out);
        }
    }

    /// The operation is over: its subscribers are told, its row goes (R-OPR.0).
    pub(super) fn completed(
        &mut self,
        env: &Env,
        shadow: &Shadow,
        instance: u32,
        outcome: Outcome,
        out: &mut Vec<Output>,
    ) {
        let Some(at) = self.operations.iter().position(|it| it.instance == instance) else { return };
        let operation = self.operations.remove(at);
        use operation_complete::{CommandFailure, OperationResp, OutputArgs};
        let resp = match outcome {
            _ if operation.canceling => OperationResp::CmdFailure(CommandFailure {
                err_code: ErrorCode::COMMAND_CANCELED.0,
                err_msg: "a controller canceled it".into(),
            }),
            Outcome::Completed(output_args) => OperationResp::ReqOutputArgs(OutputArgs { output_args }),
            Outcome::Error(error) => {
                OperationResp::CmdFailure(CommandFailure { err_code: error.err_code, err_msg: error.err_msg })
            }
            Outcome::Response(_) | Outcome::Silent => OperationResp::ReqOutputArgs(OutputArgs::default()),
        };
        let name = path::name(&operation.command);
        let complete = notify::OperationComplete {
            obj_path: operation.command[..operation.command.len() - name.len()].to_owned(),
            command_name: name.to_owned(),
            command_key: operation.command_key.clone(),
            operation_resp: Some(resp.clone()),
        };
        // It is forgotten by the commit that makes its notification durable: a restart tells one end of it.
        self.together.push(Change::delete(Kind::Operation, instance.to_string()));
        self.operation_complete(env, shadow, &complete, out);
        self.tell_transfer(env, shadow, &operation, &resp, out);
        self.local.remove_request(instance);
        if !self.together.is_empty() {
            self.persist(Vec::new(), out);
        }
        if operation.upgrade.is_some() {
            self.forget_upgrade(&operation, out);
        }
    }
}

const FORMAT: u32 = 1;
