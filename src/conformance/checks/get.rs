//! Get: TP-469 1.36 to 1.51, 1.82, 1.86, 1.87, 1.89.

use crate::conformance::check::{Check, Stop, Verdict};
use crate::conformance::expect::{code, ensure, equal, fail, one, relative, resolved, resolved_one, two};
use crate::conformance::session::{SOFTWARE_VERSION, SUBSCRIPTIONS, Session};
use crate::usp::message::{GetResp, get_resp::ResolvedPathResult};

use super::set::named_by_keys;

pub(super) const CHECKS: &[Check] = &[
    Check::mandatory(1, 36, "Get of one parameter", |s| Box::pin(one_parameter(s))),
    Check::mandatory(1, 37, "Get of two parameters of one object", |s| Box::pin(same_object(s))),
    Check::mandatory(1, 38, "Get of parameters of two objects", |s| Box::pin(two_objects(s))),
    Check::mandatory(1, 39, "Get of an object with what is below it", |s| Box::pin(object(s))),
    Check::mandatory(1, 40, "Get of an instance", |s| Box::pin(instance(s))),
    Check::mandatory(1, 41, "Get of an unknown parameter", |s| Box::pin(unknown(s))),
    Check::mandatory(1, 42, "Get of a parameter and an unknown one", |s| Box::pin(one_unknown(s))),
    Check::mandatory(1, 43, "Get of an object named by its unique keys", |s| Box::pin(by_unique_keys(s))),
    Check::mandatory(1, 44, "Get of a parameter by a wildcard", |s| Box::pin(param_by_wildcard(s))),
    Check::mandatory(1, 45, "Get of objects by a wildcard", |s| Box::pin(objects_by_wildcard(s))),
    Check::mandatory(1, 46, "Get by a search for what is equal", |s| Box::pin(by_enable(s, "==", "true"))),
    Check::mandatory(1, 47, "Get by a search for what is not equal", |s| {
        Box::pin(by_enable(s, "!=", "false"))
    }),
    Check::conditional(1, 48, "Get by a search for what is greater", EXPIRES, |s| {
        Box::pin(by_expiration(s, ">", |it| it > 10))
    }),
    Check::conditional(1, 49, "Get by a search for what is less", EXPIRES, |s| {
        Box::pin(by_expiration(s, "<", |it| it < 10))
    }),
    Check::conditional(1, 50, "Get by a search for what is greater or equal", EXPIRES, |s| {
        Box::pin(by_expiration(s, ">=", |it| it >= 10))
    }),
    Check::conditional(1, 51, "Get by a search for what is less or equal", EXPIRES, |s| {
        Box::pin(by_expiration(s, "<=", |it| it <= 10))
    }),
    Check::mandatory(1, 82, "Get by a search in an empty table", |s| {
        Box::pin(finds_nothing(s, "Device.LocalAgent.Subscription.[Enable==true]."))
    }),
    Check::never(1, 85, "Get of instances that are not there, by number", "the plan leaves it for later"),
    Check::mandatory(1, 86, "Get by a search that finds nothing", |s| Box::pin(search_finds_nothing(s))),
    Check::mandatory(1, 87, "Get of an empty table", |s| Box::pin(finds_nothing(s, SUBSCRIPTIONS))),
    Check::mandatory(1, 89, "Get to a depth", |s| Box::pin(to_depth(s))),
];

const EXPIRES: &[&str] = &["Device.LocalAgent.Subscription.{i}.NotifExpiration"];
const ENDPOINT: &str = "Device.LocalAgent.EndpointID";
const AGENT: &str = "Device.LocalAgent.";
const UNKNOWN: &str = "Device.LocalAgent.InvalidParameter";

fn is_endpoint(session: &Session, response: &GetResp) -> Verdict {
    let value = resolved_one(response, ENDPOINT, AGENT, "EndpointID")?;
    equal(ENDPOINT, value, session.agent().as_str())
}

async fn one_parameter(session: &mut Session) -> Verdict {
    let response = session.get(&[ENDPOINT], 0).await?;
    one(&response.req_path_results, "RequestedPathResult")?;
    is_endpoint(session, &response)
}

async fn same_object(session: &mut Session) -> Verdict {
    let response = session.get(&[ENDPOINT, SOFTWARE_VERSION], 0).await?;
    two(&response.req_path_results, "RequestedPathResult")?;
    is_endpoint(session, &response)?;
    resolved_one(&response, SOFTWARE_VERSION, AGENT, "SoftwareVersion").map(|_| ())
}

