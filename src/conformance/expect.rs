//! What answers must be like: small looks into responses, each with words for what is wrong.

use std::collections::BTreeMap;
use std::fmt::Debug;

use crate::usp::ErrorCode;
use crate::usp::message::{self, GetResp, add_resp, delete_resp, get_resp, operate_resp, set_resp};

use super::check::{Stop, Verdict};

/// Ends a check: the agent did not do what the plan wants.
pub(super) fn fail<T>(why: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Fail(why.into()))
}

/// Fails with these words unless it is so.
pub(super) fn ensure(so: bool, why: impl FnOnce() -> String) -> Verdict {
    if so { Ok(()) } else { fail(why()) }
}

pub(super) fn equal<T: PartialEq<U> + Debug + ?Sized, U: Debug + ?Sized>(
    what: &str,
    got: &T,
    wanted: &U,
) -> Verdict {
    ensure(got == wanted, || format!("{what} is {got:?}, not {wanted:?}"))
}

/// The only item of a list.
pub(super) fn one<'i, T>(items: &'i [T], what: &str) -> Result<&'i T, Stop> {
    match items {
        [item] => Ok(item),
        _ => fail(format!("there are {} of {what}, not one", items.len())),
    }
}

/// The two items of a list.
pub(super) fn two<'i, T>(items: &'i [T], what: &str) -> Result<(&'i T, &'i T), Stop> {
    match items {
        [first, second] => Ok((first, second)),
        _ => fail(format!("there are {} of {what}, not two", items.len())),
    }
}

/// An error code of messages, and one of these if any are named.
pub(super) fn code(what: &str, code: u32, appropriate: &[ErrorCode]) -> Verdict {
    let known = matches!(code, 7000..=7099 | 7800..=7999);
    let fits = appropriate.is_empty() || appropriate.iter().any(|it| it.0 == code);
    ensure(known && fits, || {
        let wanted: Vec<String> = appropriate.iter().map(ToString::to_string).collect();
        let wanted = if wanted.is_empty() { "7000 to 7099".to_owned() } else { wanted.join(" or ") };
        format!("{what} has the error code {}, where {wanted} is appropriate", ErrorCode(code))
    })
}

/// The one ParamError of an Error: its path, and a code among these.
pub(super) fn blamed(error: &message::Error, path: &str, appropriate: &[ErrorCode]) -> Verdict {
    let blamed = one(&error.param_errs, "ParamError")?;
    equal("the param_path of the ParamError", &blamed.param_path, path)?;
    code("the ParamError", blamed.err_code, appropriate)
}

/// As [`blamed`], where the plan wants only that the path leads to the parameter.
pub(super) fn blamed_param(error: &message::Error, param: &str, appropriate: &[ErrorCode]) -> Verdict {
    let blamed = one(&error.param_errs, "ParamError")?;
    let name = blamed.param_path.rsplit('.').next().unwrap_or("");
    ensure(name == param, || format!("the ParamError is about {:?}, not {param}", blamed.param_path))?;
    code("the ParamError", blamed.err_code, appropriate)
}

pub(super) fn created(
    result: &add_resp::CreatedObjectResult,
) -> Result<&add_resp::created_object_result::operation_status::OperationSuccess, Stop> {
    use add_resp::created_object_result::operation_status::OperStatus;
    match result.oper_status.as_ref().and_then(|it| it.oper_status.as_ref()) {
        Some(OperStatus::OperSuccess(success)) => Ok(success),
        Some(OperStatus::OperFailure(it)) => {
            fail(format!("nothing was created at {}: {} {}", result.requested_path, it.err_code, it.err_msg))
        }
        None => fail("a CreatedObjectResult has no status"),
    }
}

pub(super) fn not_created(
    result: &add_resp::CreatedObjectResult,
) -> Result<&add_resp::created_object_result::operation_status::OperationFailure, Stop> {
    use add_resp::created_object_result::operation_status::OperStatus;
    match result.oper_status.as_ref().and_then(|it| it.oper_status.as_ref()) {
        Some(OperStatus::OperFailure(failure)) => Ok(failure),
        _ => fail(format!("the Add at {} is told as a success", result.requested_path)),
    }
}

/// A new object without errors, told with exactly these unique keys.
pub(super) fn created_with_keys<'r>(
    result: &'r add_resp::CreatedObjectResult,
    keys: &[&str],
) -> Result<&'r add_resp::created_object_result::operation_status::OperationSuccess, Stop> {
    let success = created(result)?;
    ensure(success.param_errs.is_empty(), || {
        format!("there are parameter errors: {:?}", success.param_errs)
    })?;
    let told: Vec<&str> = success.unique_keys.keys().map(String::as_str).collect();
    let mut wanted = keys.to_vec();
    wanted.sort_unstable();
    equal("the set of unique keys", &told, &wanted)?;
    Ok(success)
}

