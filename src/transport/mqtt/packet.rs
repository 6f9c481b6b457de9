//! Control packets as far as USP needs them, the same for both versions.

use bytes::Bytes;

/// The protocol's version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    V311,
    #[default]
    V5,
}

/// Properties of a PUBLISH that USP uses; 3.1.1 has none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Properties {
    pub content_type: Option<String>,
    pub response_topic: Option<String>,
    pub correlation_data: Option<Bytes>,
    pub user: Vec<(String, String)>,
}

/// An application message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Publish {
    pub topic: String,
    pub payload: Bytes,
    /// 0, 1 or 2.
    pub qos: u8,
    pub retain: bool,
    pub dup: bool,
    /// 0 with QoS 0.
    pub packet_id: u16,
    pub properties: Properties,
}

/// A client's first packet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Connect {
    pub client_id: String,
    /// In seconds; 0 is none.
    pub keep_alive: u16,
    pub clean_start: bool,
    /// In seconds; 3.1.1 knows only clean or not.
    pub session_expiry: Option<u32>,
    pub login: Option<(String, String)>,
    pub user_properties: Vec<(String, String)>,
    /// Largest packet the client takes.
    pub max_packet_size: Option<u32>,
    /// Whether the server may say where answers shall go (R-MQTT.12).
    pub request_response_information: bool,
}

/// A server's first packet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConnAck {
    pub session_present: bool,
    /// Why the server refuses, in its words.
    pub refused: Option<String>,
    pub assigned_client_id: Option<String>,
    pub response_information: Option<String>,
    pub server_keep_alive: Option<u16>,
    pub receive_maximum: Option<u16>,
    pub max_packet_size: Option<u32>,
    /// The highest QoS of messages that the server takes.
    pub max_qos: Option<u8>,
    pub retain_available: Option<bool>,
    pub user_properties: Vec<(String, String)>,
}

/// A control packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    Connect(Connect),
    ConnAck(ConnAck),
    Publish(Publish),
    /// `refused` is the reason of an unsuccessful one, which 3.1.1 cannot tell.
    PubAck {
        id: u16,
        refused: Option<String>,
    },
    /// `refused` as with PUBACK.
    PubRec {
        id: u16,
        refused: Option<String>,
    },
    PubRel {
        id: u16,
    },
    PubComp {
        id: u16,
    },
    /// Filters with the QoS asked for.
    Subscribe {
        id: u16,
        filters: Vec<(String, u8)>,
    },
    /// The QoS granted for each, or `None`.
    SubAck {
        id: u16,
        granted: Vec<Option<u8>>,
    },
    Unsubscribe {
        id: u16,
        filters: Vec<String>,
    },
    UnsubAck {
        id: u16,
        count: usize,
    },
    PingReq,
    PingResp,
    Disconnect {
        reason: Option<String>,
    },
}