async fn two_objects(session: &mut Session) -> Verdict {
    let row = session.subscription(&[]).await?;
    let path = format!("{row}Enable");
    let response = session.get(&[ENDPOINT, &path], 0).await?;
    two(&response.req_path_results, "RequestedPathResult")?;
    is_endpoint(session, &response)?;
    let value = resolved_one(&response, &path, &row, "Enable")?;
    equal(&path, value, "true")
}

/// The result of a Get of one path, with names that are relative.
async fn read<'r>(
    session: &mut Session,
    response: &'r mut GetResp,
    path: &str,
    depth: u32,
) -> Result<&'r [ResolvedPathResult], Stop> {
    *response = session.get(&[path], depth).await?;
    one(&response.req_path_results, "RequestedPathResult")?;
    let found = resolved(response, path)?;
    relative(found)?;
    Ok(found)
}

/// Every parameter of an object that the agent says it supports is there.
fn is_whole(session: &Session, found: &[ResolvedPathResult], object: &str, general: &str) -> Verdict {
    let Some(result) = found.iter().find(|it| it.resolved_path == object) else {
        return fail(format!("{object} is not in the answer"));
    };
    let mut wanted = session.setup.supported.params(general);
    match wanted.find(|name| !result.result_params.contains_key(*name)) {
        Some(name) => fail(format!("{object}{name} is not in the answer")),
        None => Ok(()),
    }
}

async fn object(session: &mut Session) -> Verdict {
    let row = session.subscription(&[]).await?;
    let mut response = GetResp::default();
    let found = read(session, &mut response, AGENT, 0).await?;
    is_whole(session, found, AGENT, AGENT)?;
    is_whole(session, found, &row, "Device.LocalAgent.Subscription.{i}.")?;
    let controllers = found.iter().any(|it| it.resolved_path.starts_with("Device.LocalAgent.Controller."));
    ensure(controllers, || "no controller is in the answer".to_owned())
}

async fn instance(session: &mut Session) -> Verdict {
    let row = session.subscription(&[]).await?;
    let mut response = GetResp::default();
    let found = read(session, &mut response, &row, 0).await?;
    equal("the resolved_path", one(found, "ResolvedPathResult")?.resolved_path.as_str(), row.as_str())?;
    is_whole(session, found, &row, "Device.LocalAgent.Subscription.{i}.")
}

fn is_unknown(response: &GetResp) -> Verdict {
    let result = response.req_path_results.iter().find(|it| it.requested_path == UNKNOWN);
    match result {
        Some(result) => {
            ensure(result.resolved_path_results.is_empty(), || {
                "the unknown parameter has a value".to_owned()
            })?;
            code("the result", result.err_code, &[])
        }
        None => fail(format!("there is no result for {UNKNOWN}")),
    }
}

async fn unknown(session: &mut Session) -> Verdict {
    let response = session.get(&[UNKNOWN], 0).await?;
    one(&response.req_path_results, "RequestedPathResult")?;
    is_unknown(&response)
}

async fn one_unknown(session: &mut Session) -> Verdict {
    let response = session.get(&[ENDPOINT, UNKNOWN], 0).await?;
    two(&response.req_path_results, "RequestedPathResult")?;
    is_endpoint(session, &response)?;
    is_unknown(&response)
}

async fn by_unique_keys(session: &mut Session) -> Verdict {
    let (row, path) = named_by_keys(session).await?;
    let path = format!("{path}Enable");
    let response = session.get(&[&path], 0).await?;
    one(&response.req_path_results, "RequestedPathResult")?;
    let value = resolved_one(&response, &path, &row, "Enable")?;
    equal("Enable", value, "true")
}

async fn param_by_wildcard(session: &mut Session) -> Verdict {
    let rows = [session.subscription(&[]).await?, session.subscription(&[]).await?];
    let mut response = GetResp::default();
    let found = read(session, &mut response, "Device.LocalAgent.Subscription.*.Enable", 0).await?;
    for row in &rows {
        let Some(object) = found.iter().find(|it| it.resolved_path == *row) else {
            return fail(format!("{row} is not in the answer"));
        };
        let value = object.result_params.get("Enable").map_or("", String::as_str);
        equal("Enable", value, "true")?;
    }
    match found.iter().find(|it| it.result_params.len() != 1) {
        Some(object) => {
            fail(format!("{} has {} parameters", object.resolved_path, object.result_params.len()))
        }
        None => Ok(()),
    }
}

