//! What commands print. Whoever reads may go at any time, as `head` does: then the command ends without a word.

use std::fmt;
use std::io::{self, Write as _};

use thiserror::Error;

/// Nobody reads the standard output any more.
#[derive(Debug, Error)]
#[error("nobody reads the output")]
pub(super) struct Gone;

/// The status with which a shell reports a command that ended because nobody read it: 128 and SIGPIPE.
pub(super) const GONE_STATUS: u8 = 141;

/// Writes text to the standard output as it is, at once.
pub(super) fn say(text: impl fmt::Display) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let written = write!(out, "{text}").and_then(|()| out.flush());
    written.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Gone.into(),
        _ => anyhow::Error::new(error).context("failed to write the output"),
    })
}

/// Writes a line to the standard output.
pub(super) fn line(text: impl fmt::Display) -> anyhow::Result<()> {
    say(format_args!("{text}\n"))
}

/// Writes a line to the standard error, where it is for people only: if they have gone it is for nobody.
pub(super) fn tell(text: impl fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
