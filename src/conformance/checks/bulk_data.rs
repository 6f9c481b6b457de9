//! Bulk data: TP-469 section 10, over HTTP to the run's own collector, over MQTT at the run's broker, and by Push!.
//! Reports are asked for as often as the agent allows it, down to every ten seconds; in a run that may be slow every
//! minute, as the plan has it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::conformance::check::{Check, Mtp, Running, Stop, Verdict};
use crate::conformance::expect::{ensure, equal, fail};
use crate::conformance::messages::Row;
use crate::conformance::session::{CONTROLLERS, SOFTWARE_VERSION, Session};
use crate::datamodel::WallTime;
use crate::sim::collector::{Delivery, Place};
use crate::usp::message::notify::Notification as Kind;

use super::delete::boot_parameter;
use super::reports::{Encoding, Wanted, check_query};

pub(super) const CHECKS: &[Check] = &[
    http(1, "JSON over HTTP", |s| Box::pin(up_time(s, Over::http().encoding("JSON")))),
    http(2, "JSON over HTTPS", |s| Box::pin(up_time(s, Over::https().encoding("JSON")))),
    http(3, "CSV over HTTP", |s| Box::pin(up_time(s, Over::http().encoding("CSV")))),
    http(4, "CSV over HTTPS", |s| Box::pin(up_time(s, Over::https().encoding("CSV")))),
    http(5, "Parameters in the URI over HTTP", |s| Box::pin(up_time(s, Over::http().query()))),
    http(6, "Parameters in the URI over HTTPS", |s| Box::pin(up_time(s, Over::https().query()))),
    http(7, "Retries over HTTP", |s| Box::pin(retried(s))),
    http(8, "Parameters by a wildcard over HTTP", |s| Box::pin(wildcard_over_http(s))),
    http(9, "An object over HTTP", |s| Box::pin(object_over_http(s))),
    Check::conditional(10, 10, "A report by Push!", PUSH, |s| {
        Box::pin(pushed(s, "UpTime", UP_TIME, Wanted::One("UpTime")))
    }),
    Check::conditional(10, 11, "A report by Push! of parameters by a wildcard", PUSH, |s| {
        Box::pin(wildcard_by_push(s))
    }),
    Check::conditional(10, 12, "A report by Push! of an object", PUSH, |s| {
        Box::pin(pushed(s, "Controller", CONTROLLERS, Wanted::Controllers))
    }),
    Check::conditional(10, 13, "Reports over MQTT", MQTT, |s| Box::pin(published(s))).over(Mtp::Mqtt5),
];

const fn http(place: u16, title: &'static str, body: fn(&mut Session) -> Running<'_>) -> Check {
    Check::conditional(10, place, title, HTTP, body)
}

const HTTP: &[&str] = &["Device.BulkData.Profile.{i}.", "Device.BulkData.Profile.{i}.HTTP.URL"];
const MQTT: &[&str] = &["Device.BulkData.Profile.{i}.", "Device.BulkData.Profile.{i}.MQTT.PublishTopic"];
const PUSH: &[&str] = &["Device.BulkData.Profile.{i}.", "Device.BulkData.Profile.{i}.Push!"];
const UP_TIME: &str = "Device.DeviceInfo.UpTime";
const ENABLED: &str = "Device.LocalAgent.Controller.*.BootParameter.*.Enable";

/// What a check over HTTP is about.
#[derive(Clone, Copy)]
struct Over {
    tls: bool,
    /// Any, where none is named.
    encoding: Option<&'static str>,
    /// Whether a parameter is to be in the URI.
    query: bool,
}

impl Over {
    const fn http() -> Self {
        Self { tls: false, encoding: None, query: false }
    }

    const fn https() -> Self {
        Self { tls: true, ..Self::http() }
    }

    const fn encoding(self, name: &'static str) -> Self {
        Self { encoding: Some(name), ..self }
    }

    const fn query(self) -> Self {
        Self { query: true, ..self }
    }
}

/// A profile that has been added, disabled still.
struct Profile {
    row: String,
    encoding: Encoding,
    format: String,
    /// In seconds.
    interval: u64,
}

async fn up_time(session: &mut Session, over: Over) -> Verdict {
    reported(session, over, "UpTime", UP_TIME, Wanted::One("UpTime")).await
}

async fn wildcard_over_http(session: &mut Session) -> Verdict {
    two_boot_parameters(session).await?;
    reported(session, Over::http(), "Enabled", ENABLED, Wanted::Enabled).await
}

