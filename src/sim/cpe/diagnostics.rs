//! Diagnostics: requested by a parameter, run after the session, told by an event (TR-181 Device.IP.
//! Diagnostics, TR-098 InternetGatewayDevice.IPPingDiagnostics).

use crate::datamodel::path;

use super::core::Due;
use super::data::Data;

/// Whether an ACS may set the parameter to this value, as far as diagnostics are concerned.
pub(super) fn may_set(name: &str, value: &str) -> bool {
    path::name(name) != STATE || matches!(value, "Requested" | "Canceled" | "None")
}

/// Whether the parameter is the state of diagnostics.
pub(super) fn is_state(name: &str) -> bool {
    path::name(name) == STATE
}

/// What begins after the session because the parameter was set.
pub(super) fn requested(name: &str, value: &str) -> Option<(u64, Due)> {
    if path::name(name) != STATE || value != "Requested" {
        return None;
    }
    path::parent(name).map(|object| (RUN_MS, Due::Diagnosed(object.to_owned())))
}

/// Fills in results, unless the diagnostics were cancelled meanwhile.
pub(super) fn fill(data: &mut Data, object: &str) {
    let state = format!("{object}{STATE}");
    if data.value(&state) != Some("Requested") {
        return;
    }
    let repetitions = data.value(&format!("{object}NumberOfRepetitions")).unwrap_or("1").to_owned();
    for (name, value) in RESULTS {
        data.write(&format!("{object}{name}"), value);
    }
    data.write(&format!("{object}SuccessCount"), &repetitions);
    data.write(&state, "Complete");
}

const STATE: &str = "DiagnosticsState";
/// What a ping finds: milliseconds, and microseconds in the detailed times.
const RESULTS: [(&str, &str); 9] = [
    ("IPAddressUsed", "127.0.0.1"),
    ("FailureCount", "0"),
    ("AverageResponseTime", "10"),
    ("MinimumResponseTime", "8"),
    ("MaximumResponseTime", "13"),
    ("AverageResponseTimeDetailed", "10250"),
    ("MinimumResponseTimeDetailed", "8010"),
    ("MaximumResponseTimeDetailed", "12900"),
    ("ResponseTime", "13"),
];
/// How long diagnostics run.
const RUN_MS: u64 = 50;
