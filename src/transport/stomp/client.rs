//! A STOMP client without I/O: connects, subscribes to its one destination, keeps what the server has not
//! confirmed and sends it again, keeps the connection alive and notices when the server is silent.
//!
//! Who drives it opens a connection, calls [`Client::connected`], writes what [`Client::transmit`] gives,
//! hands in what arrives by [`Client::receive`], calls [`Client::tick`] at [`Client::next_deadline`], and calls
//! [`Client::disconnected`] when the connection is lost. Messages survive that.
//!
//! Each SEND asks for a receipt: without it nobody would know what a broken connection took along.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::codec::{Codec, HEART_BEAT};
use super::frame::{Command, Frame};

/// What a client needs to know.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// Whose connection it is (R-STOMP.4).
    pub endpoint_id: String,
    /// `login` and `passcode` (R-STOMP.3).
    pub login: Option<(String, String)>,
    /// The virtual host (R-STOMP.5); without one no `host` is sent.
    pub host: Option<String>,
    /// What to subscribe to unless the server names something else; may be empty (R-STOMP.16).
    pub destination: String,
    /// How often we say something and how often the server should, in milliseconds; 0 is never.
    pub heart_beat: (u64, u64),
    /// Largest body taken, in bytes.
    pub max_body: usize,
    /// Messages that may wait, confirmed or not.
    pub max_waiting: usize,
}

/// The connection is usable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Up {
    /// What was subscribed to.
    pub destination: String,
}

/// A message with the headers that USP knows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    pub destination: String,
    pub content_type: Option<String>,
    /// `reply-to-dest`: where answers go. One of ours that has none gets what was subscribed to (R-STOMP.21).
    pub reply_to: Option<String>,
    pub body: Bytes,
}

/// Something happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Up(Up),
    Message(Message),
    /// The server refuses this message of ours, for that reason; it is gone.
    Rejected(Message, String),
    /// The goodbye is confirmed: nothing of ours is under way any more.
    Closed,
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
    codec: Codec,
    /// Frames that go before any message.
    control: VecDeque<Frame>,
    waiting: VecDeque<Flight>,
    /// Sent and not confirmed, oldest first.
    in_flight: VecDeque<Flight>,
    /// Some message may be what ended a connection: one by one shows which.
    has_suspects: bool,
    next_receipt: u64,
    /// What is subscribed to.
    destination: String,
    /// Whether the server named it.
    named: bool,
    /// Agreed heart-beats in milliseconds, ours and the server's; 0 is none.
    heart_beat: (u64, u64),
    heart_beat_due: bool,
    /// When the current step of the handshake began.
    since: u64,
    last_sent: u64,
    last_heard: u64,
}

/// A message on its way.
#[derive(Debug)]
struct Flight {
    message: Message,
    /// Of the connection that it was last sent on.
    receipt: u64,
    sent_at: u64,
    /// It means something on this connection only.
    passing: bool,
    /// How often the server has ended a connection while this may have been the reason.
    strikes: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Down,
    Connecting,
    Subscribing,
    Up,
    /// The goodbye is said when all else is.
    Leaving,
    /// It is said and not confirmed.
    Left,
}

impl Client {
    pub fn new(config: ClientConfig) -> Self {
        Self {
            codec: Codec::new(config.max_body),
            config,
            state: State::Down,
            control: VecDeque::new(),
            waiting: VecDeque::new(),
            in_flight: VecDeque::new(),
            has_suspects: false,
            next_receipt: 0,
            destination: String::new(),
            named: false,
            heart_beat: (0, 0),
            heart_beat_due: false,
            since: 0,
            last_sent: 0,
            last_heard: 0,
        }
    }

    /// The transport is open: a STOMP frame follows (R-STOMP.2).
    pub fn connected(&mut self, now: u64) {
        let config = &self.config;
        let mut frame = Frame::new(Command::Stomp).with("accept-version", "1.2");
        if let Some(host) = &config.host {
            frame = frame.with("host", host);
        }
        frame = frame.with("endpoint-id", &config.endpoint_id);
        if config.heart_beat != (0, 0) {
            // R-STOMP.10; without any, no header (R-STOMP.9).
            frame = frame.with("heart-beat", &format!("{},{}", config.heart_beat.0, config.heart_beat.1));
        }
        if let Some((login, passcode)) = &config.login {
            frame = frame.with("login", login).with("passcode", passcode);
        }
        self.state = State::Connecting;
        self.codec = Codec::new(config.max_body);
        self.control.clear();
        self.control.push_back(frame);
        (self.heart_beat, self.heart_beat_due) = ((0, 0), false);
        (self.since, self.last_sent, self.last_heard) = (now, now, now);
    }