async fn objects_by_wildcard(session: &mut Session) -> Verdict {
    let rows = [session.subscription(&[]).await?, session.subscription(&[]).await?];
    let mut response = GetResp::default();
    let found = read(session, &mut response, "Device.LocalAgent.Subscription.*.", 0).await?;
    for row in &rows {
        is_whole(session, found, row, "Device.LocalAgent.Subscription.{i}.")?;
    }
    Ok(())
}

async fn by_enable(session: &mut Session, operator: &str, wanted: &str) -> Verdict {
    let on = session.subscription(&[("Enable", "true")]).await?;
    let off = session.subscription(&[("Enable", "false")]).await?;
    let path = format!("{SUBSCRIPTIONS}[Enable{operator}true].");
    let mut response = GetResp::default();
    let found = read(session, &mut response, &path, 0).await?;
    let row = if wanted == "true" { on } else { off };
    is_whole(session, found, &row, "Device.LocalAgent.Subscription.{i}.")?;
    for object in found {
        let value = object.result_params.get("Enable").map_or("", String::as_str);
        equal(&format!("{}Enable", object.resolved_path), value, wanted)?;
    }
    Ok(())
}

async fn by_expiration(session: &mut Session, operator: &str, wanted: fn(u64) -> bool) -> Verdict {
    let mut rows = Vec::new();
    for expiration in ["5", "10", "20"] {
        rows.push((expiration, session.subscription(&[("NotifExpiration", expiration)]).await?));
    }
    let path = format!("{SUBSCRIPTIONS}[NotifExpiration{operator}10].");
    let mut response = GetResp::default();
    let found = read(session, &mut response, &path, 0).await?;
    for (expiration, row) in &rows {
        if expiration.parse().is_ok_and(wanted) {
            is_whole(session, found, row, "Device.LocalAgent.Subscription.{i}.")?;
        }
    }
    for object in found {
        let value = object.result_params.get("NotifExpiration").and_then(|value| value.parse().ok());
        ensure(value.is_some_and(wanted), || format!("{} is not searched for", object.resolved_path))?;
    }
    Ok(())
}

async fn finds_nothing(session: &mut Session, path: &str) -> Verdict {
    session.clear_subscriptions().await?;
    let response = session.get(&[path], 0).await?;
    one(&response.req_path_results, "RequestedPathResult")?;
    let found = resolved(&response, path)?;
    ensure(found.is_empty(), || format!("there are {} results", found.len()))
}

/// Subscriptions that are enabled are disabled for as long.
async fn search_finds_nothing(session: &mut Session) -> Verdict {
    let on = session.keep("Device.LocalAgent.Subscription.[Enable==true].Enable").await?;
    for path in on.keys() {
        session.write(path, "false").await?;
    }
    let path = "Device.LocalAgent.Subscription.[Enable==true].";
    let response = session.get(&[path], 0).await?;
    one(&response.req_path_results, "RequestedPathResult")?;
    let found = resolved(&response, path)?;
    ensure(found.is_empty(), || format!("there are {} results", found.len()))
}

/// How many objects a path stands below `Device.LocalAgent.`; a table and its instance count as one.
fn levels(path: &str) -> usize {
    let below = path.strip_prefix(AGENT).unwrap_or("").split('.').filter(|it| !it.is_empty());
    below.filter(|it| it.parse::<u32>().is_err()).count()
}

async fn to_depth(session: &mut Session) -> Verdict {
    let mut response = GetResp::default();
    let found = read(session, &mut response, AGENT, 1).await?;
    equal("the resolved_path", one(found, "ResolvedPathResult")?.resolved_path.as_str(), AGENT)?;
    is_whole(session, found, AGENT, AGENT)?;
    let found = read(session, &mut response, AGENT, 2).await?;
    is_whole(session, found, AGENT, AGENT)?;
    match found.iter().find(|it| levels(&it.resolved_path) > 1) {
        Some(deep) => return fail(format!("{} is deeper than 2", deep.resolved_path)),
        None => ensure(found.len() > 1, || "no child is in the answer to depth 2".to_owned())?,
    }
    let shallow = found.len();
    let found = read(session, &mut response, AGENT, 0).await?;
    is_whole(session, found, AGENT, AGENT)?;
    ensure(found.len() >= shallow, || "the answer without a depth holds less".to_owned())
}
