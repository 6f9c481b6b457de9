//! Add: TP-469 1.1 to 1.10, 1.81, 1.88, 1.95.

use crate::conformance::check::{Check, Verdict};
use crate::conformance::expect::{
    blamed, blamed_param, code, created, created_with_keys, ensure, equal, fail, not_created, one, two,
};
use crate::conformance::messages::{self, Row};
use crate::conformance::session::{SOFTWARE_VERSION, SUBSCRIPTIONS, Session};
use crate::usp::ErrorCode;

pub(super) const CHECKS: &[Check] = &[
    Check::mandatory(1, 1, "Add of one object, all or nothing", |s| Box::pin(one_object(s, "add1", false))),
    Check::mandatory(1, 2, "Add of one object, partial allowed", |s| Box::pin(one_object(s, "add2", true))),
    Check::mandatory(1, 3, "Add, all or nothing, with a wrong value that is required", |s| {
        Box::pin(wrong_value(s))
    }),
    Check::mandatory(1, 4, "Add, all or nothing, to an unknown table", |s| Box::pin(unknown_table(s))),
    Check::mandatory(1, 5, "Add of two objects, all or nothing", |s| Box::pin(two_objects(s))),
    Check::mandatory(1, 6, "Add of two objects, all or nothing, one to an unknown table", |s| {
        Box::pin(one_to_unknown_table(s))
    }),
    Check::mandatory(1, 7, "Add of two objects, all or nothing, one with a wrong value", |s| {
        Box::pin(one_with_wrong_value(s))
    }),
    Check::mandatory(1, 8, "Add, partial allowed, with a wrong value that is required", |s| {
        Box::pin(wrong_value_partial(s))
    }),
    Check::mandatory(1, 9, "Add of two objects, partial allowed, one of which fails", |s| {
        Box::pin(two_objects_partial(s))
    }),
    Check::conditional(1, 10, "Add below an object named by its unique keys", BOOT_PARAMETERS, |s| {
        Box::pin(below_unique_key(s))
    }),
    Check::mandatory(1, 81, "Add makes up the unique keys that it is not given", |s| {
        Box::pin(keys_made_up(s))
    }),
    Check::mandatory(1, 88, "Add with an alias that is none fails", |s| Box::pin(wrong_alias(s))),
    Check::conditional(1, 95, "Add below objects named by a search", BOOT_PARAMETERS, |s| {
        Box::pin(below_search(s))
    }),
];

/// What an Add says of a value that is no boolean.
pub(super) const WRONG_VALUE: &[ErrorCode] = &[
    ErrorCode::INVALID_TYPE,
    ErrorCode::INVALID_VALUE,
    ErrorCode::REQUIRED_PARAMETER_FAILED,
    ErrorCode::INVALID_ARGUMENTS,
];
/// What is said of a path that the agent does not have.
pub(super) const UNKNOWN_PATH: &[ErrorCode] = &[
    ErrorCode::INVALID_PATH,
    ErrorCode::OBJECT_DOES_NOT_EXIST,
    ErrorCode::OBJECT_IS_NOT_A_TABLE,
    ErrorCode::NON_CREATABLE_OBJECT,
    ErrorCode::INVALID_ARGUMENTS,
];
pub(super) const UNKNOWN_OBJECT: &str = "Device.LocalAgent.InvalidObject.";
pub(super) const BOOT_PARAMETERS: &[&str] = &["Device.LocalAgent.Controller.{i}.BootParameter.{i}."];

/// The subscription that the plan adds again and again.
fn usual(path: &str, id: &str) -> Row {
    Row::at(path).with("Enable", "true").with("ID", id).with("NotifType", "ValueChange")
}

/// The names of the unique keys that an agent tells of a new row.
pub(super) fn keys<'k>(session: &Session, table: &str, keys: &[&'k str]) -> Vec<&'k str> {
    let mut names = keys.to_vec();
    if session.has(&format!("{table}{{i}}.Alias")) {
        names.push("Alias");
    }
    names
}

/// The subscriptions with this ID.
async fn with_id(session: &mut Session, id: &str) -> Result<Vec<String>, crate::conformance::Stop> {
    let there = session.read(SUBSCRIPTIONS).await?;
    let found = there.into_iter().filter(|(path, value)| path.ends_with(".ID") && value == id);
    Ok(found.map(|(path, _)| path).collect())
}

/// Fails if a subscription with this ID is there.
pub(super) async fn absent(session: &mut Session, id: &str) -> Verdict {
    let found = with_id(session, id).await?;
    ensure(found.is_empty(), || format!("{} is there", found.join(", ")))
}

