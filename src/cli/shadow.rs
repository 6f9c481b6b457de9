//! `dragoman shadow`: what comparing the ACS's RPCs with USP has shown, model by model, read beside the running
//! gateway.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::config::Settings;
use crate::durable::Kind;
use crate::identity::EndpointId;
use crate::policy::{Class, Comparison, DeviceModel, Difference, Glob, ModelSum, Tally, Worst};
use crate::store;

use super::meeting::endpoint;
use super::output;

#[derive(Debug, Args)]
pub(super) struct ShadowArgs {
    /// The gateway's configuration file: it names the store.
    #[arg(long)]
    config: PathBuf,
    /// Models as OUI/ProductClass/SoftwareVersion; a * stands for any characters.
    #[arg(long, default_value = "*")]
    model: String,
    /// The endpoint ID of one device's agent, whose newest differences are shown too.
    #[arg(long, value_parser = endpoint)]
    device: Option<EndpointId>,
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    /// One object in each line: of each model and, with --device, of each difference.
    Json,
}

#[derive(Serialize)]
struct ModelLine<'l> {
    #[serde(flatten)]
    model: &'l DeviceModel,
    devices: u64,
    /// From 0 to 1; null where nothing was compared.
    score: Option<f64>,
    #[serde(flatten)]
    tally: &'l Tally,
    worst: Vec<Worst>,
}

#[derive(Serialize)]
struct DifferenceLine<'l> {
    device: &'l str,
    #[serde(flatten)]
    difference: &'l Difference,
}

pub(super) fn run(arguments: &ShadowArgs) -> anyhow::Result<()> {
    let file = Settings::read(&arguments.config)?.store.file;
    let wanted = Glob::new(&arguments.model);
    let mut models: BTreeMap<DeviceModel, ModelSum> = BTreeMap::new();
    let mut differences = Vec::new();
    store::look(&file, Kind::Comparison, arguments.device.as_ref(), |device, value| {
        let kept = Comparison::decode(&value);
        if wanted.matches(&kept.model.to_string()) {
            models.entry(kept.model.clone()).or_default().add(&kept);
            if arguments.device.is_some() {
                differences.extend(kept.differences().map(|it| (device.to_owned(), it.clone())));
            }
        }
        true
    })?;
    if models.is_empty() && arguments.format == Format::Table {
        return output::line("nothing has been compared; see docs/shadow-mode.md");
    }
    models.iter().try_for_each(|(model, sum)| tell(model, sum, arguments.format))?;
    differences.iter().try_for_each(|(device, it)| tell_difference(device, it, arguments.format))
}

fn tell(model: &DeviceModel, sum: &ModelSum, format: Format) -> anyhow::Result<()> {
    let ModelSum { devices, tally, .. } = sum;
    let (score, worst) = (tally.score(), sum.worst(MAX_WORST));
    if format == Format::Json {
        let line = ModelLine { model, devices: *devices, score, tally, worst };
        return output::line(serde_json::to_string(&line).context("a model cannot be written")?);
    }
    let score = score.map_or("no score".to_owned(), |score| format!("{:.2} %", floored(score)));
    let classes = tally.classes.iter().map(|(class, count)| format!("{} {count}", class.label()));
    let classes: Vec<String> = classes.collect();
    let Tally { compared, differing, skipped, left_out, .. } = tally;
    output::line(format_args!("{model}  {score} of {compared} items, {devices} devices"))?;
    let of = if classes.is_empty() { String::new() } else { format!(": {}", classes.join(", ")) };
    output::line(format_args!("  differing {differing}{of}; skipped {skipped}, left out {left_out}"))?;
    worst.iter().try_for_each(|Worst { path, class, times }| {
        output::line(format_args!("  x{times}  {:<10}  {path}", Class::label(*class)))
    })
}

fn tell_difference(device: &str, it: &Difference, format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        let line = DifferenceLine { device, difference: it };
        return output::line(serde_json::to_string(&line).context("a difference cannot be written")?);
    }
    let Difference { at, rpc, path, class, why, times, .. } = it;
    let side = |name: &str, text: &Option<String>| text.as_ref().map(|it| format!("  {name} {it:?}"));
    let sides: String = [side("CWMP", &it.cwmp), side("USP", &it.usp)].into_iter().flatten().collect();
    output::line(format_args!("{at}  {device}  {:<10}  x{times}  {rpc}  {path}: {why}{sides}", class.label()))
}

/// In percent, cut: 100 is told only where nothing differs.
fn floored(score: f64) -> f64 {
    (score * 10_000.0).floor() / 100.0
}

/// Paths that are shown of a model.
const MAX_WORST: usize = 10;