async fn object_over_http(session: &mut Session) -> Verdict {
    let me = session.me().await?;
    let there = session.read(&me).await?;
    let names = there.keys().filter_map(|path| Some(format!("TestController.{}", path.strip_prefix(&me)?)));
    let wanted = Wanted::All("TestController", names.collect());
    reported(session, Over::http(), "TestController", &me, wanted).await
}

async fn wildcard_by_push(session: &mut Session) -> Verdict {
    two_boot_parameters(session).await?;
    pushed(session, "Enabled", ENABLED, Wanted::Enabled).await
}

async fn two_boot_parameters(session: &mut Session) -> Verdict {
    boot_parameter(session, "true", SOFTWARE_VERSION).await?;
    boot_parameter(session, "true", "Device.LocalAgent.EndpointID").await.map(|_| ())
}

/// Two reports come in time to the collector, with what was asked for.
async fn reported(session: &mut Session, over: Over, name: &str, reference: &str, wanted: Wanted) -> Verdict {
    let mut place = place(session, over.tls)?;
    let more = [("HTTP.URL", place.url())];
    let interval = interval(session).await?;
    let profile = profile(session, "HTTP", over.encoding, interval, &more).await?;
    parameter(session, &profile, name, reference).await?;
    if over.query {
        let table = format!("{}HTTP.RequestURIParameter.", profile.row);
        let up_time = "Device.LocalAgent.UpTime";
        session.row(Row::at(table).must("Name", "UpTime").must("Reference", up_time)).await?;
    }
    let started = enable(session, &profile).await?;
    for _ in 0..2 {
        let left = profile.time().saturating_sub(started.elapsed());
        let delivery = delivered(session, &mut place, left).await?;
        judge(&delivery, &profile, over, &wanted)?;
    }
    Ok(())
}

fn judge(delivery: &Delivery, profile: &Profile, over: Over, wanted: &Wanted) -> Verdict {
    equal("whether the report came over TLS", &delivery.tls, &over.tls)?;
    profile.encoding.check_media_type(delivery.header("Content-Type"))?;
    profile.encoding.check_format(delivery.header("BBF-Report-Format"), &profile.format)?;
    wanted.check(&profile.encoding.names(&delivery.body)?)?;
    check_query(&delivery.query)?;
    let up_time = |(name, value): &(String, String)| name == "UpTime" && value.parse::<u64>().is_ok();
    ensure(!over.query || delivery.query.iter().any(up_time), || {
        format!("the agent's UpTime is not in the query {:?}", delivery.query)
    })
}