/// Compares what a subscription holds with what was set.
async fn holds(session: &mut Session, row: &str, settings: &[(&str, &str)]) -> Verdict {
    let values = session.read(row).await?;
    for (name, wanted) in settings {
        let path = format!("{row}{name}");
        equal(&path, values.get(&path).map_or("", String::as_str), *wanted)?;
    }
    Ok(())
}

async fn one_object(session: &mut Session, id: &str, allow_partial: bool) -> Verdict {
    let id = session.name(id);
    let row = usual(SUBSCRIPTIONS, &id).must("ReferenceList", SOFTWARE_VERSION);
    let response = session.add(allow_partial, vec![row]).await?;
    let names = keys(session, SUBSCRIPTIONS, &["Recipient", "ID"]);
    let result = one(&response.created_obj_results, "CreatedObjectResult")?;
    let row = &created_with_keys(result, &names)?.instantiated_path;
    let settings = [("Enable", "true"), ("ID", &id), ("NotifType", "ValueChange")];
    holds(session, row, &settings).await?;
    holds(session, row, &[("ReferenceList", SOFTWARE_VERSION)]).await
}

async fn wrong_value(session: &mut Session) -> Verdict {
    let id = session.name("add3");
    let row = Row::at(SUBSCRIPTIONS)
        .must("Enable", "InvalidValue")
        .with("ID", &id)
        .with("NotifType", "ValueChange")
        .with("ReferenceList", SOFTWARE_VERSION);
    let error = session.refused(messages::add(false, [row])).await?;
    blamed_param(&error, "Enable", WRONG_VALUE)?;
    absent(session, &id).await
}

async fn unknown_table(session: &mut Session) -> Verdict {
    let id = session.name("add4");
    let row = usual(UNKNOWN_OBJECT, &id).with("ReferenceList", SOFTWARE_VERSION);
    let error = session.refused(messages::add(false, [row])).await?;
    blamed(&error, UNKNOWN_OBJECT, UNKNOWN_PATH)?;
    absent(session, &id).await
}

async fn two_objects(session: &mut Session) -> Verdict {
    let ids = [session.name("add51"), session.name("add52")];
    let references = [SOFTWARE_VERSION, "Device.LocalAgent.EndpointID"];
    let rows = (0..2).map(|at| usual(SUBSCRIPTIONS, &ids[at]).must("ReferenceList", references[at]));
    let response = session.add(false, rows.collect()).await?;
    let names = keys(session, SUBSCRIPTIONS, &["Recipient", "ID"]);
    two(&response.created_obj_results, "CreatedObjectResult")?;
    for (at, result) in response.created_obj_results.iter().enumerate() {
        let row = &created_with_keys(result, &names)?.instantiated_path;
        holds(session, row, &[("Enable", "true"), ("ID", &ids[at]), ("NotifType", "ValueChange")]).await?;
        holds(session, row, &[("ReferenceList", references[at])]).await?;
    }
    Ok(())
}

async fn one_to_unknown_table(session: &mut Session) -> Verdict {
    let (id, other) = (session.name("add61"), session.name("add62"));
    let rows = [
        usual(SUBSCRIPTIONS, &id).must("ReferenceList", SOFTWARE_VERSION),
        usual(UNKNOWN_OBJECT, &other).must("ReferenceList", "Device.LocalAgent.EndpointID"),
    ];
    let error = session.refused(messages::add(false, rows)).await?;
    blamed(&error, UNKNOWN_OBJECT, UNKNOWN_PATH)?;
    absent(session, &id).await
}

async fn one_with_wrong_value(session: &mut Session) -> Verdict {
    let (id, other) = (session.name("add71"), session.name("add72"));
    let wrong = Row::at(SUBSCRIPTIONS)
        .must("Enable", "InvalidValue")
        .with("ID", &id)
        .with("NotifType", "ValueChange")
        .must("ReferenceList", SOFTWARE_VERSION);
    let error = session.refused(messages::add(false, [wrong, usual(SUBSCRIPTIONS, &other)])).await?;
    blamed_param(&error, "Enable", WRONG_VALUE)?;
    absent(session, &id).await?;
    absent(session, &other).await
}

async fn wrong_value_partial(session: &mut Session) -> Verdict {
    let id = session.name("add8");
    let row = Row::at(SUBSCRIPTIONS)
        .must("Enable", "InvalidValue")
        .with("ID", &id)
        .with("NotifType", "ValueChange")
        .must("ReferenceList", SOFTWARE_VERSION);
    let response = session.add(true, vec![row]).await?;
    let failure = not_created(one(&response.created_obj_results, "CreatedObjectResult")?)?;
    code("the OperationFailure", failure.err_code, WRONG_VALUE)?;
    absent(session, &id).await
}

