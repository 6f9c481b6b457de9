//! MQTT at the tap, of the version that the agent comes with.

use bytes::{Bytes, BytesMut};

use crate::conformance::check::{Mtp, Stop};
use crate::conformance::session::Session;
use crate::transport::mqtt::{Codec, Packet, Properties, Publish, Version};
use crate::usp::record::MAX_RECORD;

use super::line::Dialect;
use super::way::Way;

/// What is said over MQTT.
#[derive(Debug, Default)]
pub struct Mqtt {
    /// Known from the first packet on.
    pub version: Option<Version>,
    /// Whether each SUBSCRIBE is refused.
    pub refuses: bool,
    /// Of what is delivered to the agent (R-MQTT.20).
    pub qos: u8,
    /// Of what is delivered to the agent, where it is not "usp.msg".
    pub content_type: Option<&'static str>,
    next_id: u16,
}

/// How the agent's client is to be.
#[derive(Debug, Default)]
pub struct MqttPlan<'p> {
    pub secure: bool,
    /// Version 5.0, whatever the run uses.
    pub v5: bool,
    /// No topic is configured.
    pub bare: bool,
    /// More parameters of the client's row.
    pub more: &'p [(&'p str, &'p str)],
}

impl Dialect for Mqtt {
    type Unit = Packet;

    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Packet>, String> {
        if self.version.is_none() {
            self.version = Codec::version_of(buffer).map_err(|error| error.to_string())?;
        }
        let Some(codec) = self.codec() else { return Ok(None) };
        codec.decode(buffer).map_err(|error| error.to_string())
    }

    fn encode(&mut self, packet: Packet, buffer: &mut BytesMut) -> Result<(), String> {
        let codec = self.codec().ok_or("the agent has said nothing yet")?;
        codec.encode(packet, usize::MAX, buffer).map_err(|error| error.to_string())
    }

    fn answer(&self, packet: &Packet) -> Option<Packet> {
        Some(match packet {
            Packet::Publish(Publish { qos: 1, packet_id, .. }) => {
                Packet::PubAck { id: *packet_id, refused: None }
            }
            Packet::Publish(Publish { qos: 2, packet_id, .. }) => {
                Packet::PubRec { id: *packet_id, refused: None }
            }
            Packet::PubRel { id } => Packet::PubComp { id: *id },
            Packet::Subscribe { id, filters } => {
                let granted = filters.iter().map(|(_, qos)| Some(*qos).filter(|_| !self.refuses));
                Packet::SubAck { id: *id, granted: granted.collect() }
            }
            Packet::Unsubscribe { id, filters } => Packet::UnsubAck { id: *id, count: filters.len() },
            Packet::PingReq => Packet::PingResp,
            _ => return None,
        })
    }

    fn user(first: &Packet) -> Option<&str> {
        let Packet::Connect(connect) = first else { return None };
        connect.login.as_ref().map(|(user, _)| user.as_str())
    }

    fn carried(packet: &Packet) -> Option<(Bytes, Option<String>)> {
        let Packet::Publish(publish) = packet else { return None };
        let in_topic = publish.topic.rsplit_once(REPLY_TO).map(|(_, own)| own.replace("%2F", "/"));
        Some((publish.payload.clone(), publish.properties.response_topic.clone().or(in_topic)))
    }

    fn delivery(&mut self, at: &str, reply_to: &str, record: Bytes) -> Packet {
        self.next_id = self.next_id.wrapping_add(1).max(1);
        let v5 = self.version == Some(Version::V5);
        let properties = Properties {
            content_type: Some(self.content_type.unwrap_or("usp.msg").to_owned()),
            response_topic: Some(reply_to.to_owned()),
            ..Properties::default()
        };
        Packet::Publish(Publish {
            topic: if v5 { at.to_owned() } else { format!("{at}{REPLY_TO}{}", reply_to.replace('/', "%2F")) },
            payload: record,
            qos: self.qos,
            packet_id: if self.qos == 0 { 0 } else { self.next_id },
            properties: if v5 { properties } else { Properties::default() },
            ..Publish::default()
        })
    }

    fn bare(packet: &Packet) -> Packet {
        match packet {
            Packet::Publish(publish) => Packet::Publish(Publish { payload: Bytes::new(), ..publish.clone() }),
            packet => packet.clone(),
        }
    }
}

impl Mqtt {
    fn codec(&self) -> Option<Codec> {
        let max_packet = MAX_RECORD + (64 << 10);
        self.version.map(|version| Codec { version, max_packet })
    }
}

impl Way<Mqtt> {
    /// Adds the rows of a way over MQTT. The agent comes when it is told to begin.
    pub async fn over_mqtt(session: &mut Session, plan: MqttPlan<'_>) -> Result<Self, Stop> {
        let mut way = Self::to_tap(session, plan.secure, "/").await?;
        let version = if plan.v5 { Version::V5 } else { link_version(session) };
        let (host, port) = (way.door.address.ip().to_string(), way.door.address.port().to_string());
        let (user, password) = way.login.clone();
        let mut settings = vec![
            ("Enable", "false"),
            ("Name", &user),
            ("BrokerAddress", &host),
            ("BrokerPort", &port),
            ("TransportProtocol", if plan.secure { "TLS" } else { "TCP/IP" }),
            ("ProtocolVersion", if version == Version::V5 { "5.0" } else { "3.1.1" }),
            ("Username", &user),
            ("Password", &password),
            ("ConnectRetryTime", "2"),
        ];
        settings.extend_from_slice(plan.more);
        way.add_link(session, "Device.MQTT.Client.", &settings).await?;
        if !plan.bare {
            let topic = filter(version, &way.places.0);
            way.add_topic(session, &topic, "1").await?;
        }
        let link = way.link.trim_end_matches('.').to_owned();
        let (agent, controller) = way.places.clone();
        let mut ours = vec![("Reference", link.as_str())];
        if !plan.bare {
            ours.push(("ResponseTopicConfigured", &agent));
        }
        way.add_meeting(session, "MQTT", &ours, &[("Topic", &controller), ("Reference", &link)]).await?;
        Ok(way)
    }

    /// Adds a subscription to the agent's client, and gives its row.
    pub async fn add_topic(&self, session: &mut Session, topic: &str, qos: &str) -> Result<String, Stop> {
        let table = format!("{}Subscription.", self.link);
        let row = crate::conformance::messages::Row::at(table);
        session.row(row.must("Enable", "true").must("Topic", topic).must("QoS", qos)).await
    }
}

/// What is to be subscribed to where a controller publishes to a topic: version 3.1.1 adds to it (R-MQTT.24).
pub fn filter(version: Version, topic: &str) -> String {
    match version {
        Version::V5 => topic.to_owned(),
        Version::V311 => format!("{topic}/#"),
    }
}

/// The version of MQTT that the agent is to speak.
pub fn link_version(session: &Session) -> Version {
    match session.setup.config.mtp {
        Mtp::Mqtt311 => Version::V311,
        _ => Version::V5,
    }
}

const REPLY_TO: &str = "/reply-to=";
