//! Delete: TP-469 1.24 to 1.35, 1.78, 1.90.

use crate::conformance::check::{Check, Stop, Verdict};
use crate::conformance::expect::{blamed, code, deleted, ensure, equal, fail, not_deleted, one, two};
use crate::conformance::messages::{self, Row};
use crate::conformance::session::{CONTROLLERS, SOFTWARE_VERSION, SUBSCRIPTIONS, Session};

use super::add::{BOOT_PARAMETERS, UNKNOWN_OBJECT, UNKNOWN_PATH, by_keys};

pub(super) const CHECKS: &[Check] = &[
    Check::mandatory(1, 24, "Delete of one object, all or nothing", |s| Box::pin(one_object(s))),
    Check::mandatory(1, 25, "Delete, all or nothing, of an instance that is not there", |s| {
        Box::pin(not_there(s, false))
    }),
    Check::mandatory(1, 26, "Delete, all or nothing, of an unknown object", |s| Box::pin(unknown(s))),
    Check::mandatory(1, 27, "Delete of two objects, all or nothing", |s| Box::pin(two_objects(s))),
    Check::mandatory(1, 28, "Delete of two objects, all or nothing, one of them unknown", |s| {
        Box::pin(one_unknown(s))
    }),
    Check::mandatory(1, 29, "Delete, partial allowed, of an instance that is not there", |s| {
        Box::pin(not_there(s, true))
    }),
    Check::mandatory(1, 30, "Delete, partial allowed, of an unknown object", |s| {
        Box::pin(unknown_partial(s))
    }),
    Check::mandatory(1, 31, "Delete of two objects, partial allowed, one of them unknown", |s| {
        Box::pin(one_unknown_partial(s))
    }),
    Check::mandatory(1, 32, "Delete of two objects, partial allowed, one of them not there", |s| {
        Box::pin(one_not_there(s))
    }),
    Check::conditional(1, 33, "Delete below an object named by its unique keys", BOOT_PARAMETERS, |s| {
        Box::pin(below_unique_key(s))
    }),
    Check::mandatory(1, 34, "Delete by a wildcard", |s| Box::pin(by_wildcard(s))),
    Check::conditional(1, 35, "Delete by a search", BOOT_PARAMETERS, |s| Box::pin(by_search(s))),
    Check::conditional(
        1,
        78,
        "Subscriptions of a controller that is removed go with it",
        &["Device.LocalAgent.Controller.{i}."],
        |s| Box::pin(controller_goes(s)),
    ),
    Check::mandatory(1, 90, "Delete by a search that finds nothing", |s| Box::pin(finds_nothing(s))),
];

/// Fails if something of a row can still be read.
async fn gone(session: &mut Session, table: &str, row: &str) -> Verdict {
    let there = session.read(table).await?;
    ensure(!there.keys().any(|path| path.starts_with(row)), || format!("{row} is there"))
}

/// The path of a subscription that is not there.
async fn absent(session: &mut Session) -> Result<String, Stop> {
    let there = session.instances(&[SUBSCRIPTIONS], true).await?;
    let there = there.req_path_results.iter().flat_map(|result| &result.curr_insts);
    let numbers = there.filter_map(|it| {
        it.instantiated_obj_path.strip_prefix(SUBSCRIPTIONS)?.trim_end_matches('.').parse::<u32>().ok()
    });
    Ok(format!("{SUBSCRIPTIONS}{}.", numbers.max().unwrap_or(0) + 1_000))
}

async fn one_object(session: &mut Session) -> Verdict {
    let row = session.subscription(&[]).await?;
    let response = session.delete(false, &[&row]).await?;
    let result = one(&response.deleted_obj_results, "DeletedObjectResult")?;
    equal("the requested_path", result.requested_path.as_str(), row.as_str())?;
    equal("the list of affected paths", deleted(result)?, [row.as_str()].as_slice())?;
    gone(session, SUBSCRIPTIONS, &row).await
}

async fn not_there(session: &mut Session, allow_partial: bool) -> Verdict {
    let path = absent(session).await?;
    let response = session.delete(allow_partial, &[&path]).await?;
    let affected = deleted(one(&response.deleted_obj_results, "DeletedObjectResult")?)?;
    ensure(affected.is_empty(), || format!("{affected:?} was affected"))
}

