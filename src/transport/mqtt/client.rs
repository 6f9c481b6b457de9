//! An MQTT client without I/O: connects, subscribes, keeps what is not acknowledged and sends it again,
//! keeps the connection alive and notices when the server is silent.
//!
//! Who drives it opens a connection, calls [`Client::connected`], writes what [`Client::transmit`] gives,
//! hands in what arrives, calls [`Client::tick`] at [`Client::next_deadline`], and calls
//! [`Client::disconnected`] when the connection is lost. Messages survive that.

use std::collections::VecDeque;

use super::outgoing::{Ended, Limits, Outgoing, Undelivered};
use super::packet::{ConnAck, Connect, Packet, Publish, Version};

/// What a client needs to know.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    pub version: Version,
    pub client_id: String,
    pub login: Option<(String, String)>,
    /// In seconds; 0 is none.
    pub keep_alive: u16,
    /// How long the server keeps the session while the client is away, in seconds.
    pub session_expiry: u32,
    /// Whether the server shall forget what it has of an earlier session.
    pub clean: bool,
    /// Topic filters to subscribe to and their QoS, besides those that the server names in `subscribe-topic`.
    pub filters: Vec<(String, u8)>,
    /// Where answers shall go: subscribed to as well, unless the server says otherwise (R-MQTT.15).
    pub reply_topic: Option<String>,
    pub user_properties: Vec<(String, String)>,
    /// Largest packet taken.
    pub max_packet: u32,
    /// Messages that may wait, acknowledged or not.
    pub max_waiting: usize,
    /// Whether a connection without a subscription is of no use (R-MQTT.16, R-MQTT.17).
    pub must_subscribe: bool,
}

/// The connection is usable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Up {
    /// Where the server wants answers to go (R-MQTT.21).
    pub response_information: Option<String>,
    /// Topic filters that were granted.
    pub subscribed: Vec<String>,
    /// Largest packet the server takes.
    pub max_packet: Option<u32>,
    /// The client id that the server gave (R-MQTT.9).
    pub assigned_client_id: Option<String>,
}

/// Something happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Up(Up),
    /// The topic filters that are granted have changed; all of them.
    Subscribed(Vec<String>),
    /// A message arrived; its acknowledgement goes out with the next packets.
    Message(Publish),
    /// The server refuses a message of ours, for this reason; it is gone.
    Rejected(String),
    /// The connection must be closed: the server refused it, broke the protocol, or fell silent.
    Close(String),
}

/// A message found no place: too many wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused;

/// The client.
#[derive(Debug)]
pub struct Client {
    config: ClientConfig,
    state: State,
    /// Control packets that go before any message.
    control: VecDeque<Packet>,
    outgoing: Outgoing,
    limits: Limits,
    /// Topics that the server named in `subscribe-topic`.
    named: Vec<String>,
    /// What has been asked for, and what of it is granted.
    asked: Vec<String>,
    granted: Vec<String>,
    /// SUBSCRIBEs that are not answered.
    pending_filters: Vec<(u16, Vec<String>)>,
    assigned_client_id: Option<String>,
    response_information: Option<String>,
    server_max_packet: Option<u32>,
    keep_alive_ms: u64,
    last_sent: u64,
    last_heard: u64,
    ping_sent: Option<u64>,
    /// The UNSUBSCRIBE of all topics that is not answered.
    unsubscribing: Option<u16>,
    leaving: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Down,
    Connecting,
    Subscribing,
    Up,
}

impl Client {
    pub fn new(config: ClientConfig) -> Self {
        Self {
            config,
            state: State::Down,
            control: VecDeque::new(),
            outgoing: Outgoing::default(),
            limits: Limits { window: WINDOW, max_qos: 2, retain: true },
            named: Vec::new(),
            asked: Vec::new(),
            granted: Vec::new(),
            pending_filters: Vec::new(),
            assigned_client_id: None,
            response_information: None,
            server_max_packet: None,
            keep_alive_ms: 0,
            last_sent: 0,
            last_heard: 0,
            ping_sent: None,
            unsubscribing: None,
            leaving: false,
        }
    }

