//! One CPE without I/O and without a clock: it answers RPCs, and says why and when it would call its ACS.
//!
//! A session is `open` (which gives the Inform), `informed`, any number of `handle`, `next_request` and
//! `answered`, then `close`, which gives what the device does next and after how long. That comes back
//! through `due`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use compact_str::CompactString;

use crate::cwmp::rpc::{
    Array, FactoryResetResponse, Fault, GetRPCMethodsResponse, RebootResponse, Request, Response,
    ScheduleInform, ScheduleInformResponse,
};
use crate::datamodel::{ValueType, WallTime};
use crate::identity::DeviceId;

use super::attributes::Attributes;
use super::data::Data;
use super::diagnostics;
use super::model::Model;
use super::quirks::Quirks;
use super::transfers::Transfer;

/// What the CPEs of a fleet have in common.
#[derive(Debug)]
pub(super) struct Settings {
    pub model: Arc<Model>,
    pub acs_url: String,
    /// Connection requests go to this and the serial number.
    pub connection_request_base: String,
    /// What connection requests are asked for; an ACS may set others.
    pub credentials: Option<(String, String)>,
    pub quirks: Quirks,
}

/// An event that waits for its Inform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    pub code: &'static str,
    pub command_key: String,
}

/// Something that a device does some time after a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Due {
    /// It is up again; the key is that of the Reboot, if one was the reason.
    Boot { command_key: Option<String> },
    /// It is up again with the settings of the factory.
    FactoryReset,
    /// A file was transferred.
    Transferred(Transfer),
    /// Diagnostics under this object have results.
    Diagnosed(String),
    /// The time of a ScheduleInform has come.
    ScheduledInform { command_key: String },
}

/// One simulated device.
#[derive(Debug)]
pub(super) struct Cpe {
    pub(super) settings: Arc<Settings>,
    pub(super) id: DeviceId,
    pub(super) data: Data,
    pub(super) attributes: BTreeMap<CompactString, Attributes>,
    pub(super) booted_at: WallTime,
    /// Events for the next Inform.
    pub(super) events: Vec<Event>,
    /// Events of the Inform that is not acknowledged yet.
    pub(super) sent_events: Vec<Event>,
    /// Changed parameters for the next Inform, and those of the Inform that is not acknowledged yet.
    pub(super) changed: BTreeSet<CompactString>,
    pub(super) sent_changed: BTreeSet<CompactString>,
    /// Transfers whose end the ACS does not know yet.
    pub(super) transfers: VecDeque<Transfer>,
    /// What begins when the session has ended, with the milliseconds it takes.
    pub(super) after: Vec<(u64, Due)>,
    pub(super) retry_count: u32,
    /// A session is wanted at once.
    wanted: bool,
}

impl Cpe {
    /// A device fresh from the factory; it does not call before `boot`.
    pub fn new(settings: Arc<Settings>, id: DeviceId) -> Self {
        let mut cpe = Self {
            data: Data::new(Arc::clone(&settings.model)),
            settings,
            id,
            attributes: BTreeMap::new(),
            booted_at: WallTime(0),
            events: Vec::new(),
            sent_events: Vec::new(),
            changed: BTreeSet::new(),
            sent_changed: BTreeSet::new(),
            transfers: VecDeque::new(),
            after: Vec::new(),
            retry_count: 0,
            wanted: false,
        };
        cpe.reset();
        cpe
    }

    /// Switches the device on.
    pub fn boot(&mut self, command_key: Option<String>, now: WallTime) {
        self.booted_at = now;
        self.retry_count = 0;
        // What a reboot makes moot need not be told any more (TR-069 3.7.1.5).
        self.events.retain(|event| !matches!(event.code, PERIODIC | CONNECTION_REQUEST));
        self.raise(BOOT, "");
        if let Some(key) = command_key {
            self.raise(REBOOTED, &key);
        }
    }

    /// Notes an event and asks for a session. The same event with the same key counts once.
    pub fn raise(&mut self, code: &'static str, command_key: &str) {
        let event = Event { code, command_key: command_key.to_owned() };
        if !self.events.contains(&event) && self.events.len() < MAX_EVENTS {
            self.events.push(event);
        }
        self.wanted = true;
    }

    /// Whether the device has a reason to call now.
    pub fn wants_session(&self) -> bool {
        self.wanted
    }

    /// The ACS has taken the Inform: what it told is told.
    pub fn informed(&mut self) {
        self.sent_events.clear();
        self.sent_changed.clear();
    }

