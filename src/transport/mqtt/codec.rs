//! From bytes to packets and back, with a bound on their size.

use bytes::{Buf, BytesMut};
use rumqttc::v5::mqttbytes::Error as ErrorV5;
use rumqttc::{Packet as PacketV3, mqttbytes::Error as ErrorV3, v5::mqttbytes::v5::Packet as PacketV5};
use thiserror::Error;

use super::packet::{Packet, Version};
use super::{v3, v5};

/// What is wrong with a peer's bytes, or with a packet of ours.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MqttError {
    #[error("malformed packet: {0}")]
    Malformed(String),
    #[error("packet of {size} bytes is over the limit of {limit}")]
    TooLarge { size: usize, limit: usize },
    #[error("packet has no place in MQTT 3.1.1")]
    NotInVersion,
}

/// One direction's codec for one connection.
#[derive(Debug, Clone, Copy)]
pub struct Codec {
    pub version: Version,
    /// Largest packet taken, in bytes.
    pub max_packet: usize,
}

impl Codec {
    /// The version that the first bytes of a connection ask for (MQTT 5.0 3.1.2.2); `None` until they are there.
    pub fn version_of(bytes: &[u8]) -> Result<Option<Version>, MqttError> {
        let malformed = |what: &str| MqttError::Malformed(what.to_owned());
        let Some((first, rest)) = bytes.split_first() else { return Ok(None) };
        if *first != CONNECT {
            return Err(malformed("the first packet is no CONNECT"));
        }
        let length = rest.iter().take(4).position(|byte| byte & 0x80 == 0);
        let Some(length) = length else {
            return if rest.len() < 4 { Ok(None) } else { Err(malformed("length of more than four bytes")) };
        };
        let Some(name) = rest.get(length + 1..length + 8) else { return Ok(None) };
        match name {
            [0, 4, b'M', b'Q', b'T', b'T', 5] => Ok(Some(Version::V5)),
            [0, 4, b'M', b'Q', b'T', b'T', 4] => Ok(Some(Version::V311)),
            _ => Err(malformed("version that is neither 5.0 nor 3.1.1")),
        }
    }

    /// Takes the next packet off the buffer; `None` until it is whole.
    pub fn decode(&self, buffer: &mut BytesMut) -> Result<Option<Packet>, MqttError> {
        match self.version {
            Version::V5 => self.decode_v5(buffer),
            Version::V311 => self.decode_v3(buffer),
        }
    }

    /// Appends a packet. `limit` is the peer's: largest packet it takes.
    pub fn encode(&self, packet: Packet, limit: usize, buffer: &mut BytesMut) -> Result<(), MqttError> {
        let start = buffer.len();
        let written = match self.version {
            Version::V5 => v5::from_plain(packet).write(buffer, None).map_err(|error| malformed(&error)),
            Version::V311 => {
                let packet = v3::from_plain(packet).ok_or(MqttError::NotInVersion)?;
                packet.write(buffer, usize::MAX).map_err(|error| malformed(&error))
            }
        };
        let size = buffer.len() - start;
        let result = match written {
            Ok(_) if size > limit => Err(MqttError::TooLarge { size, limit }),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        if result.is_err() {
            buffer.truncate(start);
        }
        result
    }

    fn decode_v5(&self, buffer: &mut BytesMut) -> Result<Option<Packet>, MqttError> {
        let first = buffer.first().copied();
        // A DISCONNECT may end after its reason (MQTT 5.0 3.14.2.2.1); the codec would swallow it.
        if let Some(&[DISCONNECT, 1, code]) = buffer.first_chunk() {
            buffer.advance(3);
            return Ok(Some(v5::disconnect(code)));
        }
        let before = buffer.len();
        let limit = u32::try_from(self.max_packet).unwrap_or(u32::MAX);
        match PacketV5::read(buffer, Some(limit)) {
            Ok(packet) => v5::to_plain(packet).map(Some).ok_or_else(unexpected),
            Err(ErrorV5::InsufficientBytes(_)) if buffer.len() == before => Ok(None),
            // A DISCONNECT without reason is two bytes long (MQTT 5.0 3.14.2.1), which the codec refuses.
            Err(ErrorV5::PayloadRequired) if first == Some(DISCONNECT) => {
                Ok(Some(Packet::Disconnect { reason: None }))
            }
            Err(ErrorV5::PayloadSizeLimitExceeded { pkt_size, .. }) => {
                Err(MqttError::TooLarge { size: pkt_size, limit: self.max_packet })
            }
            Err(error) => Err(malformed(&error)),
        }
    }

    fn decode_v3(&self, buffer: &mut BytesMut) -> Result<Option<Packet>, MqttError> {
        match PacketV3::read(buffer, self.max_packet) {
            Ok(packet) => v3::to_plain(packet).map(Some).ok_or_else(unexpected),
            Err(ErrorV3::InsufficientBytes(_)) => Ok(None),
            Err(ErrorV3::PayloadSizeLimitExceeded(size)) => {
                Err(MqttError::TooLarge { size, limit: self.max_packet })
            }
            Err(error) => Err(malformed(&error)),
        }
    }
}

fn malformed(error: &dyn std::fmt::Display) -> MqttError {
    MqttError::Malformed(error.to_string())
}

fn unexpected() -> MqttError {
    MqttError::Malformed("packet with a QoS or text that MQTT does not know".into())
}

/// First byte of a CONNECT.
const CONNECT: u8 = 0x10;
/// First byte of a DISCONNECT.
const DISCONNECT: u8 = 0xE0;

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::super::packet::{ConnAck, Connect, Properties, Publish};
    use super::*;

