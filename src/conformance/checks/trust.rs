//! Who is heard, and what is shown to whom: TP-469 2.1 to 2.9, 2.27.

use crate::conformance::check::{Check, Stop, Verdict};
use crate::conformance::expect::{ensure, equal, fail, values};
use crate::conformance::messages::Row;
use crate::conformance::session::Session;
use crate::identity::EndpointId;
use crate::sim::controller::requests;
use crate::usp::message::{Message, Response};
use crate::usp::record::Record;

use super::permissions::PERMISSION;

pub(super) const CHECKS: &[Check] = &[
    Check::mandatory(2, 1, "A record from the agent's own endpoint is not answered", |s| {
        Box::pin(from_itself(s))
    }),
    Check::mandatory(2, 2, "A record for another endpoint is not answered", |s| Box::pin(for_another(s))),
    Check::never(2, 3, "A certificate that is not trusted", "the plan has it no more").deprecated(),
    Check::never(2, 4, "A certificate of another endpoint", "the plan has it no more").deprecated(),
    Check::never(2, 5, "A self-signed certificate", "the plan has it no more").deprecated(),
    Check::never(2, 6, "Certificates without the time", "it takes a device that has no time"),
    Check::conditional(
        2,
        9,
        "A controller that is not known has the untrusted role",
        &["Device.LocalAgent.ControllerTrust.UntrustedRole"],
        |s| Box::pin(untrusted(s)),
    ),
    Check::conditional(
        2,
        27,
        "Secured values are shown to secured roles alone",
        &[PERMISSION, "Device.LocalAgent.ControllerTrust.SecuredRoles"],
        |s| Box::pin(secured(s)),
    ),
];

/// A Get in a record with these endpoints.
fn record(from: &EndpointId, to: &EndpointId) -> Record {
    let request = requests::get(&["Device.LocalAgent.EndpointID"], 0);
    Record::plain(from, to, Message::request("conformance", request).encode())
}

/// An endpoint id that nobody has.
fn nobody(session: &Session) -> Result<EndpointId, Stop> {
    let id = format!("self::{}", session.name("nobody"));
    EndpointId::parse(&id).map_err(|error| Stop::Fail(error.to_string()))
}

async fn from_itself(session: &mut Session) -> Verdict {
    let agent = session.agent().clone();
    session.forget_arrivals();
    session.send_record(record(&agent, &agent)).await;
    session.no_message().await?;
    session.me().await.map(|_| ())
}

async fn for_another(session: &mut Session) -> Verdict {
    let (me, other) = (session.setup.config.endpoint_id.clone(), nobody(session)?);
    session.forget_arrivals();
    session.send_record(record(&me, &other)).await;
    session.no_message().await?;
    session.me().await.map(|_| ())
}

async fn untrusted(session: &mut Session) -> Verdict {
    let (stranger, agent) = (nobody(session)?, session.agent().clone());
    session.send_record(record(&stranger, &agent)).await;
    tokio::time::sleep(session.quiet()).await;
    let there = session.read("Device.LocalAgent.Controller.*.EndpointID").await?;
    let Some((path, _)) = there.iter().find(|(_, id)| *id == stranger.as_str()) else {
        let why = "the agent does not take up controllers that it was not told of";
        return Err(Stop::NotApplicable(why.to_owned()));
    };
    let row = path.trim_end_matches("EndpointID");
    let role = session.value(&format!("{row}AssignedRole")).await?;
    let wanted = session.value("Device.LocalAgent.ControllerTrust.UntrustedRole").await?;
    equal("the AssignedRole", role.trim_end_matches('.'), wanted.trim_end_matches('.'))
}

/// Parameters of the standard that are secured, as far as devices have values in them that can be read.
const SECURED: [&str; 3] = [
    "Device.WiFi.AccessPoint.*.Security.KeyPassphrase",
    "Device.WiFi.AccessPoint.*.Security.PreSharedKey",
    "Device.Users.User.*.Password",
];

async fn secured(session: &mut Session) -> Verdict {
    let Some((second, id)) = session.setup.config.second.clone() else {
        return Err(Stop::NotApplicable("it takes a second controller that the agent knows".to_owned()));
    };
    let Some(path) = secret(session).await? else {
        return Err(Stop::NotApplicable("no secured parameter has a value that can be read".to_owned()));
    };
    let name = session.name("secured27");
    let role = Row::at("Device.LocalAgent.ControllerTrust.Role.").with("Enable", "true").must("Name", name);
    let role = session.row(role).await?;
    let permission = Row::at(format!("{role}Permission.")).with("Enable", "true").must("Targets", "Device.");
    let letters = ["Param", "Obj", "InstantiatedObj", "CommandEvent"];
    let permission = letters.iter().fold(permission, |row, name| row.must(name, "r--n"));
    session.row(permission).await?;
    let row = session.row_of(&id).await?;
    session.put(&format!("{row}AssignedRole"), &role).await?;
    let hidden = value_for(session, &second, &path).await?;
    ensure(hidden.is_empty(), || format!("{path} is shown to a role that is not secured"))?;
    let roles = "Device.LocalAgent.ControllerTrust.SecuredRoles";
    let before = session.value(roles).await?;
    let with = if before.is_empty() { role } else { format!("{before},{role}") };
    session.put(roles, &with).await?;
    let shown = value_for(session, &second, &path).await?;
    ensure(!shown.is_empty(), || format!("{path} is not shown to a secured role"))
}

/// A secured parameter that has a value for this controller.
async fn secret(session: &mut Session) -> Result<Option<String>, Stop> {
    for path in SECURED {
        if !session.has(&path.replace('*', "{i}")) {
            continue;
        }
        let found = session.read(path).await?;
        if let Some((path, _)) = found.into_iter().find(|(_, value)| !value.is_empty()) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

async fn value_for(
    session: &mut Session,
    controller: &crate::sim::controller::Controller,
    path: &str,
) -> Result<String, Stop> {
    match session.ask_as(controller, requests::get(&[path], 0)).await? {
        Ok(Response::GetResp(response)) => Ok(values(&response).remove(path).unwrap_or_default()),
        Ok(_) => fail("the answer to the Get is no GetResp"),
        Err(error) => fail(format!("{path} cannot be read: {} {}", error.err_code, error.err_msg)),
    }
}
