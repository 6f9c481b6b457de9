//! The controller's connection to a STOMP broker: one for all agents, that comes back after a break.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::net::{Buffered, Round, Stream, TlsClient};
use crate::transport::stomp::{Client, ClientConfig, Event, Message};
use crate::usp::record::MAX_RECORD;

use super::hub::{Envelope, Hub, Outgoing, Received, Way};
use super::returning::{self, First, Returning};
use super::topics;

/// The broker, and where the controller listens there.
pub(super) struct StompSettings {
    pub host: String,
    pub port: u16,
    pub destination: String,
    pub login: Option<(String, String)>,
    pub virtual_host: Option<String>,
    pub tls: Option<TlsClient>,
}

/// The task of the connection.
struct Link {
    hub: Arc<Hub>,
    settings: StompSettings,
    client: Client,
    outgoing: mpsc::Receiver<Outgoing>,
    started: Instant,
}

/// Connects, and returns when the subscription stands.
pub(super) async fn start(hub: Arc<Hub>, settings: StompSettings) -> io::Result<mpsc::Sender<Outgoing>> {
    let (sender, outgoing) = mpsc::channel(WAITING);
    let client = Client::new(ClientConfig {
        endpoint_id: hub.endpoint_id.as_str().to_owned(),
        login: settings.login.clone(),
        host: settings.virtual_host.clone(),
        destination: settings.destination.clone(),
        heart_beat: (HEART_BEAT_MS, HEART_BEAT_MS),
        max_body: MAX_RECORD,
        max_waiting: MAX_WAITING,
    });
    let link = Link { hub: Arc::clone(&hub), settings, client, outgoing, started: Instant::now() };
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
        let mut io = Buffered::new(stream);
        self.client.connected(self.now());
        loop {
            let now = self.now();
            self.client.transmit(now, io.room(), &mut io.outgoing);
            let sleep = self.client.next_deadline().map_or(DAY_MS, |at| at.saturating_sub(now).min(DAY_MS));
            let room = self.client.pending() < QUEUE_AHEAD;
            let mut events = Vec::new();
            tokio::select! {
                round = io.round() => match round {
                    Round::Over(why) => return Err(why),
                    Round::Written => {}
                    Round::Read => {
                        let now = self.now();
                        self.client.receive(now, &mut io.incoming, &mut events);
                    }
                },
                outgoing = self.outgoing.recv(), if room => match outgoing {
                    Some(Outgoing::Record { topic, record, .. }) => self.send(topic, record),
                    Some(Outgoing::Listen(_)) => {}
                    // The last handle is gone.
                    None => return self.goodbye(io).await,
                },
                () = tokio::time::sleep(Duration::from_millis(sleep)) => {
                    let now = self.now();
                    self.client.tick(now, &mut events);
                }
                () = stop.cancelled() => return self.goodbye(io).await,
            }
            for event in events {
                self.happened(event, first)?;
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

    async fn goodbye(&mut self, mut io: Buffered) -> Result<(), String> {
        self.client.goodbye();
        self.client.transmit(self.now(), io.room(), &mut io.outgoing);
        io.close().await;
        Ok(())
    }

    fn happened(&mut self, event: Event, first: &mut First) -> Result<(), String> {
        match event {
            Event::Up(_) => first.is_up(),
            Event::Message(message) => self.message(message),
            Event::Rejected(_, reason) => tracing::warn!(reason, "the broker refused a record"),
            Event::Closed => {}
            Event::Close(why) => return Err(why),
        }
        Ok(())
    }

    fn send(&mut self, destination: String, record: Bytes) {
        let content_type = Some(CONTENT_TYPE.to_owned());
        let message = Message { destination, content_type, reply_to: None, body: record };
        if self.client.send(message).is_err() {
            tracing::warn!("a record is dropped: too much waits for the broker");
        }
    }

    fn message(&mut self, message: Message) {
        self.hub.show(&message.body, || Envelope::Stomp {
            content_type: message.content_type.clone(),
            reply_to: message.reply_to.clone(),
        });
        let way = message.reply_to.filter(|it| topics::is_topic(it)).map(Way::Topic);
        let received = match self.hub.receive(message.body, way) {
            Ok(received) => received,
            Err(error) => return tracing::debug!(%error, "a message is no USP record"),
        };
        let Some(Received { agent, answers }) = received else { return };
        if let Some(Way::Topic(destination)) = self.hub.way(&agent) {
            answers.into_iter().for_each(|answer| self.send(destination.clone(), answer));
        }
    }
}

/// R-STOMP.20.
const CONTENT_TYPE: &str = "application/vnd.bbf.usp.msg";
/// Records that may wait for the task.
const WAITING: usize = 1_024;
/// Records that may wait in the client: answers to notifications mostly.
const MAX_WAITING: usize = 65_536;
/// Records handed to the client ahead of the broker's receipts.
const QUEUE_AHEAD: usize = 64;
const HEART_BEAT_MS: u64 = 30_000;
const CONNECT: Duration = Duration::from_secs(10);
const DAY_MS: u64 = 86_400_000;
