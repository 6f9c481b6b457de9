//! `dragoman upgrade`: starts this binary in the place of the gateway that runs, and says how it went. What
//! `ExecReload=` of a systemd unit runs.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, bail};
use clap::Args;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use super::output;

#[derive(Debug, Args)]
pub(super) struct UpgradeArgs {
    /// The configuration file, with `[upgrade] socket` as that of the gateway that runs.
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,
}

pub(super) async fn upgrade(arguments: UpgradeArgs) -> anyhow::Result<()> {
    let program = std::env::current_exe().context("failed to find this binary")?;
    // It says itself why it cannot, where the operator reads it, and goes on when this command has ended.
    let mut child = Command::new(program)
        .arg("serve")
        .arg("--take-over")
        .arg("--config")
        .arg(&arguments.config)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .context("failed to start this binary")?;
    let said = child.stdout.take().context("its output is not there")?;
    let line = BufReader::new(said).lines().next_line().await.context("failed to read its output")?;
    match line {
        Some(ready) => output::line(ready),
        None => {
            let status = child.wait().await.context("failed to wait for it")?;
            bail!("the new process did not take over ({status}): the gateway goes on as before")
        }
    }
}
