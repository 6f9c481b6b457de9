//! `dragoman sim`: simulated CPEs, a stub ACS and a broker on the command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use tokio::sync::broadcast::error::RecvError;

use crate::cwmp::rpc::{Array, GetParameterValues, Request};
use crate::net::TlsServer;
use crate::sim::acs::{Acs, AcsConfig};
use crate::sim::broker::{Broker, BrokerConfig};
use crate::sim::cpe::{
    Every, FaultRule, Fleet, FleetConfig, Happening, Model, Node, Quirk, Quirks, Statistics, image,
};

use super::{output, replay};

/// What is simulated.
#[derive(Debug, Subcommand)]
pub enum SimArgs {
    /// A fleet of CPEs that call an ACS or the gateway.
    Cpe(Box<CpeArgs>),
    /// An ACS that accepts every CPE and shows what it says.
    Acs(AcsArgs),
    /// An MQTT broker that lets everybody in and forgets all when it ends.
    Broker(BrokerArgs),
    /// A firmware image for simulated CPEs that --load-images.
    Image(ImageArgs),
}

/// An image.
#[derive(Debug, Args)]
pub struct ImageArgs {
    /// The SoftwareVersion that it brings.
    version: String,
    /// Where it is written.
    file: PathBuf,
    /// How large it is at least.
    #[arg(long, default_value_t = 1_000_000)]
    bytes: usize,
}

/// A fleet.
#[derive(Debug, Args)]
pub struct CpeArgs {
    /// Where the CPEs call, as http://HOST:PORT/PATH; of a replay also https://.
    #[arg(long, visible_alias = "acs")]
    acs_url: String,
    #[command(flatten)]
    replay: ReplayArgs,
    /// PEM file with the CAs to trust, for a replay over https.
    #[arg(long, value_name = "FILE", requires = "replay")]
    ca: Option<PathBuf>,
    /// CSV file with the data model: path,writable,value,type.
    #[arg(long, value_name = "FILE", required_unless_present = "replay")]
    model: Option<PathBuf>,
    #[arg(long, default_value_t = 1)]
    count: usize,
    #[arg(long, default_value = "00256D")]
    oui: String,
    #[arg(long, default_value = "SimGateway")]
    product_class: String,
    /// Serial number of the first CPE; the others follow.
    #[arg(long, default_value_t = 1)]
    first_serial: u64,
    /// Time between periodic Informs; without it the data model says.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    periodic_seconds: Option<u64>,
    /// Time over which the first Informs are spread.
    #[arg(long, default_value_t = 1)]
    start_seconds: u64,
    /// Where connection requests are taken; the CPEs give this address to the ACS.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// User name that connection requests must give.
    #[arg(long, requires = "password")]
    username: Option<String>,
    /// Password that connection requests must give.
    #[arg(long, requires = "username")]
    password: Option<String>,
    /// User name that the CPEs give to the ACS.
    #[arg(long, requires = "acs_password")]
    acs_username: Option<String>,
    /// Password that the CPEs give to the ACS.
    #[arg(long, requires = "acs_username")]
    acs_password: Option<String>,
    /// Something the CPEs do wrong; can be repeated.
    #[arg(long = "quirk", value_name = "NAME", value_parser = quirk_parser())]
    quirks: Vec<Quirk>,
    /// Answers an RPC by a fault, everywhere or where it touches a path; can be repeated.
    #[arg(long = "fault", value_name = "RPC=CODE[@PATH]")]
    faults: Vec<FaultRule>,
    /// Really loads firmware, which must be an image of `sim image`; else its version is the file's name.
    #[arg(long)]
    load_images: bool,
    /// Cuts the connection instead of answering the first RPC of this name, which is carried out.
    #[arg(long, value_name = "RPC")]
    cut_before_answer: Option<String>,
    /// Gives a parameter another value every so often; can be repeated.
    #[arg(long = "change", value_name = "PATH=SECONDS", value_parser = Every::change)]
    changes: Vec<Every>,
    /// Lets something happen every so often: reboot, inform, download, diagnostics; can be repeated.
    #[arg(long = "every", value_name = "WHAT=SECONDS")]
    happenings: Vec<Every>,
    /// Ends after this time; without it at Ctrl-C.
    #[arg(long)]
    duration_seconds: Option<u64>,
}

