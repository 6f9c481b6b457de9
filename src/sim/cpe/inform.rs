//! The Inform (TR-069 A.3.3.1): why the CPE calls, and the parameters that every Inform holds.

use crate::cwmp::rpc::{Array, EventStruct, Inform, ParameterValueStruct};
use crate::datamodel::WallTime;

use super::core::{AUTONOMOUS_TRANSFER_COMPLETE, Cpe, Event, TRANSFER_COMPLETE, VALUE_CHANGE};

impl Cpe {
    /// Opens a session: the Inform with all that waits to be told. Until `informed` it counts as not told.
    pub fn open(&mut self, now: WallTime) -> Inform<'static> {
        self.session_opened();
        self.sent_events = std::mem::take(&mut self.events);
        self.sent_changed = std::mem::take(&mut self.changed);
        let events = self.all_events();
        let parameters = self.inform_parameters(now);
        Inform {
            device_id: self.id.clone(),
            event: Array(events),
            max_envelopes: 1,
            current_time: now.to_string().into(),
            retry_count: self.retry_count,
            parameter_list: Array(parameters),
        }
    }

    /// The events that were raised, and those that follow from what waits.
    fn all_events(&self) -> Vec<EventStruct<'static>> {
        let mut events = self.sent_events.clone();
        let mut add = |code: &'static str, key: &str| {
            events.push(Event { code, command_key: key.to_owned() });
        };
        if !self.sent_changed.is_empty() {
            add(VALUE_CHANGE, "");
        }
        if self.transfers.iter().any(|transfer| transfer.autonomous) {
            add(AUTONOMOUS_TRANSFER_COMPLETE, "");
        }
        if self.transfers.iter().any(|transfer| !transfer.autonomous) {
            add(TRANSFER_COMPLETE, "");
        }
        for transfer in self.transfers.iter().filter(|transfer| !transfer.autonomous) {
            add(transfer.event(), &transfer.command_key);
        }
        let events = events.into_iter();
        events
            .map(|it| EventStruct { event_code: it.code.into(), command_key: it.command_key.into() })
            .collect()
    }

    fn inform_parameters(&self, now: WallTime) -> Vec<ParameterValueStruct<'static>> {
        let forced: Vec<String> = FORCED.into_iter().map(|rest| self.rooted(rest)).collect();
        let changed = self.sent_changed.iter().filter(|name| !forced.iter().any(|known| known == *name));
        let names = forced.iter().map(String::as_str).chain(changed.map(|name| name.as_str()));
        names.filter_map(|name| self.read(name, now)).collect()
    }
}

/// What every Inform holds of what the model has (TR-181, TR-098: forced Inform parameters).
const FORCED: [&str; 8] = [
    "DeviceSummary",
    "RootDataModelVersion",
    "DeviceInfo.SpecVersion",
    "DeviceInfo.HardwareVersion",
    "DeviceInfo.SoftwareVersion",
    "DeviceInfo.ProvisioningCode",
    "ManagementServer.ParameterKey",
    "ManagementServer.ConnectionRequestURL",
];
