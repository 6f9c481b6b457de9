//! Inform (TR-069 A.3.3.1): who calls, and why.

use crate::identity::DeviceId;

use super::field::{Array, ParameterValueStruct, Text, item, structure};

structure! {
    /// An event that made the CPE call.
    EventStruct<'a> { event_code: Text<'a> => "EventCode", command_key: Text<'a> => "CommandKey" }
}
item!(EventStruct);
structure! {
    /// Opens every session.
    Inform<'a> {
        device_id: DeviceId => "DeviceId",
        event: Array<EventStruct<'a>> => "Event",
        max_envelopes: u32 => "MaxEnvelopes",
        current_time: Text<'a> => "CurrentTime",
        retry_count: u32 => "RetryCount",
        parameter_list: Array<ParameterValueStruct<'a>> => "ParameterList",
    }
}
structure! {
    /// MaxEnvelopes is 1 (A.3.3.1).
    InformResponse { max_envelopes: u32 => "MaxEnvelopes" }
}
