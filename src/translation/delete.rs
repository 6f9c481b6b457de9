//! Delete (TR-369 6.1.3.3): everything is checked first, then each instance is deleted by a DeleteObject.

use std::collections::VecDeque;

use crate::cwmp::rpc::{DeleteObject, Fault, GetParameterNames, Request, Response};
use crate::datamodel::path;
use crate::usp::ErrorCode;
use crate::usp::message::{self, delete_resp};

use super::access::{Rights, Sort};
use super::fault;
use super::get::is_hidden;
use super::local::{Refusal, is_local};
use super::plan::{NO_KEY, NOT_TAKEN, Outcome, Plan, Step, View};
use super::resolve;

/// A Delete on its way.
pub struct Delete {
    allow_partial: bool,
    requested: Vec<Requested>,
    prepared: bool,
    /// What is still to be deleted: the request's index and the instance.
    waiting: VecDeque<(usize, String)>,
    /// Whether the first of these is gone is not known, and is being looked up.
    settling: bool,
    failed: Option<message::Error>,
}

struct Requested {
    path: String,
    result: Result<Affected, Refusal>,
}

#[derive(Default)]
struct Affected {
    deleted: Vec<String>,
    left: Vec<(String, Refusal)>,
}

impl Delete {
    pub fn new(request: message::Delete) -> Self {
        let requested = request.obj_paths.into_iter();
        let requested = requested.map(|path| Requested { path, result: Ok(Affected::default()) });
        Self {
            allow_partial: request.allow_partial,
            requested: requested.collect(),
            prepared: false,
            waiting: VecDeque::new(),
            settling: false,
            failed: None,
        }
    }

    fn prepare(&mut self, view: &View<'_>) {
        for (index, requested) in self.requested.iter_mut().enumerate() {
            match instances(&requested.path, view) {
                Ok(found) => self.waiting.extend(found.into_iter().map(|instance| (index, instance))),
                Err(refusal) => requested.result = Err(refusal),
            }
        }
        if !self.allow_partial {
            let refused = self.requested.iter();
            let refused = refused.filter_map(|it| Some((it.path.as_str(), it.result.as_ref().err()?)));
            self.failed = failure(refused.collect());
        }
    }

    fn done(&mut self, view: &mut View<'_>) {
        let Some((index, instance)) = self.waiting.pop_front() else { return };
        view.cpe.remove(&instance);
        if let Ok(affected) = &mut self.requested[index].result {
            affected.deleted.push(instance);
        }
    }

    /// The first that waits is there still.
    fn left(&mut self, refusal: Refusal) {
        let Some((index, instance)) = self.waiting.pop_front() else { return };
        if !self.allow_partial {
            self.failed = failure(vec![(instance.as_str(), &refusal)]);
        }
        if let Ok(affected) = &mut self.requested[index].result {
            affected.left.push((instance, refusal));
        }
    }

    fn outcome(&self, view: &View<'_>) -> Outcome {
        if let Some(error) = &self.failed {
            return Outcome::Error(error.clone());
        }
        let results = self.requested.iter().map(|requested| requested.result(view)).collect();
        let resp = message::DeleteResp { deleted_obj_results: results };
        Outcome::Response(message::Response::DeleteResp(resp))
    }
}

impl Plan for Delete {
    fn next(&mut self, view: &mut View<'_>) -> Step {
        if !self.prepared {
            self.prepared = true;
            self.prepare(view);
        }
        while self.failed.is_none()
            && let Some((index, instance)) = self.waiting.front()
        {
            if self.settling {
                let parameter_path = instance.clone().into();
                let names = GetParameterNames { parameter_path, next_level: true };
                return Step::Call(Request::GetParameterNames(names));
            }
            if !view.is_own(instance) {
                let object_name = instance.clone().into();
                let request = DeleteObject { object_name, parameter_key: NO_KEY };
                return Step::Call(Request::DeleteObject(request));
            }
            view.local.delete(instance);
            if let Ok(affected) = &mut self.requested[*index].result {
                affected.deleted.push(instance.clone());
            }
            self.waiting.pop_front();
        }
        Step::Done(self.outcome(view))
    }

    fn is_local(&self) -> bool {
        self.requested.iter().all(|requested| is_local(&requested.path))
    }

    fn is_repeatable(&self) -> bool {
        true
    }

    /// Deleting it again could meet another object that has got its number.
    fn repeat(&mut self) {
        self.settling = true;
    }

