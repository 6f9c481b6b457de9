//! `dragoman conformance`: the checks of TP-469 against any agent.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use clap::Args;

use crate::conformance::report::{self, Run};
use crate::conformance::{self, FirmwareFile, Secrets, Selection, Setup, SetupConfig, Tap};
use crate::datamodel::WallTime;
use crate::identity::EndpointId;
use crate::net::TlsServer;
use crate::sim::controller::Controller;

use super::collecting::{Collecting, Collectors};
use super::meeting::{self, Meeting, endpoint};
use super::output;

/// What to check, how, and where the result goes.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: dragoman conformance --agent os::00256D-1 --only 1.3,2.* --html report.html\n\n\
                        Checks remove what they add and set back what they change. Without --clear and \
                        --reboot they neither remove subscriptions of others nor restart the device; checks \
                        that need it say that they do not apply. Those of bulk data over HTTP take \
                        --collector, an address that the agent reaches and is allowed to report to; over \
                        HTTPS --collector-tls with a certificate that it trusts."
)]
pub struct ConformanceArgs {
    #[command(flatten)]
    meeting: Meeting,
    /// The agent's endpoint id.
    #[arg(long, required_unless_present = "list", value_parser = endpoint)]
    agent: Option<EndpointId>,
    /// Numbers of checks: 1.3, or 2.* for a section; separated by commas.
    #[arg(long, default_value = "")]
    only: Selection,
    /// List the checks, and do nothing else.
    #[arg(long)]
    list: bool,
    /// Have intervals as long as the plan has them, and not as short as the agent allows: takes minutes.
    #[arg(long)]
    slow: bool,
    /// Checks may remove subscriptions and boot parameters that are there already.
    #[arg(long)]
    clear: bool,
    /// Checks may restart the device.
    #[arg(long)]
    reboot: bool,
    /// Another controller that the agent knows, for checks that take two; at the same broker.
    #[arg(long, value_name = "ENDPOINT", value_parser = endpoint, requires = "second_place")]
    second: Option<EndpointId>,
    /// Where that one listens: a topic, a destination or ws://ADDRESS:PORT/PATH.
    #[arg(long, value_name = "PLACE", requires = "second")]
    second_place: Option<String>,
    /// PEM file with the CAs that signed the agents' certificates for payload security.
    #[arg(long, value_name = "FILE", requires = "secret")]
    secret_ca: Option<PathBuf>,
    /// PEM file with this controller's certificate for payload security and its key, for checks of that.
    #[arg(long, value_name = "FILE", requires = "secret_ca")]
    secret: Option<PathBuf>,
    /// The same of another endpoint: agents must not take it.
    #[arg(long, value_name = "FILE", requires = "secret")]
    secret_stranger: Option<PathBuf>,
    /// The same of this controller, but out of date.
    #[arg(long, value_name = "FILE", requires = "secret")]
    secret_expired: Option<PathBuf>,
    #[command(flatten)]
    collecting: Collecting,
    /// A firmware image that the device can load and is allowed to: with --firmware-version and --reboot it gets it.
    #[arg(long, value_name = "URL", requires = "firmware_version")]
    firmware: Option<String>,
    /// The SoftwareVersion that the image brings.
    #[arg(long, value_name = "VERSION", requires = "firmware")]
    firmware_version: Option<String>,
    /// The size of the image in bytes.
    #[arg(long, value_name = "BYTES", requires = "firmware")]
    firmware_size: Option<u64>,
    /// User name and password for the image.
    #[arg(long, value_name = "USER:PASSWORD", requires = "firmware", value_parser = credentials)]
    firmware_login: Option<(String, String)>,
    /// An address of this machine at which checks play a broker, for what passes between an agent and its
    /// broker alone. The agent is sent there by rows that are removed again; it must be able, and allowed, to go.
    #[arg(long, value_name = "ADDRESS:PORT")]
    tap: Option<SocketAddr>,
    /// The same for TLS, with --certificate and --key, which agents must trust.
    #[arg(long, value_name = "ADDRESS:PORT", requires = "certificate")]
    tap_tls: Option<SocketAddr>,
    /// The host at which the agent's own WebSocket server can be reached; port and path the agent says itself.
    /// With --ca where it speaks TLS.
    #[arg(long, value_name = "HOST")]
    agent_host: Option<String>,
    /// How long to wait for an answer.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    timeout_seconds: u64,
    /// How long nothing may come before it counts as not coming.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    quiet_seconds: u64,
    /// Write the result here, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the result here, as a page for a browser.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write the result here, as a document.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

/// Runs the checks; an error if one fails.
pub async fn run(args: ConformanceArgs) -> anyhow::Result<()> {
    let wanted = conformance::all().iter().copied().filter(|check| args.only.wants(check.number));
    let Some(agent) = args.agent.clone().filter(|_| !args.list) else {
        return output::say(report::list(wanted));
    };
    let collectors = args.collecting.start().await?;
    let controller = args.meeting.start().await?;
    let second = second(&args).await?;
    let setup = setup(&args, &controller, second.clone(), collectors, agent.clone()).await;
    let result = match setup {
        Ok(setup) => check_all(&args, &setup, &agent).await,
        Err(error) => Err(error),
    };
    for controller in [Some(controller), second.map(|(second, _)| second)].into_iter().flatten() {
        controller.stop().await;
    }
    let run = result?;
    output::say(report::table(&run))?;
    write(args.json.as_deref(), || format!("{:#}\n", report::json(&run)))?;
    write(args.html.as_deref(), || report::html(&run))?;
    write(args.markdown.as_deref(), || report::markdown(&run))?;
    match run.counts().fail {
        0 => Ok(()),
        1 => bail!("one check fails"),
        many => bail!("{many} checks fail"),
    }
}

async fn second(args: &ConformanceArgs) -> anyhow::Result<Option<(Controller, EndpointId)>> {
    let Some((endpoint_id, place)) = args.second.clone().zip(args.second_place.clone()) else {
        return Ok(None);
    };
    let meeting = args.meeting.of_other(endpoint_id.clone(), place).map_err(anyhow::Error::msg)?;
    Ok(Some((meeting.start().await?, endpoint_id)))
}

/// A place for agents that is listened on from now on.
async fn tap(address: Option<SocketAddr>, tls: Option<TlsServer>) -> anyhow::Result<Option<Tap>> {
    let Some(address) = address else { return Ok(None) };
    let tap = Tap::bind(address, tls).await;
    tap.map(Some).with_context(|| format!("failed to listen on {address}"))
}

async fn setup(
    args: &ConformanceArgs,
    controller: &Controller,
    second: Option<(Controller, EndpointId)>,
    (collector, secure_collector): Collectors,
    agent: EndpointId,
) -> anyhow::Result<Arc<Setup>> {
    let patience = Duration::from_secs(args.timeout_seconds);
    meeting::await_agent(controller, &agent, patience).await;
    let config = SetupConfig {
        controller: controller.clone(),
        endpoint_id: args.meeting.endpoint_id.clone(),
        second,
        agent: agent.clone(),
        mtp: args.meeting.mtp(),
        tap: tap(args.tap, None).await?,
        secure_tap: match args.tap_tls {
            Some(_) => tap(args.tap_tls, args.meeting.own_tls()?).await?,
            None => None,
        },
        agent_host: args.agent_host.clone(),
        agent_tls: args.meeting.trust()?,
        patience,
        quiet: Duration::from_secs(args.quiet_seconds),
        may_clear: args.clear,
        may_reboot: args.reboot,
        slow: args.slow,
        secrets: secrets(args)?,
        collector,
        secure_collector,
        firmware: firmware(args),
    };
    let setup = Setup::learn(config).await;
    setup.map(Arc::new).with_context(|| format!("{agent} does not say what it supports"))
}

/// The image that the device can load.
fn firmware(args: &ConformanceArgs) -> Option<FirmwareFile> {
    let (url, version) = args.firmware.clone().zip(args.firmware_version.clone())?;
    let (size, credentials) = (args.firmware_size, args.firmware_login.clone());
    Some(FirmwareFile { url, version, size, credentials })
}

fn credentials(text: &str) -> Result<(String, String), String> {
    let (user, password) = text.split_once(':').ok_or("lacks a colon between user name and password")?;
    Ok((user.to_owned(), password.to_owned()))
}

fn secrets(args: &ConformanceArgs) -> anyhow::Result<Option<Secrets>> {
    let Some((ca, own)) = args.secret_ca.as_ref().zip(args.secret.as_ref()) else { return Ok(None) };
    let secrets = Secrets::load(ca, own, args.secret_stranger.as_ref(), args.secret_expired.as_ref());
    Ok(Some(secrets.context("the certificates for payload security are not usable")?))
}

/// One check after the other, each told when it is through.
async fn check_all(args: &ConformanceArgs, setup: &Arc<Setup>, agent: &EndpointId) -> anyhow::Result<Run> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let began = WallTime(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)).to_string();
    let mut finished = Vec::new();
    for check in conformance::all().iter().filter(|check| args.only.wants(check.number)) {
        let one = conformance::run(check, setup).await;
        output::line(report::line(&one))?;
        finished.push(one);
    }
    Ok(Run { agent: agent.to_string(), mtp: args.meeting.mtp().name(), began, finished })
}

fn write(file: Option<&Path>, text: impl FnOnce() -> String) -> anyhow::Result<()> {
    let Some(file) = file else { return Ok(()) };
    std::fs::write(file, text()).with_context(|| format!("failed to write {}", file.display()))
}
