//! GetInstances: TP-469 1.66 to 1.71, 1.83.

use crate::conformance::check::{Check, Stop, Verdict};
use crate::conformance::expect::{ensure, equal, fail, one, two};
use crate::conformance::session::{CONTROLLERS, SOFTWARE_VERSION, Session};
use crate::usp::message::GetInstancesResp;
use crate::usp::message::get_instances_resp::RequestedPathResult;

use super::add::BOOT_PARAMETERS;
use super::delete::boot_parameter;

pub(super) const CHECKS: &[Check] = &[
    Check::mandatory(1, 66, "GetInstances of the first level", |s| Box::pin(first_level(s))),
    Check::mandatory(1, 67, "GetInstances of all levels", |s| Box::pin(all_levels(s))),
    Check::mandatory(1, 68, "GetInstances of two tables", |s| Box::pin(two_tables(s))),
    Check::never(1, 69, "A deleted check", "the plan has it no more").deprecated(),
    Check::conditional(
        1,
        70,
        "GetInstances by a wildcard",
        &["Device.LocalAgent.Controller.{i}.MTP.{i}."],
        |s| Box::pin(by_wildcard(s)),
    ),
    Check::conditional(1, 71, "GetInstances by a search", BOOT_PARAMETERS, |s| Box::pin(by_search(s))),
    Check::conditional(1, 83, "GetInstances by a search that finds nothing", BOOT_PARAMETERS, |s| {
        Box::pin(finds_nothing(s))
    }),
];

/// The result of one path, which must be no error.
fn good<'r>(response: &'r GetInstancesResp, path: &str) -> Result<&'r RequestedPathResult, Stop> {
    let result = response.req_path_results.iter().find(|result| result.requested_path == path);
    let result = result.ok_or_else(|| Stop::Fail(format!("there is no result for {path}")))?;
    ensure(result.err_code == 0, || format!("{path} has the error {} {}", result.err_code, result.err_msg))?;
    Ok(result)
}

fn paths(result: &RequestedPathResult) -> Vec<&str> {
    result.curr_insts.iter().map(|it| it.instantiated_obj_path.as_str()).collect()
}

async fn first_level(session: &mut Session) -> Verdict {
    let me = session.me().await?;
    let response = session.instances(&[CONTROLLERS], true).await?;
    one(&response.req_path_results, "RequestedPathResult")?;
    let found = paths(good(&response, CONTROLLERS)?);
    ensure(found.contains(&me.as_str()), || format!("{me} is not in the answer"))?;
    let direct = |path: &str| path.strip_prefix(CONTROLLERS).is_some_and(|it| it.matches('.').count() == 1);
    match found.iter().find(|path| !direct(path)) {
        Some(path) => fail(format!("{path} is no instance of the table itself")),
        None => Ok(()),
    }
}

async fn all_levels(session: &mut Session) -> Verdict {
    let me = session.me().await?;
    let boot = match session.has("Device.LocalAgent.Controller.{i}.BootParameter.{i}.") {
        true => Some(boot_parameter(session, "true", SOFTWARE_VERSION).await?),
        false => None,
    };
    let response = session.instances(&[CONTROLLERS], false).await?;
    one(&response.req_path_results, "RequestedPathResult")?;
    let found = paths(good(&response, CONTROLLERS)?);
    for wanted in [Some(me), boot].into_iter().flatten() {
        ensure(found.contains(&wanted.as_str()), || format!("{wanted} is not in the answer"))?;
    }
    let below = session.instances(&[&format!("{CONTROLLERS}*.MTP.")], true).await?;
    let below = below.req_path_results.iter().flat_map(|result| paths(result).into_iter().map(str::to_owned));
    let missing = below.into_iter().find(|path| !found.contains(&path.as_str()));
    missing.map_or(Ok(()), |path| fail(format!("{path} is not in the answer")))
}

async fn two_tables(session: &mut Session) -> Verdict {
    let tables = [CONTROLLERS, "Device.LocalAgent.MTP."];
    let response = session.instances(&tables, true).await?;
    two(&response.req_path_results, "RequestedPathResult")?;
    for table in tables {
        let found = paths(good(&response, table)?);
        ensure(!found.is_empty(), || format!("{table} has no instance"))?;
    }
    Ok(())
}

async fn by_wildcard(session: &mut Session) -> Verdict {
    let response = session.instances(&[&format!("{CONTROLLERS}*.MTP.")], true).await?;
    let found = response.req_path_results.iter().flat_map(paths).any(|path| path.contains(".MTP."));
    ensure(found, || "no MTP of a controller is in the answer".to_owned())
}

async fn by_search(session: &mut Session) -> Verdict {
    let row = boot_parameter(session, "true", SOFTWARE_VERSION).await?;
    let me = session.me().await?;
    let key = match session.has("Device.LocalAgent.Controller.{i}.Alias") {
        true => format!("Alias==\"{}\"", session.value(&format!("{me}Alias")).await?),
        false => format!("EndpointID==\"{}\"", session.setup.config.endpoint_id),
    };
    let response = session.instances(&[&format!("{CONTROLLERS}[{key}].BootParameter.")], false).await?;
    let found = response.req_path_results.iter().flat_map(paths).any(|path| path == row);
    ensure(found, || format!("{row} is not in the answer"))
}

async fn finds_nothing(session: &mut Session) -> Verdict {
    let path = format!("{CONTROLLERS}[Alias==\"{}\"].BootParameter.", session.name("nobody"));
    let response = session.instances(&[&path], false).await?;
    one(&response.req_path_results, "RequestedPathResult")?;
    equal("the number of instances", &good(&response, &path)?.curr_insts.len(), &0)
}