    /// Answers an RPC of the ACS.
    pub fn handle(
        &mut self,
        request: &Request<'_>,
        now: WallTime,
    ) -> Result<Response<'static>, Fault<'static>> {
        if let Some(fault) = self.settings.quirks.faults.iter().find_map(|rule| rule.fault(request)) {
            return Err(fault);
        }
        Ok(match request {
            Request::GetRPCMethods(_) => {
                let method_list = Array(METHODS.into_iter().map(Into::into).collect());
                Response::GetRPCMethodsResponse(GetRPCMethodsResponse { method_list })
            }
            Request::GetParameterNames(it) => Response::GetParameterNamesResponse(self.names(it)?),
            Request::GetParameterValues(it) => Response::GetParameterValuesResponse(self.values(it, now)?),
            Request::SetParameterValues(it) => Response::SetParameterValuesResponse(self.set_values(it)?),
            Request::GetParameterAttributes(it) => {
                Response::GetParameterAttributesResponse(self.attributes(it)?)
            }
            Request::SetParameterAttributes(it) => {
                Response::SetParameterAttributesResponse(self.set_attributes(it)?)
            }
            Request::AddObject(it) => Response::AddObjectResponse(self.add_object(it)?),
            Request::DeleteObject(it) => Response::DeleteObjectResponse(self.delete_object(it)?),
            Request::Download(it) => Response::DownloadResponse(self.download(it)?),
            Request::Upload(it) => Response::UploadResponse(self.upload(it)?),
            Request::GetAllQueuedTransfers(_) => {
                Response::GetAllQueuedTransfersResponse(self.queued_transfers())
            }
            Request::ScheduleInform(it) => Response::ScheduleInformResponse(self.schedule_inform(it)?),
            Request::Reboot(it) => {
                let command_key = Some(it.command_key.clone().into_owned());
                self.after.push((REBOOT_MS, Due::Boot { command_key }));
                Response::RebootResponse(RebootResponse {})
            }
            Request::FactoryReset(_) => {
                self.after.push((REBOOT_MS, Due::FactoryReset));
                Response::FactoryResetResponse(FactoryResetResponse {})
            }
            _ => return Err(Fault::of(9000)),
        })
    }

    /// The session is over. Returns what the device does next, and in how many milliseconds it is done.
    pub fn close(&mut self, succeeded: bool) -> Vec<(u64, Due)> {
        if succeeded {
            self.retry_count = 0;
        } else {
            self.retry_count = self.retry_count.saturating_add(1);
            let sent: Vec<Event> = self.sent_events.drain(..).collect();
            let newer: Vec<Event> = self.events.drain(..).filter(|event| !sent.contains(event)).collect();
            self.events = sent.into_iter().chain(newer).collect();
            self.changed.append(&mut self.sent_changed);
            self.wanted = true;
        }
        std::mem::take(&mut self.after)
    }

    /// What was begun after a session is done.
    pub fn due(&mut self, due: Due, now: WallTime) {
        match due {
            Due::Boot { command_key } => self.boot(command_key, now),
            Due::FactoryReset => {
                self.reset();
                self.boot(None, now);
            }
            Due::Transferred(transfer) => self.transferred(transfer, now),
            Due::Diagnosed(object) => {
                diagnostics::fill(&mut self.data, &object);
                self.raise(DIAGNOSTICS_COMPLETE, "");
            }
            Due::ScheduledInform { command_key } => {
                self.raise(SCHEDULED, "");
                self.raise(SCHEDULED_INFORM, &command_key);
            }
        }
    }

    /// A change on the device itself. Returns whether it has the parameter.
    pub fn change(&mut self, name: &str, value: &str) -> bool {
        if self.data.value(name).is_none() {
            return false;
        }
        if self.data.write(name, value) {
            match self.notification(name) {
                0 => {}
                1 => _ = self.changed.insert(name.into()),
                _ => {
                    self.changed.insert(name.into());
                    self.wanted = true;
                }
            }
        }
        true
    }

    /// Gives a parameter another value of its type, as if by itself.
    pub fn vary(&mut self, name: &str, now: WallTime) {
        let (Some(value_type), Some(old)) = (self.data.value_type(name), self.data.value(name)) else {
            return;
        };
        let next = |text: &str| text.parse::<u64>().map_or(1, |number| number.wrapping_add(1)).to_string();
        let new = match value_type {
            ValueType::Boolean => if matches!(old, "1" | "true") { "0" } else { "1" }.to_owned(),
            ValueType::DateTime => now.to_string(),
            ValueType::Base64 => if old == "AA==" { "AQ==" } else { "AA==" }.to_owned(),
            ValueType::HexBinary => if old == "00" { "01" } else { "00" }.to_owned(),
            ValueType::String => {
                let (kept, number) = old.rsplit_once(" #").unwrap_or((old, "0"));
                format!("{kept} #{}", next(number))
            }
            _ => Some(next(old)).filter(|new| value_type.accepts(new)).unwrap_or_else(|| "0".to_owned()),
        };
        self.change(name, &new);
    }

    /// Somebody at the device starts the first diagnosis that it has.
    pub fn diagnose(&mut self) {
        let state = self.data.parameters("").into_iter().find(|name| diagnostics::is_state(name));
        let Some(state) = state.map(str::to_owned) else { return };
        if let Some((_, Due::Diagnosed(object))) = diagnostics::requested(&state, "Requested") {
            self.data.write(&state, "Requested");
            diagnostics::fill(&mut self.data, &object);
            self.raise(DIAGNOSTICS_COMPLETE, "");
        }
    }

