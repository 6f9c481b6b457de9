//! From `Device.LocalAgent.MTP.`, the MTP rows of controllers, `Device.MQTT.` and `Device.STOMP.` to the
//! connections that they mean, and from what is known of connections back to the status parameters.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::agent::ways::{
    LinkKey, LinkState, Met, MqttWay, Phase, Retry, StompWay, Traffic, Ways, WebSocketWay,
};
use crate::datamodel::path;
use crate::identity::EndpointId;
use crate::policy::Egress;
use crate::usp::Certificate;

use super::certificates::CERTIFICATES;
use super::local_agent::CONTROLLERS;
use super::profile::PROFILES;
use super::tree::{Tree, as_object};

/// Whether a row or parameter has to do with how controllers are met.
pub(super) fn concerns(name: &str) -> bool {
    let in_controller = |below: &str| {
        below.ends_with('.')
            || below.contains(".MTP.")
            || ["Enable", "EndpointID", "Credential"].contains(&path::name(below))
    };
    match name.strip_prefix(CONTROLLERS) {
        Some(below) => in_controller(below),
        None => AREAS.iter().any(|area| name.starts_with(area)) || is_of_reports(name),
    }
}

/// Whether it has to do with which connections bulk data reports go over.
fn is_of_reports(name: &str) -> bool {
    let decides = |below: &str| {
        below.ends_with('.') || ["Enable", "Protocol", "Reference"].contains(&path::name(below))
    };
    name == COLLECTS || name.strip_prefix(PROFILES).is_some_and(decides)
}

/// What the rows of a tree mean. Rows that are not enabled, not complete or not allowed mean nothing.
pub(super) fn read(tree: &Tree, certificates: &BTreeMap<String, Certificate>, egress: &Egress) -> Ways {
    let mut ways = Ways::default();
    for mtp in tree.rows(MTPS).iter().filter(|mtp| tree.is(&format!("{mtp}Enable"))) {
        match tree.value(&format!("{mtp}Protocol")) {
            Some("MQTT") => ways.mqtt.extend(mqtt(tree, mtp)),
            Some("STOMP") => ways.stomp.extend(stomp(tree, mtp)),
            _ => {}
        }
    }
    for (row, endpoint) in controllers(tree) {
        for mtp in tree.rows(&format!("{row}MTP.")) {
            if tree.is(&format!("{mtp}Enable")) {
                meet(tree, &mtp, &endpoint, &mut ways);
            }
        }
        let of_this = |way: &&mut WebSocketWay| way.tls && way.met.controller == endpoint;
        let must_show = must_show(tree, certificates, &row);
        ways.websocket.iter_mut().filter(of_this).for_each(|way| way.must_show.clone_from(&must_show));
    }
    keep_first(&mut ways.mqtt, |way| way.key);
    lead_reports(tree, &mut ways.mqtt);
    keep_first(&mut ways.stomp, |way| way.key);
    ways.mqtt.retain(|way| egress.allows(scheme("mqtt", way.tls), &way.host, way.port, ""));
    ways.stomp.retain(|way| egress.allows(scheme("stomp", way.tls), &way.host, way.port, ""));
    ways.websocket.retain(|way| egress.allows(scheme("ws", way.tls), &way.host, way.port, &way.path));
    // A connection on which nobody is met would be for nothing.
    ways.mqtt.retain(|way| !way.met.is_empty() || way.has_reports);
    ways.stomp.retain(|way| !way.met.is_empty());
    ways
}

/// The certificates that the row of a controller names, if it names any.
fn must_show(tree: &Tree, certificates: &BTreeMap<String, Certificate>, row: &str) -> Option<Vec<Bytes>> {
    let named = tree.references(&format!("{row}Credential"));
    let enabled = named.iter().filter(|it| tree.is(&format!("{it}Enable")));
    let shown = enabled.filter_map(|it| certificates.get(it)).map(|it| it.der().clone());
    (!named.is_empty()).then(|| shown.collect())
}

