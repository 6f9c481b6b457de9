//! The command line, a file per command.
//!
//! Layer 6.

use std::process::ExitCode;

use clap::Parser;

/// Dual-stack proxy between TR-069 devices, their ACS and USP controllers.
///
/// Under construction: the cores are a library so far and there is no command yet.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {}

/// Parses the command line and runs the command it names.
pub fn main() -> ExitCode {
    let Arguments {} = Arguments::parse();
    eprintln!("no command is there yet; see README.md");
    ExitCode::FAILURE
}
