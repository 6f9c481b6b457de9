//! The command line, a file per command.
//!
//! Layer 6.

mod sim;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Dual-stack proxy between TR-069 devices, their ACS and USP controllers.
///
/// Under construction: the cores are a library so far, and only the simulators can be run.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Simulated CPEs, and a stub ACS.
    #[command(subcommand)]
    Sim(sim::SimArgs),
}

/// Parses the command line and runs the command it names.
pub fn main() -> ExitCode {
    let Arguments { command } = Arguments::parse();
    let outcome = tokio::runtime::Runtime::new().map_err(anyhow::Error::from).and_then(|runtime| {
        runtime.block_on(async {
            match command {
                Command::Sim(args) => sim::run(args).await,
            }
        })
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dragoman: {error:#}");
            ExitCode::FAILURE
        }
    }
}
