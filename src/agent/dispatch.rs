//! From a message to a plan, or to an answer at once.

use bytes::Bytes;

use crate::identity::EndpointId;
use crate::translation::{
    Add, Delete, Diagnostic, Get, Lookup, Models, Operate, Outcome, Plan, Refusal, Rights, Searched, Set,
    Sort, Step, View, is_own,
};
use crate::usp::message::{self, Message, MessageBody, MessageError, Request, Response, operate_resp};
use crate::usp::{ErrorCode, SUPPORTED_VERSIONS};

use super::command;
use super::core::Agent;
use super::io::{Env, Output, Shadow};
use super::queue::{Asker, Job, Work};

impl Agent {
    /// A message from a controller.
    pub(super) fn message(
        &mut self,
        env: &Env,
        shadow: &mut Shadow,
        controller: &EndpointId,
        payload: Bytes,
        out: &mut Vec<Output>,
    ) {
        match Message::decode(payload) {
            Ok(Message { msg_id, body: MessageBody::Request(request) }) => {
                self.request(env, shadow, controller, msg_id, request, out);
            }
            Ok(Message {
                msg_id,
                body: MessageBody::Response(Response::NotifyResp(_)) | MessageBody::Error(_),
            }) => {
                self.acknowledged(controller, &msg_id, out);
            }
            Ok(_) => {}
            Err(MessageError::Unparseable(why)) => {
                out.push(Output::Log(format!("dropped a USP message: {why}")));
            }
            // R-MSG.4 knows no way to answer what has no message id.
            Err(MessageError::Missing { msg_id, .. } | MessageError::Mismatch { msg_id })
                if msg_id.is_empty() =>
            {
                out.push(Output::Log("dropped a USP message without a message id".into()));
            }
            Err(error) => {
                let (MessageError::Missing { msg_id, .. } | MessageError::Mismatch { msg_id }) = &error
                else {
                    return;
                };
                let answer = Message::error(msg_id.clone(), ErrorCode::INVALID_ARGUMENTS, error.to_string());
                self.send(controller, answer, self.exchange.way(), None);
            }
        }
    }

    fn request(
        &mut self,
        env: &Env,
        shadow: &mut Shadow,
        controller: &EndpointId,
        msg_id: String,
        request: Request,
        out: &mut Vec<Output>,
    ) {
        if self.is_silent() {
            return self.refuse_silently(controller, msg_id);
        }
        // GetSupportedDM takes no searches, and what needs none is answered from the index.
        let mut from_index = matches!(request, Request::GetSupportedDm(_));
        let own = match &request {
            Request::Get(request) => {
                request.param_paths.iter().all(|path| is_own(path, &self.local.tree().model))
            }
            _ => false,
        };
        // Where nothing of the CPE's is written, it need not be called to be told so.
        let held_back = !self.stage().writes();
        let mut wants_answer = true;
        let mut command_key = String::new();
        let plan: Box<dyn Plan> = match request {
            Request::Get(request) => {
                let way = self.exchange.way();
                let asker =
                    Asker { msg_id: msg_id.clone(), wants_answer, way, ..Asker::silent(controller.clone()) };
                if self.answer_fresh(env, shadow, &request, asker, out) {
                    return;
                }
                let paths = request.param_paths.clone();
                Box::new(Searched::new(paths.iter().map(String::as_str), Get::new(request)))
            }
            Request::Set(request) => {
                let paths: Vec<String> = request.update_objs.iter().map(|it| it.obj_path.clone()).collect();
                let plan = Searched::new(paths.iter().map(String::as_str), Set::new(request));
                from_index = held_back && plan.needs_no_search();
                Box::new(plan)
            }
            Request::Add(request) => {
                let paths: Vec<String> = request.create_objs.iter().map(|it| it.obj_path.clone()).collect();
                let plan = Searched::new(paths.iter().map(String::as_str), Add::new(request));
                from_index = held_back && plan.needs_no_search();
                Box::new(plan)
            }
            Request::Delete(request) => {
                let paths = request.obj_paths.clone();
                let plan = Searched::new(paths.iter().map(String::as_str), Delete::new(request));
                from_index = held_back && plan.needs_no_search();
                Box::new(plan)
            }
            Request::Operate(request) => {
                wants_answer = request.send_resp;
                command_key = request.command_key.clone();
                if let Some((command, expr)) = command::find(&request.command) {
                    let way = self.exchange.way();
                    let asker =
                        Asker { controller: controller.clone(), msg_id, wants_answer, command_key, way };
                    return self.execute(env, shadow, asker, &request, (command, &expr), out);
                }
                if !self.may_operate(controller, shadow, &request.command) {
                    let refusal = Refusal::new(ErrorCode::PERMISSION_DENIED, command::FORBIDDEN);
                    return self.command_failed(controller, msg_id, request, refusal);
                }
                let by = (controller, msg_id.as_str());
                if let Some(refusal) = self.judge_operation(env, shadow, by, &request.command, out) {
                    return self.command_failed(controller, msg_id, request, refusal);
                }
                if self.config.reset_departs && request.command == FACTORY_RESET {
                    let refusal = Refusal::new(ErrorCode::COMMAND_FAILURE, DEPARTS);
                    return self.command_failed(controller, msg_id, request, refusal);
                }
                if let Some(diagnostic) = Diagnostic::of(&request.command) {
                    return self.operate(controller, msg_id, request, diagnostic, out);
                }
                let Some(plan) = Operate::new(&request) else {
                    let why = format!("this agent has no command {}", request.command);
                    return self.refuse(controller, msg_id, ErrorCode::INVALID_PATH, why);
                };
                Box::new(plan)
            }
            Request::GetInstances(request) => {
                let paths = request.obj_paths.clone();
                let plan = Searched::new(paths.iter().map(String::as_str), Lookup::Instances(request));
                from_index = plan.needs_no_search();
                Box::new(plan)
            }
            Request::GetSupportedDm(request) => Box::new(Lookup::SupportedDm(request)),
            Request::GetSupportedProtocol(_) => {
                let agent_supported_protocol_versions = SUPPORTED_VERSIONS.into();
                let resp = message::GetSupportedProtocolResp { agent_supported_protocol_versions };
                let response = Response::GetSupportedProtocolResp(resp);
                return self.send(controller, Message::response(msg_id, response), self.exchange.way(), None);
            }
            Request::Notify(_) | Request::Register(_) | Request::Deregister(_) => {
                let code = ErrorCode::MESSAGE_NOT_SUPPORTED;
                return self.refuse(controller, msg_id, code, code.name());
            }
        };
        let way = self.exchange.way();
        let asker = Asker { controller: controller.clone(), msg_id, wants_answer, command_key, way };
        if plan.is_local() || own || (from_index && self.is_discovered()) {
            self.carry_out(env, shadow, asker, plan, Work::Asked, out);
        } else {
            self.enqueue(env, asker, plan, out);
        }
    }

