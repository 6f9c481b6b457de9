//! MQTT 5.0: between the codec's packets and ours.

use bytes::Bytes;
use rumqttc::v5::mqttbytes::v5 as wire;
use rumqttc::v5::mqttbytes::{QoS, qos};

use super::packet::{ConnAck, Connect, Packet, Properties, Publish};

/// `None` for what USP has no use for: AUTH, and texts that are not UTF-8.
pub(super) fn to_plain(packet: wire::Packet) -> Option<Packet> {
    Some(match packet {
        wire::Packet::Connect(connect, _, login) => Packet::Connect(connect_to_plain(connect, login)),
        wire::Packet::ConnAck(ack) => Packet::ConnAck(ack_to_plain(ack)),
        wire::Packet::Publish(publish) => Packet::Publish(publish_to_plain(publish)?),
        wire::Packet::PubAck(ack) => {
            let refused = match ack.reason {
                wire::PubAckReason::Success | wire::PubAckReason::NoMatchingSubscribers => None,
                reason => Some(format!("{reason:?}")),
            };
            Packet::PubAck { id: ack.pkid, refused }
        }
        wire::Packet::PubRec(it) => {
            let refused = match it.reason {
                wire::PubRecReason::Success | wire::PubRecReason::NoMatchingSubscribers => None,
                reason => Some(format!("{reason:?}")),
            };
            Packet::PubRec { id: it.pkid, refused }
        }
        wire::Packet::PubRel(it) => Packet::PubRel { id: it.pkid },
        wire::Packet::PubComp(it) => Packet::PubComp { id: it.pkid },
        wire::Packet::Subscribe(it) => {
            let filters = it.filters.into_iter().map(|filter| (filter.path, filter.qos as u8)).collect();
            Packet::Subscribe { id: it.pkid, filters }
        }
        wire::Packet::SubAck(it) => {
            let granted = it.return_codes.iter().map(|code| match code {
                wire::SubscribeReasonCode::Success(qos) => Some(*qos as u8),
                _ => None,
            });
            Packet::SubAck { id: it.pkid, granted: granted.collect() }
        }
        wire::Packet::Unsubscribe(it) => Packet::Unsubscribe { id: it.pkid, filters: it.filters },
        wire::Packet::UnsubAck(it) => Packet::UnsubAck { id: it.pkid, count: it.reasons.len() },
        wire::Packet::PingReq(_) => Packet::PingReq,
        wire::Packet::PingResp(_) => Packet::PingResp,
        wire::Packet::Disconnect(it) => {
            let text = it.properties.and_then(|properties| properties.reason_string);
            Packet::Disconnect { reason: disconnect_reason(it.reason_code, text) }
        }
        wire::Packet::Auth(_) => return None,
    })
}

pub(super) fn from_plain(packet: Packet) -> wire::Packet {
    match packet {
        Packet::Connect(connect) => connect_from_plain(connect),
        Packet::ConnAck(ack) => wire::Packet::ConnAck(ack_from_plain(ack)),
        Packet::Publish(publish) => wire::Packet::Publish(publish_from_plain(publish)),
        Packet::PubAck { id, refused } => {
            let mut ack = wire::PubAck::new(id, None);
            if refused.is_some() {
                ack.reason = wire::PubAckReason::UnspecifiedError;
            }
            wire::Packet::PubAck(ack)
        }
        Packet::PubRec { id, refused } => {
            let mut received = wire::PubRec::new(id, None);
            if refused.is_some() {
                received.reason = wire::PubRecReason::UnspecifiedError;
            }
            wire::Packet::PubRec(received)
        }
        Packet::PubRel { id } => wire::Packet::PubRel(wire::PubRel::new(id, None)),
        Packet::PubComp { id } => wire::Packet::PubComp(wire::PubComp::new(id, None)),
        Packet::Subscribe { id, filters } => {
            let filters = filters.into_iter().map(|(path, level)| wire::Filter::new(path, quality(level)));
            let mut subscribe = wire::Subscribe::new_many(filters, None);
            subscribe.pkid = id;
            wire::Packet::Subscribe(subscribe)
        }
        Packet::SubAck { id, granted } => {
            let return_codes = granted.into_iter().map(|granted| match granted {
                Some(level) => wire::SubscribeReasonCode::Success(quality(level)),
                None => wire::SubscribeReasonCode::NotAuthorized,
            });
            let return_codes = return_codes.collect();
            wire::Packet::SubAck(wire::SubAck { pkid: id, return_codes, properties: None })
        }
        Packet::Unsubscribe { id, filters } => {
            wire::Packet::Unsubscribe(wire::Unsubscribe { pkid: id, filters, properties: None })
        }
        Packet::UnsubAck { id, count } => {
            let reasons = vec![wire::UnsubAckReason::Success; count];
            wire::Packet::UnsubAck(wire::UnsubAck { pkid: id, reasons, properties: None })
        }
        Packet::PingReq => wire::Packet::PingReq(wire::PingReq),
        Packet::PingResp => wire::Packet::PingResp(wire::PingResp),
        Packet::Disconnect { reason } => {
            let mut packet = wire::Disconnect::new(wire::DisconnectReasonCode::NormalDisconnection);
            if reason.is_some() {
                packet.reason_code = wire::DisconnectReasonCode::UnspecifiedError;
                // Without properties the codec writes a length that is one short.
                packet.properties = Some(wire::DisconnectProperties {
                    session_expiry_interval: None,
                    reason_string: reason,
                    user_properties: Vec::new(),
                    server_reference: None,
                });
            }
            wire::Packet::Disconnect(packet)
        }
    }
}