async fn unknown(session: &mut Session) -> Verdict {
    let error = session.refused(messages::delete(false, &[UNKNOWN_OBJECT])).await?;
    blamed(&error, UNKNOWN_OBJECT, UNKNOWN_PATH)
}

async fn two_objects(session: &mut Session) -> Verdict {
    let rows = [session.subscription(&[]).await?, session.subscription(&[]).await?];
    let response = session.delete(false, &[&rows[0], &rows[1]]).await?;
    two(&response.deleted_obj_results, "DeletedObjectResult")?;
    for (row, result) in rows.iter().zip(&response.deleted_obj_results) {
        equal("the requested_path", result.requested_path.as_str(), row.as_str())?;
        equal("the list of affected paths", deleted(result)?, [row.as_str()].as_slice())?;
        gone(session, SUBSCRIPTIONS, row).await?;
    }
    Ok(())
}

async fn one_unknown(session: &mut Session) -> Verdict {
    let row = session.subscription(&[]).await?;
    let error = session.refused(messages::delete(false, &[&row, UNKNOWN_OBJECT])).await?;
    blamed(&error, UNKNOWN_OBJECT, UNKNOWN_PATH)?;
    session.value(&format!("{row}Enable")).await.map(|_| ())
}

async fn unknown_partial(session: &mut Session) -> Verdict {
    let response = session.delete(true, &[UNKNOWN_OBJECT]).await?;
    let result = one(&response.deleted_obj_results, "DeletedObjectResult")?;
    equal("the requested_path", result.requested_path.as_str(), UNKNOWN_OBJECT)?;
    code("the OperationFailure", not_deleted(result)?.err_code, UNKNOWN_PATH)
}

async fn one_unknown_partial(session: &mut Session) -> Verdict {
    let row = session.subscription(&[]).await?;
    let response = session.delete(true, &[&row, UNKNOWN_OBJECT]).await?;
    let (good, bad) = two(&response.deleted_obj_results, "DeletedObjectResult")?;
    equal("the list of affected paths", deleted(good)?, [row.as_str()].as_slice())?;
    code("the OperationFailure", not_deleted(bad)?.err_code, UNKNOWN_PATH)?;
    gone(session, SUBSCRIPTIONS, &row).await
}

async fn one_not_there(session: &mut Session) -> Verdict {
    let row = session.subscription(&[]).await?;
    let path = absent(session).await?;
    let response = session.delete(true, &[&row, &path]).await?;
    let (good, empty) = two(&response.deleted_obj_results, "DeletedObjectResult")?;
    equal("the list of affected paths", deleted(good)?, [row.as_str()].as_slice())?;
    equal("the list of affected paths of the other", &deleted(empty)?.len(), &0)?;
    gone(session, SUBSCRIPTIONS, &row).await
}

/// A boot parameter of this controller, enabled or not, about a parameter that every agent has.
pub(super) async fn boot_parameter(
    session: &mut Session,
    enable: &str,
    parameter: &str,
) -> Result<String, Stop> {
    let me = session.me().await?;
    let row = Row::at(format!("{me}BootParameter.")).with("Enable", enable).must("ParameterName", parameter);
    session.row(row).await
}

async fn below_unique_key(session: &mut Session) -> Verdict {
    let row = boot_parameter(session, "true", SOFTWARE_VERSION).await?;
    let me = session.me().await?;
    let below = row.strip_prefix(&me).unwrap_or(&row);
    let path = format!("{}{below}", by_keys(session).await?);
    let response = session.delete(false, &[&path]).await?;
    let result = one(&response.deleted_obj_results, "DeletedObjectResult")?;
    equal("the requested_path", result.requested_path.as_str(), path.as_str())?;
    equal("the list of affected paths", deleted(result)?, [row.as_str()].as_slice())?;
    gone(session, &format!("{me}BootParameter."), &row).await
}

async fn by_wildcard(session: &mut Session) -> Verdict {
    session.clear_subscriptions().await?;
    let rows = [session.subscription(&[]).await?, session.subscription(&[]).await?];
    let path = format!("{SUBSCRIPTIONS}*.");
    let response = session.delete(false, &[&path]).await?;
    let result = one(&response.deleted_obj_results, "DeletedObjectResult")?;
    equal("the requested_path", result.requested_path.as_str(), path.as_str())?;
    let affected = deleted(result)?;
    for row in &rows {
        ensure(affected.contains(row), || format!("{row} is not among the affected paths"))?;
    }
    for row in &rows {
        gone(session, SUBSCRIPTIONS, row).await?;
    }
    Ok(())
}

