//! Counters and gauges, and the line in the log that belongs to each event.

use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tracing::{debug, info, warn};

use crate::policy::Tally;
use crate::proxy::Outcome as SessionOutcome;
use crate::transport::client::Client;

use super::models::Models;

/// All metrics of one gateway.
pub struct Metrics {
    registry: Registry,
    sessions: Family<Outcome, Counter>,
    sessions_by_acs: Family<AcsOutcome, Counter>,
    session_seconds: Histogram,
    bodies: Family<Outcome, Counter>,
    connection_requests: Family<Outcome, Counter>,
    acs_calls: Family<Outcome, Counter>,
    acs_redirects: Family<Outcome, Counter>,
    bulk_data_reports: Family<Outcome, Counter>,
    firmware_images: Family<Outcome, Counter>,
    refused_posts: Family<Outcome, Counter>,
    not_opened: Family<Outcome, Counter>,
    authentications: Family<Outcome, Counter>,
    impersonations: Counter,
    usp_records: Family<Direction, Counter>,
    usp_dropped: Family<Outcome, Counter>,
    mtp_connections: Family<Protocol, Gauge<i64, std::sync::atomic::AtomicI64>>,
    mtp_connects: Family<Outcome, Counter>,
    commits: Family<Outcome, Counter<u64, AtomicU64>>,
    conflicts: Family<Action, Counter>,
    departures: Family<Outcome, Counter>,
    models: Models,
    compared: Family<Model, Counter>,
    differing: Family<Model, Counter>,
    differences: Family<Class, Counter>,
    not_compared: Family<Outcome, Counter>,
}

