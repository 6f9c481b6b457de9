//! Operate (TR-369 6.1.4.5): the commands that have an RPC of their own.

use crate::cwmp::rpc::{FactoryReset, Fault, Reboot, Request, Response};
use crate::usp::ErrorCode;
use crate::usp::message::{self, operate_resp};

use super::fault;
use super::plan::{Outcome, Plan, Step, View};

/// A command on its way.
pub struct Operate {
    command: String,
    request: Option<Request<'static>>,
    result: Option<Result<(), (ErrorCode, String)>>,
}

impl Operate {
    /// All that there are.
    pub(super) const COMMANDS: [&str; 2] = ["Device.FactoryReset()", "Device.Reboot()"];

    /// `None` for commands that this device cannot be asked for.
    pub fn new(request: &message::Operate) -> Option<Self> {
        let rpc = match request.command.as_str() {
            "Device.Reboot()" => Request::Reboot(Reboot { command_key: request.command_key.clone().into() }),
            "Device.FactoryReset()" => Request::FactoryReset(FactoryReset {}),
            _ => return None,
        };
        Some(Self { command: request.command.clone(), request: Some(rpc), result: None })
    }
}

impl Plan for Operate {
    fn next(&mut self, _: &mut View<'_>) -> Step {
        if let Some(request) = self.request.take() {
            return Step::Call(request);
        }
        use operate_resp::operation_result::{CommandFailure, OperationResp, OutputArgs};
        let resp = match self.result.take() {
            Some(Ok(())) => OperationResp::ReqOutputArgs(OutputArgs::default()),
            Some(Err((code, err_msg))) => {
                OperationResp::CmdFailure(CommandFailure { err_code: code.0, err_msg })
            }
            None => {
                return Step::Done(Outcome::error(
                    ErrorCode::COMMAND_FAILURE,
                    "the command was not carried out",
                ));
            }
        };
        let executed_command = std::mem::take(&mut self.command);
        let result = operate_resp::OperationResult { executed_command, operation_resp: Some(resp) };
        let resp = message::OperateResp { operation_results: vec![result] };
        Step::Done(Outcome::Response(message::Response::OperateResp(resp)))
    }

    fn answered(&mut self, _: &mut View<'_>, _: &Response<'_>) {
        self.result = Some(Ok(()));
    }

    fn faulted(&mut self, _: &mut View<'_>, fault: &Fault<'_>) {
        self.result = Some(Err((ErrorCode::COMMAND_FAILURE, fault::text(fault))));
    }

    fn ends_session(&self) -> bool {
        true
    }
}
