//! Set: TP-469 1.11 to 1.23, 1.96, 1.104.

use crate::conformance::check::{Check, Stop, Verdict};
use crate::conformance::expect::{
    blamed, code, ensure, equal, not_updated, one, only_param, two, updated, updated_one,
};
use crate::conformance::messages::{self, Row};
use crate::conformance::session::{SUBSCRIPTIONS, Session};
use crate::usp::ErrorCode;
use crate::usp::message::set_resp::ParameterError;

use super::add::WRONG_VALUE;

pub(super) const CHECKS: &[Check] = &[
    Check::mandatory(1, 11, "Set of one parameter, all or nothing", |s| Box::pin(one_parameter(s, false))),
    Check::mandatory(1, 12, "Set of one parameter, partial allowed", |s| Box::pin(one_parameter(s, true))),
    Check::mandatory(1, 13, "Set of two objects, all or nothing", |s| Box::pin(two_objects(s))),
    Check::mandatory(1, 14, "Set, all or nothing, of an unknown parameter", |s| Box::pin(unknown_param(s))),
    Check::mandatory(1, 15, "Set of two objects, all or nothing, one with an unknown parameter", |s| {
        Box::pin(one_unknown(s))
    }),
    Check::mandatory(1, 16, "Set of two objects, partial allowed, one with an unknown parameter", |s| {
        Box::pin(one_unknown_partial(s))
    }),
    Check::mandatory(1, 17, "Set, partial allowed, where a parameter that is not required is unknown", |s| {
        Box::pin(not_required(s))
    }),
    Check::mandatory(1, 18, "Set of an object named by its unique keys", |s| Box::pin(by_unique_keys(s))),
    Check::mandatory(1, 19, "Set by a wildcard", |s| Box::pin(by_wildcard(s))),
    Check::mandatory(1, 20, "Set by a wildcard, all or nothing, of an unknown parameter", |s| {
        Box::pin(by_wildcard_unknown(s))
    }),
    Check::mandatory(1, 21, "Set by a wildcard, partial allowed, of a wrong value", |s| {
        Box::pin(by_wildcard_wrong(s))
    }),
    Check::conditional(
        1,
        22,
        "Set by a search",
        &["Device.LocalAgent.Subscription.{i}.NotifExpiration"],
        |s| Box::pin(by_search(s)),
    ),
    Check::mandatory(1, 23, "Set by a search that finds nothing", |s| Box::pin(finds_nothing(s))),
    Check::mandatory(1, 96, "A unique key that is not functional does not change", |s| {
        Box::pin(key_stays(s))
    }),
    Check::conditional(
        1,
        104,
        "A parameter that is written once does not change",
        &["Device.LocalAgent.Subscription.{i}.Alias"],
        |s| Box::pin(written_once(s)),
    ),
];

/// What is said of a parameter that is not there.
const UNKNOWN_PARAM: &[ErrorCode] = &[
    ErrorCode::UNSUPPORTED_PARAMETER,
    ErrorCode::INVALID_PATH,
    ErrorCode::REQUIRED_PARAMETER_FAILED,
    ErrorCode::INVALID_ARGUMENTS,
];

async fn rows(session: &mut Session) -> Result<(String, String), Stop> {
    Ok((session.subscription(&[]).await?, session.subscription(&[]).await?))
}

/// The value that NotifRetry does not have.
async fn other(session: &mut Session, row: &str) -> Result<&'static str, Stop> {
    let now = session.value(&format!("{row}NotifRetry")).await?;
    Ok(if now == "true" { "false" } else { "true" })
}

/// Fails unless NotifRetry has this value.
async fn retries(session: &mut Session, row: &str, wanted: &str) -> Verdict {
    let path = format!("{row}NotifRetry");
    let got = session.value(&path).await?;
    equal(&path, got.as_str(), wanted)
}

async fn one_parameter(session: &mut Session, allow_partial: bool) -> Verdict {
    let row = session.subscription(&[]).await?;
    let value = other(session, &row).await?;
    let response = session.set(allow_partial, vec![Row::at(&row).must("NotifRetry", value)]).await?;
    updated_one(one(&response.updated_obj_results, "UpdatedObjectResult")?, &row, "NotifRetry")?;
    retries(session, &row, value).await
}

async fn two_objects(session: &mut Session) -> Verdict {
    let (first, second) = rows(session).await?;
    let value = other(session, &first).await?;
    let wanted = [&first, &second].map(|row| Row::at(row).must("NotifRetry", value));
    let response = session.set(false, wanted.into()).await?;
    let (one, other) = two(&response.updated_obj_results, "UpdatedObjectResult")?;
    updated_one(one, &first, "NotifRetry")?;
    updated_one(other, &second, "NotifRetry")?;
    retries(session, &first, value).await?;
    retries(session, &second, value).await
}