    /// The transport is gone. What was not confirmed goes first the next time.
    pub fn disconnected(&mut self) {
        self.state = State::Down;
        self.control.clear();
        for flight in self.in_flight.drain(..).rev() {
            self.waiting.push_front(flight);
        }
        self.waiting.retain(|flight| !flight.passing);
        self.look_for_suspects();
    }

    fn look_for_suspects(&mut self) {
        if self.has_suspects {
            self.has_suspects = self.waiting.iter().chain(&self.in_flight).any(|flight| flight.strikes > 0);
        }
    }

    /// Queues a message.
    pub fn send(&mut self, message: Message) -> Result<(), Refused> {
        if self.pending() >= self.config.max_waiting {
            return Err(Refused);
        }
        self.waiting.push_back(Flight::new(message, false));
        Ok(())
    }

    /// Sends messages before all that wait, and only on this connection: the greeting (R-MTP.6).
    pub fn greet(&mut self, messages: Vec<Message>) {
        for message in messages.into_iter().rev() {
            self.waiting.push_front(Flight::new(message, true));
        }
    }

    /// Says goodbye in order (R-STOMP.28): after all messages, and [`Event::Closed`] when the server has taken
    /// them. Before the connection is up there is nothing to say.
    pub fn goodbye(&mut self) {
        if self.state == State::Up {
            self.state = State::Leaving;
        }
    }

    pub fn is_up(&self) -> bool {
        self.state == State::Up
    }

    /// Messages that are not confirmed yet.
    pub fn pending(&self) -> usize {
        self.waiting.len() + self.in_flight.len()
    }

    /// Appends what is to be written, until about `room` bytes are there.
    pub fn transmit(&mut self, now: u64, room: usize, into: &mut BytesMut) {
        let full = into.len() + room;
        while into.len() < full {
            let next =
                self.control.pop_front().or_else(|| self.next_message(now)).or_else(|| self.last_frame());
            match next {
                Some(frame) => Codec::encode(&frame, into),
                None if self.heart_beat_due => into.extend_from_slice(HEART_BEAT),
                None => return,
            }
            self.heart_beat_due = false;
            self.last_sent = now;
        }
    }

    fn next_message(&mut self, now: u64) -> Option<Frame> {
        if !matches!(self.state, State::Up | State::Leaving) {
            return None;
        }
        let window = if self.has_suspects { 1 } else { WINDOW };
        if self.in_flight.len() >= window {
            return None;
        }
        let mut flight = self.waiting.pop_front()?;
        self.next_receipt += 1;
        (flight.receipt, flight.sent_at) = (self.next_receipt, now);
        let frame = self.framed(&flight);
        self.in_flight.push_back(flight);
        Some(frame)
    }

    /// R-STOMP.18 to R-STOMP.22.
    fn framed(&self, flight: &Flight) -> Frame {
        let message = &flight.message;
        let mut frame = Frame::new(Command::Send).with("destination", &message.destination);
        if let Some(content_type) = &message.content_type {
            frame = frame.with("content-type", content_type);
        }
        frame = frame
            .with("reply-to-dest", message.reply_to.as_deref().unwrap_or(&self.destination))
            .with("receipt", &flight.receipt.to_string());
        frame.body = message.body.clone();
        frame
    }

    fn last_frame(&mut self) -> Option<Frame> {
        if self.state != State::Leaving || !self.waiting.is_empty() {
            return None;
        }
        self.state = State::Left;
        Some(Frame::new(Command::Disconnect).with("receipt", GOODBYE))
    }

    /// Takes in what arrived: whole frames leave the buffer.
    pub fn receive(&mut self, now: u64, from: &mut BytesMut, out: &mut Vec<Event>) {
        self.last_heard = now;
        loop {
            match self.codec.decode(from) {
                Ok(Some(frame)) => self.handle(frame, out),
                Ok(None) => return,
                Err(error) => {
                    return out.push(Event::Close(format!("the broker sent what is no STOMP: {error}")));
                }
            }
        }
    }