    /// The transport is open: CONNECT follows.
    pub fn connected(&mut self, now: u64) {
        let config = &self.config;
        self.state = State::Connecting;
        self.leaving = false;
        self.control.clear();
        self.keep_alive_ms = u64::from(config.keep_alive) * 1_000;
        (self.last_sent, self.last_heard, self.ping_sent) = (now, now, None);
        self.control.push_back(Packet::Connect(Connect {
            client_id: config.client_id.clone(),
            keep_alive: config.keep_alive,
            clean_start: config.clean,
            session_expiry: Some(config.session_expiry),
            login: config.login.clone(),
            user_properties: config.user_properties.clone(),
            max_packet_size: Some(config.max_packet),
            request_response_information: true,
        }));
    }

    /// The transport is gone. What was not acknowledged goes first the next time.
    pub fn disconnected(&mut self) {
        self.state = State::Down;
        self.unsubscribing = None;
        self.control.clear();
        self.outgoing.disconnected();
    }

    /// Queues a message.
    pub fn publish(&mut self, publish: Publish) -> Result<(), Refused> {
        self.has_room()?;
        self.outgoing.push(publish, None);
        Ok(())
    }

    /// Queues a message whose end [`Client::take_ended`] tells under this number. While it is not sent it does
    /// not outlive the connection.
    pub fn publish_with(&mut self, publish: Publish, ticket: u64) -> Result<(), Refused> {
        self.has_room()?;
        self.outgoing.push(publish, Some(ticket));
        Ok(())
    }

    /// Queues a message ahead of all that wait: who greets does so before it says anything else.
    pub fn publish_first(&mut self, publish: Publish) -> Result<(), Refused> {
        self.has_room()?;
        self.outgoing.push_first(publish);
        Ok(())
    }

    fn has_room(&self) -> Result<(), Refused> {
        if self.outgoing.len() < self.config.max_waiting { Ok(()) } else { Err(Refused) }
    }

    /// The messages that have come to their end since this was last asked.
    pub fn take_ended(&mut self) -> Vec<Ended> {
        self.outgoing.take_ended()
    }

    /// The message that [`Client::transmit`] gave last could not be written: the server takes none so large.
    pub fn unsent(&mut self, why: String) {
        self.outgoing.unsent(why);
    }

    /// Says goodbye in order (R-MQTT.35): after all messages that there is room for, since the server reads
    /// nothing that comes later. What is in flight stays unacknowledged.
    pub fn goodbye(&mut self) {
        self.leaving = true;
    }

    pub fn is_up(&self) -> bool {
        self.state == State::Up
    }

    /// Messages that are not acknowledged yet.
    pub fn pending(&self) -> usize {
        self.outgoing.len()
    }

    /// The next packet to write.
    pub fn transmit(&mut self, now: u64) -> Option<Packet> {
        let packet =
            self.control.pop_front().or_else(|| self.next_message()).or_else(|| self.last_packet())?;
        self.last_sent = now;
        Some(packet)
    }

    fn last_packet(&mut self) -> Option<Packet> {
        if !std::mem::take(&mut self.leaving) {
            return None;
        }
        self.state = State::Down;
        Some(Packet::Disconnect { reason: None })
    }

    fn next_message(&mut self) -> Option<Packet> {
        if self.state == State::Up { self.outgoing.next(self.limits) } else { None }
    }

    /// Takes in a packet of the server's.
    pub fn handle(&mut self, now: u64, packet: Packet, out: &mut Vec<Event>) {
        self.last_heard = now;
        match (self.state, packet) {
            (State::Connecting, Packet::ConnAck(ack)) => self.accepted(ack, out),
            (State::Subscribing | State::Up, Packet::SubAck { id, granted }) => {
                self.subscribed(id, &granted, out);
            }
            (_, Packet::Publish(publish)) if self.state != State::Connecting => self.message(publish, out),
            (_, Packet::PubRec { id, refused: None }) => {
                self.outgoing.received(id);
                self.control.push_back(Packet::PubRel { id });
            }
            (_, Packet::PubAck { id, refused } | Packet::PubRec { id, refused }) => {
                if let Some(reason) = refused.clone() {
                    // The server will not take it now nor later: repeating it would only block the rest.
                    out.push(Event::Rejected(reason));
                }
                self.outgoing.acknowledged(id, refused.map_or(Ok(()), |why| Err(Undelivered::Refused(why))));
            }
            (_, Packet::PubComp { id }) => self.outgoing.acknowledged(id, Ok(())),
            (_, Packet::PubRel { id }) => self.control.push_back(Packet::PubComp { id }),
            (_, Packet::PingResp) => self.ping_sent = None,
            (_, Packet::UnsubAck { id, .. }) => {
                self.unsubscribing.take_if(|it| *it == id);
            }
            (_, Packet::SubAck { .. }) => {}
            (_, Packet::Disconnect { reason }) => {
                let reason = reason.unwrap_or_else(|| "without a reason".into());
                out.push(Event::Close(format!("the broker disconnected: {reason}")));
            }
            (_, packet) => {
                out.push(Event::Close(format!("the broker broke the protocol with {packet:?}")));
            }
        }
    }