async fn two_objects_partial(session: &mut Session) -> Verdict {
    let id = session.name("add91");
    let good = usual(SUBSCRIPTIONS, &id).with("ReferenceList", SOFTWARE_VERSION);
    let bad = good.clone().must("InvalidParameter", "IrrelevantValue");
    let response = session.add(true, vec![good, bad]).await?;
    let (first, second) = two(&response.created_obj_results, "CreatedObjectResult")?;
    let names = keys(session, SUBSCRIPTIONS, &["Recipient", "ID"]);
    let row = &created_with_keys(first, &names)?.instantiated_path;
    code("the OperationFailure", not_created(second)?.err_code, &[])?;
    let there = with_id(session, &id).await?;
    equal("the number of new subscriptions", &there.len(), &1)?;
    let settings = [("Enable", "true"), ("NotifType", "ValueChange"), ("ReferenceList", SOFTWARE_VERSION)];
    holds(session, row, &settings).await
}

/// The row of this controller, named by its unique keys.
pub(super) async fn by_keys(session: &mut Session) -> Result<String, crate::conformance::Stop> {
    let me = session.me().await?;
    let id = session.setup.config.endpoint_id.to_string();
    if session.has("Device.LocalAgent.Controller.{i}.Alias") {
        let alias = session.value(&format!("{me}Alias")).await?;
        return Ok(format!("Device.LocalAgent.Controller.[EndpointID==\"{id}\"&&Alias==\"{alias}\"]."));
    }
    Ok(format!("Device.LocalAgent.Controller.[EndpointID==\"{id}\"]."))
}

async fn below_unique_key(session: &mut Session) -> Verdict {
    let path = format!("{}BootParameter.", by_keys(session).await?);
    let row = Row::at(path).with("Enable", "true").with("ParameterName", SOFTWARE_VERSION);
    let response = session.add(false, vec![row]).await?;
    let names = keys(session, "Device.LocalAgent.Controller.{i}.BootParameter.", &["ParameterName"]);
    let result = one(&response.created_obj_results, "CreatedObjectResult")?;
    let row = &created_with_keys(result, &names)?.instantiated_path;
    holds(session, row, &[("Enable", "true"), ("ParameterName", SOFTWARE_VERSION)]).await
}

async fn keys_made_up(session: &mut Session) -> Verdict {
    let row = |reference: &str| {
        let row = Row::at(SUBSCRIPTIONS).with("Enable", "true").with("NotifType", "ValueChange");
        row.with("ReferenceList", reference)
    };
    let rows = vec![row(SOFTWARE_VERSION), row("Device.LocalAgent.EndpointID")];
    let response = session.add(false, rows).await?;
    let names = keys(session, SUBSCRIPTIONS, &["Recipient", "ID"]);
    let (first, second) = two(&response.created_obj_results, "CreatedObjectResult")?;
    let first = &created_with_keys(first, &names)?.unique_keys;
    let second = &created_with_keys(second, &names)?.unique_keys;
    for name in names {
        let same = first.get(name) == second.get(name);
        ensure(same == (name == "Recipient"), || {
            format!("{name} is {:?} in one and {:?} in the other", first.get(name), second.get(name))
        })?;
    }
    Ok(())
}

async fn wrong_alias(session: &mut Session) -> Verdict {
    let row = Row::at(SUBSCRIPTIONS)
        .with("Enable", "True")
        .with("Alias", "88InvalidAlias")
        .with("NotifType", "ValueChange")
        .with("ReferenceList", SOFTWARE_VERSION);
    session.refused(messages::add(false, [row])).await?;
    let there = session.read(SUBSCRIPTIONS).await?;
    ensure(!there.values().any(|value| value == "88InvalidAlias"), || "the object was created".to_owned())
}

async fn below_search(session: &mut Session) -> Verdict {
    let path = "Device.LocalAgent.Controller.[Enable==true].BootParameter.";
    let row = Row::at(path).with("Enable", "true").with("ParameterName", SOFTWARE_VERSION);
    let response = session.add(false, vec![row]).await?;
    let new: Vec<String> = response
        .created_obj_results
        .iter()
        .filter_map(|result| created(result).ok())
        .map(|success| success.instantiated_path.clone())
        .collect();
    if new.is_empty() {
        return fail("nothing was created");
    }
    let there = session.read("Device.LocalAgent.Controller.*.BootParameter.").await?;
    match new.iter().find(|row| !there.contains_key(&format!("{row}ParameterName"))) {
        Some(row) => fail(format!("{row} is not in the GetResp")),
        None => Ok(()),
    }
}
