//! `dragoman conflicts`: what the ledgers of the devices hold, read beside the running gateway.

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::config::Settings;
use crate::durable::Kind;
use crate::identity::EndpointId;
use crate::policy::{Conflict, Ledger};
use crate::store;

use super::meeting::endpoint;
use super::output;

#[derive(Debug, Args)]
pub(super) struct ConflictsArgs {
    /// The gateway's configuration file: it names the store.
    #[arg(long)]
    config: PathBuf,
    /// The endpoint ID of one device's agent; by default all.
    #[arg(long, value_parser = endpoint)]
    device: Option<EndpointId>,
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    /// One object in each line.
    Json,
}

#[derive(Serialize)]
struct Line<'l> {
    device: &'l str,
    #[serde(flatten)]
    conflict: &'l Conflict,
}

pub(super) fn run(arguments: &ConflictsArgs) -> anyhow::Result<()> {
    let file = Settings::read(&arguments.config)?.store.file;
    let mut told = Ok(());
    let mut count = 0;
    store::look(&file, Kind::Conflicts, arguments.device.as_ref(), |device, value| {
        let ledger = Ledger::decode(&value);
        count += ledger.conflicts().count();
        told = ledger.conflicts().try_for_each(|conflict| tell(device, conflict, arguments.format));
        told.is_ok()
    })?;
    told?;
    if count == 0 && arguments.format == Format::Table {
        output::line("no conflicts are on record")?;
    }
    Ok(())
}

fn tell(device: &str, conflict: &Conflict, format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        return match serde_json::to_string(&Line { device, conflict }) {
            Ok(text) => output::line(text),
            Err(error) => bail!("a conflict of {device} cannot be written: {error}"),
        };
    }
    let Conflict { at, path, writer, by, action, times, .. } = conflict;
    let value = |value: &Option<String>| value.as_ref().map_or("?".to_owned(), |it| format!("{it:?}"));
    let change = match (&conflict.old, &conflict.new) {
        (None, None) => String::new(),
        (old, new) => format!("  {} -> {}", value(old), value(new)),
    };
    let rule = conflict.rule.iter().zip(&conflict.owner);
    let rule: String = rule.map(|(rule, owner)| format!("  rule \"{rule}\": {owner}")).collect();
    let before = conflict.previous.as_ref().map(|it| format!("  before: {it}")).unwrap_or_default();
    output::line(format_args!(
        "{at}  {device}  {:<15}  x{times}  {path}  {writer} ({by}){change}{rule}{before}",
        action.label(),
    ))
}