    /// The parameter under the model's root.
    pub fn rooted(&self, rest: &str) -> String {
        format!("{}{rest}", self.data.root())
    }

    /// Where the device's ACS is; the ACS may move it.
    pub fn acs_url(&self) -> &str {
        self.data.value(&self.rooted("ManagementServer.URL")).unwrap_or(&self.settings.acs_url)
    }

    /// Whom connection requests must come from; `None` if anybody may send them.
    pub fn connection_request_credentials(&self) -> Option<(&str, &str)> {
        let value = |name: &str| self.data.value(&self.rooted(name)).filter(|value| !value.is_empty());
        let username = value("ManagementServer.ConnectionRequestUsername")?;
        Some((username, value("ManagementServer.ConnectionRequestPassword").unwrap_or("")))
    }

    /// Milliseconds between periodic Informs, if the device is to send them.
    pub fn periodic_ms(&self) -> Option<u64> {
        let value = |name: &str| self.data.value(&self.rooted(name));
        let enabled = matches!(value("ManagementServer.PeriodicInformEnable")?, "1" | "true");
        let seconds: u64 = value("ManagementServer.PeriodicInformInterval")?.parse().ok()?;
        (enabled && seconds > 0).then_some(seconds * 1_000)
    }

    /// Asks for a session without an event of its own.
    pub(super) fn want_session(&mut self) {
        self.wanted = true;
    }

    pub(super) fn session_opened(&mut self) {
        self.wanted = false;
    }

    /// The settings of the factory, and with them a new beginning with the ACS.
    fn reset(&mut self) {
        self.data = Data::new(Arc::clone(&self.settings.model));
        self.attributes.clear();
        self.changed.clear();
        self.transfers.clear();
        self.events = vec![Event { code: BOOTSTRAP, command_key: String::new() }];
        let serial = &self.id.serial_number;
        let url = format!("{}/{serial}", self.settings.connection_request_base);
        let (username, password) = self
            .settings
            .credentials
            .as_ref()
            .map_or((None, None), |(u, p)| (Some(u.as_str()), Some(p.as_str())));
        let own = [
            ("DeviceInfo.Manufacturer", Some(self.id.manufacturer.as_str())),
            ("DeviceInfo.ManufacturerOUI", Some(self.id.oui.as_str())),
            ("DeviceInfo.ProductClass", Some(self.id.product_class.as_str())),
            ("DeviceInfo.SerialNumber", Some(serial.as_str())),
            ("ManagementServer.URL", Some(self.settings.acs_url.as_str())),
            ("ManagementServer.ConnectionRequestURL", Some(url.as_str())),
            ("ManagementServer.ConnectionRequestUsername", username),
            ("ManagementServer.ConnectionRequestPassword", password),
        ];
        for (name, value) in own {
            if let Some(value) = value {
                self.data.write(&format!("{}{name}", self.settings.model.root()), value);
            }
        }
    }

    fn schedule_inform(
        &mut self,
        request: &ScheduleInform<'_>,
    ) -> Result<ScheduleInformResponse, Fault<'static>> {
        if request.delay_seconds == 0 {
            return Err(Fault::of(9003));
        }
        let command_key = request.command_key.clone().into_owned();
        let delay = u64::from(request.delay_seconds) * 1_000;
        self.after.push((delay, Due::ScheduledInform { command_key }));
        Ok(ScheduleInformResponse {})
    }
}

/// The event codes of TR-069 table 8.
pub(super) const BOOTSTRAP: &str = "0 BOOTSTRAP";
pub(super) const BOOT: &str = "1 BOOT";
pub(super) const PERIODIC: &str = "2 PERIODIC";
pub(super) const SCHEDULED: &str = "3 SCHEDULED";
pub(super) const VALUE_CHANGE: &str = "4 VALUE CHANGE";
pub(super) const CONNECTION_REQUEST: &str = "6 CONNECTION REQUEST";
pub(super) const TRANSFER_COMPLETE: &str = "7 TRANSFER COMPLETE";
pub(super) const DIAGNOSTICS_COMPLETE: &str = "8 DIAGNOSTICS COMPLETE";
pub(super) const AUTONOMOUS_TRANSFER_COMPLETE: &str = "10 AUTONOMOUS TRANSFER COMPLETE";
pub(super) const REBOOTED: &str = "M Reboot";
pub(super) const SCHEDULED_INFORM: &str = "M ScheduleInform";
/// What GetRPCMethods lists.
const METHODS: [&str; 14] = [
    "GetRPCMethods",
    "SetParameterValues",
    "GetParameterValues",
    "GetParameterNames",
    "SetParameterAttributes",
    "GetParameterAttributes",
    "AddObject",
    "DeleteObject",
    "Reboot",
    "FactoryReset",
    "Download",
    "Upload",
    "GetAllQueuedTransfers",
    "ScheduleInform",
];
/// Events that wait for an Inform, and events of an Inform (TR-069 A.3.3.1).
const MAX_EVENTS: usize = 64;
/// How long a device is away when it reboots: short, since who simulates does not want to wait.
pub(super) const REBOOT_MS: u64 = 100;
