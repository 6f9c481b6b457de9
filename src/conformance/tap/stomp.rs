//! STOMP 1.2 at the tap.

use bytes::{Buf as _, Bytes, BytesMut};

use crate::conformance::check::Stop;
use crate::conformance::session::Session;
use crate::transport::stomp::{Codec, Command, Frame, HEART_BEAT};
use crate::usp::record::MAX_RECORD;

use super::line::Dialect;
use super::way::Way;

/// What is said over STOMP.
#[derive(Debug)]
pub struct Stomp {
    codec: Codec,
    /// The next byte begins a frame or is a heart-beat.
    between: bool,
    /// The agent's name for its last subscription.
    subscription: String,
    next_id: u64,
}

/// A frame, or the sign of life between frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unit {
    Frame(Frame),
    HeartBeat,
}

/// How the agent's connection is to be.
#[derive(Debug, Default)]
pub struct StompPlan<'p> {
    pub secure: bool,
    /// No destination is configured.
    pub bare: bool,
    /// More parameters of the connection's row.
    pub more: &'p [(&'p str, &'p str)],
}

impl Default for Stomp {
    fn default() -> Self {
        Self { codec: Codec::new(MAX_RECORD), between: true, subscription: String::new(), next_id: 0 }
    }
}

impl Stomp {
    /// What the agent's last frame said in `content-length`.
    pub fn last_length(&self) -> Option<usize> {
        self.codec.last_length()
    }
}

impl Unit {
    /// The frame, if it is one of this command.
    pub fn frame(&self, command: Command) -> Option<&Frame> {
        match self {
            Self::Frame(frame) if frame.command == command => Some(frame),
            _ => None,
        }
    }
}

impl Dialect for Stomp {
    type Unit = Unit;

    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Unit>, String> {
        if self.between {
            match buffer[..] {
                [] | [b'\r'] => return Ok(None),
                [b'\n', ..] => {
                    buffer.advance(1);
                    return Ok(Some(Unit::HeartBeat));
                }
                [b'\r', b'\n', ..] => {
                    buffer.advance(2);
                    return Ok(Some(Unit::HeartBeat));
                }
                _ => {}
            }
        }
        let frame = self.codec.decode(buffer).map_err(|error| error.to_string())?;
        self.between = frame.is_some();
        let subscribe = frame.as_ref().filter(|frame| frame.command == Command::Subscribe);
        if let Some(id) = subscribe.and_then(|frame| frame.header("id")) {
            id.clone_into(&mut self.subscription);
        }
        Ok(frame.map(Unit::Frame))
    }

    fn encode(&mut self, unit: Unit, buffer: &mut BytesMut) -> Result<(), String> {
        match unit {
            Unit::Frame(frame) => Codec::encode(&frame, buffer),
            Unit::HeartBeat => buffer.extend_from_slice(HEART_BEAT),
        }
        Ok(())
    }

    fn answer(&self, unit: &Unit) -> Option<Unit> {
        let Unit::Frame(frame) = unit else { return None };
        let id = frame.header("receipt")?;
        Some(Unit::Frame(Frame::new(Command::Receipt).with("receipt-id", id)))
    }

    fn user(first: &Unit) -> Option<&str> {
        let Unit::Frame(frame) = first else { return None };
        frame.header("login")
    }

    fn carried(unit: &Unit) -> Option<(Bytes, Option<String>)> {
        let frame = unit.frame(Command::Send)?;
        Some((frame.body.clone(), frame.header("reply-to-dest").map(str::to_owned)))
    }

    fn delivery(&mut self, at: &str, reply_to: &str, record: Bytes) -> Unit {
        self.next_id += 1;
        let mut frame = Frame::new(Command::Message)
            .with("destination", at)
            .with("message-id", &self.next_id.to_string())
            .with("subscription", &self.subscription)
            .with("content-type", "application/vnd.bbf.usp.msg")
            .with("reply-to-dest", reply_to);
        frame.body = record;
        Unit::Frame(frame)
    }

    fn bare(unit: &Unit) -> Unit {
        match unit {
            Unit::Frame(frame) => {
                let (command, headers) = (frame.command, frame.headers.clone());
                Unit::Frame(Frame { command, headers, body: Bytes::new() })
            }
            Unit::HeartBeat => Unit::HeartBeat,
        }
    }
}

impl Way<Stomp> {
    /// Adds the rows of a way over STOMP. The agent comes when it is told to begin.
    pub async fn over_stomp(session: &mut Session, plan: StompPlan<'_>) -> Result<Self, Stop> {
        let mut way = Self::to_tap(session, plan.secure, ".").await?;
        way.places = (format!("/queue/{}", way.places.0), format!("/queue/{}", way.places.1));
        let (host, port) = (way.door.address.ip().to_string(), way.door.address.port().to_string());
        let (user, password) = way.login.clone();
        let mut settings = vec![
            ("Enable", "false"),
            ("Host", host.as_str()),
            ("Port", &port),
            ("EnableEncryption", if plan.secure { "true" } else { "false" }),
            ("VirtualHost", "/"),
            ("Username", &user),
            ("Password", &password),
            ("ServerRetryInitialInterval", "2"),
        ];
        settings.extend_from_slice(plan.more);
        way.add_link(session, "Device.STOMP.Connection.", &settings).await?;
        let link = way.link.trim_end_matches('.').to_owned();
        let (agent, controller) = way.places.clone();
        let ours = [("Reference", link.as_str()), ("Destination", if plan.bare { "" } else { &agent })];
        way.add_meeting(session, "STOMP", &ours, &[("Destination", &controller), ("Reference", &link)])
            .await?;
        Ok(way)
    }
}
