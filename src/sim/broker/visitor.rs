//! The task of one connection: CONNECT, then packets both ways until it ends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::net::{Round, Stream};
use crate::sim::wire::Wire;
use crate::transport::mqtt::{Codec, ConnAck, Connect, MqttError, Packet, Publish, Version};
use crate::usp::record::MAX_RECORD;

use super::server::Shared;
use super::table::Line;
use super::topics::is_topic;

/// A client that is connected.
struct Visitor {
    shared: Arc<Shared>,
    wire: Wire,
    client: Arc<str>,
    line: Line,
    /// How long the client may be silent; `None` for ever.
    silence: Option<Duration>,
    heard: Instant,
}

/// Why a connection goes on no more.
enum End {
    /// The client said goodbye.
    Goodbye,
    /// The client is told why, as far as the version can tell.
    Cut(String),
    Gone(String),
}

/// Serves a connection to its end; the error says why it ended, if the client did not say goodbye.
pub(super) async fn serve(shared: Arc<Shared>, stream: Stream) -> Result<(), String> {
    let mut wire = Wire::new(stream, Codec { version: Version::V5, max_packet: MAX_CONNECT });
    let connect = tokio::select! {
        opened = tokio::time::timeout(HANDSHAKE, open(&mut wire)) => {
            opened.map_err(|_| "no CONNECT came".to_owned())??
        }
        () = shared.stop.cancelled() => return Ok(()),
    };
    let keep = kept(&connect, wire.codec.version);
    let mut visitor = Visitor::welcome(shared, wire, connect)?;
    let end = visitor.stay().await;
    let Visitor { shared, mut wire, client, line, .. } = visitor;
    shared.table().detach(&client, line.number, keep, Instant::now());
    match end {
        End::Goodbye => Ok(()),
        End::Gone(why) => Err(why),
        End::Cut(why) => {
            if wire.codec.version == Version::V5 {
                let _ = wire.push(Packet::Disconnect { reason: Some(why.clone()) });
            }
            wire.close().await;
            Err(why)
        }
    }
}

/// Awaits CONNECT, whose protocol level says which version the rest is in.
async fn open(wire: &mut Wire) -> Result<Connect, String> {
    loop {
        if let Some(version) = Codec::version_of(wire.received()).map_err(broken)? {
            wire.codec.version = version;
            match wire.next().map_err(broken)? {
                Some(Packet::Connect(connect)) => return Ok(connect),
                Some(_) => return Err("the first packet is no CONNECT".into()),
                None => {}
            }
        }
        if let Round::Over(why) = wire.round().await {
            return Err(why);
        }
    }
}

/// How long the session outlives the connection.
fn kept(connect: &Connect, version: Version) -> Duration {
    match version {
        Version::V5 => Duration::from_secs(connect.session_expiry.unwrap_or(0).into()),
        Version::V311 if connect.clean_start => Duration::ZERO,
        Version::V311 => Duration::MAX,
    }
}

impl Visitor {
    fn welcome(shared: Arc<Shared>, mut wire: Wire, connect: Connect) -> Result<Self, String> {
        let assigned = connect.client_id.is_empty().then(|| shared.name());
        let client: Arc<str> = assigned.as_deref().unwrap_or(&connect.client_id).into();
        wire.codec.max_packet = MAX_PACKET;
        wire.limit = connect.max_packet_size.and_then(|it| usize::try_from(it).ok()).unwrap_or(usize::MAX);
        let attached = shared.table().attach(&client, connect.clean_start, Instant::now());
        let attached = attached.ok_or("too many clients")?;
        let ack = ConnAck {
            session_present: attached.present,
            assigned_client_id: assigned,
            max_packet_size: u32::try_from(MAX_PACKET).ok(),
            max_qos: Some(1),
            ..ConnAck::default()
        };
        wire.push(Packet::ConnAck(ack)).map_err(broken)?;
        // MQTT-3.1.2-22: one and a half times what the client promised.
        let silence =
            (connect.keep_alive > 0).then(|| Duration::from_millis(u64::from(connect.keep_alive) * 1_500));
        Ok(Self { shared, wire, client, line: attached.line, silence, heard: Instant::now() })
    }