/// Fails if the parameter that no agent has is there.
async fn without_unknown(session: &mut Session, path: &str) -> Verdict {
    let values = session.read(path).await?;
    ensure(!values.keys().any(|name| name.ends_with(".InvalidParameter")), || {
        "the unknown parameter is there".to_owned()
    })
}

async fn unknown_param(session: &mut Session) -> Verdict {
    let row = session.subscription(&[]).await?;
    let wanted = Row::at(&row).must("InvalidParameter", "IrrelevantValue");
    let error = session.refused(messages::set(false, [wanted])).await?;
    blamed(&error, &format!("{row}InvalidParameter"), UNKNOWN_PARAM)?;
    without_unknown(session, &row).await
}

async fn one_unknown(session: &mut Session) -> Verdict {
    let (first, second) = rows(session).await?;
    let value = other(session, &first).await?;
    let wanted = [
        Row::at(&first).must("NotifRetry", value),
        Row::at(&second).must("InvalidParameter", "IrrelevantValue"),
    ];
    let error = session.refused(messages::set(false, wanted)).await?;
    blamed(&error, &format!("{second}InvalidParameter"), UNKNOWN_PARAM)?;
    without_unknown(session, SUBSCRIPTIONS).await?;
    let unchanged = if value == "true" { "false" } else { "true" };
    retries(session, &first, unchanged).await
}

fn about_unknown(error: &ParameterError) -> Verdict {
    equal("the param of the ParameterError", error.param.as_str(), "InvalidParameter")?;
    code("the ParameterError", error.err_code, UNKNOWN_PARAM)
}

async fn one_unknown_partial(session: &mut Session) -> Verdict {
    let (first, second) = rows(session).await?;
    let value = other(session, &first).await?;
    let wanted = vec![
        Row::at(&first).must("NotifRetry", value),
        Row::at(&second).must("InvalidParameter", "IrrelevantValue"),
    ];
    let response = session.set(true, wanted).await?;
    let (good, bad) = two(&response.updated_obj_results, "UpdatedObjectResult")?;
    updated_one(good, &first, "NotifRetry")?;
    let failure = not_updated(bad)?;
    code("the OperationFailure", failure.err_code, &[])?;
    let instance = one(&failure.updated_inst_failures, "UpdatedInstanceFailure")?;
    equal("the affected_path", instance.affected_path.as_str(), second.as_str())?;
    about_unknown(one(&instance.param_errs, "ParameterError")?)?;
    retries(session, &first, value).await
}

async fn not_required(session: &mut Session) -> Verdict {
    let row = session.subscription(&[]).await?;
    let value = other(session, &row).await?;
    let wanted = Row::at(&row).with("NotifRetry", value).with("InvalidParameter", "IrrelevantValue");
    let response = session.set(true, vec![wanted]).await?;
    let result = one(&response.updated_obj_results, "UpdatedObjectResult")?;
    updated_one(result, &row, "NotifRetry")?;
    let instance = one(updated(result)?, "UpdatedInstanceResult")?;
    about_unknown(one(&instance.param_errs, "ParameterError")?)?;
    retries(session, &row, value).await
}

/// A subscription, and its path by unique keys.
pub(super) async fn named_by_keys(session: &mut Session) -> Result<(String, String), Stop> {
    let row = session.subscription(&[]).await?;
    let values = session.read(&row).await?;
    let value = |name: &str| values.get(&format!("{row}{name}")).map_or("", String::as_str);
    let keys = format!("Recipient==\"{}\"&&ID==\"{}\"", value("Recipient"), value("ID"));
    Ok((row.clone(), format!("{SUBSCRIPTIONS}[{keys}].")))
}

async fn by_unique_keys(session: &mut Session) -> Verdict {
    let (row, path) = named_by_keys(session).await?;
    let value = other(session, &row).await?;
    let response = session.set(false, vec![Row::at(path).must("NotifRetry", value)]).await?;
    updated_one(one(&response.updated_obj_results, "UpdatedObjectResult")?, &row, "NotifRetry")?;
    retries(session, &row, value).await
}

