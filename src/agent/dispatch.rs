//! From a record to a plan, or to an answer at once.

use bytes::Bytes;

use crate::identity::EndpointId;
use crate::translation::{Get, Operate, Plan, Set, View, get_instances, get_supported_dm};
use crate::usp::message::{self, Message, MessageBody, MessageError, Request, Response};
use crate::usp::record::{Payload, Record};
use crate::usp::{ErrorCode, SUPPORTED_VERSIONS};

use super::config::Role;
use super::core::Agent;
use super::io::{Env, Output, Shadow};
use super::queue::{Asker, Job};

impl Agent {
    pub(super) fn record(&mut self, env: &Env, shadow: &mut Shadow, bytes: Bytes, out: &mut Vec<Output>) {
        let record = match Record::decode(bytes) {
            Ok(record) => record,
            Err(error) => return out.push(Output::Log(format!("dropped a USP record: {error}"))),
        };
        // R-MTP.5: a record for somebody else is ignored, and so is one from nobody we know.
        if record.to_id != self.endpoint.as_str() {
            return out.push(Output::Log(format!("dropped a USP record for {}", record.to_id)));
        }
        let Some(known) = self.controller(&record.from_id) else {
            let line = format!("dropped a USP record from {}, which is no controller here", record.from_id);
            return out.push(Output::Log(line));
        };
        let (controller, role) = (known.endpoint_id.clone(), known.role);
        match record.payload {
            Payload::NoSession(payload) => self.message(env, shadow, &controller, role, payload, out),
            Payload::Session => {
                let disconnect = Payload::Disconnect {
                    reason: ErrorCode::SESSION_CONTEXT_NOT_ALLOWED.name().into(),
                    reason_code: ErrorCode::SESSION_CONTEXT_NOT_ALLOWED.0,
                };
                let record = Record::of(&self.endpoint, &controller, disconnect).encode();
                out.push(Output::Send { controller, record, after: None });
            }
            // Connect and Disconnect records concern the transport.
            _ => {}
        }
    }

    fn message(
        &mut self,
        env: &Env,
        shadow: &mut Shadow,
        controller: &EndpointId,
        role: Role,
        payload: Bytes,
        out: &mut Vec<Output>,
    ) {
        match Message::decode(payload) {
            Ok(Message { msg_id, body: MessageBody::Request(request) }) => {
                self.request(env, shadow, controller, role, msg_id, request, out);
            }
            Ok(Message { body: MessageBody::Response(Response::NotifyResp(_)), .. }) => {
                self.onboarded(controller, out);
            }
            Ok(_) => {}
            Err(MessageError::Unparseable(why)) => {
                // R-MSG.4 knows no way to answer what has no message id.
                out.push(Output::Log(format!("dropped a USP message: {why}")));
            }
            Err(error) => {
                let (MessageError::Missing { msg_id, .. } | MessageError::Mismatch { msg_id }) = &error
                else {
                    return;
                };
                let answer = Message::error(msg_id.clone(), ErrorCode::INVALID_ARGUMENTS, error.to_string());
                self.send(controller, answer, out);
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one call, and each of them is needed once")]
    fn request(
        &mut self,
        env: &Env,
        shadow: &mut Shadow,
        controller: &EndpointId,
        role: Role,
        msg_id: String,
        request: Request,
        out: &mut Vec<Output>,
    ) {
        let writes =
            matches!(request, Request::Set(_) | Request::Add(_) | Request::Delete(_) | Request::Operate(_));
        if writes && role == Role::ReadOnly {
            let why = "this controller's role may only read";
            return self.send(controller, Message::error(msg_id, ErrorCode::PERMISSION_DENIED, why), out);
        }
        let mut wants_answer = true;
        let plan: Box<dyn Plan> = match request {
            Request::Get(request) => Box::new(Get::new(request)),
            Request::Set(request) => Box::new(Set::new(request, self.parameter_key.clone())),
            Request::Operate(request) => {
                wants_answer = request.send_resp;
                match Operate::new(&request) {
                    Some(plan) => Box::new(plan),
                    None => {
                        let why = format!("this agent has no command {}", request.command);
                        return self.send(
                            controller,
                            Message::error(msg_id, ErrorCode::INVALID_PATH, why),
                            out,
                        );
                    }
                }
            }
            Request::GetInstances(request) => {
                let view = View { cpe: &mut shadow.cpe, local: &self.local, wall: env.wall };
                let response = get_instances(&request, &view);
                return self.send(controller, Message::response(msg_id, response), out);
            }
            Request::GetSupportedDm(request) => {
                let view = View { cpe: &mut shadow.cpe, local: &self.local, wall: env.wall };
                let response = get_supported_dm(&request, &view);
                return self.send(controller, Message::response(msg_id, response), out);
            }
            Request::GetSupportedProtocol(_) => {
                let resp = message::GetSupportedProtocolResp {
                    agent_supported_protocol_versions: SUPPORTED_VERSIONS.into(),
                };
                let response = Response::GetSupportedProtocolResp(resp);
                return self.send(controller, Message::response(msg_id, response), out);
            }
            _ => {
                let why = ErrorCode::MESSAGE_NOT_SUPPORTED.name();
                return self.send(
                    controller,
                    Message::error(msg_id, ErrorCode::MESSAGE_NOT_SUPPORTED, why),
                    out,
                );
            }
        };
        self.enqueue(env, Asker { controller: controller.clone(), msg_id, wants_answer }, plan, out);
    }

    fn enqueue(&mut self, env: &Env, asker: Asker, plan: Box<dyn Plan>, out: &mut Vec<Output>) {
        if self.queue.len() >= self.config.max_queue {
            let why = format!("{} requests wait for this device already", self.queue.len());
            let answer = Message::error(asker.msg_id, ErrorCode::RESOURCES_EXCEEDED, why);
            return self.send(&asker.controller, answer, out);
        }
        let deadline = env.now + self.config.request_timeout_ms;
        self.queue.push(Job { asker: Some(asker), plan, deadline, rpc: None, is_discovery: false });
        out.push(Output::WantSession);
    }

    fn onboarded(&mut self, controller: &EndpointId, out: &mut Vec<Output>) {
        if !self.stored.onboarded.contains(controller) {
            self.stored.onboarded.push(controller.clone());
            let change = self.stored.change();
            self.persist(vec![change], out);
        }
    }
}
