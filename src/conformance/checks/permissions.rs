//! Permissions: TP-469 2.10 to 2.26. New ones stand above those that are there, since the plan is about what
//! they do.

use std::collections::BTreeMap;

use crate::conformance::check::{Check, Stop, Verdict};
use crate::conformance::expect::{
    blamed, code, created, deleted, ensure, equal, fail, not_created, one, operated, two, updated_one,
};
use crate::conformance::messages::{self, Row};
use crate::conformance::session::{SOFTWARE_VERSION, SUBSCRIPTIONS, Session};
use crate::usp::ErrorCode;
use crate::usp::message::notify::Notification as Kind;
use crate::usp::message::operate_resp::operation_result::OperationResp;

use super::add::absent;
use super::delete::boot_parameter;
use super::operate::reboot_with;

pub(super) const CHECKS: &[Check] = &[
    Check::conditional(2, 10, "A role can be added", &["Device.LocalAgent.ControllerTrust.Role.{i}."], |s| {
        Box::pin(role(s))
    }),
    Check::conditional(2, 11, "Adding is allowed by a permission", PERMISSIONS, |s| Box::pin(add_allowed(s))),
    Check::conditional(2, 12, "Adding is refused by a permission", PERMISSIONS, |s| Box::pin(add_refused(s))),
    Check::conditional(2, 13, "Deleting is allowed by a permission", PERMISSIONS, |s| {
        Box::pin(delete_allowed(s))
    }),
    Check::conditional(2, 14, "Deleting is refused by a permission", PERMISSIONS, |s| {
        Box::pin(delete_refused(s))
    }),
    Check::conditional(2, 15, "Writing is allowed by a permission", PERMISSIONS, |s| {
        Box::pin(set_allowed(s))
    }),
    Check::conditional(2, 16, "Writing is refused by a permission", PERMISSIONS, |s| {
        Box::pin(set_refused(s))
    }),
    Check::conditional(2, 17, "A command is allowed by a permission", COMMANDS, |s| {
        Box::pin(operate_allowed(s))
    }),
    Check::conditional(2, 18, "A command is refused by a permission", COMMANDS, |s| {
        Box::pin(operate_refused(s))
    }),
    Check::conditional(2, 19, "A value change is told where a permission allows it", INTERVAL, |s| {
        Box::pin(told(s, "rw-n", true))
    }),
    Check::conditional(2, 20, "A value change is not told where a permission refuses it", INTERVAL, |s| {
        Box::pin(told(s, "rw--", false))
    }),
    Check::conditional(2, 21, "Of overlapping permissions the highest order decides", BOOT, |s| {
        Box::pin(overlapping(s))
    }),
    Check::conditional(2, 22, "A Get leaves out what may not be read", BOOT, |s| Box::pin(unreadable(s))),
    Check::conditional(2, 23, "Add by a search, partial allowed, where one table is refused", BOOT, |s| {
        Box::pin(search_partial(s))
    }),
    Check::conditional(2, 24, "Add by a search, all or nothing, where one table is refused", BOOT, |s| {
        Box::pin(search_refused(s))
    }),
    Check::conditional(2, 25, "Add without a parameter that may not be written", PERMISSIONS, |s| {
        Box::pin(setting_omitted(s))
    }),
    Check::conditional(2, 26, "Add with a required parameter that may not be written", PERMISSIONS, |s| {
        Box::pin(setting_refused(s))
    }),
];

pub(super) const PERMISSION: &str = "Device.LocalAgent.ControllerTrust.Role.{i}.Permission.{i}.";
const PERMISSIONS: &[&str] = &[PERMISSION];
const COMMANDS: &[&str] = &[PERMISSION, "Device.Reboot()"];
const INTERVAL: &[&str] = &[PERMISSION, "Device.LocalAgent.Controller.{i}.PeriodicNotifInterval"];
const BOOT: &[&str] = &[PERMISSION, "Device.LocalAgent.Controller.{i}.BootParameter.{i}."];
const DENIED: &[ErrorCode] = &[ErrorCode::PERMISSION_DENIED];

