//! How an agent meets its controllers, as its own objects have it, and what is reported of that. Plain data:
//! whoever carries it out needs to know nothing of rows and paths.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use bytes::Bytes;

use crate::datamodel::WallTime;
use crate::identity::EndpointId;

/// All connections that an agent is to have of its own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ways {
    pub mqtt: Vec<MqttWay>,
    pub stomp: Vec<StompWay>,
    pub websocket: Vec<WebSocketWay>,
}

impl Ways {
    /// Whether these are the configuration's ways, but for controllers that are gone: then its connections
    /// serve, and nobody's connection breaks because another controller was removed.
    pub fn lack_only_gone_controllers(
        &self,
        configured: &Self,
        is_there: impl Fn(&EndpointId) -> bool,
    ) -> bool {
        let mut left = configured.clone();
        left.mqtt.iter_mut().for_each(|way| way.met.retain(|met| is_there(&met.controller)));
        left.stomp.iter_mut().for_each(|way| way.met.retain(|met| is_there(&met.controller)));
        left.websocket.retain(|way| is_there(&way.met.controller));
        left.used() == self.clone().used()
    }

    /// Without connections that lead to nobody. Reports over a connection that is there anyway make no
    /// difference to it.
    fn used(mut self) -> Self {
        self.mqtt.retain(|way| !way.met.is_empty() || way.has_reports);
        self.stomp.retain(|way| !way.met.is_empty());
        self.mqtt.iter_mut().for_each(|way| way.has_reports = way.met.is_empty());
        self
    }
}

/// What tells the connections of an agent apart: the instance numbers of their rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LinkKey {
    /// `Device.MQTT.Client.{i}.`
    Mqtt(u32),
    /// `Device.STOMP.Connection.{i}.`
    Stomp(u32),
    /// `Device.LocalAgent.Controller.{i}.MTP.{i}.`
    WebSocket(u32, u32),
}

/// A controller at the other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Met {
    pub controller: EndpointId,
    /// Where a controller has several ways, the one with the lowest goes first.
    pub order: u64,
    /// Its topic or destination.
    pub at: String,
}

/// Waits between tries to connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    pub first_ms: u64,
    /// In thousandths.
    pub multiplier: u64,
    pub most_ms: u64,
}

/// A connection to an MQTT broker.
#[derive(Clone, PartialEq, Eq)]
pub struct MqttWay {
    pub key: LinkKey,
    pub host: String,
    pub port: u16,
    pub tls: bool,
    /// Version 5.0; else 3.1.1.
    pub v5: bool,
    pub login: Option<(String, String)>,
    /// Empty: the broker gives one (R-MQTT.8).
    pub client_id: String,
    pub clean: bool,
    /// In seconds.
    pub session_expiry: u32,
    /// In seconds.
    pub keep_alive: u16,
    pub retry: Retry,
    /// Topic filters and their QoS.
    pub filters: Vec<(String, u8)>,
    /// Where answers shall go, unless the broker says.
    pub reply_topic: String,
    pub qos: u8,
    pub met: Vec<Met>,
    /// Whether bulk data reports go there: then it is wanted though nobody is met there.
    pub has_reports: bool,
}

/// A connection to a STOMP broker; times in milliseconds.
#[derive(Clone, PartialEq, Eq)]
pub struct StompWay {
    pub key: LinkKey,
    pub host: String,
    pub port: u16,
    pub tls: bool,
    pub login: Option<(String, String)>,
    pub virtual_host: String,
    /// Ours and the broker's; 0 is none.
    pub heart_beat_ms: (u64, u64),
    pub retry: Retry,
    /// Where the agent listens, unless the broker says; may be empty.
    pub destination: String,
    pub met: Vec<Met>,
}

/// A connection to a controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebSocketWay {
    pub key: LinkKey,
    pub host: String,
    pub port: u16,
    pub path: String,
    pub tls: bool,
    /// In seconds.
    pub ping: u64,
    pub retry: Retry,
    /// Without a place of its own: the connection is the controller's.
    pub met: Met,
    /// Where there is TLS: the certificates, in DER, of which the controller must show one. `None`: any of its host.
    pub must_show: Option<Vec<Bytes>>,
}

/// What is known of a connection at the moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LinkState {
    pub phase: Phase,
    /// Tries that failed since it was last up.
    pub retries: u32,
    /// The topic or destination that the broker named for the agent.
    pub named: Option<String>,
    /// The client id that the broker gave (R-MQTT.9).
    pub client_id: Option<String>,
    /// Topic filters that the broker granted.
    pub subscribed: Vec<String>,
    /// When it came up; `None` while it is not up.
    pub since: Option<WallTime>,
    /// Where it is counted what goes over it.
    pub traffic: Option<Traffic>,
}

/// What a connection has carried since it leads to where it leads. Cloning shares: its task counts, and an agent
/// reads when it is asked, so that no message is work for anybody but its connection.
#[derive(Debug, Clone, Default)]
pub struct Traffic(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    sent: AtomicU64,
    received: AtomicU64,
    errors: AtomicU32,
}

impl Traffic {
    /// One more message has been handed to the connection.
    pub fn count_sent(&self) {
        self.0.sent.fetch_add(1, Ordering::Relaxed);
    }

    pub fn count_received(&self) {
        self.0.received.fetch_add(1, Ordering::Relaxed);
    }

    /// It could not be opened, or it was lost.
    pub fn count_error(&self) {
        self.0.errors.fetch_add(1, Ordering::Relaxed);
    }

    pub fn sent(&self) -> u64 {
        self.0.sent.load(Ordering::Relaxed)
    }

    pub fn received(&self) -> u64 {
        self.0.received.load(Ordering::Relaxed)
    }

    pub fn errors(&self) -> u32 {
        self.0.errors.load(Ordering::Relaxed)
    }
}

/// Whether they count the same connection: what is counted makes no difference.
impl PartialEq for Traffic {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Traffic {}

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Phase {
    #[default]
    Connecting,
    Up,
    /// Nobody answers there.
    Unreachable,
    /// The other side does not take us, or there is nothing to subscribe to.
    Refused,
}

impl LinkState {
    pub fn is_up(&self) -> bool {
        self.phase == Phase::Up
    }
}

// Passwords stay out of logs.
impl fmt::Debug for MqttWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MqttWay({:?} {}:{} {:?} {:?})", self.key, self.host, self.port, self.filters, self.met)
    }
}

impl fmt::Debug for StompWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StompWay({:?} {}:{} {} {:?})", self.key, self.host, self.port, self.destination, self.met)
    }
}