async fn by_wildcard(session: &mut Session) -> Verdict {
    session.keep("Device.LocalAgent.Subscription.*.NotifRetry").await?;
    let (first, second) = rows(session).await?;
    let value = other(session, &first).await?;
    let path = format!("{SUBSCRIPTIONS}*.");
    let response = session.set(false, vec![Row::at(path).must("NotifRetry", value)]).await?;
    let result = one(&response.updated_obj_results, "UpdatedObjectResult")?;
    for row in [&first, &second] {
        let instance = updated(result)?.iter().find(|it| it.affected_path == *row);
        let instance = instance.ok_or_else(|| Stop::Fail(format!("{row} is not among the results")))?;
        only_param(instance, "NotifRetry")?;
        retries(session, row, value).await?;
    }
    Ok(())
}

async fn by_wildcard_unknown(session: &mut Session) -> Verdict {
    let (first, _) = rows(session).await?;
    let wanted = Row::at(format!("{SUBSCRIPTIONS}*.")).must("InvalidParameter", "IrrelevantValue");
    let error = session.refused(messages::set(false, [wanted])).await?;
    let path = format!("{first}InvalidParameter");
    let about = |it: &&crate::usp::message::error::ParamError| {
        it.param_path.starts_with(SUBSCRIPTIONS) && it.param_path.ends_with(".InvalidParameter")
    };
    let blamed = error.param_errs.iter().find(about);
    let blamed = blamed.ok_or_else(|| Stop::Fail(format!("no ParamError is about such as {path}")))?;
    code("the ParamError", blamed.err_code, UNKNOWN_PARAM)?;
    without_unknown(session, SUBSCRIPTIONS).await
}

async fn by_wildcard_wrong(session: &mut Session) -> Verdict {
    rows(session).await?;
    let wanted = Row::at(format!("{SUBSCRIPTIONS}*.")).must("Enable", "InvalidValue");
    let response = session.set(true, vec![wanted]).await?;
    let failure = not_updated(one(&response.updated_obj_results, "UpdatedObjectResult")?)?;
    code("the OperationFailure", failure.err_code, &[])?;
    ensure(!failure.updated_inst_failures.is_empty(), || "no UpdatedInstanceFailure is there".to_owned())?;
    for instance in &failure.updated_inst_failures {
        let path = &instance.affected_path;
        ensure(path.starts_with(SUBSCRIPTIONS), || format!("the affected_path is {path}"))?;
        let error = one(&instance.param_errs, "ParameterError")?;
        equal("the param of the ParameterError", error.param.as_str(), "Enable")?;
        code("the ParameterError", error.err_code, WRONG_VALUE)?;
    }
    let there = session.read(SUBSCRIPTIONS).await?;
    ensure(!there.values().any(|value| value == "InvalidValue"), || "the wrong value was set".to_owned())
}

async fn by_search(session: &mut Session) -> Verdict {
    session.keep("Device.LocalAgent.Subscription.[NotifExpiration>0].NotifRetry").await?;
    let row = session.subscription(&[("NotifExpiration", "600")]).await?;
    let value = other(session, &row).await?;
    let path = format!("{SUBSCRIPTIONS}[NotifExpiration>0].");
    let response = session.set(false, vec![Row::at(path).must("NotifRetry", value)]).await?;
    let all = response.updated_obj_results.iter().flat_map(|it| updated(it).unwrap_or_default());
    let instance = all.into_iter().find(|it| it.affected_path == row);
    let instance = instance.ok_or_else(|| Stop::Fail(format!("{row} is not among the results")))?;
    only_param(instance, "NotifRetry")?;
    retries(session, &row, value).await
}

async fn finds_nothing(session: &mut Session) -> Verdict {
    let path = format!("{SUBSCRIPTIONS}[Recipient==\"InvalidValue\"].");
    let response = session.set(true, vec![Row::at(path).must("NotifRetry", "true")]).await?;
    let found = updated(one(&response.updated_obj_results, "UpdatedObjectResult")?)?;
    ensure(found.is_empty(), || format!("there are {} results", found.len()))
}

async fn key_stays(session: &mut Session) -> Verdict {
    let id = session.name("add96");
    let row = session.row(Row::at(SUBSCRIPTIONS).with("ID", &id)).await?;
    let path = format!("{row}ID");
    equal(&path, session.value(&path).await?.as_str(), id.as_str())?;
    session.refused(messages::set(false, [Row::at(&row).must("ID", format!("{id}-NEW"))])).await?;
    equal(&path, session.value(&path).await?.as_str(), id.as_str())
}

async fn written_once(session: &mut Session) -> Verdict {
    let alias = session.name("test-1-104");
    let row = session.row(Row::at(SUBSCRIPTIONS).with("Alias", &alias)).await?;
    let wanted = Row::at(&row).must("Alias", format!("{alias}-new-alias"));
    session.refused(messages::set(false, [wanted])).await?;
    let path = format!("{row}Alias");
    equal(&path, session.value(&path).await?.as_str(), alias.as_str())
}