async fn by_search(session: &mut Session) -> Verdict {
    let me = session.me().await?;
    let table = format!("{me}BootParameter.");
    let before = session.read(&table).await?;
    if !session.setup.config.may_clear && before.values().any(|value| value == "true") {
        let why = "boot parameters are enabled that this run may not remove";
        return Err(Stop::NotApplicable(why.to_owned()));
    }
    let on = boot_parameter(session, "true", SOFTWARE_VERSION).await?;
    let off = boot_parameter(session, "false", "Device.LocalAgent.EndpointID").await?;
    let path = format!("{table}[Enable==true].");
    let response = session.delete(false, &[&path]).await?;
    let result = one(&response.deleted_obj_results, "DeletedObjectResult")?;
    equal("the requested_path", result.requested_path.as_str(), path.as_str())?;
    ensure(deleted(result)?.contains(&on), || format!("{on} is not among the affected paths"))?;
    let there = session.read(&table).await?;
    ensure(there.contains_key(&format!("{off}Enable")), || format!("{off} was deleted too"))?;
    ensure(!there.iter().any(|(path, value)| path.ends_with(".Enable") && value == "true"), || {
        "a boot parameter that is enabled is still there".to_owned()
    })
}

/// The other controller subscribes, and is then removed; its row is put back at the end.
async fn controller_goes(session: &mut Session) -> Verdict {
    if !session.setup.supported.is_writable("Device.LocalAgent.Controller.{i}.") {
        return Err(Stop::NotApplicable("controllers cannot be added and removed".to_owned()));
    }
    let Some((second, id)) = session.setup.config.second.clone() else {
        return Err(Stop::NotApplicable("it takes a second controller that the agent knows".to_owned()));
    };
    let row = session.row_of(&id).await?;
    let before = session.read(&row).await?;
    let name = session.name("second78");
    let settings = [("Enable", "true"), ("ID", &name), ("NotifType", "ValueChange")];
    let wanted = Row::at(SUBSCRIPTIONS).with("ReferenceList", SOFTWARE_VERSION);
    let wanted = settings.iter().fold(wanted, |row, (param, value)| row.with(param, *value));
    let answer = session.ask_as(&second, messages::add(false, [wanted])).await?;
    if let Err(error) = answer {
        let why = format!("the second controller may not subscribe: {}", error.err_msg);
        return Err(Stop::NotApplicable(why));
    }
    let response = session.delete(false, &[&row]).await?;
    let result = deleted(one(&response.deleted_obj_results, "DeletedObjectResult")?).map(<[String]>::to_vec);
    let verdict = subscription_gone(session, &name).await;
    put_back(session, &row, &before).await?;
    result?;
    verdict
}

async fn subscription_gone(session: &mut Session, name: &str) -> Verdict {
    let there = session.read(SUBSCRIPTIONS).await?;
    match there.iter().find(|(_, value)| *value == name) {
        Some((path, _)) => fail(format!("{path} is there")),
        None => Ok(()),
    }
}

/// The controller that was removed, with what can be said of it in an Add.
async fn put_back(
    session: &mut Session,
    row: &str,
    before: &std::collections::BTreeMap<String, String>,
) -> Verdict {
    let value = |name: &str| before.get(&format!("{row}{name}")).cloned().unwrap_or_default();
    let mut wanted = Row::at(CONTROLLERS).must("EndpointID", value("EndpointID"));
    for name in ["Enable", "AssignedRole", "ProvisioningCode"] {
        if session.setup.supported.is_writable(&format!("{CONTROLLERS}{{i}}.{name}")) {
            wanted = wanted.with(name, value(name));
        }
    }
    match session.ask(messages::add(true, [wanted])).await? {
        Ok(_) => Ok(()),
        Err(error) => fail(format!("the second controller could not be put back: {}", error.err_msg)),
    }
}

async fn finds_nothing(session: &mut Session) -> Verdict {
    let off = session.read("Device.LocalAgent.Subscription.[Enable==false].").await?;
    if !off.is_empty() {
        session.clear_subscriptions().await?;
    }
    let response = session.delete(false, &["Device.LocalAgent.Subscription.[Enable==false]."]).await?;
    let affected = deleted(one(&response.deleted_obj_results, "DeletedObjectResult")?)?;
    ensure(affected.is_empty(), || format!("{affected:?} was affected"))
}
