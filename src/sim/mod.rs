//! Simulated CPEs, a stub ACS, a USP controller and a small MQTT broker, for tests, sandbox and trials.
//!
//! Beside the layers: imports layers 0 and 1 and `net` only.