/// A DISCONNECT that holds this reason code and nothing more.
pub(super) fn disconnect(code: u8) -> Packet {
    let reason = match wire::DisconnectReasonCode::try_from(code) {
        Ok(code) => disconnect_reason(code, None),
        Err(_) => Some(format!("reason {code:#04x}")),
    };
    Packet::Disconnect { reason }
}

fn disconnect_reason(code: wire::DisconnectReasonCode, text: Option<String>) -> Option<String> {
    match (code, text) {
        (wire::DisconnectReasonCode::NormalDisconnection, _) => None,
        (code, Some(text)) => Some(format!("{code:?}: {text}")),
        (code, None) => Some(format!("{code:?}")),
    }
}

fn connect_to_plain(connect: wire::Connect, login: Option<wire::Login>) -> Connect {
    let properties = connect.properties.unwrap_or_default();
    Connect {
        client_id: connect.client_id,
        keep_alive: connect.keep_alive,
        clean_start: connect.clean_start,
        session_expiry: properties.session_expiry_interval,
        login: login.map(|login| (login.username, login.password)),
        user_properties: properties.user_properties,
        max_packet_size: properties.max_packet_size,
        request_response_information: properties.request_response_info == Some(1),
    }
}

fn connect_from_plain(connect: Connect) -> wire::Packet {
    let mut properties = wire::ConnectProperties::new();
    properties.session_expiry_interval = connect.session_expiry;
    properties.max_packet_size = connect.max_packet_size;
    properties.request_response_info = connect.request_response_information.then_some(1);
    properties.user_properties = connect.user_properties;
    let login = connect.login.map(|(user, password)| wire::Login::new(user, password));
    let connect = wire::Connect {
        keep_alive: connect.keep_alive,
        client_id: connect.client_id,
        clean_start: connect.clean_start,
        properties: Some(properties),
    };
    wire::Packet::Connect(connect, None, login)
}

fn ack_to_plain(ack: wire::ConnAck) -> ConnAck {
    let refused = match ack.code {
        wire::ConnectReturnCode::Success => None,
        code => {
            let text = ack.properties.as_ref().and_then(|properties| properties.reason_string.clone());
            Some(text.map_or_else(|| format!("{code:?}"), |text| format!("{code:?}: {text}")))
        }
    };
    let mut plain = ConnAck { session_present: ack.session_present, refused, ..ConnAck::default() };
    if let Some(properties) = ack.properties {
        plain.assigned_client_id = properties.assigned_client_identifier;
        plain.response_information = properties.response_information;
        plain.server_keep_alive = properties.server_keep_alive;
        plain.receive_maximum = properties.receive_max;
        plain.max_packet_size = properties.max_packet_size;
        plain.max_qos = properties.max_qos;
        plain.retain_available = properties.retain_available.map(|available| available != 0);
        plain.user_properties = properties.user_properties;
    }
    plain
}

fn ack_from_plain(ack: ConnAck) -> wire::ConnAck {
    let code = match ack.refused {
        None => wire::ConnectReturnCode::Success,
        Some(_) => wire::ConnectReturnCode::NotAuthorized,
    };
    let properties = wire::ConnAckProperties {
        session_expiry_interval: None,
        receive_max: ack.receive_maximum,
        max_qos: ack.max_qos,
        retain_available: ack.retain_available.map(u8::from),
        max_packet_size: ack.max_packet_size,
        assigned_client_identifier: ack.assigned_client_id,
        topic_alias_max: None,
        reason_string: None,
        user_properties: ack.user_properties,
        wildcard_subscription_available: None,
        subscription_identifiers_available: None,
        shared_subscription_available: None,
        server_keep_alive: ack.server_keep_alive,
        response_information: ack.response_information,
        server_reference: None,
        authentication_method: None,
        authentication_data: None,
    };
    wire::ConnAck { session_present: ack.session_present, code, properties: Some(properties) }
}

fn publish_to_plain(publish: wire::Publish) -> Option<Publish> {
    let properties = publish.properties.unwrap_or_default();
    Some(Publish {
        topic: String::from_utf8(publish.topic.to_vec()).ok()?,
        payload: publish.payload,
        qos: publish.qos as u8,
        retain: publish.retain,
        dup: publish.dup,
        packet_id: publish.pkid,
        properties: Properties {
            content_type: properties.content_type,
            response_topic: properties.response_topic,
            correlation_data: properties.correlation_data,
            user: properties.user_properties,
        },
    })
}

fn publish_from_plain(publish: Publish) -> wire::Publish {
    let properties = wire::PublishProperties {
        content_type: publish.properties.content_type,
        response_topic: publish.properties.response_topic,
        correlation_data: publish.properties.correlation_data,
        user_properties: publish.properties.user,
        ..wire::PublishProperties::default()
    };
    let properties = (properties != wire::PublishProperties::default()).then_some(properties);
    wire::Publish {
        dup: publish.dup,
        qos: quality(publish.qos),
        retain: publish.retain,
        topic: Bytes::from(publish.topic),
        pkid: publish.packet_id,
        payload: publish.payload,
        properties,
    }
}

fn quality(level: u8) -> QoS {
    qos(level).unwrap_or(QoS::AtLeastOnce)
}
