//! `[capture]` as meant: where captures go, and what must not be in them.

use std::time::Duration;

use crate::capture::{HiddenPath, Policy};
use crate::observe::RecorderConfig;

use super::file;
use super::settings::{Refusal, refuse};

pub(super) fn capture(capture: &file::Capture) -> Result<RecorderConfig, Refusal> {
    let redact = capture.redact.iter().map(|text| HiddenPath::parse(text));
    let redact = redact.collect::<Result<Vec<_>, _>>().or_else(|error| refuse("capture.redact", error))?;
    if redact.len() > MAX_PATHS {
        return refuse("capture.redact", format!("has {} paths, {MAX_PATHS} at most", redact.len()));
    }
    let max_bytes = capture.max_bytes.unwrap_or(64 << 20);
    let max_total_bytes = capture.max_total_bytes.unwrap_or(1 << 30);
    if max_bytes < LEAST_BYTES || max_bytes > max_total_bytes {
        return refuse(
            "capture.max_bytes",
            format!("is {LEAST_BYTES} at least, and max_total_bytes at most"),
        );
    }
    let minutes = capture.max_minutes.unwrap_or(60);
    if minutes == 0 || minutes > MAX_MINUTES {
        return refuse("capture.max_minutes", format!("is from 1 to {MAX_MINUTES}"));
    }
    let max_files = capture.max_files.unwrap_or(100);
    if max_files == 0 {
        return refuse("capture.max_files", "is 1 at least");
    }
    Ok(RecorderConfig {
        directory: capture.directory.clone(),
        policy: Policy { redact, pseudonymise: capture.pseudonymise, opaque: capture.opaque },
        max_bytes,
        max_total_bytes,
        max_files,
        max_time: Duration::from_secs(60) * minutes,
    })
}

/// Each value is held against each of them.
const MAX_PATHS: usize = 256;
/// Of one capture: its first line and some messages.
const LEAST_BYTES: u64 = 64 << 10;
/// A week.
const MAX_MINUTES: u32 = 7 * 24 * 60;