    fn accepted(&mut self, ack: ConnAck, out: &mut Vec<Event>) {
        if let Some(reason) = ack.refused {
            return out.push(Event::Close(format!("the broker refused the connection: {reason}")));
        }
        if let Some(assigned) = ack.assigned_client_id {
            // R-MQTT.9: it is ours from now on.
            self.config.client_id.clone_from(&assigned);
            self.assigned_client_id = Some(assigned);
        }
        if let Some(seconds) = ack.server_keep_alive {
            self.keep_alive_ms = u64::from(seconds) * 1_000;
        }
        self.limits = Limits {
            window: usize::from(ack.receive_maximum.unwrap_or(u16::MAX)).min(WINDOW),
            max_qos: ack.max_qos.unwrap_or(2),
            retain: ack.retain_available.unwrap_or(true),
        };
        self.response_information = ack.response_information;
        self.server_max_packet = ack.max_packet_size;
        let named = ack.user_properties.into_iter().filter(|(name, _)| name == "subscribe-topic");
        self.named = named.map(|(_, topic)| topic).take(MAX_FILTERS).collect();
        self.outgoing.connected(ack.session_present);
        (self.asked, self.granted) = (Vec::new(), Vec::new());
        self.pending_filters.clear();
        let nothing =
            self.named.is_empty() && self.response_information.is_none() && self.config.filters.is_empty();
        if nothing && !self.config.must_subscribe {
            return self.up(out);
        }
        if nothing {
            // R-MQTT.16: without a subscription nothing could ever be answered.
            return self.give_up("there is no topic to subscribe to", out);
        }
        self.state = State::Subscribing;
        self.subscribe();
    }

    /// R-MQTT.15: topics that the server names, then those configured.
    fn wanted(&self) -> Vec<(String, u8)> {
        let mut wanted: Vec<(String, u8)> = self.named.iter().map(|topic| (topic.clone(), 1)).collect();
        wanted.extend(self.config.filters.iter().cloned());
        let reply = self.response_information.as_ref().or(self.config.reply_topic.as_ref());
        if let Some(reply) = reply.filter(|reply| !wanted.iter().any(|(filter, _)| covers(filter, reply))) {
            wanted.push((reply.clone(), 1));
        }
        let mut seen = Vec::new();
        wanted.retain(|(filter, _)| {
            let new = !seen.contains(filter);
            seen.push(filter.clone());
            new
        });
        wanted
    }

    /// Asks for what is wanted and has not been asked for, and for no more of what is not wanted (R-MQTT.34).
    fn subscribe(&mut self) {
        let wanted = self.wanted();
        let is_wanted = |filter: &String| wanted.iter().any(|(wanted, _)| wanted == filter);
        let gone: Vec<String> = self.asked.iter().filter(|filter| !is_wanted(filter)).cloned().collect();
        let fresh: Vec<(String, u8)> =
            wanted.iter().filter(|(filter, _)| !self.asked.contains(filter)).cloned().collect();
        self.granted.retain(|filter| !gone.contains(filter));
        self.asked = wanted.into_iter().map(|(filter, _)| filter).collect();
        if !gone.is_empty() {
            let id = self.outgoing.fresh_id();
            self.control.push_back(Packet::Unsubscribe { id, filters: gone });
        }
        if !fresh.is_empty() {
            let id = self.outgoing.fresh_id();
            self.pending_filters.push((id, fresh.iter().map(|(filter, _)| filter.clone()).collect()));
            self.control.push_back(Packet::Subscribe { id, filters: fresh });
        }
    }

