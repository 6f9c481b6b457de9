//! Makes the lines of one capture of what passes, redacted, and knows when it has enough.

use std::collections::BTreeMap;

use super::event::{Event, Http, Way};
use super::line::{EndLine, HttpLine, LegName, Line, Opening, Stored, UspLine, UspName, UspWay, WayName};
use super::policy::Policy;
use super::redactor::Redactor;

/// One capture's.
pub struct Scribe {
    redactor: Redactor,
    /// Sessions after which there is enough, of all devices together; `None` for no such end.
    most: Option<u32>,
    sessions: u32,
    devices: BTreeMap<String, Sessions>,
}

/// One device's sessions.
#[derive(Default)]
struct Sessions {
    count: u32,
    /// The last request on the CPE's leg was an Inform that was not answered yet, or was to be proved: the next one
    /// belongs to the same session.
    informing: bool,
    /// The last session has come to its end.
    closed: bool,
}

/// Why a capture ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By order.
    Stopped,
    Sessions,
    Minutes,
    Bytes,
    /// More passed than could be written: something is missing.
    Truncated,
    /// The gateway stops.
    Gateway,
    /// The file could not be written on.
    Failed,
}

impl Ended {
    /// As the last line names it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Sessions => "sessions",
            Self::Minutes => "minutes",
            Self::Bytes => "bytes",
            Self::Truncated => "truncated",
            Self::Gateway => "gateway",
            Self::Failed => "failed",
        }
    }
}

impl Scribe {
    pub fn new(policy: Policy, most: Option<u32>) -> Self {
        Self { redactor: Redactor::new(policy), most, sessions: 0, devices: BTreeMap::new() }
    }

    /// The first line.
    pub fn opening(&mut self, started: String, gateway: &str, devices: &[String]) -> String {
        let devices = devices.iter().map(|device| self.redactor.endpoint(device)).collect();
        let policy = self.redactor.policy.clone();
        written(&Opening {
            version: super::line::VERSION,
            started,
            gateway: gateway.to_owned(),
            devices,
            policy,
        })
    }

    /// The line of an event, `at` milliseconds after the beginning; `None` where a session begins that is one too
    /// many.
    pub fn line(&mut self, at: u64, event: &Event) -> Option<String> {
        let device = event.device.as_str();
        if let Way::Request { informs: Some(id), .. } = &event.way {
            self.redactor.learn(id);
        }
        let session = self.session(device, &event.way)?;
        let device = self.redactor.endpoint(device);
        let line = match &event.way {
            Way::Request { http, target, .. } => {
                let mut line = self.http(at, device, session, WayName::Request, http);
                line.target = Some(self.redactor.target(target));
                line
            }
            Way::Answer { http, status } => {
                let mut line = self.http(at, device, session, WayName::Answer, http);
                line.status = Some(*status);
                line
            }
            Way::Failed { connection, why } => {
                let failed = Some(self.redactor.text(why));
                HttpLine { failed, ..empty(at, LegName::Acs, WayName::Answer, device, session, *connection) }
            }
            Way::Record { outgoing, mtp, bytes } => {
                let kept = self.redactor.record(bytes);
                return Some(written(&Line::Usp(Box::new(UspLine {
                    at,
                    leg: UspName::Usp,
                    way: if *outgoing { UspWay::Out } else { UspWay::In },
                    device,
                    mtp: (*mtp).to_owned(),
                    record: kept.record,
                    message: kept.message,
                    redacted: kept.redacted,
                }))));
            }
        };
        Some(written(&Line::Http(Box::new(line))))
    }

    /// The last line.
    pub fn ending(&self, at: u64, ended: Ended) -> String {
        written(&Line::End(EndLine { at, end: ended.label().to_owned(), sessions: self.sessions }))
    }

    pub fn sessions(&self) -> u32 {
        self.sessions
    }

    /// Whether as many sessions as were asked for have come to their end. What is sent after it, such as an answer to
    /// a controller, may still be on its way.
    pub fn has_enough(&self) -> bool {
        self.most.is_some_and(|most| self.sessions >= most) && self.devices.values().all(|it| it.closed)
    }

    fn http(&mut self, at: u64, device: String, session: u32, way: WayName, http: &Http) -> HttpLine {
        let kept = self.redactor.body(http);
        let headers = self.redactor.headers(&http.head, kept.length);
        HttpLine {
            message: kept.message,
            headers,
            body: kept.stored,
            redacted: kept.redacted,
            ..empty(at, http.leg, way, device, session, http.connection)
        }
    }

    /// Which session of its device something belongs to. An Inform begins one, unless the one before it was answered
    /// with a challenge.
    fn session(&mut self, device: &str, way: &Way) -> Option<u32> {
        let sessions = match self.devices.get_mut(device) {
            Some(sessions) => sessions,
            None => self.devices.entry(device.to_owned()).or_default(),
        };
        match way {
            Way::Request { http, informs, .. } if http.leg == LegName::Cpe => {
                if informs.is_some() && !sessions.informing {
                    if self.most.is_some_and(|most| self.sessions >= most) {
                        return None;
                    }
                    self.sessions += 1;
                    sessions.count += 1;
                }
                sessions.informing = informs.is_some();
                sessions.closed = false;
            }
            Way::Answer { http, status } if http.leg == LegName::Cpe => {
                sessions.informing &= *status == CHALLENGE;
                sessions.closed = http.body.is_empty() && *status != CHALLENGE;
            }
            _ => {}
        }
        Some(sessions.count)
    }
}

fn empty(at: u64, leg: LegName, way: WayName, device: String, session: u32, connection: u64) -> HttpLine {
    HttpLine {
        at,
        leg,
        way,
        device,
        session,
        connection,
        target: None,
        status: None,
        failed: None,
        message: None,
        headers: Vec::new(),
        body: Stored::Empty,
        redacted: 0,
    }
}

fn written(line: &impl serde::Serialize) -> String {
    // Texts, numbers and maps with texts as keys: nothing of it can fail.
    let mut line = serde_json::to_string(line).unwrap_or_default();
    line.push('\n');
    line
}

const CHALLENGE: u16 = 401;