/// Bulk data profiles name the clients whose brokers get their reports.
fn lead_reports(tree: &Tree, ways: &mut Vec<MqttWay>) {
    if !tree.is(COLLECTS) {
        return;
    }
    for profile in tree.rows(PROFILES).iter().filter(|profile| tree.is(&format!("{profile}Enable"))) {
        if tree.value(&format!("{profile}Protocol")) != Some("MQTT") {
            continue;
        }
        let Some((row, number)) = referenced(tree, profile, "MQTT") else { continue };
        match ways.iter_mut().find(|way| way.key == LinkKey::Mqtt(number)) {
            Some(way) => way.has_reports = true,
            None => ways.extend(client(tree, &row, number).map(|way| MqttWay { has_reports: true, ..way })),
        }
    }
}

/// The controllers that are enabled, with their rows.
fn controllers(tree: &Tree) -> Vec<(String, EndpointId)> {
    let rows = tree.rows(CONTROLLERS).into_iter().filter(|row| tree.is(&format!("{row}Enable")));
    rows.filter_map(|row| {
        let endpoint = EndpointId::parse(tree.value(&format!("{row}EndpointID"))?).ok()?;
        Some((row, endpoint))
    })
    .collect()
}

/// Two rows that name one connection would throw each other out.
fn keep_first<T>(ways: &mut Vec<T>, key: impl Fn(&T) -> LinkKey) {
    let mut seen = Vec::new();
    ways.retain(|way| {
        let new = !seen.contains(&key(way));
        seen.push(key(way));
        new
    });
}

/// Adds a controller to the connection that one of its MTP rows means.
fn meet(tree: &Tree, mtp: &str, endpoint: &EndpointId, ways: &mut Ways) {
    let text = |name: &str| tree.value(&format!("{mtp}{name}")).unwrap_or("").to_owned();
    let order = tree.number(&format!("{mtp}Order")).unwrap_or(1);
    let met = |at: String| Met { controller: endpoint.clone(), order, at };
    match text("Protocol").as_str() {
        "MQTT" => {
            let (topic, wanted) = (text("MQTT.Topic"), text("MQTT.AgentMTPReference"));
            // Without a reference: the agent's first MQTT MTP.
            let client = match wanted.as_str() {
                "" => ways.mqtt.first().map(|way| way.key),
                mtp => referenced(tree, &as_object(mtp), "MQTT").map(|client| LinkKey::Mqtt(client.1)),
            };
            let way = ways.mqtt.iter_mut().find(|way| Some(way.key) == client);
            if let Some(way) = way.filter(|_| !topic.is_empty()) {
                way.met.push(met(topic));
            }
        }
        "STOMP" => {
            let (destination, wanted) = (text("STOMP.Destination"), as_object(&text("STOMP.Reference")));
            let key = path::instance(&wanted).map(LinkKey::Stomp);
            let way = ways.stomp.iter_mut().find(|way| Some(way.key) == key);
            if let Some(way) = way.filter(|_| !destination.is_empty()) {
                way.met.push(met(destination));
            }
        }
        "WebSocket" => ways.websocket.extend(websocket(tree, mtp, met(String::new()))),
        _ => {}
    }
}

/// The row of the connection that an MTP of the agent's names, if it is enabled, and its number.
fn referenced(tree: &Tree, mtp: &str, protocol: &str) -> Option<(String, u32)> {
    let row = as_object(tree.value(&format!("{mtp}{protocol}.Reference")).filter(|it| !it.is_empty())?);
    tree.is(&format!("{row}Enable")).then(|| path::instance(&row).map(|number| (row.clone(), number)))?
}

