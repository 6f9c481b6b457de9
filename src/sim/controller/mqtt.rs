//! The controller's connection to a broker: one for all agents, that comes back after a break.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::net::{Round, Stream, TlsClient};
use crate::sim::wire::Wire;
use crate::transport::mqtt::{Client, ClientConfig, Codec, Event, Properties, Publish, Up, Version};
use crate::usp::record::MAX_RECORD;

use super::hub::{Envelope, Hub, Outgoing, Overheard, Received, Way};
use super::returning::{self, First, Returning};
use super::topics;

/// The broker, and where the controller listens there.
pub(super) struct MqttSettings {
    pub host: String,
    pub port: u16,
    pub version: Version,
    pub topic: String,
    pub login: Option<(String, String)>,
    pub tls: Option<TlsClient>,
}

/// The task of the connection.
struct Link {
    hub: Arc<Hub>,
    settings: MqttSettings,
    client: Client,
    config: ClientConfig,
    /// Topics where no records come.
    listening: Vec<String>,
    outgoing: mpsc::Receiver<Outgoing>,
    /// Where answers shall go: what the broker says (R-MQTT.21), else the configured topic.
    own_topic: String,
    started: Instant,
}

/// Connects, and returns when the subscription stands.
pub(super) async fn start(hub: Arc<Hub>, settings: MqttSettings) -> io::Result<mpsc::Sender<Outgoing>> {
    let (sender, outgoing) = mpsc::channel(WAITING);
    let mut filters = vec![(settings.topic.clone(), 1)];
    if settings.version == Version::V311 {
        // There the topic for answers is part of the topic (R-MQTT.25).
        filters.push((format!("{}/+", settings.topic), 1));
    }
    let config = ClientConfig {
        version: settings.version,
        // Two controllers with one endpoint id, say `get` beside `watch`, must not throw each other out.
        client_id: format!("{}-{}", hub.endpoint_id, hub.unique()),
        login: settings.login.clone(),
        keep_alive: KEEP_ALIVE,
        session_expiry: SESSION_EXPIRY,
        clean: false,
        filters,
        reply_topic: None,
        user_properties: vec![("usp-endpoint-id".to_owned(), hub.endpoint_id.as_str().to_owned())],
        max_packet: u32::try_from(MAX_PACKET).unwrap_or(u32::MAX),
        max_waiting: MAX_WAITING,
        must_subscribe: true,
    };
    let own_topic = settings.topic.clone();
    let link = Link {
        hub: Arc::clone(&hub),
        settings,
        client: Client::new(config.clone()),
        config,
        listening: Vec::new(),
        outgoing,
        own_topic,
        started: Instant::now(),
    };
    returning::start(hub, link).await?;
    Ok(sender)
}

impl Returning for Link {
    async fn live(&mut self, hub: &Arc<Hub>, first: &mut First) -> Result<(), String> {
        let settings = &self.settings;
        let stop = hub.stop.clone();
        let connecting = Stream::connect(&settings.host, settings.port, settings.tls.as_ref(), CONNECT);
        let stream = tokio::select! {
            stream = connecting => stream.map_err(|error| error.to_string())?,
            () = stop.cancelled() => return Ok(()),
        };
        let codec = Codec { version: settings.version, max_packet: MAX_PACKET };
        let mut wire = Wire::new(stream, codec);
        self.client.connected(self.now());
        loop {
            self.fill(&mut wire);
            let now = self.now();
            let sleep = self.client.next_deadline().map_or(DAY_MS, |at| at.saturating_sub(now).min(DAY_MS));
            let room = self.client.pending() < QUEUE_AHEAD;
            let mut events = Vec::new();
            tokio::select! {
                round = wire.round() => match round {
                    Round::Over(why) => return Err(why),
                    Round::Written => {}
                    Round::Read => self.read(&mut wire, &mut events)?,
                },
                outgoing = self.outgoing.recv(), if room => match outgoing {
                    Some(Outgoing::Listen(topic)) => self.listen(topic, &mut events),
                    Some(Outgoing::Record { topic, record, content_type }) => {
                        self.publish(&topic, record, content_type.unwrap_or(CONTENT_TYPE));
                    }
                    // The last handle is gone.
                    None => return self.goodbye(wire).await,
                },
                () = tokio::time::sleep(Duration::from_millis(sleep)) => {
                    let now = self.now();
                    self.client.tick(now, &mut events);
                }
                () = stop.cancelled() => return self.goodbye(wire).await,
            }
            for event in events {
                self.happened(event, &mut wire, first)?;
            }
        }
    }

    fn over(&mut self) -> bool {
        let was_up = self.client.is_up();
        self.client.disconnected();
        was_up
    }
}

