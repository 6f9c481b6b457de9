//! The values of parameters and arguments in a message, each with its path, and the texts of errors: for those who
//! must not show all of them.

use std::collections::BTreeMap;

use super::message::{
    Message, MessageBody, Notify, Request, Response, add_resp, get_resp, notify, operate_resp, set_resp,
};

/// What is called with a path, which is empty for a text that is about none, and what stands there.
type Each<'e> = &'e mut dyn FnMut(&str, &mut String);

/// Calls `each` for all values of a message. Arguments of a command are at `<command>.<name>`.
pub fn each_value(message: &mut Message, each: Each<'_>) {
    match &mut message.body {
        MessageBody::Request(request) => of_request(request, each),
        MessageBody::Response(response) => of_response(response, each),
        MessageBody::Error(error) => {
            each("", &mut error.err_msg);
            error.param_errs.iter_mut().for_each(|it| each("", &mut it.err_msg));
        }
    }
}

fn of_request(request: &mut Request, each: Each<'_>) {
    match request {
        Request::Set(set) => {
            for object in &mut set.update_objs {
                let settings = object.param_settings.iter_mut();
                settings.for_each(|it| each(&format!("{}{}", object.obj_path, it.param), &mut it.value));
            }
        }
        Request::Add(add) => {
            for object in &mut add.create_objs {
                let settings = object.param_settings.iter_mut();
                settings.for_each(|it| each(&format!("{}{}", object.obj_path, it.param), &mut it.value));
            }
        }
        Request::Operate(operate) => {
            let command = format!("{}.", operate.command);
            all(&command, &mut operate.input_args, each);
        }
        Request::Notify(notify) => of_notify(notify, each),
        _ => {}
    }
}

fn of_notify(notify: &mut Notify, each: Each<'_>) {
    use notify::Notification;
    use notify::operation_complete::OperationResp;
    match &mut notify.notification {
        Some(Notification::ValueChange(it)) => each(&it.param_path, &mut it.param_value),
        Some(Notification::Event(it)) => {
            let event = format!("{}{}.", it.obj_path, it.event_name);
            all(&event, &mut it.params, each);
        }
        Some(Notification::ObjCreation(it)) => all(&it.obj_path, &mut it.unique_keys, each),
        Some(Notification::OperComplete(it)) => {
            let command = format!("{}{}.", it.obj_path, it.command_name);
            match &mut it.operation_resp {
                Some(OperationResp::ReqOutputArgs(it)) => all(&command, &mut it.output_args, each),
                Some(OperationResp::CmdFailure(it)) => each("", &mut it.err_msg),
                None => {}
            }
        }
        Some(Notification::OnBoardReq(it)) => each("Device.DeviceInfo.SerialNumber", &mut it.serial_number),
        _ => {}
    }
}

fn of_response(response: &mut Response, each: Each<'_>) {
    match response {
        Response::GetResp(it) => it.req_path_results.iter_mut().for_each(|result| of_get(result, each)),
        Response::SetResp(it) => it.updated_obj_results.iter_mut().for_each(|result| of_set(result, each)),
        Response::AddResp(it) => it.created_obj_results.iter_mut().for_each(|result| of_add(result, each)),
        Response::OperateResp(it) => {
            it.operation_results.iter_mut().for_each(|result| of_operate(result, each))
        }
        Response::GetInstancesResp(it) => {
            let results = it.req_path_results.iter_mut();
            for instance in results.flat_map(|result| &mut result.curr_insts) {
                all(&instance.instantiated_obj_path, &mut instance.unique_keys, each);
            }
        }
        _ => {}
    }
}

fn of_get(result: &mut get_resp::RequestedPathResult, each: Each<'_>) {
    each("", &mut result.err_msg);
    for resolved in &mut result.resolved_path_results {
        all(&resolved.resolved_path, &mut resolved.result_params, each);
    }
}

fn of_set(result: &mut set_resp::UpdatedObjectResult, each: Each<'_>) {
    use set_resp::updated_object_result::operation_status::OperStatus;
    match result.oper_status.as_mut().and_then(|it| it.oper_status.as_mut()) {
        Some(OperStatus::OperSuccess(it)) => {
            for updated in &mut it.updated_inst_results {
                all(&updated.affected_path, &mut updated.updated_params, each);
                updated.param_errs.iter_mut().for_each(|it| each("", &mut it.err_msg));
            }
        }
        Some(OperStatus::OperFailure(it)) => {
            each("", &mut it.err_msg);
            let failures = it.updated_inst_failures.iter_mut();
            failures.flat_map(|it| &mut it.param_errs).for_each(|it| each("", &mut it.err_msg));
        }
        None => {}
    }
}

fn of_add(result: &mut add_resp::CreatedObjectResult, each: Each<'_>) {
    use add_resp::created_object_result::operation_status::OperStatus;
    match result.oper_status.as_mut().and_then(|it| it.oper_status.as_mut()) {
        Some(OperStatus::OperSuccess(it)) => {
            all(&it.instantiated_path, &mut it.unique_keys, each);
            it.param_errs.iter_mut().for_each(|it| each("", &mut it.err_msg));
        }
        Some(OperStatus::OperFailure(it)) => each("", &mut it.err_msg),
        None => {}
    }
}

fn of_operate(result: &mut operate_resp::OperationResult, each: Each<'_>) {
    use operate_resp::operation_result::OperationResp;
    let command = format!("{}.", result.executed_command);
    match &mut result.operation_resp {
        Some(OperationResp::ReqOutputArgs(it)) => all(&command, &mut it.output_args, each),
        Some(OperationResp::CmdFailure(it)) => each("", &mut it.err_msg),
        _ => {}
    }
}

fn all(object: &str, values: &mut BTreeMap<String, String>, each: Each<'_>) {
    values.iter_mut().for_each(|(name, value)| each(&format!("{object}{name}"), value));
}