fn mqtt(tree: &Tree, mtp: &str) -> Option<MqttWay> {
    let (row, number) = referenced(tree, mtp, "MQTT")?;
    let own = |name: &str| format!("{mtp}MQTT.{name}");
    Some(MqttWay {
        reply_topic: tree.value(&own("ResponseTopicConfigured")).unwrap_or("").to_owned(),
        qos: tree.number(&own("PublishQoS")).and_then(|qos| u8::try_from(qos).ok()).unwrap_or(0),
        ..client(tree, &row, number)?
    })
}

/// The connection that a row of `Device.MQTT.Client.` is, before anything is said over it.
fn client(tree: &Tree, row: &str, number: u32) -> Option<MqttWay> {
    let text = |name: &str| tree.value(&format!("{row}{name}")).unwrap_or("").to_owned();
    let number_of = |name: &str| tree.number(&format!("{row}{name}")).unwrap_or(0);
    let v5 = text("ProtocolVersion") != "3.1.1";
    let login = Some((text("Username"), text("Password"))).filter(|(user, _)| !user.is_empty());
    let rows = tree.rows(&format!("{row}Subscription.")).into_iter();
    let enabled = rows.filter(|it| tree.is(&format!("{it}Enable")));
    let filters = enabled.filter_map(|it| {
        let topic = tree.value(&format!("{it}Topic")).filter(|topic| !topic.is_empty())?;
        let qos = tree.number(&format!("{it}QoS")).unwrap_or(0);
        Some((topic.to_owned(), u8::try_from(qos).unwrap_or(1)))
    });
    Some(MqttWay {
        key: LinkKey::Mqtt(number),
        host: Some(text("BrokerAddress")).filter(|host| !host.is_empty())?,
        port: u16::try_from(number_of("BrokerPort")).ok()?,
        tls: text("TransportProtocol") == "TLS",
        v5,
        login,
        client_id: text("ClientID"),
        clean: tree.is(&format!("{row}{}", if v5 { "CleanStart" } else { "CleanSession" })),
        session_expiry: u32::try_from(number_of("SessionExpiryInterval")).unwrap_or(u32::MAX),
        keep_alive: u16::try_from(number_of("KeepAliveTime")).unwrap_or(u16::MAX),
        retry: Retry {
            first_ms: number_of("ConnectRetryTime") * 1_000,
            multiplier: number_of("ConnectRetryIntervalMultiplier"),
            most_ms: number_of("ConnectRetryMaxInterval") * 1_000,
        },
        filters: filters.collect(),
        reply_topic: String::new(),
        qos: 0,
        met: Vec::new(),
        has_reports: false,
    })
}

fn stomp(tree: &Tree, mtp: &str) -> Option<StompWay> {
    let (row, number) = referenced(tree, mtp, "STOMP")?;
    let text = |name: &str| tree.value(&format!("{row}{name}")).unwrap_or("").to_owned();
    let number_of = |name: &str| tree.number(&format!("{row}{name}")).unwrap_or(0);
    let beats = tree.is(&format!("{row}EnableHeartbeats"));
    let beat = |name: &str| if beats { number_of(name) } else { 0 };
    Some(StompWay {
        key: LinkKey::Stomp(number),
        host: Some(text("Host")).filter(|host| !host.is_empty())?,
        port: u16::try_from(number_of("Port")).ok()?,
        tls: tree.is(&format!("{row}EnableEncryption")),
        login: Some((text("Username"), text("Password"))).filter(|(user, _)| !user.is_empty()),
        virtual_host: text("VirtualHost"),
        heart_beat_ms: (beat("OutgoingHeartbeat"), beat("IncomingHeartbeat")),
        retry: Retry {
            first_ms: number_of("ServerRetryInitialInterval") * 1_000,
            multiplier: number_of("ServerRetryIntervalMultiplier"),
            most_ms: number_of("ServerRetryMaxInterval") * 1_000,
        },
        destination: tree.value(&format!("{mtp}STOMP.Destination")).unwrap_or("").to_owned(),
        met: Vec::new(),
    })
}

