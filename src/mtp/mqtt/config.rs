//! A broker, how agents are known there, and what a client has to know of it.

use crate::identity::EndpointId;
use crate::net::TlsClient;
use crate::transport::mqtt::{ClientConfig, Version};

use super::connection::{MAX_PACKET, OWN_WAITING, SHARED_WAITING};
use super::crossing::Crossing;
use super::topics;

/// How agents share connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Each agent has its own, with its own client id: any USP broker takes that.
    PerAgent,
    /// This many connections for all agents, each with a wildcard subscription: for a broker of the
    /// operator's own and for large fleets.
    Shared(usize),
}

/// One broker.
#[derive(Clone)]
pub struct MqttConfig {
    pub host: String,
    pub port: u16,
    pub tls: Option<TlsClient>,
    pub version: Version,
    pub login: Option<(String, String)>,
    pub sharing: Sharing,
    /// Client ids begin with this; the agent's endpoint id or the connection's number follows.
    pub client_id_prefix: String,
    /// Topics of agents begin with this.
    pub topic_prefix: String,
    /// Controllers at this broker and the topics they listen on.
    pub controllers: Vec<(EndpointId, String)>,
    /// In seconds.
    pub keep_alive: u16,
    /// Waits between tries to connect, in milliseconds: the first and the longest.
    pub retry_ms: (u64, u64),
    /// By how much waits grow, in thousandths.
    pub retry_multiplier: u64,
    /// What an agent's objects say, where it does not follow from the above.
    pub own: Option<OwnNames>,
}

/// How one agent is known at a broker by its own objects.
#[derive(Debug, Clone)]
pub struct OwnNames {
    /// Empty: the broker gives one (R-MQTT.8).
    pub client_id: String,
    pub clean: bool,
    /// In seconds.
    pub session_expiry: u32,
    /// Topic filters and their QoS.
    pub filters: Vec<(String, u8)>,
    /// Where answers shall go, unless the broker says otherwise; may be empty.
    pub reply_topic: String,
    /// Of what is published.
    pub qos: u8,
    /// Nobody is met there: the connection is for bulk data reports alone.
    pub for_reports: bool,
    /// Where this connection takes the place of a shared one: what both of them hear.
    pub crossing: Option<Crossing>,
}

/// What the client has to know, of the agent's own objects or of the prefixes for all.
pub(super) fn client_config(
    config: &MqttConfig,
    owner: Option<&EndpointId>,
    name: &str,
    prefix: &str,
) -> ClientConfig {
    let filter = match owner {
        Some(agent) => topics::agent_topic(prefix, agent),
        None => format!("{prefix}/+"),
    };
    let mut filters = vec![(filter.clone(), 1)];
    if config.version == Version::V311 {
        // There the topic for answers is part of the topic (R-MQTT.25).
        filters = vec![(format!("{filter}/#"), 1)];
    }
    let user_properties = match owner {
        // R-MQTT.13. A connection of many agents is no single endpoint's.
        Some(agent) => vec![("usp-endpoint-id".to_owned(), agent.as_str().to_owned())],
        None => Vec::new(),
    };
    let mut client = ClientConfig {
        version: config.version,
        client_id: format!("{}{name}", config.client_id_prefix),
        login: config.login.clone(),
        keep_alive: config.keep_alive,
        session_expiry: SESSION_EXPIRY,
        clean: false,
        filters,
        reply_topic: None,
        user_properties,
        max_packet: u32::try_from(MAX_PACKET).unwrap_or(u32::MAX),
        max_waiting: if owner.is_some() { OWN_WAITING } else { SHARED_WAITING },
        must_subscribe: true,
    };
    if let (Some(own), Some(agent)) = (&config.own, owner) {
        let unnamed = own.client_id.is_empty() && config.version == Version::V311;
        client.client_id = if unnamed { agent.as_str().to_owned() } else { own.client_id.clone() };
        client.clean = own.clean;
        client.session_expiry = own.session_expiry;
        client.must_subscribe = !own.for_reports;
        client.filters.clone_from(&own.filters);
        let reply = Some(own.reply_topic.clone()).filter(|topic| !topic.is_empty());
        client.reply_topic = match config.version {
            Version::V5 => reply,
            Version::V311 => reply.map(|topic| format!("{topic}/#")),
        };
    }
    client
}

/// How long the broker keeps our session while we are away, in seconds.
pub const SESSION_EXPIRY: u32 = 3_600;