/// What was captured is played back, in place of a simulation.
#[derive(Debug, Args)]
struct ReplayArgs {
    /// Plays this side of a capture (`dragoman capture`) and compares what comes with what had come; the exit status
    /// is 0 only if nothing differs.
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
    /// Plays in the pace of the capture; without it as fast as answers come.
    #[arg(long, requires = "replay")]
    timing: bool,
}

/// An ACS.
#[derive(Debug, Args)]
pub struct AcsArgs {
    #[command(flatten)]
    replay: ReplayArgs,
    #[arg(long, default_value = "127.0.0.1:7547")]
    listen: SocketAddr,
    /// User name that CPEs must give (HTTP digest).
    #[arg(long, requires = "password")]
    username: Option<String>,
    /// Password that CPEs must give.
    #[arg(long, requires = "username")]
    password: Option<String>,
    /// PEM file with the certificate chain, to be called by https.
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// PEM file with the certificate's key.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// Parameter or partial path to read in every session; can be repeated.
    #[arg(long, value_name = "NAME")]
    every_session: Vec<String>,
    /// Ends after this time; without it at Ctrl-C.
    #[arg(long)]
    duration_seconds: Option<u64>,
}

/// A broker.
#[derive(Debug, Args)]
pub struct BrokerArgs {
    #[arg(long, default_value = "127.0.0.1:1883")]
    listen: SocketAddr,
    /// Ends after this time; without it at Ctrl-C.
    #[arg(long)]
    duration_seconds: Option<u64>,
}

/// Runs a simulator until its time is over or Ctrl-C is pressed.
pub async fn run(args: SimArgs) -> anyhow::Result<()> {
    match args {
        SimArgs::Cpe(args) => match args.replay.replay.clone() {
            Some(file) => replay_cpes(&file, *args).await,
            None => run_cpes(*args).await,
        },
        SimArgs::Acs(args) => run_acs(args).await,
        SimArgs::Broker(args) => run_broker(args).await,
        SimArgs::Image(ImageArgs { version, file, bytes }) => std::fs::write(&file, image(&version, bytes))
            .with_context(|| format!("failed to write {}", file.display())),
    }
}

async fn replay_cpes(file: &std::path::Path, args: CpeArgs) -> anyhow::Result<()> {
    let credentials = args.acs_username.zip(args.acs_password);
    replay::cpe(file, &args.acs_url, args.ca.as_deref(), credentials, args.replay.timing).await
}

async fn run_cpes(args: CpeArgs) -> anyhow::Result<()> {
    let (duration, count) = (args.duration_seconds, args.count);
    let config = fleet_config(args)?;
    let listen = config.connection_requests;
    let fleet = Fleet::start(config);
    let fleet =
        fleet.await.with_context(|| format!("failed to listen on {listen} for connection requests"))?;
    output::line(format_args!("{count} CPEs are calling"))?;
    let mut shown = Statistics::default();
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    let mut end = std::pin::pin!(end(duration));
    loop {
        tokio::select! {
            _ = tick.tick() => shown = show(&fleet, &shown)?,
            () = &mut end => break,
        }
    }
    show(&fleet, &shown)?;
    fleet.stop().await;
    Ok(())
}