fn websocket(tree: &Tree, mtp: &str, met: Met) -> Option<WebSocketWay> {
    let text = |name: &str| tree.value(&format!("{mtp}WebSocket.{name}")).unwrap_or("").to_owned();
    let number_of = |name: &str| tree.number(&format!("{mtp}WebSocket.{name}")).unwrap_or(0);
    let path = text("Path");
    Some(WebSocketWay {
        key: websocket_key(mtp)?,
        host: Some(text("Host")).filter(|host| !host.is_empty())?,
        port: u16::try_from(number_of("Port")).ok()?,
        path: if path.starts_with('/') { path } else { format!("/{path}") },
        tls: tree.is(&format!("{mtp}WebSocket.EnableEncryption")),
        ping: number_of("KeepAliveInterval").max(1),
        retry: Retry {
            first_ms: number_of("SessionRetryMinimumWaitInterval") * 1_000,
            multiplier: number_of("SessionRetryIntervalMultiplier"),
            most_ms: MOST_WEBSOCKET_WAIT_MS,
        },
        met,
        must_show: None,
    })
}

fn websocket_key(mtp: &str) -> Option<LinkKey> {
    let controller = path::parent(path::parent(mtp)?)?;
    Some(LinkKey::WebSocket(path::instance(controller)?, path::instance(mtp)?))
}

/// The scheme of a place for [`Egress`].
fn scheme(plain: &str, tls: bool) -> &'static str {
    match (plain, tls) {
        ("mqtt", false) => "mqtt",
        ("mqtt", true) => "mqtts",
        ("stomp", false) => "stomp",
        ("stomp", true) => "stomps",
        (_, false) => "ws",
        (_, true) => "wss",
    }
}

/// Status parameters as they follow from what is known of the connections.
pub(super) fn statuses(tree: &Tree, states: &BTreeMap<LinkKey, LinkState>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for row in tree.rows(CLIENTS) {
        let state = path::instance(&row).and_then(|number| states.get(&LinkKey::Mqtt(number)));
        mqtt_statuses(tree, &row, state, &mut found);
    }
    for row in tree.rows(CONNECTIONS) {
        let state = path::instance(&row).and_then(|number| states.get(&LinkKey::Stomp(number)));
        let status = match (tree.is(&format!("{row}Enable")), state.map(|state| state.phase)) {
            (false, _) => "Disabled",
            (true, None) => "Error_Misconfigured",
            (true, Some(Phase::Connecting)) => "Connecting",
            (true, Some(Phase::Up)) => "Enabled",
            (true, Some(Phase::Unreachable)) => "ServerNotPresent",
            (true, Some(Phase::Refused)) => "Error",
        };
        found.push((format!("{row}Status"), status.to_owned()));
    }
    for row in tree.rows(MTPS) {
        mtp_statuses(tree, &row, states, &mut found);
    }
    for controller in tree.rows(CONTROLLERS) {
        for mtp in tree.rows(&format!("{controller}MTP.")) {
            let state = websocket_key(&mtp).and_then(|key| states.get(&key));
            let count = state.map_or(0, |state| state.retries).to_string();
            found.push((format!("{mtp}WebSocket.CurrentRetryCount"), count));
        }
    }
    found
}

