//! The log: one line per event, as text for people or as JSON for a collector.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// Starts logging to standard error. `filter` is as in `RUST_LOG`, such as `info` or
/// `info,dragoman::mtp=debug`. A second call changes nothing.
pub fn start_log(filter: &str, format: LogFormat) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // A line that nobody reads is no reason to write another one, which would end whoever logs.
    let builder = builder.log_internal_errors(false);
    // Colours are for people at a terminal, not for files.
    let builder = builder.with_ansi(std::io::stderr().is_terminal());
    // The only error is that somebody has started it before.
    let _ = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}