    fn handle(&mut self, frame: Frame, out: &mut Vec<Event>) {
        match (self.state, frame.command) {
            (_, Command::Error) => self.failed(&frame, out),
            (State::Connecting, Command::Connected) => self.accepted(&frame, out),
            (State::Subscribing, Command::Receipt) if frame.header("receipt-id") == Some(SUBSCRIBED) => {
                self.state = State::Up;
                out.push(Event::Up(Up { destination: self.destination.clone() }));
            }
            (State::Left, Command::Receipt) if frame.header("receipt-id") == Some(GOODBYE) => {
                // It confirms all that was sent before.
                self.in_flight.clear();
                out.push(Event::Closed);
            }
            (state, Command::Receipt) if state != State::Connecting => {
                self.confirmed(&frame);
            }
            // The subscription stands before its receipt says so.
            (state, Command::Message) if state != State::Connecting => {
                let header = |name: &str| frame.header(name).map(str::to_owned);
                out.push(Event::Message(Message {
                    destination: header("destination").unwrap_or_default(),
                    content_type: header("content-type"),
                    reply_to: header("reply-to-dest").filter(|it| !it.is_empty()),
                    body: frame.body,
                }));
            }
            (_, command) => {
                let name = command.name();
                out.push(Event::Close(format!("the broker broke the protocol with {name}")));
            }
        }
    }

    fn accepted(&mut self, frame: &Frame, out: &mut Vec<Event>) {
        if frame.header("version") != Some("1.2") {
            return out.push(Event::Close("the broker does not speak STOMP 1.2".into()));
        }
        let theirs = frame.header("heart-beat").map_or(Some((0, 0)), parse_heart_beat);
        let Some((theirs, wanted)) = theirs else {
            return out.push(Event::Close("the broker's heart-beat cannot be read".into()));
        };
        let (ours, expected) = self.config.heart_beat;
        self.heart_beat = (agreed(ours, wanted), agreed(expected, theirs));
        // R-STOMP.6, R-STOMP.14 and R-STOMP.15.
        let named = frame.header("subscribe-dest").filter(|it| !it.is_empty());
        self.named = named.is_some();
        let destination = named.unwrap_or(&self.config.destination).to_owned();
        if destination.is_empty() {
            // R-STOMP.16: there is nowhere to hear from.
            self.control.push_back(Frame::new(Command::Disconnect));
            return out.push(Event::Close("there is no destination to subscribe to".into()));
        }
        self.subscribe(destination);
        self.since = self.last_heard;
        self.state = State::Subscribing;
    }

    fn subscribe(&mut self, destination: String) {
        let frame = Frame::new(Command::Subscribe)
            .with("id", SUBSCRIPTION)
            .with("destination", &destination)
            // R-STOMP.17.
            .with("ack", "auto")
            .with("receipt", SUBSCRIBED);
        self.control.push_back(frame);
        self.destination = destination;
    }

    /// Works with another configuration from now on: with another destination at once, unless the server named
    /// the one in use; with all else at the next connection. Whether the destination changed.
    pub fn adapt(&mut self, config: ClientConfig) -> bool {
        self.config = config;
        let wanted = self.config.destination.clone();
        let moves =
            self.state == State::Up && !self.named && !wanted.is_empty() && wanted != self.destination;
        if moves {
            self.control.push_back(Frame::new(Command::Unsubscribe).with("id", SUBSCRIPTION));
            self.subscribe(wanted);
        }
        moves
    }

    /// What is subscribed to.
    pub fn destination(&self) -> &str {
        &self.destination
    }

    /// Whether the server named it.
    pub fn is_named(&self) -> bool {
        self.named
    }

    fn confirmed(&mut self, frame: &Frame) -> Option<Message> {
        let receipt: u64 = frame.header("receipt-id")?.parse().ok()?;
        let at = self.in_flight.iter().position(|flight| flight.receipt == receipt)?;
        let flight = self.in_flight.remove(at)?;
        self.look_for_suspects();
        Some(flight.message)
    }

