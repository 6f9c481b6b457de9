//! `dragoman capture`: what passes of single devices, written to files by the running gateway.

use anyhow::bail;
use clap::{Args, Subcommand};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::identity::EndpointId;
use crate::observe::Wanted;

use super::meeting::endpoint;
use super::output;
use super::running::Running;

#[derive(Debug, Subcommand)]
pub(super) enum CaptureCommand {
    /// Begin a capture. It ends by itself, at the latest after capture.max_minutes or capture.max_bytes of the
    /// configuration, and does not survive the gateway.
    Start(StartArgs),
    /// End a capture, or all.
    Stop(StopArgs),
    /// Show captures that run or have ended since the gateway started, with their files.
    List(ListArgs),
}

#[derive(Debug, Args)]
pub(super) struct StartArgs {
    #[command(flatten)]
    gateway: Running,
    /// The endpoint ID of a device's agent, such as os::00256D-1234; can be repeated.
    #[arg(long = "device", value_name = "ENDPOINT", value_parser = endpoint, required_unless_present = "serials")]
    devices: Vec<EndpointId>,
    /// OUI and serial number of a device, of whatever product class, also before it first calls; can be repeated.
    #[arg(long = "serial", value_name = "OUI-SERIAL", id = "serials", value_parser = serial)]
    serials: Vec<String>,
    /// End after so many sessions, of all these devices together.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    sessions: Option<u32>,
    /// End after this time.
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u64).range(1..))]
    minutes: Option<u64>,
    /// End before the file is larger.
    #[arg(long, value_name = "B", value_parser = clap::value_parser!(u64).range(1..))]
    max_bytes: Option<u64>,
}

#[derive(Debug, Args)]
pub(super) struct StopArgs {
    #[command(flatten)]
    gateway: Running,
    /// The capture's number, as `capture list` shows it.
    #[arg(conflicts_with = "all")]
    id: Option<u64>,
    /// All captures.
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    gateway: Running,
}

pub(super) async fn run(command: CaptureCommand) -> anyhow::Result<()> {
    let captures = match command {
        CaptureCommand::Start(arguments) => start(arguments).await?,
        CaptureCommand::Stop(arguments) => {
            let id = match arguments.id {
                Some(id) => id.to_string(),
                None if arguments.all => "all".to_owned(),
                None => bail!("say the capture's number (dragoman capture list), or --all"),
            };
            arguments.gateway.find()?.ask("POST", format!("/capture/stop?id={id}")).await?
        }
        CaptureCommand::List(arguments) => arguments.gateway.find()?.ask("GET", "/capture".into()).await?,
    };
    let captures = captures.as_array().map(Vec::as_slice).unwrap_or_default();
    if captures.is_empty() {
        return output::line("no captures");
    }
    captures.iter().try_for_each(tell)
}

async fn start(arguments: StartArgs) -> anyhow::Result<Value> {
    let escaped = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let devices = arguments.devices.iter().map(|it| format!("device={}", escaped(it.as_str())));
    let serials = arguments.serials.iter().map(|it| format!("serial={}", escaped(it)));
    let sessions = arguments.sessions.map(|it| format!("sessions={it}"));
    let minutes = arguments.minutes.map(|it| format!("minutes={it}"));
    let bytes = arguments.max_bytes.map(|it| format!("bytes={it}"));
    let all: Vec<String> = devices.chain(serials).chain(sessions).chain(minutes).chain(bytes).collect();
    arguments.gateway.find()?.ask("POST", format!("/capture?{}", all.join("&"))).await
}

fn tell(capture: &Value) -> anyhow::Result<()> {
    let number = |name: &str| capture[name].as_u64().unwrap_or(0);
    let text = |name: &str| capture[name].as_str().unwrap_or("?").to_owned();
    let wanted = capture["wanted"].as_array().map(Vec::as_slice).unwrap_or_default();
    let wanted: Vec<&str> = wanted.iter().filter_map(Value::as_str).collect();
    output::line(format_args!(
        "{}  {}  {}  sessions: {}, messages: {}, bytes: {}  {}  {}",
        number("id"),
        text("started"),
        text("state"),
        number("sessions"),
        number("messages"),
        number("bytes"),
        wanted.join(" "),
        text("file"),
    ))
}

fn serial(text: &str) -> Result<String, String> {
    match Wanted::serial(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err("is no OUI-SERIAL, such as 00256D-1234".to_owned()),
    }
}