fn fleet_config(args: CpeArgs) -> anyhow::Result<FleetConfig> {
    let Some(file) = &args.model else { bail!("--model is needed, or --replay") };
    let name = file.display();
    let text = std::fs::read_to_string(file).with_context(|| format!("failed to read {name}"))?;
    let model = Model::parse(&text).with_context(|| format!("{name} is no data model"))?;
    if !args.acs_url.starts_with("http://") {
        bail!("the ACS's URL must begin with http://, it is '{}'", args.acs_url);
    }
    for every in &args.changes {
        if let Happening::Change(path) = &every.what
            && !matches!(model.node(path), Some(Node::Parameter { .. }))
        {
            bail!("--change: {name} has no parameter '{path}'");
        }
    }
    if let Some(rpc) = args.cut_before_answer.as_deref().filter(|rpc| !Request::NAMES.contains(rpc)) {
        bail!("--cut-before-answer: there is no RPC '{rpc}'");
    }
    let quirks = Quirks {
        faults: args.faults,
        drop_before_answer_to: args.cut_before_answer,
        ..Quirks::of(&args.quirks)
    };
    Ok(FleetConfig {
        quirks,
        loads_images: args.load_images,
        happenings: args.changes.into_iter().chain(args.happenings).collect(),
        oui: args.oui,
        product_class: args.product_class,
        first_serial: args.first_serial,
        periodic_ms: args.periodic_seconds.map(|seconds| seconds.saturating_mul(1_000)),
        connection_requests: args.listen,
        credentials: args.username.zip(args.password),
        acs_credentials: args.acs_username.zip(args.acs_password),
        start_spread_ms: args.start_seconds.saturating_mul(1_000),
        ..FleetConfig::new(args.acs_url, Arc::new(model), args.count)
    })
}

/// The names of quirks, with what they mean for `--help` and for who mistypes one.
fn quirk_parser() -> impl TypedValueParser<Value = Quirk> {
    let names = Quirk::ALL.iter().map(|quirk| PossibleValue::new(quirk.name()).help(quirk.what()));
    PossibleValuesParser::new(names).try_map(|name| {
        let named = Quirk::ALL.iter().find(|quirk| quirk.name() == name);
        named.copied().ok_or("no such quirk")
    })
}

/// Prints how far the fleet is, and why sessions failed if some did since the last line.
fn show(fleet: &Fleet, before: &Statistics) -> anyhow::Result<Statistics> {
    let now = fleet.statistics();
    output::line(format_args!(
        "sessions: {} ended well (+{}), {} failed (+{}), {} open; RPCs {} (+{}); connection requests {}",
        now.sessions_ok,
        now.sessions_ok - before.sessions_ok,
        now.sessions_failed,
        now.sessions_failed - before.sessions_failed,
        now.open,
        now.rpcs,
        now.rpcs - before.rpcs,
        now.connection_requests
    ))?;
    if now.sessions_failed > before.sessions_failed
        && let Some(why) = &now.last_failure
    {
        output::line(format_args!("last failure: {why}"))?;
    }
    Ok(now)
}

async fn run_acs(args: AcsArgs) -> anyhow::Result<()> {
    let tls = match args.certificate.zip(args.key) {
        Some((chain, key)) => Some(TlsServer::new(&chain, &key, None, false)?),
        None => None,
    };
    if let Some(file) = &args.replay.replay {
        return replay::acs(file, args.listen, tls, args.replay.timing, end(args.duration_seconds)).await;
    }
    let config = AcsConfig { listen: args.listen, credentials: args.username.zip(args.password), tls };
    let acs = Acs::start(config).await.with_context(|| format!("failed to listen on {}", args.listen))?;
    if !args.every_session.is_empty() {
        let parameter_names = Array(args.every_session.into_iter().map(Into::into).collect());
        acs.on_every_session(vec![Request::GetParameterValues(GetParameterValues { parameter_names })]);
    }
    output::line(format_args!("ACS at {}", acs.url()))?;
    let mut log = acs.log();
    let mut end = std::pin::pin!(end(args.duration_seconds));
    loop {
        tokio::select! {
            entry = log.recv() => match entry {
                Ok((cpe, seen)) => output::line(format_args!("{cpe}: {seen}"))?,
                Err(RecvError::Lagged(missed)) => output::line(format_args!("{missed} lines left out"))?,
                Err(RecvError::Closed) => break,
            },
            () = &mut end => break,
        }
    }
    acs.stop().await;
    Ok(())
}

async fn run_broker(args: BrokerArgs) -> anyhow::Result<()> {
    let broker = Broker::start(BrokerConfig { listen: args.listen }).await;
    let broker = broker.with_context(|| format!("failed to listen on {}", args.listen))?;
    output::line(format_args!("broker at mqtt://{}", broker.address()))?;
    end(args.duration_seconds).await;
    broker.stop().await;
    Ok(())
}

/// Awaits the end of the time, or Ctrl-C.
async fn end(duration_seconds: Option<u64>) {
    let over = async {
        match duration_seconds {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = over => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
