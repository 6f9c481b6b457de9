//! Reads a capture for those who play it: what each device said and was answered on a leg, session by session.

use std::collections::HashMap;
use std::io::{BufRead, Read as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use thiserror::Error;

use super::line::{Content, Field, HttpLine, LegName, Line, Opening, Stored, VERSION, WayName};

/// A capture that was read.
#[derive(Debug)]
pub struct Script {
    pub opening: Opening,
    /// In the order in which they began.
    pub sittings: Vec<Sitting>,
    /// How it ended, by its last line.
    pub end: String,
    /// Records of USP, which are not played.
    pub records: usize,
}

/// One session of a device on one leg.
#[derive(Debug, Clone, PartialEq)]
pub struct Sitting {
    pub leg: LegName,
    pub device: String,
    pub session: u32,
    pub exchanges: Vec<Exchange>,
}

/// A request and its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Exchange {
    /// The line of the request.
    pub line: usize,
    pub at: u64,
    pub connection: u64,
    pub target: String,
    pub request: Play,
    /// `None` where there was none, or the capture ended before it.
    pub answer: Option<(u16, Play)>,
    /// When it was answered.
    pub answered: Option<u64>,
}

/// A message that can be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Play {
    /// What it is called, for people.
    pub name: String,
    pub headers: Vec<(String, Bytes)>,
    /// As it goes over the wire; `None` if the capture does not hold it.
    pub body: Option<Bytes>,
    /// In identity coding, and the coding it is to be sent in, where the wire's bytes are not held.
    pub coded: Option<(String, Bytes)>,
}

/// Why a file cannot be played.
#[derive(Debug, Error)]
#[error("line {line}: {why}")]
pub struct ReadError {
    pub line: usize,
    pub why: Why,
}

/// What is wrong with a line.
#[derive(Debug, Error)]
pub enum Why {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("is no capture of dragoman: its first line has no \"dragoman-capture\"")]
    Foreign,
    #[error("is of version {0}, and only {VERSION} is read")]
    Version(u64),
    #[error("is longer than {MAX_LINE} bytes")]
    Long,
    #[error("there are more than {MAX_LINES} lines")]
    Many,
    #[error("the capture is larger than {MAX_TOTAL} bytes")]
    Large,
    #[error("is not understood: {0}")]
    Line(String),
    #[error("base64 is damaged")]
    Base64,
    #[error("an answer without a request on connection {0}")]
    Answer(u64),
    #[error("the capture is cut off here: it has no last line that says how it ended")]
    Cut,
    #[error("something follows the last line")]
    Trailing,
}

/// Where things are while a capture is read.
#[derive(Default)]
struct Places {
    sittings: HashMap<(LegName, String, u32), usize>,
    /// The last request of each device on each connection of a leg, until it is answered.
    waiting: HashMap<(LegName, String, u64), (usize, usize)>,
}

impl Script {
    /// Reads a whole capture.
    ///
    /// # Errors
    /// With the line, if it is none, is of another version, is cut off, or has a line that is too long or is not
    /// understood.
    pub fn read(mut from: impl BufRead) -> Result<Self, ReadError> {
        let mut number = 0;
        let mut next = || -> Result<Option<(usize, Vec<u8>)>, ReadError> {
            number += 1;
            let line = next_line(&mut from).map_err(|why| ReadError { line: number, why })?;
            if number > MAX_LINES {
                return Err(ReadError { line: number, why: Why::Many });
            }
            Ok(line.map(|line| (number, line)))
        };
        let first = next()?.map(|(_, line)| line).unwrap_or_default();
        let opening = opening(&first).map_err(|why| ReadError { line: 1, why })?;
        let mut script = Self { opening, sittings: Vec::new(), end: String::new(), records: 0 };
        let mut places = Places::default();
        let (mut last, mut total) = (1, 0);
        while let Some((line, bytes)) = next()? {
            let at = |why| ReadError { line, why };
            if !script.end.is_empty() {
                return Err(at(Why::Trailing));
            }
            total += bytes.len();
            if total > MAX_TOTAL {
                return Err(at(Why::Large));
            }
            let read = serde_json::from_slice::<Line>(&bytes);
            match read.map_err(|_| at(explained(&bytes)))? {
                Line::Http(http) => script.take(line, *http, &mut places).map_err(at)?,
                Line::Usp(_) => script.records += 1,
                Line::End(end) => script.end = end.end,
            }
            last = line;
        }
        match script.end.is_empty() {
            true => Err(ReadError { line: last + 1, why: Why::Cut }),
            false => Ok(script),
        }
    }