    /// R-STOMP.25: the connection is over. A message that is to blame must not end the next one too.
    fn failed(&mut self, frame: &Frame, out: &mut Vec<Event>) {
        let said = frame.header("message").unwrap_or("without a reason");
        let reason: String = said.chars().take(MAX_REASON).collect();
        self.has_suspects = true;
        if let Some(message) = self.confirmed(frame) {
            out.push(Event::Rejected(message, reason.clone()));
        } else if let [only] = self.in_flight.make_contiguous() {
            only.strikes += 1;
            if only.strikes >= MAX_STRIKES
                && let Some(only) = self.in_flight.pop_front()
            {
                out.push(Event::Rejected(only.message, reason.clone()));
            }
        } else {
            self.in_flight.iter_mut().for_each(|flight| flight.strikes = flight.strikes.max(1));
        }
        out.push(Event::Close(format!("the broker reports an error: {reason}")));
    }

    /// When [`Client::tick`] is next needed.
    pub fn next_deadline(&self) -> Option<u64> {
        if self.state == State::Down {
            return None;
        }
        let deadlines = [self.handshake_at(), self.beat_at(), self.silent_at(), self.overdue_at()];
        deadlines.into_iter().flatten().min()
    }

    fn handshake_at(&self) -> Option<u64> {
        let shakes = matches!(self.state, State::Connecting | State::Subscribing);
        shakes.then(|| self.since + HANDSHAKE_MS)
    }

    /// A little early: what is due each n milliseconds must not be late.
    fn beat_at(&self) -> Option<u64> {
        let period = self.heart_beat.0;
        (period > 0).then(|| self.last_sent + period - period / EARLY)
    }

    /// Twice the period: the standard wants room for what is late on its way.
    fn silent_at(&self) -> Option<u64> {
        let period = self.heart_beat.1;
        (period > 0).then(|| self.last_heard + period * 2)
    }

    /// A server that says nothing while it owes a receipt is gone, heart-beats or not.
    fn overdue_at(&self) -> Option<u64> {
        let oldest = self.in_flight.front()?;
        Some(self.last_heard.max(oldest.sent_at) + RECEIPT_MS)
    }

    /// Time has passed.
    pub fn tick(&mut self, now: u64, out: &mut Vec<Event>) {
        let due = |at: Option<u64>| at.is_some_and(|at| at <= now);
        if self.state == State::Down {
            return;
        }
        if due(self.handshake_at()) {
            out.push(Event::Close("the broker does not answer".into()));
        } else if due(self.silent_at()) || due(self.overdue_at()) {
            out.push(Event::Close("the broker is silent".into()));
        } else if due(self.beat_at()) {
            self.heart_beat_due = true;
        }
    }
}

impl Flight {
    fn new(message: Message, passing: bool) -> Self {
        Self { message, receipt: 0, sent_at: 0, passing, strikes: 0 }
    }
}

/// What both sides can bear: the slower of the two, or nothing.
fn agreed(sender: u64, receiver: u64) -> u64 {
    if sender == 0 || receiver == 0 { 0 } else { sender.max(receiver).min(MAX_PERIOD_MS) }
}

fn parse_heart_beat(text: &str) -> Option<(u64, u64)> {
    let (sends, wants) = text.split_once(',')?;
    Some((sends.trim().parse().ok()?, wants.trim().parse().ok()?))
}

/// The id of the one subscription.
const SUBSCRIPTION: &str = "0";
/// The receipt of the subscription; those of messages are numbers.
const SUBSCRIBED: &str = "subscribed";
/// The receipt of the goodbye.
const GOODBYE: &str = "goodbye";
/// Messages in flight at once.
const WINDOW: usize = 32;
/// Connections that one message may cost.
const MAX_STRIKES: u32 = 3;
/// Characters kept of what the server says about an error.
const MAX_REASON: usize = 200;
/// Time for CONNECTED, and again for the subscription's receipt.
const HANDSHAKE_MS: u64 = 10_000;
/// How long the server may be silent while it owes a receipt.
const RECEIPT_MS: u64 = 30_000;
/// A heart-beat is early by its period's part.
const EARLY: u64 = 20;
/// Longest period that is believed: a month.
const MAX_PERIOD_MS: u64 = 2_592_000_000;