fn mqtt_statuses(tree: &Tree, row: &str, state: Option<&LinkState>, found: &mut Vec<(String, String)>) {
    let status = match (tree.is(&format!("{row}Enable")), state.map(|state| state.phase)) {
        (false, _) => "Disabled",
        (true, None) => "Error_Misconfigured",
        (true, Some(Phase::Connecting)) => "Connecting",
        (true, Some(Phase::Up)) => "Connected",
        (true, Some(Phase::Unreachable)) => "Error_BrokerUnreachable",
        (true, Some(Phase::Refused)) => "Error",
    };
    found.push((format!("{row}Status"), status.to_owned()));
    found.push((format!("{row}ResponseInformation"), named(state)));
    let since = state.and_then(|state| state.since);
    let since = since.map_or_else(|| UNKNOWN_TIME.to_owned(), |since| since.to_string());
    found.push((format!("{row}Stats.BrokerConnectionEstablished"), since));
    for subscription in tree.rows(&format!("{row}Subscription.")) {
        let topic = tree.value(&format!("{subscription}Topic")).unwrap_or("");
        let up = state.filter(|state| state.is_up());
        let granted = up.is_some_and(|state| state.subscribed.iter().any(|filter| filter == topic));
        let enabled = tree.is(&format!("{subscription}Enable"));
        let status = match (enabled, granted, up) {
            (false, ..) | (true, false, None) => "Unsubscribed",
            (true, true, _) => "Subscribed",
            (true, false, Some(_)) => "Error",
        };
        found.push((format!("{subscription}Status"), status.to_owned()));
    }
}

/// What the connections have carried by now; a client without one has carried nothing.
pub(super) fn traffic(tree: &Tree, states: &BTreeMap<LinkKey, LinkState>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for row in tree.rows(CLIENTS) {
        let state = path::instance(&row).and_then(|number| states.get(&LinkKey::Mqtt(number)));
        let traffic = state.and_then(|state| state.traffic.as_ref());
        let count = |of: fn(&Traffic) -> u64| traffic.map_or(0, of).to_string();
        found.push((format!("{row}Stats.MQTTMessagesSent"), count(Traffic::sent)));
        found.push((format!("{row}Stats.MQTTMessagesReceived"), count(Traffic::received)));
        found.push((format!("{row}Stats.ConnectionErrors"), count(|it| it.errors().into())));
    }
    found
}

fn mtp_statuses(
    tree: &Tree,
    row: &str,
    states: &BTreeMap<LinkKey, LinkState>,
    found: &mut Vec<(String, String)>,
) {
    let protocol = tree.value(&format!("{row}Protocol")).unwrap_or("");
    let number = referenced(tree, row, protocol).map(|(_, number)| number);
    let state = match protocol {
        "MQTT" => number.and_then(|number| states.get(&LinkKey::Mqtt(number))),
        "STOMP" => number.and_then(|number| states.get(&LinkKey::Stomp(number))),
        _ => None,
    };
    let status = match (tree.is(&format!("{row}Enable")), protocol, state) {
        (false, ..) => "Down",
        // The listener is the gateway's: it is there, or the gateway is not.
        (true, "WebSocket", _) => "Up",
        (true, _, Some(state)) if state.is_up() => "Up",
        (true, _, Some(_)) => "Down",
        (true, _, None) => "Error",
    };
    found.push((format!("{row}Status"), status.to_owned()));
    found.push((format!("{row}MQTT.ResponseTopicDiscovered"), named(state.filter(|_| protocol == "MQTT"))));
    found.push((format!("{row}STOMP.DestinationFromServer"), named(state.filter(|_| protocol == "STOMP"))));
}

fn named(state: Option<&LinkState>) -> String {
    state.and_then(|state| state.named.clone()).unwrap_or_default()
}

pub(super) const CLIENTS: &str = "Device.MQTT.Client.";
pub(super) const CONNECTIONS: &str = "Device.STOMP.Connection.";
pub(super) const MTPS: &str = "Device.LocalAgent.MTP.";
pub(super) const COLLECTS: &str = "Device.BulkData.Enable";
/// TR-106 3.2.1: a time that is not known.
pub(super) const UNKNOWN_TIME: &str = "0001-01-01T00:00:00Z";
const AREAS: [&str; 4] = [CLIENTS, CONNECTIONS, MTPS, CERTIFICATES];
/// The tenth wait of the standard's table with its defaults, at which waits grow no more (R-WS.19).
const MOST_WEBSOCKET_WAIT_MS: u64 = 5_120_000;