    /// The sessions on a leg.
    pub fn on(&self, leg: LegName) -> impl Iterator<Item = &Sitting> {
        self.sittings.iter().filter(move |sitting| sitting.leg == leg)
    }

    fn take(&mut self, number: usize, line: HttpLine, places: &mut Places) -> Result<(), Why> {
        let (leg, device, session, connection) = (line.leg, line.device, line.session, line.connection);
        let (at, status, target) = (line.at, line.status, line.target);
        let play = play(line.message, line.headers, line.body)?;
        if line.way == WayName::Answer {
            // It may come when the device's next session has begun elsewhere.
            let Some((sitting, exchange)) = places.waiting.remove(&(leg, device, connection)) else {
                return Err(Why::Answer(connection));
            };
            let exchange = &mut self.sittings[sitting].exchanges[exchange];
            exchange.answered = Some(at);
            exchange.answer = status.map(|status| (status, play));
            return Ok(());
        }
        let place = *places.sittings.entry((leg, device.clone(), session)).or_insert_with(|| {
            self.sittings.push(Sitting { leg, device: device.clone(), session, exchanges: Vec::new() });
            self.sittings.len() - 1
        });
        let exchanges = &mut self.sittings[place].exchanges;
        exchanges.push(Exchange {
            line: number,
            at,
            connection,
            target: target.unwrap_or_else(|| "/".to_owned()),
            request: play,
            answer: None,
            answered: None,
        });
        places.waiting.insert((leg, device, connection), (place, exchanges.len() - 1));
        Ok(())
    }
}

fn next_line(from: &mut impl BufRead) -> Result<Option<Vec<u8>>, Why> {
    let mut line = Vec::new();
    from.take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line)?;
    if line.len() > MAX_LINE {
        return Err(Why::Long);
    }
    if line.is_empty() {
        return Ok(None);
    }
    match line.pop() {
        Some(b'\n') => Ok(Some(line)),
        _ => Err(Why::Cut),
    }
}

fn opening(line: &[u8]) -> Result<Opening, Why> {
    let value: serde_json::Value = serde_json::from_slice(line).map_err(|_| Why::Foreign)?;
    let version = value.get("dragoman-capture").and_then(serde_json::Value::as_u64).ok_or(Why::Foreign)?;
    if version != u64::from(VERSION) {
        return Err(Why::Version(version));
    }
    serde_json::from_value(value).map_err(|error| Why::Line(error.to_string()))
}

/// What is wrong with a line: a choice between forms says only that none of them fits.
fn explained(line: &[u8]) -> Why {
    let value: serde_json::Value = match serde_json::from_slice(line) {
        Ok(value) => value,
        Err(error) => return Why::Line(error.to_string()),
    };
    let leg = value.get("leg").and_then(serde_json::Value::as_str).unwrap_or("none");
    let why = match leg {
        "cpe" | "acs" => serde_json::from_value::<HttpLine>(value).err().map(|error| error.to_string()),
        "usp" => serde_json::from_value::<super::line::UspLine>(value).err().map(|error| error.to_string()),
        other => Some(format!("leg \"{}\"", other.chars().take(32).collect::<String>())),
    };
    Why::Line(why.unwrap_or_else(|| "it has no known form".to_owned()))
}

fn play(name: Option<String>, headers: Vec<Field>, body: Stored) -> Result<Play, Why> {
    let decode = |text: &str| STANDARD.decode(text).map(Bytes::from).map_err(|_| Why::Base64);
    let fields = headers.into_iter().map(|field| match field {
        Field::Text(name, value) => Ok((name, Bytes::from(value))),
        Field::Bytes { name, base64 } => Ok((name, decode(&base64)?)),
    });
    let headers = fields.collect::<Result<Vec<_>, Why>>()?;
    let (body, coded) = match body {
        Stored::Empty => (Some(Bytes::new()), None),
        Stored::Text(text) => (Some(text.into()), None),
        Stored::Base64 { base64 } => (Some(decode(&base64)?), None),
        Stored::Coded { coding, content, wire } => {
            let content = match content {
                Content::Text(text) => text.into(),
                Content::Base64(base64) => decode(&base64)?,
            };
            (wire.map(|wire| decode(&wire)).transpose()?, Some((coding, content)))
        }
        Stored::Opaque { .. } => (None, None),
    };
    Ok(Play { name: name.unwrap_or_else(|| "?".to_owned()), headers, body, coded })
}

/// Bytes of a line: a body of the largest that pass, with every character of it escaped once.
pub const MAX_LINE: usize = 48 << 20;
/// Lines of a capture.
const MAX_LINES: usize = 1_000_000;
/// Bytes of a capture: it is kept in memory.
const MAX_TOTAL: usize = 2 << 30;