    fn answered(&mut self, view: &mut View<'_>, response: &Response<'_>) {
        match (std::mem::take(&mut self.settling), response) {
            (true, Response::GetParameterNamesResponse(names)) if !names.parameter_list.is_empty() => {
                self.left(Refusal::new(ErrorCode::INTERNAL_ERROR, NOT_TAKEN));
            }
            _ => self.done(view),
        }
    }

    fn faulted(&mut self, view: &mut View<'_>, fault: &Fault<'_>) {
        let settling = std::mem::take(&mut self.settling);
        if fault.fault_code == GONE {
            // What is not there cannot be deleted any more: the index was behind.
            return self.done(view);
        }
        self.left(match settling {
            true => Refusal::new(ErrorCode::INTERNAL_ERROR, NOT_TAKEN),
            false => Refusal::new(ErrorCode::DELETE_FAILURE, fault::text(fault)),
        });
    }
}

/// The Error for a message that failed as a whole: what each path is to blame for (TP-469 1.26).
fn failure(refused: Vec<(&str, &Refusal)>) -> Option<message::Error> {
    let (_, first) = refused.first()?;
    let errors = refused.iter().map(|(path, refusal)| message::error::ParamError {
        param_path: (*path).to_owned(),
        err_code: refusal.code.0,
        err_msg: refusal.why.clone(),
    });
    Some(message::Error { err_code: first.code.0, err_msg: first.why.clone(), param_errs: errors.collect() })
}

impl Requested {
    fn result(&self, view: &View<'_>) -> delete_resp::DeletedObjectResult {
        use delete_resp::deleted_object_result::{OperationStatus, operation_status as status};
        let oper_status = match &self.result {
            Ok(affected) => {
                // R-DEL.2, R-DEL.4: objects that may not be read are not told of.
                let reads = |object: &str| view.may(Rights::READ, Sort::Obj, object);
                let left = affected.left.iter().filter(|(object, _)| reads(object));
                let errors = left.map(|(path, refusal)| delete_resp::UnaffectedPathError {
                    unaffected_path: path.clone(),
                    err_code: refusal.code.0,
                    err_msg: refusal.why.clone(),
                });
                status::OperStatus::OperSuccess(status::OperationSuccess {
                    affected_paths: affected.deleted.iter().filter(|it| reads(it)).cloned().collect(),
                    unaffected_path_errs: errors.collect(),
                })
            }
            Err(refusal) => status::OperStatus::OperFailure(status::OperationFailure {
                err_code: refusal.code.0,
                err_msg: refusal.why.clone(),
            }),
        };
        delete_resp::DeletedObjectResult {
            requested_path: self.path.clone(),
            oper_status: Some(OperationStatus { oper_status: Some(oper_status) }),
        }
    }
}

/// The instances that a path names; none is no error where the path is the device's (R-DEL.2a).
fn instances(text: &str, view: &View<'_>) -> Result<Vec<String>, Refusal> {
    let expr = resolve::parse(text).map_err(|it| Refusal::new(it.code, it.why))?;
    if is_hidden(text) && !view.is_own(text) {
        return Err(Refusal::new(ErrorCode::INVALID_PATH, "the device has no such object"));
    }
    let found = match resolve::objects(&expr, view.sight(text)) {
        Ok(found) => found,
        Err(it) if it.code == ErrorCode::OBJECT_DOES_NOT_EXIST => return Ok(Vec::new()),
        Err(it) => return Err(Refusal::new(it.code, it.why)),
    };
    for object in &found {
        if expr.param.is_some() || path::instance(object).is_none() {
            let why = format!("{object} is no instance of a table");
            return Err(Refusal::new(ErrorCode::OBJECT_IS_NOT_A_TABLE, why));
        }
        let roles = || format!("this controller's roles do not let {object} be deleted");
        view.check_write(Sort::InstantiatedObj, object, None, roles)?;
        if view.is_own(object) {
            view.local.check_delete(object)?;
        } else if !view.cpe.is_writable_object(object)
            && !path::parent(object).is_some_and(|table| view.cpe.is_writable_object(table))
        {
            let why = format!("the device does not let {object} be deleted");
            return Err(Refusal::new(ErrorCode::PERMISSION_DENIED, why));
        }
    }
    Ok(found)
}

/// CWMP fault 9005, invalid parameter name: here, an instance that is not there.
const GONE: u32 = 9005;