/// The collector fails three times; the waits are the shortest that an agent can be told, not the plan's.
async fn retried(session: &mut Session) -> Verdict {
    let mut place = place(session, false)?;
    let least = least_interval(session).await;
    let usual = if session.setup.config.slow { 60 } else { 30 };
    let interval = bounded(least.max(usual))?;
    let retry =
        [("RetryEnable", "true"), ("RetryMinimumWaitInterval", "1"), ("RetryIntervalMultiplier", "2000")];
    let mut more = vec![("HTTP.URL", place.url())];
    let retry = retry.map(|(name, value)| (format!("HTTP.{name}"), value.to_owned()));
    more.extend(retry.iter().map(|(name, value)| (name.as_str(), value.clone())));
    if session.setup.supported.is_writable("Device.BulkData.Profile.{i}.TimeReference") {
        // Where the agent's clock is like ours the first report comes soon.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + HEAD_START;
        let soon = WallTime(u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
        more.push(("TimeReference", soon.to_string()));
    }
    let profile = profile(session, "HTTP", None, interval, &more).await?;
    parameter(session, &profile, "UpTime", UP_TIME).await?;
    place.answer(503);
    let started = enable(session, &profile).await?;
    let first = delivered(session, &mut place, profile.time()).await?;
    check_query(&first.query)?;
    let mut last = first.at;
    for (number, least) in [(1, 1.0), (2, 2.0), (3, 4.0)] {
        if number == 3 {
            place.answer(200);
        }
        let most = 2.0 * least + SLACK;
        let retry = delivered(session, &mut place, Duration::from_secs_f64(most)).await?;
        let took = retry.at.duration_since(last).as_secs_f64();
        ensure(took + EARLY >= least && took <= most, || {
            format!("retry {number} came after {took:.1} s, not after {least} to {} s", 2.0 * least)
        })?;
        check_query(&retry.query)?;
        last = retry.at;
    }
    // What is taken is not sent again; what comes next is the report of the next interval.
    let next = first.at + Duration::from_secs(interval);
    let quiet = next.saturating_duration_since(Instant::now()).mul_f64(0.9);
    session.exchange.note(format!("waiting {:.1} s", quiet.as_secs_f64()));
    if let Some(again) = place.next(quiet).await {
        session.exchange.received(&again);
        return fail("the report was sent again after the collector had taken it");
    }
    let left = (profile.time() + Duration::from_secs(interval)).saturating_sub(started.elapsed());
    let second = delivered(session, &mut place, left).await?;
    check_query(&second.query)
}

/// Two reports come in time by Push!, with what was asked for.
async fn pushed(session: &mut Session, name: &str, reference: &str, wanted: Wanted) -> Verdict {
    let interval = interval(session).await?;
    let profile = profile(session, "USPEventNotif", None, interval, &[]).await?;
    parameter(session, &profile, name, reference).await?;
    let id = session.name("push");
    let event = format!("{}Push!", profile.row);
    session.subscription(&[("ID", &id), ("NotifType", "Event"), ("ReferenceList", &event)]).await?;
    let started = enable(session, &profile).await?;
    for _ in 0..2 {
        let left = profile.time().saturating_sub(started.elapsed());
        let notice = session.notified(left, |it| it.notify.subscription_id == id).await?;
        let Some(Kind::Event(event)) = notice.notify.notification else {
            return fail("the notification is not about Push!");
        };
        let data = event.params.get("Data").map_or("", String::as_str);
        wanted.check(&profile.encoding.names(data.as_bytes())?)?;
    }
    Ok(())
}

/// Two reports come in time over the agent's MQTT client to a topic at the broker where it is met.
async fn published(session: &mut Session) -> Verdict {
    let client = mqtt_client(session).await?;
    // The plan's topic, but for this run alone.
    let topic = session.name("mqtt-bulkdata");
    let mut overheard = session.controller().listen(&topic).await;
    let more = [("MQTT.Reference", client), ("MQTT.PublishTopic", topic.clone())];
    let interval = interval(session).await?;
    let profile = profile(session, "MQTT", None, interval, &more).await?;
    parameter(session, &profile, "UpTime", UP_TIME).await?;
    let end = enable(session, &profile).await? + profile.time();
    let mut reports = 0;
    while reports < 2 {
        let message = match tokio::time::timeout_at(end.into(), overheard.recv()).await {
            Ok(Ok(message)) if message.topic == topic => message,
            Ok(Ok(_) | Err(tokio::sync::broadcast::error::RecvError::Lagged(_))) => continue,
            Ok(Err(_)) => return fail("the controller has ended"),
            Err(_) => return fail(format!("{reports} of 2 reports came to {topic} in time")),
        };
        session.exchange.received(&message);
        if session.setup.config.mtp == Mtp::Mqtt5 {
            profile.encoding.check_media_type(message.content_type.as_deref())?;
        }
        Wanted::One("UpTime").check(&profile.encoding.names(&message.payload)?)?;
        reports += 1;
    }
    Ok(())
}

/// The MQTT client over which the agent meets this controller, by the rows of its MTPs.
async fn mqtt_client(session: &mut Session) -> Result<String, Stop> {
    let me = session.me().await?;
    let own = session.read(&format!("{me}MTP.")).await?;
    let named = own.iter().find(|(path, mtp)| path.ends_with(".MQTT.AgentMTPReference") && !mtp.is_empty());
    let mtps = match named {
        Some((_, mtp)) => format!("{}.", mtp.trim_end_matches('.')),
        None => "Device.LocalAgent.MTP.".to_owned(),
    };
    let mtps = session.read(&mtps).await?;
    let mut clients = mtps.into_iter().filter(|(path, _)| path.ends_with(".MQTT.Reference"));
    match clients.find(|(_, client)| !client.is_empty()) {
        Some((_, client)) => Ok(client),
        None => fail("no MTP of the agent names an MQTT client"),
    }
}

impl Profile {
    /// How long two reports may take.
    fn time(&self) -> Duration {
        Duration::from_secs(2 * self.interval + 10)
    }
}

/// A place at the collector.
fn place(session: &Session, tls: bool) -> Result<Place, Stop> {
    let config = &session.setup.config;
    let (collector, option) = match tls {
        false => (&config.collector, "--collector"),
        true => (&config.secure_collector, "--collector-tls"),
    };
    let why = || Stop::NotApplicable(format!("it takes a collector that the agent reaches: {option}"));
    let collector = collector.as_ref().ok_or_else(why)?;
    Ok(collector.open(&session.name("report")))
}

async fn least_interval(session: &mut Session) -> u64 {
    let least = session.value("Device.BulkData.MinReportingInterval").await.unwrap_or_default();
    least.parse().unwrap_or(0)
}

async fn interval(session: &mut Session) -> Result<u64, Stop> {
    let usual = if session.setup.config.slow { 60 } else { 10 };
    bounded(least_interval(session).await.max(usual))
}

fn bounded(interval: u64) -> Result<u64, Stop> {
    if interval <= MAX_INTERVAL {
        return Ok(interval);
    }
    let why = format!("the agent reports every {interval} s at most, which takes longer than a check may");
    Err(Stop::NotApplicable(why))
}

/// Adds a profile; an encoding is named if it has to be that one.
async fn profile(
    session: &mut Session,
    protocol: &str,
    encoding: Option<&'static str>,
    interval: u64,
    more: &[(&str, String)],
) -> Result<Profile, Stop> {
    supports(session, "Protocols", protocol).await?;
    let encoding = match encoding {
        Some(encoding) => {
            supports(session, "EncodingTypes", encoding).await?;
            encoding
        }
        None if supports(session, "EncodingTypes", "JSON").await.is_ok() => "JSON",
        None => "CSV",
    };
    let mut row = Row::at(PROFILES)
        .must("Protocol", protocol)
        .must("EncodingType", encoding)
        .must("ReportingInterval", interval.to_string());
    for (name, value) in more {
        row = row.must(name, value.clone());
    }
    let row = session.row(row).await?;
    let settings = session.read(&format!("{row}{encoding}Encoding.")).await?;
    let setting = |name: &str, usual: &str| {
        let text = settings.get(&format!("{row}{encoding}Encoding.{name}")).map_or(usual, String::as_str);
        // Some agents have the characters as XML writes them.
        text.replace("&#13;", "\r").replace("&#10;", "\n").replace("&quot;", "\"")
    };
    let format = setting("ReportFormat", "");
    let encoding = match encoding {
        "JSON" => Encoding::Json,
        _ => Encoding::Csv {
            field: setting("FieldSeparator", ","),
            row: setting("RowSeparator", "\r\n"),
            escape: setting("EscapeCharacter", "\""),
        },
    };
    session.exchange.note(format!("reports are {} in the format {format}", encoding.name()));
    Ok(Profile { row, encoding, format, interval })
}

async fn supports(session: &mut Session, list: &str, wanted: &str) -> Verdict {
    let known = session.value(&format!("Device.BulkData.{list}")).await?;
    if known.split(',').any(|known| known.trim() == wanted) {
        return Ok(());
    }
    Err(Stop::NotApplicable(format!("the agent's {list} are {known:?}, without {wanted}")))
}

async fn parameter(session: &mut Session, profile: &Profile, name: &str, reference: &str) -> Verdict {
    let table = format!("{}Parameter.", profile.row);
    session.row(Row::at(table).must("Name", name).must("Reference", reference)).await.map(|_| ())
}

/// Since when the profile is enabled.
async fn enable(session: &mut Session, profile: &Profile) -> Result<Instant, Stop> {
    session.put("Device.BulkData.Enable", "true").await?;
    session.write(&format!("{}Enable", profile.row), "true").await?;
    Ok(Instant::now())
}

async fn delivered(session: &mut Session, place: &mut Place, within: Duration) -> Result<Delivery, Stop> {
    match place.next(within).await {
        Some(delivery) => {
            session.exchange.received(&delivery);
            Ok(delivery)
        }
        None => fail(format!("no report came to {} within {:.1} s", place.url(), within.as_secs_f64())),
    }
}

const PROFILES: &str = "Device.BulkData.Profile.";
/// Longest interval that is waited for, in seconds.
const MAX_INTERVAL: u64 = 300;
/// Time to set up a profile before its first report.
const HEAD_START: Duration = Duration::from_secs(5);
/// Seconds that a network and a busy machine may add.
const SLACK: f64 = 1.5;
/// Seconds that an attempt may have been late itself.
const EARLY: f64 = 0.3;
