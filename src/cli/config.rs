//! `dragoman config example|check`.

use std::path::PathBuf;

use clap::Subcommand;

use crate::config::{EXAMPLE, Settings};

use super::output;

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Print an example that explains every key.
    Example,
    /// Check a file and say what is wrong with it; certificates are read as well.
    Check {
        /// The configuration file.
        file: PathBuf,
    },
}

pub(super) fn run(command: &ConfigCommand) -> anyhow::Result<()> {
    match command {
        ConfigCommand::Example => output::say(EXAMPLE),
        ConfigCommand::Check { file } => {
            let settings = Settings::read(file)?;
            output::line(format_args!(
                "{} is fine: CPEs at {}, {} controller(s), {}",
                file.display(),
                settings.door.listen,
                settings.agent.controllers.len(),
                acss(&settings),
            ))
        }
    }
}

/// The ACSs, in the order in which they are asked.
fn acss(settings: &Settings) -> String {
    match settings.acs.as_slice() {
        [] => "no ACS: the gateway answers CPEs itself".to_owned(),
        [(rule, acs)] if rule.is_open() => format!("ACS at {}", acs.url),
        several => {
            let each = several.iter().map(|(_, acs)| format!("{} at {}", acs.name, acs.url));
            format!("ACSs: {}", each.collect::<Vec<_>>().join(", "))
        }
    }
}