pub(super) fn updated(
    result: &set_resp::UpdatedObjectResult,
) -> Result<&[set_resp::UpdatedInstanceResult], Stop> {
    use set_resp::updated_object_result::operation_status::OperStatus;
    match result.oper_status.as_ref().and_then(|it| it.oper_status.as_ref()) {
        Some(OperStatus::OperSuccess(success)) => Ok(&success.updated_inst_results),
        Some(OperStatus::OperFailure(it)) => {
            fail(format!("{} was not updated: {} {}", result.requested_path, it.err_code, it.err_msg))
        }
        None => fail("an UpdatedObjectResult has no status"),
    }
}

pub(super) fn not_updated(
    result: &set_resp::UpdatedObjectResult,
) -> Result<&set_resp::updated_object_result::operation_status::OperationFailure, Stop> {
    use set_resp::updated_object_result::operation_status::OperStatus;
    match result.oper_status.as_ref().and_then(|it| it.oper_status.as_ref()) {
        Some(OperStatus::OperFailure(failure)) => Ok(failure),
        _ => fail(format!("the update of {} is told as a success", result.requested_path)),
    }
}

/// One instance with exactly this parameter updated.
pub(super) fn updated_one(result: &set_resp::UpdatedObjectResult, object: &str, param: &str) -> Verdict {
    let instance = one(updated(result)?, "UpdatedInstanceResult")?;
    equal("the affected_path", &instance.affected_path, object)?;
    only_param(instance, param)
}

/// Exactly this parameter was updated.
pub(super) fn only_param(instance: &set_resp::UpdatedInstanceResult, param: &str) -> Verdict {
    let told: Vec<&str> = instance.updated_params.keys().map(String::as_str).collect();
    equal("the set of updated parameters", &told, &[param].as_slice())
}

pub(super) fn deleted(result: &delete_resp::DeletedObjectResult) -> Result<&[String], Stop> {
    use delete_resp::deleted_object_result::operation_status::OperStatus;
    match result.oper_status.as_ref().and_then(|it| it.oper_status.as_ref()) {
        Some(OperStatus::OperSuccess(success)) => {
            ensure(success.unaffected_path_errs.is_empty(), || {
                format!("some of {} is left: {:?}", result.requested_path, success.unaffected_path_errs)
            })?;
            Ok(&success.affected_paths)
        }
        Some(OperStatus::OperFailure(it)) => {
            fail(format!("{} was not deleted: {} {}", result.requested_path, it.err_code, it.err_msg))
        }
        None => fail("a DeletedObjectResult has no status"),
    }
}

pub(super) fn not_deleted(
    result: &delete_resp::DeletedObjectResult,
) -> Result<&delete_resp::deleted_object_result::operation_status::OperationFailure, Stop> {
    use delete_resp::deleted_object_result::operation_status::OperStatus;
    match result.oper_status.as_ref().and_then(|it| it.oper_status.as_ref()) {
        Some(OperStatus::OperFailure(failure)) => Ok(failure),
        _ => fail(format!("the Delete of {} is told as a success", result.requested_path)),
    }
}

/// What a requested path of a Get led to, which must be no error.
pub(super) fn resolved<'r>(
    response: &'r GetResp,
    path: &str,
) -> Result<&'r [get_resp::ResolvedPathResult], Stop> {
    let result = response.req_path_results.iter().find(|result| result.requested_path == path);
    let Some(result) = result else { return fail(format!("there is no result for {path}")) };
    ensure(result.err_code == 0, || format!("{path} has the error {} {}", result.err_code, result.err_msg))?;
    Ok(&result.resolved_path_results)
}

/// One object with this one parameter; gives its value.
pub(super) fn resolved_one<'r>(
    response: &'r GetResp,
    path: &str,
    object: &str,
    param: &str,
) -> Result<&'r str, Stop> {
    let found = one(resolved(response, path)?, "ResolvedPathResult")?;
    equal("the resolved_path", &found.resolved_path, object)?;
    let told: Vec<&str> = found.result_params.keys().map(String::as_str).collect();
    equal("the set of parameters", &told, &[param].as_slice())?;
    Ok(found.result_params.get(param).map_or("", String::as_str))
}

/// Names in results are relative: below an object's path there are no other objects.
pub(super) fn relative(found: &[get_resp::ResolvedPathResult]) -> Verdict {
    let mut names = found.iter().flat_map(|object| object.result_params.keys());
    match names.find(|name| name.contains('.')) {
        Some(name) => fail(format!("the parameter {name} is told by more than its name")),
        None => Ok(()),
    }
}

/// All values of a response by whole path.
pub(super) fn values(response: &GetResp) -> BTreeMap<String, String> {
    let objects = response.req_path_results.iter().flat_map(|result| &result.resolved_path_results);
    let values = objects.flat_map(|object| {
        let values = object.result_params.iter();
        values.map(|(name, value)| (format!("{}{name}", object.resolved_path), value.clone()))
    });
    values.collect()
}

/// The one result of an Operate, about this command.
pub(super) fn operated<'r>(
    response: &'r message::OperateResp,
    command: &str,
) -> Result<&'r operate_resp::operation_result::OperationResp, Stop> {
    let result = one(&response.operation_results, "OperationResult")?;
    equal("the executed_command", &result.executed_command, command)?;
    result.operation_resp.as_ref().ok_or_else(|| Stop::Fail("the result of the command is empty".into()))
}
