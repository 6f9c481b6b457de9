//! GetInstances (TR-369 6.1.4.3), from the instance index.

use std::collections::BTreeMap;

use crate::datamodel::{Instantiated, path};
use crate::usp::ErrorCode;
use crate::usp::message::{self, get_instances_resp};

use super::get::is_hidden;
use super::local::is_local;
use super::plan::View;
use super::resolve::{self, Unresolved};

/// Answers from the index, which follows every AddObject and DeleteObject of both masters.
pub fn get_instances(request: &message::GetInstances, view: &View<'_>) -> message::Response {
    let results = request.obj_paths.iter().map(|text| {
        let mut result =
            get_instances_resp::RequestedPathResult { requested_path: text.clone(), ..Default::default() };
        match instances_of(text, request.first_level_only, view) {
            Ok(found) => result.curr_insts = found,
            Err(unresolved) => {
                result.err_code = unresolved.code.0;
                result.err_msg = unresolved.why;
            }
        }
        result
    });
    let resp = message::GetInstancesResp { req_path_results: results.collect() };
    message::Response::GetInstancesResp(resp)
}

fn instances_of(
    text: &str,
    first_level_only: bool,
    view: &View<'_>,
) -> Result<Vec<get_instances_resp::CurrInstance>, Unresolved> {
    let expr = resolve::parse(text)?;
    if expr.param.is_some() {
        let why = "GetInstances takes object paths, which end in a dot".to_owned();
        return Err(Unresolved { code: ErrorCode::INVALID_PATH, why });
    }
    let model: &Instantiated = if is_local(text) { view.local.model() } else { view.cpe };
    let mut found = Vec::new();
    for object in resolve::objects(&expr, model)? {
        for below in model.objects_below(&object).filter(|below| path::instance(below).is_some()) {
            let direct = path::parent(below) == Some(object.as_str());
            if (direct || !first_level_only) && (is_local(text) || !is_hidden(below)) {
                let unique_keys =
                    if is_local(text) { view.local.unique_keys(below) } else { BTreeMap::new() };
                found.push(get_instances_resp::CurrInstance {
                    instantiated_obj_path: below.to_owned(),
                    unique_keys,
                });
            }
        }
    }
    Ok(found)
}
