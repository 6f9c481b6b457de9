//! MQTT 3.1.1: between the codec's packets and ours.

use rumqttc::mqttbytes::v4 as wire;
use rumqttc::{Protocol, QoS, mqttbytes};

use super::packet::{ConnAck, Connect, Packet, Properties, Publish};

pub(super) fn to_plain(packet: wire::Packet) -> Option<Packet> {
    Some(match packet {
        wire::Packet::Connect(connect) => Packet::Connect(Connect {
            client_id: connect.client_id,
            keep_alive: connect.keep_alive,
            clean_start: connect.clean_session,
            login: connect.login.map(|login| (login.username, login.password)),
            ..Connect::default()
        }),
        wire::Packet::ConnAck(ack) => {
            let refused = match ack.code {
                wire::ConnectReturnCode::Success => None,
                code => Some(format!("{code:?}")),
            };
            Packet::ConnAck(ConnAck { session_present: ack.session_present, refused, ..ConnAck::default() })
        }
        wire::Packet::Publish(publish) => Packet::Publish(Publish {
            topic: publish.topic,
            payload: publish.payload,
            qos: publish.qos as u8,
            retain: publish.retain,
            dup: publish.dup,
            packet_id: publish.pkid,
            properties: Properties::default(),
        }),
        wire::Packet::PubAck(it) => Packet::PubAck { id: it.pkid, refused: None },
        wire::Packet::PubRec(it) => Packet::PubRec { id: it.pkid, refused: None },
        wire::Packet::PubRel(it) => Packet::PubRel { id: it.pkid },
        wire::Packet::PubComp(it) => Packet::PubComp { id: it.pkid },
        wire::Packet::Subscribe(it) => {
            let filters = it.filters.into_iter().map(|filter| (filter.path, filter.qos as u8)).collect();
            Packet::Subscribe { id: it.pkid, filters }
        }
        wire::Packet::SubAck(it) => {
            let granted = it.return_codes.iter().map(|code| match code {
                wire::SubscribeReasonCode::Success(qos) => Some(*qos as u8),
                wire::SubscribeReasonCode::Failure => None,
            });
            Packet::SubAck { id: it.pkid, granted: granted.collect() }
        }
        wire::Packet::Unsubscribe(it) => Packet::Unsubscribe { id: it.pkid, filters: it.topics },
        wire::Packet::UnsubAck(it) => Packet::UnsubAck { id: it.pkid, count: 1 },
        wire::Packet::PingReq => Packet::PingReq,
        wire::Packet::PingResp => Packet::PingResp,
        wire::Packet::Disconnect => Packet::Disconnect { reason: None },
    })
}

/// Always succeeds but for filters of a QoS that MQTT does not know.
pub(super) fn from_plain(packet: Packet) -> Option<wire::Packet> {
    Some(match packet {
        Packet::Connect(connect) => wire::Packet::Connect(wire::Connect {
            protocol: Protocol::V4,
            keep_alive: connect.keep_alive,
            client_id: connect.client_id,
            clean_session: connect.clean_start,
            last_will: None,
            login: connect.login.map(|(user, password)| wire::Login::new(user, password)),
        }),
        Packet::ConnAck(ack) => {
            let code = match ack.refused {
                None => wire::ConnectReturnCode::Success,
                Some(_) => wire::ConnectReturnCode::NotAuthorized,
            };
            wire::Packet::ConnAck(wire::ConnAck::new(code, ack.session_present))
        }
        Packet::Publish(publish) => wire::Packet::Publish(wire::Publish {
            dup: publish.dup,
            qos: quality(publish.qos)?,
            retain: publish.retain,
            topic: publish.topic,
            pkid: publish.packet_id,
            payload: publish.payload,
        }),
        Packet::PubAck { id, .. } => wire::Packet::PubAck(wire::PubAck::new(id)),
        Packet::PubRec { id, .. } => wire::Packet::PubRec(wire::PubRec::new(id)),
        Packet::PubRel { id } => wire::Packet::PubRel(wire::PubRel::new(id)),
        Packet::PubComp { id } => wire::Packet::PubComp(wire::PubComp::new(id)),
        Packet::Subscribe { id, filters } => {
            let filters: Option<Vec<_>> = filters
                .into_iter()
                .map(|(path, level)| Some(wire::SubscribeFilter::new(path, quality(level)?)))
                .collect();
            wire::Packet::Subscribe(wire::Subscribe { pkid: id, filters: filters? })
        }
        Packet::SubAck { id, granted } => {
            let codes = granted.into_iter().map(|granted| match granted.and_then(quality) {
                Some(qos) => wire::SubscribeReasonCode::Success(qos),
                None => wire::SubscribeReasonCode::Failure,
            });
            wire::Packet::SubAck(wire::SubAck::new(id, codes.collect()))
        }
        Packet::Unsubscribe { id, filters } => {
            wire::Packet::Unsubscribe(wire::Unsubscribe { pkid: id, topics: filters })
        }
        Packet::UnsubAck { id, .. } => wire::Packet::UnsubAck(wire::UnsubAck::new(id)),
        Packet::PingReq => wire::Packet::PingReq,
        Packet::PingResp => wire::Packet::PingResp,
        Packet::Disconnect { .. } => wire::Packet::Disconnect,
    })
}

fn quality(level: u8) -> Option<QoS> {
    mqttbytes::qos(level).ok()
}