impl Link {
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    async fn goodbye(&mut self, mut wire: Wire) -> Result<(), String> {
        self.client.goodbye();
        self.fill(&mut wire);
        wire.close().await;
        Ok(())
    }

    fn fill(&mut self, wire: &mut Wire) {
        let now = self.now();
        while wire.has_room() {
            let Some(packet) = self.client.transmit(now) else { return };
            if let Err(error) = wire.push(packet) {
                tracing::warn!(%error, "a record is not sent");
            }
        }
    }

    fn read(&mut self, wire: &mut Wire, events: &mut Vec<Event>) -> Result<(), String> {
        let now = self.now();
        loop {
            match wire.next() {
                Ok(Some(packet)) => self.client.handle(now, packet, events),
                Ok(None) => return Ok(()),
                Err(error) => return Err(format!("the broker sent what is no MQTT: {error}")),
            }
        }
    }

    fn happened(&mut self, event: Event, wire: &mut Wire, first: &mut First) -> Result<(), String> {
        match event {
            Event::Up(up) => {
                self.up(up, wire);
                first.is_up();
            }
            Event::Message(publish) => self.message(publish),
            Event::Subscribed(_) => {}
            Event::Rejected(reason) => tracing::warn!(reason, "the broker refused a record"),
            Event::Close(why) => return Err(why),
        }
        Ok(())
    }

    fn up(&mut self, up: Up, wire: &mut Wire) {
        wire.limit = up.max_packet.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        self.own_topic = up.response_information.unwrap_or_else(|| self.settings.topic.clone());
    }

    fn publish(&mut self, topic: &str, record: Bytes, content_type: &str) {
        let publish = match self.settings.version {
            Version::V5 => Publish {
                topic: topic.to_owned(),
                payload: record,
                qos: 1,
                // R-MQTT.22, 23, 27.
                properties: Properties {
                    content_type: Some(content_type.into()),
                    response_topic: Some(self.own_topic.clone()),
                    ..Properties::default()
                },
                ..Publish::default()
            },
            Version::V311 => Publish {
                topic: topics::with_reply_to(topic, &self.own_topic),
                payload: record,
                qos: 1,
                ..Publish::default()
            },
        };
        if self.client.publish(publish).is_err() {
            tracing::warn!(topic, "a record is dropped: too much waits for the broker");
        }
    }

    fn listen(&mut self, topic: String, events: &mut Vec<Event>) {
        if self.listening.contains(&topic) || self.listening.len() >= MAX_LISTENING {
            return;
        }
        self.config.filters.push((topic.clone(), 1));
        self.listening.push(topic);
        self.client.adapt(self.config.clone(), events);
    }

    fn message(&mut self, publish: Publish) {
        if self.listening.contains(&publish.topic) {
            let content_type = publish.properties.content_type;
            let (topic, payload) = (publish.topic, publish.payload);
            return self.hub.overhear(Overheard { topic, content_type, payload });
        }
        self.hub.show(&publish.payload, || Envelope::Mqtt {
            topic: publish.topic.clone(),
            content_type: publish.properties.content_type.clone(),
            response_topic: publish.properties.response_topic.clone(),
        });
        let given = match self.settings.version {
            Version::V5 => publish.properties.response_topic,
            Version::V311 => topics::reply_to(&publish.topic),
        };
        let way = given.filter(|topic| topics::is_topic(topic)).map(Way::Topic);
        let received = match self.hub.receive(publish.payload, way) {
            Ok(received) => received,
            Err(error) => return tracing::debug!(%error, "a message is no USP record"),
        };
        let Some(Received { agent, answers }) = received else { return };
        if let Some(Way::Topic(topic)) = self.hub.way(&agent) {
            answers.into_iter().for_each(|answer| self.publish(&topic, answer, CONTENT_TYPE));
        }
    }
}

/// R-MQTT.27.
const CONTENT_TYPE: &str = "usp.msg";
/// Largest packet taken: a record and its topic.
const MAX_PACKET: usize = MAX_RECORD + (64 << 10);
/// Topics where no records come.
const MAX_LISTENING: usize = 64;
/// Records that may wait for the task.
const WAITING: usize = 1_024;
/// Records that may wait in the client: answers to notifications mostly.
const MAX_WAITING: usize = 65_536;
/// Records handed to the client ahead of the broker's acknowledgements.
const QUEUE_AHEAD: usize = 64;
/// In seconds.
const KEEP_ALIVE: u16 = 30;
/// How long the broker keeps the session while the controller is away, in seconds.
const SESSION_EXPIRY: u32 = 60;
const CONNECT: Duration = Duration::from_secs(10);
const DAY_MS: u64 = 86_400_000;
