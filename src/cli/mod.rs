//! The command line, a file per command.
//!
//! Layer 6.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bypass;
mod capture;
mod collecting;
mod config;
mod conflicts;
mod conformance;
mod meeting;
mod output;
mod replay;
mod running;
mod sandbox;
mod serve;
mod service;
mod shadow;
mod sim;
mod upgrade;
mod usp;

/// Dual-stack proxy between TR-069 devices, their ACS and USP (TR-369) controllers.
///
/// CPEs send their Informs to dragoman, which relays them to the ACS and shows each CPE to USP
/// controllers as a virtual agent.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway until SIGTERM or Ctrl-C.
    Serve(serve::ServeArgs),
    /// Start this binary in the place of the gateway that runs: see docs/upgrade.md.
    Upgrade(upgrade::UpgradeArgs),
    /// See it work: gateway, ACS, CPEs and a USP controller in one process.
    Sandbox(sandbox::SandboxArgs),
    /// Show or check a configuration.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Show which writes of the ACS and of controllers were in each other's way.
    Conflicts(conflicts::ConflictsArgs),
    /// Show, model by model, how what the ACS does would differ in USP (shadow mode).
    Shadow(shadow::ShadowArgs),
    /// Stop USP for a device or for all, and leave CPEs to their ACS as it had them.
    Bypass(bypass::BypassArgs),
    /// As bypass, before the gateway is taken out of the way, with progress.
    Release(bypass::ReleaseArgs),
    /// Take back an order of bypass, release or emergency-bypass.
    Restore(bypass::OrderArgs),
    /// Touch and splice nothing any more, from this moment on; see docs/bypass.md for what is then seen.
    EmergencyBypass(bypass::OrderArgs),
    /// Write to a file what passes of a device, for `sim cpe --replay` and `sim acs --replay`.
    #[command(subcommand)]
    Capture(capture::CaptureCommand),
    /// Run simulated CPEs, a stub ACS, or an MQTT broker.
    #[command(subcommand)]
    Sim(Box<sim::SimArgs>),
    /// Speak with agents as a USP controller.
    Usp(Box<usp::UspArgs>),
    /// Check an agent by the numbers of TP-469, the test plan of USP agents.
    Conformance(Box<conformance::ConformanceArgs>),
}

/// Parses the command line and runs the command it names.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command {
        Command::Serve(arguments) => run(serve::serve(arguments)),
        Command::Upgrade(arguments) => run(upgrade::upgrade(arguments)),
        Command::Sandbox(arguments) => run(sandbox::run(arguments)),
        Command::Config(command) => config::run(&command),
        Command::Conflicts(arguments) => conflicts::run(&arguments),
        Command::Shadow(arguments) => shadow::run(&arguments),
        Command::Bypass(arguments) => run(bypass::bypass(arguments)),
        Command::Release(arguments) => run(bypass::release(arguments)),
        Command::Restore(arguments) => run(bypass::restore(arguments)),
        Command::EmergencyBypass(arguments) => run(bypass::emergency(arguments)),
        Command::Capture(command) => run(capture::run(command)),
        Command::Sim(arguments) => run(sim::run(*arguments)),
        Command::Usp(arguments) => run(usp::run(*arguments)),
        Command::Conformance(arguments) => run(conformance::run(*arguments)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<output::Gone>() => ExitCode::from(output::GONE_STATUS),
        Err(error) => {
            output::tell(format_args!("dragoman: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Runs a command on the runtime.
fn run(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(command)
}