    fn may_operate(&mut self, controller: &EndpointId, shadow: &Shadow, command: &str) -> bool {
        let access = self.local.access_of(controller);
        let models = Models { cpe: &shadow.cpe, local: &self.local.tree().model };
        access.may(Rights::EXECUTE, Sort::CommandEvent, command, models)
    }

    /// A command that is refused is told so in an OperateResp (R-OPR.1).
    fn command_failed(
        &mut self,
        controller: &EndpointId,
        msg_id: String,
        request: message::Operate,
        refusal: Refusal,
    ) {
        use operate_resp::operation_result::{CommandFailure, OperationResp};
        if !request.send_resp {
            return;
        }
        let failure = CommandFailure { err_code: refusal.code.0, err_msg: refusal.why };
        let operation_resp = Some(OperationResp::CmdFailure(failure));
        let result = operate_resp::OperationResult { executed_command: request.command, operation_resp };
        let resp = message::OperateResp { operation_results: vec![result] };
        let message = Message::response(msg_id, Response::OperateResp(resp));
        self.send(controller, message, self.exchange.way(), None);
    }

    /// Answers a Get from the shadow, where the operator lets values be so old and all of them are known.
    fn answer_fresh(
        &mut self,
        env: &Env,
        shadow: &mut Shadow,
        request: &message::Get,
        asker: Asker,
        out: &mut Vec<Output>,
    ) -> bool {
        if self.config.fresh_ms == 0 || !self.is_discovered() {
            return false;
        }
        self.local.show_moment(self.stored.up_seconds(env.wall));
        let mut plan = Get::new(request.clone());
        let access = self.local.access_of(&asker.controller);
        let view = View::new(&mut shadow.cpe, &mut self.local, &access, env.wall);
        let Some(outcome) = plan.answer_from_shadow(&view, self.config.fresh_ms) else { return false };
        let job = Job::new(Some(asker), Box::new(plan), 0, Work::Asked);
        self.finish(env, shadow, job, outcome, None, out);
        true
    }

    /// A request about the gateway's own objects: answered at once, without the device.
    pub(super) fn carry_out(
        &mut self,
        env: &Env,
        shadow: &mut Shadow,
        asker: Asker,
        mut plan: Box<dyn Plan>,
        work: Work,
        out: &mut Vec<Output>,
    ) {
        self.local.acting_for(Some(&asker.controller), env.wall);
        self.local.show_moment(self.stored.up_seconds(env.wall));
        self.show_sessions();
        let access = self.local.access_of(&asker.controller);
        let mut view = View::new(&mut shadow.cpe, &mut self.local, &access, env.wall);
        let outcome = match plan.next(&mut view) {
            Step::Done(outcome) => outcome,
            // No plan asks the CPE for what is the gateway's.
            Step::Call(_) => Outcome::error(ErrorCode::INTERNAL_ERROR, "the request asked for the device"),
        };
        let job = Job::new(Some(asker), plan, 0, work);
        self.finish(env, shadow, job, outcome, None, out);
        self.tell_news(env, shadow, out);
    }

    fn enqueue(&mut self, env: &Env, asker: Asker, plan: Box<dyn Plan>, out: &mut Vec<Output>) {
        if self.queue.len() >= self.config.max_queue {
            let why = format!("{} requests wait for this device already", self.queue.len());
            return self.refuse(&asker.controller, asker.msg_id, ErrorCode::RESOURCES_EXCEEDED, why);
        }
        let deadline = env.now + self.config.request_timeout_ms;
        self.queue.push(Job::new(Some(asker), plan, deadline, Work::Asked));
        out.push(Output::WantSession);
    }

    pub(super) fn refuse(
        &mut self,
        controller: &EndpointId,
        msg_id: String,
        code: ErrorCode,
        why: impl Into<String>,
    ) {
        self.send(controller, Message::error(msg_id, code, why), self.exchange.way(), None);
    }
}

const FACTORY_RESET: &str = "Device.FactoryReset()";
/// Why what may bring the settings of the factory back is refused.
pub(super) const DEPARTS: &str = "the device has been told the gateway's URL, and would not come back with the \
                                  settings of its factory (takeover.reset_leads_back)";
