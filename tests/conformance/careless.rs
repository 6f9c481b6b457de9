//! What an agent says at its broker that connects once, whatever becomes of it and without TLS whatever it is told,
//! answers who asks, and says neither what its answers are nor where it really listens.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use dragoman::identity::EndpointId;
use dragoman::transport::mqtt::{Codec, Connect, Packet, Publish, Version};
use dragoman::transport::stomp::{self, Command, Frame};
use dragoman::usp::message::{GetResp, Request, Response};
use dragoman::usp::record::{Payload, Record};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::liar::{AGENT, reply};

/// Ends with the first thing that it does not understand.
pub async fn at_mqtt_broker(port: u16, controller: String) {
    let mut socket = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).await.unwrap();
    let codec = Codec { version: Version::V5, max_packet: 1 << 16 };
    let mut read = BytesMut::new();
    let mut say = vec![Packet::Connect(Connect { client_id: "careless".into(), ..Connect::default() })];
    loop {
        let mut said = BytesMut::new();
        say.drain(..).for_each(|packet| codec.encode(packet, usize::MAX, &mut said).unwrap());
        if socket.write_all(&said).await.is_err() {
            return;
        }
        while let Some(packet) = codec.decode(&mut read).unwrap() {
            match packet {
                Packet::ConnAck(ack) => {
                    let topic = ack.response_information.unwrap_or_else(|| "usp/careless".into());
                    say.push(Packet::Subscribe { id: 1, filters: vec![(topic, 1)] });
                    let payload =
                        Payload::MqttConnect { v5: true, subscribed_topic: "somewhere/else".into() };
                    say.push(publish(greeting(&controller, payload)));
                }
                Packet::Publish(it) if it.properties.content_type.as_deref() == Some("usp.msg") => {
                    let Some(record) = answered(it.payload) else { return };
                    say.push(publish(record));
                }
                _ => {}
            }
        }
        if say.is_empty() && !socket.read_buf(&mut read).await.is_ok_and(|count| count > 0) {
            return;
        }
    }
}

fn publish(payload: Bytes) -> Packet {
    Packet::Publish(Publish { topic: "usp".into(), payload, ..Publish::default() })
}

/// As [`at_mqtt_broker`].
pub async fn at_stomp_broker(port: u16, controller: String) {
    let mut socket = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).await.unwrap();
    let (mut codec, mut read) = (stomp::Codec::new(1 << 16), BytesMut::new());
    let mut say = vec![Frame::new(Command::Stomp).with("accept-version", "1.2").with("host", "/")];
    loop {
        let mut said = BytesMut::new();
        say.drain(..).for_each(|frame| stomp::Codec::encode(&frame, &mut said));
        if socket.write_all(&said).await.is_err() {
            return;
        }
        while let Some(frame) = codec.decode(&mut read).unwrap() {
            match frame.command {
                Command::Connected => {
                    let subscribe = Frame::new(Command::Subscribe).with("id", "0");
                    say.push(subscribe.with("destination", "/queue/careless"));
                    let payload = Payload::StompConnect { subscribed_destination: "/queue/elsewhere".into() };
                    say.push(send(greeting(&controller, payload)));
                }
                Command::Message => {
                    let Some(record) = answered(frame.body) else { return };
                    say.push(send(record));
                }
                _ => {}
            }
        }
        if say.is_empty() && !socket.read_buf(&mut read).await.is_ok_and(|count| count > 0) {
            return;
        }
    }
}

fn send(body: Bytes) -> Frame {
    Frame { body, ..Frame::new(Command::Send).with("destination", "/queue/usp") }
}

fn greeting(controller: &str, payload: Payload) -> Bytes {
    let [me, controller] = [AGENT, controller].map(|it| EndpointId::parse(it).unwrap());
    Record::of(&me, &controller, payload).encode()
}

/// The answer to a request, if there is a record with one.
fn answered(payload: Bytes) -> Option<Bytes> {
    let record = Record::decode(payload).ok()?;
    let Payload::NoSession(message) = record.payload else { return None };
    let mut answer = |_: &Request| Some(Response::GetResp(GetResp::default()));
    reply(&record.from_id, message, &mut answer).map(|record| record.encode())
}