    /// Works with another configuration from now on: topics at once, all else at the next connection.
    pub fn adapt(&mut self, config: ClientConfig, out: &mut Vec<Event>) {
        self.config = config;
        if matches!(self.state, State::Subscribing | State::Up) {
            let before = self.granted.len();
            self.subscribe();
            if self.state == State::Up && self.granted.len() != before {
                out.push(Event::Subscribed(self.granted.clone()));
            }
        }
    }

    /// Takes back all subscriptions, on a connection that is to end for good.
    pub fn unsubscribe(&mut self) {
        let filters = std::mem::take(&mut self.asked);
        if self.state == State::Up && !filters.is_empty() {
            let id = self.outgoing.fresh_id();
            self.unsubscribing = Some(id);
            self.control.push_back(Packet::Unsubscribe { id, filters });
        }
    }

    /// Whether the server has not said yet that all subscriptions are taken back: until then messages may be on
    /// their way.
    pub fn is_unsubscribing(&self) -> bool {
        self.unsubscribing.is_some()
    }

    /// The client id that is used for the next connection.
    pub fn client_id(&self) -> &str {
        &self.config.client_id
    }

    /// Ends a session that leads nowhere in order.
    fn give_up(&mut self, why: &str, out: &mut Vec<Event>) {
        self.state = State::Down;
        self.control.clear();
        self.control.push_back(Packet::Disconnect { reason: None });
        out.push(Event::Close(why.into()));
    }

    fn subscribed(&mut self, id: u16, granted: &[Option<u8>], out: &mut Vec<Event>) {
        let Some(at) = self.pending_filters.iter().position(|(pending, _)| *pending == id) else { return };
        let (_, filters) = self.pending_filters.remove(at);
        let fresh = filters.into_iter().zip(granted).filter(|(_, granted)| granted.is_some());
        let fresh = fresh.map(|(filter, _)| filter).filter(|filter| self.asked.contains(filter));
        self.granted.extend(fresh);
        if self.state == State::Up {
            return out.push(Event::Subscribed(self.granted.clone()));
        }
        if self.granted.is_empty() && self.config.must_subscribe {
            // R-MQTT.17.
            return self.give_up("the broker granted no subscription", out);
        }
        self.up(out);
    }

    fn up(&mut self, out: &mut Vec<Event>) {
        self.state = State::Up;
        out.push(Event::Up(Up {
            response_information: self.response_information.clone(),
            subscribed: self.granted.clone(),
            max_packet: self.server_max_packet,
            assigned_client_id: self.assigned_client_id.take(),
        }));
    }

    fn message(&mut self, publish: Publish, out: &mut Vec<Event>) {
        match publish.qos {
            0 => {}
            1 => self.control.push_back(Packet::PubAck { id: publish.packet_id, refused: None }),
            // We subscribe with QoS 1 at most, so this is a server's error that we can bear.
            _ => self.control.push_back(Packet::PubRec { id: publish.packet_id, refused: None }),
        }
        out.push(Event::Message(publish));
    }

    /// When [`Client::tick`] is next needed.
    pub fn next_deadline(&self) -> Option<u64> {
        match self.state {
            State::Down => None,
            State::Connecting | State::Subscribing => Some(self.last_heard + HANDSHAKE_MS),
            State::Up if self.keep_alive_ms == 0 => None,
            State::Up => {
                let ping = self.last_sent + self.keep_alive_ms / 2;
                Some(self.ping_sent.map_or(ping, |sent| sent + self.keep_alive_ms / 2))
            }
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: u64, out: &mut Vec<Event>) {
        if self.next_deadline().is_none_or(|deadline| deadline > now) {
            return;
        }
        match self.state {
            State::Up if self.ping_sent.is_none() => {
                self.control.push_back(Packet::PingReq);
                self.ping_sent = Some(now);
            }
            _ => out.push(Event::Close("the broker does not answer".into())),
        }
    }
}

/// Whether a topic filter takes in a topic (MQTT 5.0, 4.7), or is the same filter.
fn covers(filter: &str, topic: &str) -> bool {
    let mut levels = topic.split('/');
    for wanted in filter.split('/') {
        match (wanted, levels.next()) {
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (wanted, Some(level)) if wanted == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

/// Messages in flight at once; a server may ask for fewer.
const WINDOW: usize = 32;
/// Topics taken from a server.
const MAX_FILTERS: usize = 16;
/// Time for CONNACK, and again for SUBACK.
const HANDSHAKE_MS: u64 = 10_000;

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