/// How a CWMP session went.
#[derive(Debug, Clone, Copy)]
pub struct SessionEnd<'s> {
    pub endpoint: &'s str,
    pub client: &'s Client,
    /// Names the ACS where there are several.
    pub acs: Option<&'s str>,
    pub outcome: SessionOutcome,
    pub relayed: bool,
    pub rpcs: &'s [String],
    pub milliseconds: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AcsOutcome {
    acs: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Action {
    action: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Model {
    model: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Class {
    class: &'static str,
    model: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Direction {
    direction: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Protocol {
    protocol: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let session_seconds = Histogram::new([0.005, 0.02, 0.1, 0.5, 2.0, 5.0, 15.0, 30.0, 60.0, 300.0]);
        let mut metrics = Self {
            registry: Registry::with_prefix("dragoman"),
            sessions: Family::default(),
            sessions_by_acs: Family::default(),
            session_seconds,
            bodies: Family::default(),
            connection_requests: Family::default(),
            acs_calls: Family::default(),
            acs_redirects: Family::default(),
            bulk_data_reports: Family::default(),
            firmware_images: Family::default(),
            refused_posts: Family::default(),
            not_opened: Family::default(),
            authentications: Family::default(),
            impersonations: Counter::default(),
            usp_records: Family::default(),
            usp_dropped: Family::default(),
            mtp_connections: Family::default(),
            mtp_connects: Family::default(),
            commits: Family::default(),
            conflicts: Family::default(),
            departures: Family::default(),
            models: Models::default(),
            compared: Family::default(),
            differing: Family::default(),
            differences: Family::default(),
            not_compared: Family::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("cwmp_sessions", "CWMP sessions by how they ended", self.sessions.clone());
        registry.register("cwmp_session_seconds", "Duration of CWMP sessions", self.session_seconds.clone());
        registry.register("cwmp_bodies", "Bodies of CWMP sessions, from either side", self.bodies.clone());
        registry.register(
            "connection_requests",
            "Connection requests sent to CPEs",
            self.connection_requests.clone(),
        );
        registry.register(
            "acs_connection_requests",
            "Connection requests of the ACS that came to the gateway",
            self.acs_calls.clone(),
        );
        let by_acs = self.sessions_by_acs.clone();
        registry.register(
            "cwmp_sessions_by_acs",
            "CWMP sessions of each ACS, where there are several",
            by_acs,
        );
        let redirects = self.acs_redirects.clone();
        registry.register("acs_redirects", "Redirects of the ACS, by what came of them", redirects);
        let reports = self.bulk_data_reports.clone();
        registry.register("bulk_data_reports", "Bulk data reports sent to collectors", reports);
        let images = self.firmware_images.clone();
        registry.register("firmware_images", "Firmware images that agents asked the stage for", images);
        registry.register("cwmp_refused", "POSTs of CPEs refused at the door", self.refused_posts.clone());
        registry.register(
            "cwmp_authentications",
            "POSTs of CPEs by how they stood the gateway's own authentication",
            self.authentications.clone(),
        );
        registry.register(
            "cwmp_impersonations",
            "Informs refused since the credentials are another device's",
            self.impersonations.clone(),
        );
        registry.register(
            "cwmp_connections_not_opened",
            "Connections of CPEs that ended before their first request",
            self.not_opened.clone(),
        );
        registry.register("usp_records", "USP records by direction", self.usp_records.clone());
        registry.register("usp_dropped", "USP records that were dropped", self.usp_dropped.clone());
        registry.register("mtp_connections", "Open MTP connections", self.mtp_connections.clone());
        registry.register("mtp_connects", "Tries to open an MTP connection", self.mtp_connects.clone());
        registry.register(
            "ownership_conflicts",
            "Writes of one master to what is, or was lately written by, another",
            self.conflicts.clone(),
        );
        registry.register(
            "takeover_departures",
            "Writes of the ACS that send a CPE to another URL than its own and the gateway's",
            self.departures.clone(),
        );
        registry.register("store_commits", "Commits to the store", self.commits.clone());
        self.register_shadow();
    }

    fn register_shadow(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "shadow_compared",
            "Items of the ACS's RPCs compared with USP",
            self.compared.clone(),
        );
        registry.register(
            "shadow_differing",
            "Of these, such as USP would do otherwise",
            self.differing.clone(),
        );
        registry.register("shadow_differences", "How they differ", self.differences.clone());
        registry.register(
            "shadow_not_compared",
            "Items of the ACS's RPCs not compared: too many or not known yet, or not USP's",
            self.not_compared.clone(),
        );
    }

    /// What comparing the ACS's RPCs with USP has shown in a session of a device of this model.
    pub fn compared(&self, model: &str, tally: &Tally) {
        let model = self.models.label(model);
        let of = Model { model: model.clone() };
        self.compared.get_or_create(&of).inc_by(tally.compared);
        self.differing.get_or_create(&of).inc_by(tally.differing);
        for (class, count) in &tally.classes {
            let of = Class { class: class.label(), model: model.clone() };
            self.differences.get_or_create(&of).inc_by(*count);
        }
        for (outcome, count) in [("skipped", tally.skipped), ("left-out", tally.left_out)] {
            self.not_compared.get_or_create(&Outcome { outcome }).inc_by(count);
        }
    }

    /// An Inform is for none of the ACSs.
    pub fn cwmp_for_no_acs(&self, client: &Client, endpoint: &str, target: &str, host: Option<&str>) {
        self.refused_posts.get_or_create(&Outcome { outcome: "for no ACS" }).inc();
        let path = target.split('?').next().map(|path| path.get(..MAX_PATH).unwrap_or(path));
        warn!(endpoint, %client, path, host, "no ACS is for this device: no [[acs.route]] holds, and [acs] has no url");
    }

    /// A CWMP session is over: the operator's one line about it.
    pub fn cwmp_session_ended(&self, end: &SessionEnd<'_>) {
        let SessionEnd { endpoint, client, acs, outcome, relayed, rpcs, milliseconds } = *end;
        self.sessions.get_or_create(&Outcome { outcome: outcome.label() }).inc();
        // Precision is no concern for durations of a session.
        self.session_seconds.observe(milliseconds as f64 / 1_000.0);
        if let Some(acs) = acs {
            let of_acs = AcsOutcome { acs: acs.to_owned(), outcome: outcome.label() };
            self.sessions_by_acs.get_or_create(&of_acs).inc();
        }
        let rpcs = rpcs.join(" ");
        let by = if relayed { "relayed" } else { "answered by the gateway" };
        if outcome == SessionOutcome::Complete {
            info!(endpoint, %client, acs, ms = milliseconds, rpcs, "session {by}");
        } else {
            warn!(endpoint, %client, acs, ms = milliseconds, rpcs, "session {by} ended: {outcome}");
        }
    }

    /// Bodies of one session that were understood, and that passed without being so.
    pub fn cwmp_bodies(&self, decoded: u32, opaque: u32) {
        let counted = [("decoded", decoded), ("opaque", opaque)];
        for (outcome, count) in counted.into_iter().filter(|(_, count)| *count > 0) {
            self.bodies.get_or_create(&Outcome { outcome }).inc_by(count.into());
        }
    }

    /// A connection request has been answered, or not for that reason.
    pub fn connection_request(&self, endpoint: &str, failure: Option<&str>) {
        let outcome = if failure.is_some() { "failed" } else { "accepted" };
        self.connection_requests.get_or_create(&Outcome { outcome }).inc();
        if let Some(reason) = failure {
            warn!(endpoint, reason, "connection request failed");
        }
    }

    /// A connection request of the ACS's has been answered.
    pub fn acs_call(&self, endpoint: &str, acs: Option<&str>, outcome: &'static str) {
        self.acs_calls.get_or_create(&Outcome { outcome }).inc();
        match outcome {
            "challenged" => debug!(endpoint, acs, outcome, "the ACS calls for a CPE"),
            _ => info!(endpoint, acs, outcome, "the ACS calls for a CPE"),
        }
    }

    /// The ACS has sent a session elsewhere, and it has gone there; why not, is said with the session's end.
    pub fn acs_redirect(&self, followed: bool) {
        let outcome = if followed { "followed" } else { "failed" };
        self.acs_redirects.get_or_create(&Outcome { outcome }).inc();
    }

    /// A collector has taken a bulk data report, or has not.
    pub fn bulk_data_report(&self, taken: bool) {
        let outcome = if taken { "taken" } else { "failed" };
        self.bulk_data_reports.get_or_create(&Outcome { outcome }).inc();
    }

    /// The stage has an image that an agent asked for, or could not get it.
    pub fn firmware_image(&self, there: bool) {
        let outcome = if there { "there" } else { "failed" };
        self.firmware_images.get_or_create(&Outcome { outcome }).inc();
    }

    /// A POST was answered at the door, without any device being told.
    pub fn cwmp_refused(&self, client: &Client, reason: &'static str) {
        self.refused_posts.get_or_create(&Outcome { outcome: reason }).inc();
        tracing::debug!(%client, reason, "a POST was refused");
    }

    /// A POST was looked at by the gateway's own authentication.
    pub fn cwmp_judged(&self, outcome: &'static str) {
        self.authentications.get_or_create(&Outcome { outcome }).inc();
    }

    /// The first wrong credentials of a client in a while: a CPE with another password than the gateway's.
    pub fn cwmp_wrong_credentials(&self, client: &Client) {
        info!(%client, "wrong credentials");
    }

    /// A CPE has authenticated as one device, or as none, and its Inform says another.
    pub fn cwmp_impersonation(&self, client: &Client, user: Option<&str>, endpoint: &str) {
        self.impersonations.inc();
        warn!(endpoint, user, %client, "credentials of another device: the Inform was refused");
    }

    /// A client is wrong so often that it is held off. `user` is empty for users that do not exist.
    pub fn cwmp_guessing(&self, client: &Client, user: &str) {
        let user = if user.is_empty() { "(none of ours)" } else { user };
        warn!(%client, user, "wrong credentials time and again: they are answered with 503 until they stop");
    }

    /// A connection was closed before its first request: anybody on the Internet can cause this.
    pub fn cwmp_not_opened(&self, peer: SocketAddr, outcome: &'static str, why: &dyn std::fmt::Display) {
        self.not_opened.get_or_create(&Outcome { outcome }).inc();
        tracing::debug!(%peer, %why, "a CPE's connection was not opened");
    }

    /// A connection of a trusted front was closed for its PROXY protocol header: front or gateway is set up
    /// wrong.
    pub fn cwmp_front_failed(&self, peer: SocketAddr, reason: &str) {
        self.not_opened.get_or_create(&Outcome { outcome: "proxy-protocol" }).inc();
        warn!(%peer, reason, "a front's connection was closed");
    }

    pub fn usp_received(&self) {
        self.usp_records.get_or_create(&Direction { direction: "in" }).inc();
    }

    pub fn usp_sent(&self) {
        self.usp_records.get_or_create(&Direction { direction: "out" }).inc();
    }

    /// A record went nowhere.
    pub fn usp_dropped(&self, endpoint: &str, reason: &'static str) {
        self.usp_dropped.get_or_create(&Outcome { outcome: reason }).inc();
        warn!(endpoint, reason, "a USP record was dropped");
    }

    /// An MTP connection is up.
    pub fn mtp_up(&self, protocol: &'static str) {
        self.mtp_connections.get_or_create(&Protocol { protocol }).inc();
        self.mtp_connects.get_or_create(&Outcome { outcome: "accepted" }).inc();
    }

    /// An MTP connection that was up is down.
    pub fn mtp_down(&self, protocol: &'static str, who: &str, reason: &str) {
        self.mtp_connections.get_or_create(&Protocol { protocol }).dec();
        info!(who, reason, "{protocol} connection is down");
    }

    /// An MTP connection could not be made.
    pub fn mtp_failed(&self, protocol: &'static str, who: &str, reason: &str, again_ms: u64) {
        self.mtp_connects.get_or_create(&Outcome { outcome: "failed" }).inc();
        warn!(who, reason, again_ms, "{protocol} connection could not be made");
    }

    /// One master has written, or wanted to write, what is another's. `line` is none where there were too many.
    pub fn ownership_conflict(&self, endpoint: &str, action: &'static str, line: Option<&str>) {
        self.conflicts.get_or_create(&Action { action }).inc();
        if let Some(line) = line {
            warn!(endpoint, action, "{line}");
        }
    }

    /// The ACS sends a CPE elsewhere; `held`: the CPE stays all the same.
    pub fn departure(&self, endpoint: &str, url: &str, held: bool) {
        let outcome = if held { "held" } else { "passed" };
        self.departures.get_or_create(&Outcome { outcome }).inc();
        // Where to, without what may be secret.
        let to = url.split_once("://").map_or(url, |(_, rest)| rest);
        let to = to.split(['/', '?', '#']).next().and_then(|to| to.rsplit('@').next()).unwrap_or("");
        warn!(endpoint, to, outcome, "the ACS sends the CPE to another ACS");
    }

    pub fn committed(&self, ok: bool) {
        self.commits.get_or_create(&Outcome { outcome: if ok { "ok" } else { "failed" } }).inc();
    }

    /// Everything in the text format of OpenMetrics.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

/// Bytes of a path that a log line bears.
const MAX_PATH: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_is_found_in_the_text() {
        let metrics = Metrics::default();
        metrics.cwmp_session_ended(&SessionEnd {
            endpoint: "os::1-2",
            client: &Client::default(),
            acs: Some("north"),
            outcome: SessionOutcome::Complete,
            relayed: true,
            rpcs: &["Inform".to_owned()],
            milliseconds: 40,
        });
        metrics.mtp_up("mqtt");
        let text = metrics.render();
        assert!(text.contains("dragoman_cwmp_sessions_total{outcome=\"complete\"} 1"), "{text}");
        let by_acs = "dragoman_cwmp_sessions_by_acs_total{acs=\"north\",outcome=\"complete\"} 1";
        assert!(text.contains(by_acs), "{text}");
        assert!(text.contains("dragoman_mtp_connections{protocol=\"mqtt\"} 1"), "{text}");
    }
}