/// Rights on parameters, objects, instances, and commands and events.
type Letters = [&'static str; 4];

/// Rights that the permission leaves alone.
const ALL: &str = "rwxn";

/// A permission of the role that this controller has.
pub(super) struct Permission {
    table: String,
    order: u64,
}

impl Permission {
    /// The table of this controller's role, and an order above all that are there.
    pub(super) async fn table(session: &mut Session) -> Result<Self, Stop> {
        if !session.setup.supported.is_writable(PERMISSION) {
            return Err(Stop::NotApplicable("permissions cannot be added".to_owned()));
        }
        let me = session.me().await?;
        let roles = session.value(&format!("{me}AssignedRole")).await?;
        let role = roles.split(',').next().unwrap_or("").trim().trim_end_matches('.').to_owned();
        ensure(!role.is_empty(), || format!("{me} has no role"))?;
        // A role among several is not alone in what it says.
        if roles.contains(',') {
            return Err(Stop::NotApplicable("this controller has more than one role".to_owned()));
        }
        let table = format!("{role}.Permission.");
        let there = session.read(&table).await?;
        let orders = there.iter().filter(|(path, _)| path.ends_with(".Order"));
        let highest = orders.filter_map(|(_, value)| value.parse::<u64>().ok()).max().unwrap_or(0);
        Ok(Self { table, order: highest + 1 })
    }

    /// A row with an order of its own, above those that were made before it: what an agent chooses where none is
    /// given may be below them, or taken.
    fn row(&mut self, target: &str, [param, obj, instance, command]: Letters) -> Row {
        let order = self.order;
        self.order += 1;
        Row::at(&self.table)
            .with("Enable", "true")
            .must("Targets", target)
            .must("Param", param)
            .must("Obj", obj)
            .must("InstantiatedObj", instance)
            .must("CommandEvent", command)
            .must("Order", order.to_string())
    }
}

/// Adds one permission to the role of this controller.
async fn permit(session: &mut Session, target: &str, rights: Letters) -> Verdict {
    let row = Permission::table(session).await?.row(target, rights);
    session.row(row).await.map(|_| ())
}

async fn role(session: &mut Session) -> Verdict {
    if !session.setup.supported.is_writable("Device.LocalAgent.ControllerTrust.Role.{i}.") {
        return Err(Stop::NotApplicable("roles cannot be added".to_owned()));
    }
    let name = session.name("Trusted");
    let row = Row::at("Device.LocalAgent.ControllerTrust.Role.").with("Enable", "true").with("Name", name);
    session.row(row).await.map(|_| ())
}

async fn add_allowed(session: &mut Session) -> Verdict {
    permit(session, SUBSCRIPTIONS, [ALL, "rw--", ALL, ALL]).await?;
    session.row(Row::at(SUBSCRIPTIONS)).await.map(|_| ())
}

async fn add_refused(session: &mut Session) -> Verdict {
    permit(session, SUBSCRIPTIONS, [ALL, "r---", ALL, ALL]).await?;
    let error = session.refused(messages::add(false, [Row::at(SUBSCRIPTIONS)])).await?;
    code("the Error", error.err_code, DENIED)
}

async fn delete_allowed(session: &mut Session) -> Verdict {
    let row = session.subscription(&[]).await?;
    permit(session, SUBSCRIPTIONS, [ALL, ALL, "rw--", ALL]).await?;
    let response = session.delete(false, &[&row]).await?;
    let affected = deleted(one(&response.deleted_obj_results, "DeletedObjectResult")?)?;
    equal("the list of affected paths", affected, [row.as_str()].as_slice())
}

async fn delete_refused(session: &mut Session) -> Verdict {
    let row = session.subscription(&[]).await?;
    permit(session, SUBSCRIPTIONS, [ALL, ALL, "r---", ALL]).await?;
    let error = session.refused(messages::delete(false, &[&row])).await?;
    code("the Error", error.err_code, DENIED)
}

async fn set_allowed(session: &mut Session) -> Verdict {
    let row = session.subscription(&[]).await?;
    permit(session, &row, ["rw--", ALL, ALL, ALL]).await?;
    let response = session.set(false, vec![Row::at(&row).must("Enable", "false")]).await?;
    updated_one(one(&response.updated_obj_results, "UpdatedObjectResult")?, &row, "Enable")
}

async fn set_refused(session: &mut Session) -> Verdict {
    let row = session.subscription(&[]).await?;
    permit(session, &row, ["r---", ALL, ALL, ALL]).await?;
    let error = session.refused(messages::set(false, [Row::at(&row).must("Enable", "false")])).await?;
    code("the Error", error.err_code, DENIED)
}

async fn operate_allowed(session: &mut Session) -> Verdict {
    let command = COMMANDS[1];
    let start = async move |session: &mut Session| {
        permit(session, command, [ALL, ALL, ALL, "r-xn"]).await?;
        let response = session.operate(command, "", &[]).await?;
        match operated(&response, command)? {
            OperationResp::ReqOutputArgs(_) => Ok(()),
            other => fail(format!("the result of the command is {other:?}")),
        }
    };
    reboot_with(session, start).await.map(|_| ())
}

async fn operate_refused(session: &mut Session) -> Verdict {
    permit(session, COMMANDS[1], [ALL, ALL, ALL, "r---"]).await?;
    let response = session.operate(COMMANDS[1], "", &[]).await?;
    match operated(&response, COMMANDS[1])? {
        OperationResp::CmdFailure(failure) => code("the CommandFailure", failure.err_code, &[]),
        other => fail(format!("the result of the command is {other:?}")),
    }
}

/// Whether a change of this controller's interval is told.
async fn told(session: &mut Session, param: &'static str, wanted: bool) -> Verdict {
    let path = format!("{}PeriodicNotifInterval", session.me().await?);
    let before = session.keep(&path).await?;
    permit(session, &path, [param, ALL, ALL, ALL]).await?;
    let id = session.name("notify2");
    session.subscription(&[("ID", &id), ("ReferenceList", &path)]).await?;
    let value = if before.get(&path).is_some_and(|it| it == "7200") { "7201" } else { "7200" };
    session.write(&path, value).await?;
    if wanted {
        return Session::value_changed(&session.notified_of(&id).await?, &path, value);
    }
    let quiet = session.quiet();
    let about = |kind: &Kind| matches!(kind, Kind::ValueChange(change) if change.param_path == path);
    session.not_notified(quiet, |it| it.notify.notification.as_ref().is_some_and(about)).await
}

/// The parameters of a boot parameter that this controller sees.
async fn seen(session: &mut Session, row: &str) -> Result<BTreeMap<String, String>, Stop> {
    let table = row.trim_end_matches('.').rsplit_once('.').map_or("", |(table, _)| table);
    let mut values = session.read(&format!("{table}.")).await?;
    values.retain(|path, _| path.starts_with(row));
    Ok(values)
}

async fn overlapping(session: &mut Session) -> Verdict {
    let row = boot_parameter(session, "true", SOFTWARE_VERSION).await?;
    let mut permissions = Permission::table(session).await?;
    let hidden = ["----", ALL, ALL, ALL];
    let shown = ["rw--", ALL, ALL, ALL];
    let rows = vec![permissions.row(&row, hidden), permissions.row(&row, shown)];
    let response = session.add(false, rows).await?;
    let (first, second) = two(&response.created_obj_results, "CreatedObjectResult")?;
    created(first).and(created(second))?;
    let values = seen(session, &row).await?;
    ensure(values.contains_key(&format!("{row}ParameterName")), || format!("{row} cannot be read"))?;
    session.row(permissions.row(&row, hidden)).await?;
    let values = seen(session, &row).await?;
    ensure(values.is_empty(), || format!("{row} can be read"))
}

async fn unreadable(session: &mut Session) -> Verdict {
    let row = boot_parameter(session, "true", SOFTWARE_VERSION).await?;
    let name = format!("{row}ParameterName");
    let mut permissions = Permission::table(session).await?;
    let rows =
        vec![permissions.row(&row, ["rw--", ALL, ALL, ALL]), permissions.row(&name, ["----", ALL, ALL, ALL])];
    let response = session.add(false, rows).await?;
    let (first, second) = two(&response.created_obj_results, "CreatedObjectResult")?;
    created(first).and(created(second))?;
    let values = session.read(&row).await?;
    ensure(values.contains_key(&format!("{row}Enable")), || format!("{row}Enable cannot be read"))?;
    ensure(!values.contains_key(&name), || format!("{name} can be read"))
}

/// Refuses boot parameters of another controller than this one; gives both tables, ours first.
async fn one_refused(session: &mut Session) -> Result<[String; 2], Stop> {
    let me = session.me().await?;
    let there = session.read("Device.LocalAgent.Controller.*.EndpointID").await?;
    let rows: Vec<&str> = there.keys().map(|path| path.trim_end_matches("EndpointID")).collect();
    let Some(other) = rows.iter().find(|row| **row != me) else {
        return Err(Stop::NotApplicable("the agent knows no other controller".to_owned()));
    };
    let tables = [format!("{me}BootParameter."), format!("{other}BootParameter.")];
    let mut permissions = Permission::table(session).await?;
    let mut wanted = vec![permissions.row(&tables[0], ["rw--", ALL, ALL, ALL])];
    for row in rows.iter().filter(|row| **row != me) {
        let table = format!("{row}BootParameter.");
        wanted.push(permissions.row(&table, ["r---", ALL, ALL, ALL]));
    }
    let response = session.add(false, wanted).await?;
    for result in &response.created_obj_results {
        created(result)?;
    }
    Ok(tables)
}

async fn search_partial(session: &mut Session) -> Verdict {
    let [mine, other] = one_refused(session).await?;
    let row = Row::at("Device.LocalAgent.Controller.*.BootParameter.").must("Enable", "false");
    let response = session.add(true, vec![row]).await?;
    let results = &response.created_obj_results;
    ensure(results.len() > 1, || format!("there are {} results, not one for each table", results.len()))?;
    let new: Vec<&str> =
        results.iter().filter_map(|it| created(it).ok()).map(|it| it.instantiated_path.as_str()).collect();
    let [only] = new.as_slice() else { return fail(format!("created is {new:?}, not one row of {mine}")) };
    ensure(only.starts_with(&mine), || format!("{only} was created, in spite of the permissions; {other}"))?;
    for failed in results.iter().filter(|it| created(it).is_err()) {
        code("the OperationFailure", not_created(failed)?.err_code, DENIED)?;
    }
    Ok(())
}

async fn search_refused(session: &mut Session) -> Verdict {
    let [_, other] = one_refused(session).await?;
    let all = "Device.LocalAgent.Controller.*.BootParameter.";
    let before = session.read(all).await?;
    let row = Row::at("Device.LocalAgent.Controller.*.BootParameter.").must("Enable", "false");
    let mut error = session.refused(messages::add(false, [row])).await?;
    code("the Error", error.err_code, DENIED)?;
    // The plan shows the path without its dot; which parameter it was may be told as well.
    error.param_errs.retain(|it| it.param_path.starts_with(other.trim_end_matches('.')));
    if let [only] = error.param_errs.as_mut_slice() {
        other.trim_end_matches('.').clone_into(&mut only.param_path);
    }
    blamed(&error, other.trim_end_matches('.'), DENIED)?;
    let after = session.read(all).await?;
    equal("the number of parameters in the tables", &after.len(), &before.len())
}

async fn setting_omitted(session: &mut Session) -> Verdict {
    permit(session, "Device.LocalAgent.Subscription.*.Enable", ["r---", ALL, ALL, ALL]).await?;
    let id = session.name("add25");
    let row = Row::at(SUBSCRIPTIONS).with("ID", id).with("NotifType", "ValueChange");
    let row = session.row(row.must("ReferenceList", SOFTWARE_VERSION)).await?;
    let path = format!("{row}Enable");
    let value = session.value(&path).await?;
    equal(&path, value.as_str(), "false")
}

async fn setting_refused(session: &mut Session) -> Verdict {
    permit(session, "Device.LocalAgent.Subscription.*.Enable", ["r---", ALL, ALL, ALL]).await?;
    let id = session.name("add26");
    let row = Row::at(SUBSCRIPTIONS)
        .with("ID", &id)
        .with("NotifType", "ValueChange")
        .must("ReferenceList", SOFTWARE_VERSION)
        .must("Enable", "true");
    let response = session.add(true, vec![row]).await?;
    let failure = not_created(one(&response.created_obj_results, "CreatedObjectResult")?)?;
    code("the OperationFailure", failure.err_code, DENIED)?;
    absent(session, &id).await
}