    const BOTH: [Version; 2] = [Version::V5, Version::V311];

    fn there_and_back(version: Version, packet: Packet) -> Packet {
        let codec = Codec { version, max_packet: 1 << 20 };
        let mut buffer = BytesMut::new();
        codec.encode(packet, usize::MAX, &mut buffer).unwrap();
        let last = buffer.split_off(buffer.len() - 1);
        assert_eq!(codec.decode(&mut buffer).unwrap(), None, "half a packet was taken for a whole one");
        buffer.unsplit(last);
        let decoded = codec.decode(&mut buffer).unwrap().unwrap();
        assert!(buffer.is_empty());
        decoded
    }

    #[test]
    fn packets_of_both_versions_survive_the_wire() {
        for version in BOTH {
            let publish = Publish {
                topic: "usp/agent/x".into(),
                payload: Bytes::from_static(b"record"),
                qos: 1,
                packet_id: 7,
                ..Publish::default()
            };
            for packet in [
                Packet::Publish(publish.clone()),
                Packet::PubAck { id: 7, refused: None },
                Packet::Subscribe { id: 1, filters: vec![("a/+".into(), 1)] },
                Packet::SubAck { id: 1, granted: vec![Some(1), None] },
                Packet::PingReq,
                Packet::PingResp,
                Packet::Disconnect { reason: None },
            ] {
                assert_eq!(there_and_back(version, packet.clone()), packet);
            }
        }
    }

    #[test]
    fn r_mqtt_13_and_27_properties_of_version_5_survive_the_wire() {
        let connect = Connect {
            client_id: "c".into(),
            keep_alive: 60,
            session_expiry: Some(9),
            login: Some(("u".into(), "p".into())),
            user_properties: vec![("usp-endpoint-id".into(), "os::1-2".into())],
            max_packet_size: Some(1 << 20),
            request_response_information: true,
            ..Connect::default()
        };
        let ack = ConnAck {
            session_present: true,
            response_information: Some("re/ply".into()),
            receive_maximum: Some(20),
            user_properties: vec![("subscribe-topic".into(), "s".into())],
            ..ConnAck::default()
        };
        let properties = Properties {
            content_type: Some("usp.msg".into()),
            response_topic: Some("r".into()),
            user: vec![("a".into(), "b".into())],
            ..Properties::default()
        };
        let publish = Publish { topic: "t".into(), properties, ..Publish::default() };
        for packet in [Packet::Connect(connect), Packet::ConnAck(ack), Packet::Publish(publish)] {
            assert_eq!(there_and_back(Version::V5, packet.clone()), packet);
        }
    }

    #[test]
    fn the_version_of_a_connection_is_that_of_its_first_packet() {
        for version in BOTH {
            let mut bytes = BytesMut::new();
            let connect = Packet::Connect(Connect { client_id: "c".repeat(200), ..Connect::default() });
            Codec { version, max_packet: 1 << 10 }.encode(connect, usize::MAX, &mut bytes).unwrap();
            assert_eq!(Codec::version_of(&bytes), Ok(Some(version)));
            assert_eq!(Codec::version_of(&bytes[..9]), Ok(None));
        }
        assert!(
            Codec::version_of(&[0xC0]).is_err() && Codec::version_of(&[0x10, 0xFF, 255, 255, 255]).is_err()
        );
        assert!(Codec::version_of(b"\x10\x10\x00\x04MQTT\x03").is_err());
    }

    #[test]
    fn why_a_server_disconnects_is_not_lost() {
        let codec = Codec { version: Version::V5, max_packet: 100 };
        let reason = |bytes: &[u8]| match codec.decode(&mut BytesMut::from(bytes)) {
            Ok(Some(Packet::Disconnect { reason })) => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(reason(&[0xE0, 1, 0x8E]).as_deref(), Some("SessionTakenOver"));
        assert_eq!(reason(&[0xE0, 1, 0]), None);
        let mut buffer = BytesMut::new();
        let full = Packet::Disconnect { reason: Some("full".into()) };
        codec.encode(full, usize::MAX, &mut buffer).unwrap();
        assert_eq!(reason(&buffer).as_deref(), Some("UnspecifiedError: full"));
    }

    #[test]
    fn a_packet_over_the_limit_is_refused_in_both_directions() {
        for version in BOTH {
            let big = Publish { topic: "t".into(), payload: vec![0; 2_000].into(), ..Publish::default() };
            let codec = Codec { version, max_packet: 1_000 };
            let mut buffer = BytesMut::new();
            let refused = codec.encode(Packet::Publish(big.clone()), 1_000, &mut buffer);
            assert!(matches!(refused, Err(MqttError::TooLarge { .. })));
            assert!(buffer.is_empty(), "half a packet was left for the peer");
            codec.encode(Packet::Publish(big), usize::MAX, &mut buffer).unwrap();
            assert!(matches!(codec.decode(&mut buffer), Err(MqttError::TooLarge { .. })));
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            for version in BOTH {
                let codec = Codec { version, max_packet: 200 };
                let mut buffer = BytesMut::from(&bytes[..]);
                while let Ok(Some(_)) = codec.decode(&mut buffer) {}
            }
        }
    }
}