    async fn stay(&mut self) -> End {
        loop {
            self.fill();
            if self.wire.backlog() > MAX_BACKLOG {
                return End::Gone("the client does not read".into());
            }
            let silent = async {
                match self.silence {
                    Some(silence) => tokio::time::sleep_until((self.heard + silence).into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                round = self.wire.round() => match round {
                    Round::Over(why) => return End::Gone(why),
                    Round::Written => {}
                    Round::Read => if let Err(end) = self.read() {
                        return end;
                    },
                },
                () = self.line.wake.notified() => {}
                () = self.line.cut.cancelled() => {
                    return End::Cut("session taken over, or too much waits for it".into());
                }
                () = self.shared.stop.cancelled() => return End::Cut("the broker stops".into()),
                () = silent => return End::Cut("keep-alive ran out".into()),
            }
        }
    }

    /// Encodes what waits for this client, as far as there is room.
    fn fill(&mut self) {
        while self.wire.has_room() {
            let next = self.shared.table().next(&self.client, self.line.number);
            let Some(publish) = next else { return };
            let id = publish.packet_id;
            if let Err(error) = self.wire.push(Packet::Publish(publish)) {
                // MQTT-3.1.2-25: what is too large for a client counts as delivered.
                tracing::debug!(client = &*self.client, %error, "a message is not delivered");
                self.shared.table().acknowledged(&self.client, self.line.number, id);
            }
        }
    }

    fn read(&mut self) -> Result<(), End> {
        self.heard = Instant::now();
        while let Some(packet) = self.wire.next().map_err(|error| End::Cut(broken(error)))? {
            let answer = self.take(packet)?;
            if let Some(answer) = answer {
                self.wire.push(answer).map_err(|error| End::Cut(broken(error)))?;
            }
        }
        Ok(())
    }

    /// Does what a packet asks for and returns the answer to it.
    fn take(&mut self, packet: Packet) -> Result<Option<Packet>, End> {
        Ok(match packet {
            Packet::Publish(publish) => self.publish(&publish)?,
            Packet::PubAck { id, .. } => {
                self.shared.table().acknowledged(&self.client, self.line.number, id);
                None
            }
            Packet::Subscribe { id, filters } => {
                let granted = self.shared.table().subscribe(&self.client, filters);
                Some(Packet::SubAck { id, granted })
            }
            Packet::Unsubscribe { id, filters } => {
                self.shared.table().unsubscribe(&self.client, &filters);
                Some(Packet::UnsubAck { id, count: filters.len() })
            }
            Packet::PingReq => Some(Packet::PingResp),
            Packet::Disconnect { .. } => return Err(End::Goodbye),
            packet => return Err(End::Cut(format!("the client broke the protocol with {packet:?}"))),
        })
    }

    fn publish(&mut self, publish: &Publish) -> Result<Option<Packet>, End> {
        if !is_topic(&publish.topic) {
            return Err(End::Cut("a message has a topic that is none".into()));
        }
        if publish.qos > 1 {
            return Err(End::Cut("QoS 2 is not offered".into()));
        }
        self.shared.table().route(publish, Instant::now());
        Ok((publish.qos == 1).then_some(Packet::PubAck { id: publish.packet_id, refused: None }))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "fits map_err")]
fn broken(error: MqttError) -> String {
    format!("the client sent what is no MQTT: {error}")
}

/// Largest CONNECT taken, in bytes.
const MAX_CONNECT: usize = 64 << 10;
/// Largest packet taken: a record and its topic.
const MAX_PACKET: usize = MAX_RECORD + (64 << 10);
/// Bytes that may wait for a client that sends and does not read.
const MAX_BACKLOG: usize = MAX_PACKET + (1 << 20);
/// Time for CONNECT.
const HANDSHAKE: Duration = Duration::from_secs(10);
