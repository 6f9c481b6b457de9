//! Bulk data: TP-469 section 10, as far as it comes by USP.

use std::time::{Duration, Instant};

use crate::conformance::check::{Check, Stop, Verdict};
use crate::conformance::expect::{ensure, fail};
use crate::conformance::messages::Row;
use crate::conformance::session::{SOFTWARE_VERSION, Session};
use crate::usp::message::notify::Notification as Kind;

use super::delete::boot_parameter;

pub(super) const CHECKS: &[Check] = &[
    Check::never(10, 1, "JSON over HTTP", COLLECTOR),
    Check::never(10, 2, "JSON over HTTPS", COLLECTOR),
    Check::never(10, 3, "CSV over HTTP", COLLECTOR),
    Check::never(10, 4, "CSV over HTTPS", COLLECTOR),
    Check::never(10, 5, "Parameters in the URI over HTTP", COLLECTOR),
    Check::never(10, 6, "Parameters in the URI over HTTPS", COLLECTOR),
    Check::never(10, 7, "Retries over HTTP", COLLECTOR),
    Check::never(10, 8, "Parameters by a wildcard over HTTP", COLLECTOR),
    Check::never(10, 9, "An object over HTTP", COLLECTOR),
    Check::conditional(10, 10, "A report by Push!", PUSH, |s| {
        Box::pin(pushed(s, "UpTime", "Device.DeviceInfo.UpTime", |names| names == ["UpTime"]))
    })
    .slow(),
    Check::conditional(10, 11, "A report by Push! of parameters by a wildcard", PUSH, |s| {
        Box::pin(by_wildcard(s))
    })
    .slow(),
    Check::conditional(10, 12, "A report by Push! of an object", PUSH, |s| {
        Box::pin(pushed(s, "Controller", "Device.LocalAgent.Controller.", |names| {
            !names.is_empty() && names.iter().all(|name| is_below("Controller", 1, name))
        }))
    })
    .slow(),
    Check::never(10, 13, "Reports over MQTT", COLLECTOR),
];

const COLLECTOR: &str = "it takes a collector that the agent reaches";
const PUSH: &[&str] = &["Device.BulkData.Profile.{i}.", "Device.BulkData.Profile.{i}.Push!"];

async fn by_wildcard(session: &mut Session) -> Verdict {
    boot_parameter(session, "true", SOFTWARE_VERSION).await?;
    boot_parameter(session, "true", "Device.LocalAgent.EndpointID").await?;
    let reference = "Device.LocalAgent.Controller.*.BootParameter.*.Enable";
    let enabled = |names: &[String]| names.iter().filter(|name| is_below("Enabled", 2, name)).count() >= 2;
    pushed(session, "Enabled", reference, enabled).await
}

/// Whether a name in a report begins so, followed by as many instance numbers.
fn is_below(first: &str, numbers: usize, name: &str) -> bool {
    let mut parts = name.split('.');
    parts.next() == Some(first)
        && parts.by_ref().take(numbers).filter(|part| part.parse::<u32>().is_ok()).count() == numbers
}

/// The names of what a report tells, whichever of the two formats of JSON it has.
fn names(report: &serde_json::Value) -> Vec<String> {
    let mut names = Vec::new();
    let told = report["Report"].as_array().into_iter().flatten().filter_map(serde_json::Value::as_object);
    for (name, value) in told.flatten().filter(|(name, _)| *name != "CollectionTime") {
        gather(name, value, &mut names);
    }
    names
}

fn gather(at: &str, value: &serde_json::Value, names: &mut Vec<String>) {
    match value.as_object() {
        Some(below) => below.iter().for_each(|(name, value)| gather(&format!("{at}.{name}"), value, names)),
        None => names.push(at.to_owned()),
    }
}

/// Two reports come in time, with what was asked for.
async fn pushed(session: &mut Session, name: &str, reference: &str, fits: fn(&[String]) -> bool) -> Verdict {
    let least = session.value("Device.BulkData.MinReportingInterval").await.unwrap_or_default();
    let interval = least.parse::<u64>().unwrap_or(0).max(60);
    let profile = Row::at("Device.BulkData.Profile.")
        .must("Protocol", "USPEventNotif")
        .must("EncodingType", "JSON")
        .must("ReportingInterval", interval.to_string());
    let profile = session.row(profile).await?;
    let parameter = Row::at(format!("{profile}Parameter.")).must("Name", name).must("Reference", reference);
    session.row(parameter).await?;
    let id = session.name("push");
    let event = format!("{profile}Push!");
    session.subscription(&[("ID", &id), ("NotifType", "Event"), ("ReferenceList", &event)]).await?;
    session.put("Device.BulkData.Enable", "true").await?;
    session.write(&format!("{profile}Enable"), "true").await?;
    let started = Instant::now();
    let limit = Duration::from_secs(2 * interval + 10);
    for _ in 0..2 {
        let left = limit.saturating_sub(started.elapsed());
        let notice = session.notified(left, |it| it.notify.subscription_id == id).await?;
        let Some(Kind::Event(event)) = notice.notify.notification else {
            return fail("the notification is not about Push!");
        };
        let data = event.params.get("Data").map_or("", String::as_str);
        let Ok(report) = serde_json::from_str(data) else {
            return Err(Stop::Fail(format!("the report is no JSON: {data:?}")));
        };
        ensure(fits(&names(&report)), || format!("the report is not what was asked for: {data:?}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tp469_10_11_both_formats_of_json_tell_the_same_names() {
        let hierarchy = serde_json::json!({ "Report": [
            { "CollectionTime": 1, "Enabled": { "3": { "1": true, "2": true } }, "UpTime": 2 }
        ] });
        let pairs = serde_json::json!({ "Report": [
            { "CollectionTime": 1, "Enabled.3.1": true, "Enabled.3.2": true, "UpTime": 2 }
        ] });
        let wanted = ["Enabled.3.1", "Enabled.3.2", "UpTime"];
        assert_eq!(names(&hierarchy), wanted);
        assert_eq!(names(&pairs), wanted);
        assert!(is_below("Enabled", 2, wanted[0]) && !is_below("Enabled", 2, "Enabled.3.Enable"));
        assert!(!is_below("Enabled", 2, "Enabled.3") && !is_below("Enabled", 2, wanted[2]));
    }
}
