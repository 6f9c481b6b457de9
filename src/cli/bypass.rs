//! `dragoman bypass|release|restore|emergency-bypass`: orders to the running gateway, over its admin listener.

use std::time::Duration;

use anyhow::bail;
use clap::Args;
use serde_json::Value;

use crate::identity::EndpointId;

use super::meeting::endpoint;
use super::output;
use super::running::{Gateway, Running};

#[derive(Debug, Args)]
pub(super) struct BypassArgs {
    #[command(flatten)]
    gateway: Running,
    #[command(flatten)]
    target: Target,
    /// Give no order; say how orders stand.
    #[arg(long, conflicts_with_all = ["device", "all"])]
    status: bool,
}

#[derive(Debug, Args)]
pub(super) struct ReleaseArgs {
    #[command(flatten)]
    gateway: Running,
    #[command(flatten)]
    target: Target,
    /// How long to wait until every device is its ACS's alone; the exit status is 0 only if all are.
    #[arg(long, default_value_t = 0)]
    wait_seconds: u64,
}

#[derive(Debug, Args)]
pub(super) struct OrderArgs {
    #[command(flatten)]
    gateway: Running,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
struct Target {
    /// The endpoint ID of one device's agent.
    #[arg(long, value_parser = endpoint, conflicts_with = "all")]
    device: Option<EndpointId>,
    /// All devices, those too that come later.
    #[arg(long)]
    all: bool,
}

impl Target {
    /// As it stands in a query.
    fn text(&self) -> anyhow::Result<String> {
        match &self.device {
            Some(device) => Ok(device.as_str().replace('%', "%25")),
            None if self.all => Ok("all".to_owned()),
            None => bail!("say --device ENDPOINT or --all"),
        }
    }
}

pub(super) async fn bypass(arguments: BypassArgs) -> anyhow::Result<()> {
    let gateway = arguments.gateway.find()?;
    let state = match arguments.status {
        true => gateway.ask("GET", "/bypass".into()).await?,
        false => gateway.order("bypass", &arguments.target).await?,
    };
    tell(&state)
}

pub(super) async fn restore(arguments: OrderArgs) -> anyhow::Result<()> {
    tell(&arguments.gateway.find()?.order("restore", &arguments.target).await?)
}

pub(super) async fn emergency(arguments: OrderArgs) -> anyhow::Result<()> {
    tell(&arguments.gateway.find()?.order("emergency-bypass", &arguments.target).await?)
}

pub(super) async fn release(arguments: ReleaseArgs) -> anyhow::Result<()> {
    let gateway = arguments.gateway.find()?;
    let mut state = gateway.order("release", &arguments.target).await?;
    let until = tokio::time::Instant::now() + Duration::from_secs(arguments.wait_seconds);
    loop {
        tell(&state)?;
        let waiting = state["waiting"].as_u64().unwrap_or(u64::MAX);
        if waiting == 0 {
            return Ok(());
        }
        if tokio::time::Instant::now() >= until {
            bail!("{waiting} device(s) wait still: they are given back in their next sessions");
        }
        tokio::time::sleep(POLL).await;
        state = gateway.ask("GET", format!("/bypass?device={}", arguments.target.text()?)).await?;
    }
}

fn tell(state: &Value) -> anyhow::Result<()> {
    let all = state["all"]["mode"].as_str().unwrap_or("none");
    let devices = state["devices"].as_object().map_or(0, serde_json::Map::len);
    let count = |name: &str| state[name].as_u64().unwrap_or(0);
    let (restored, waiting) = (count("restored"), count("waiting"));
    output::line(format_args!(
        "order for all: {all}; for single devices: {devices}; restored: {restored}, waiting: {waiting}"
    ))
}

impl Gateway {
    async fn order(&self, order: &str, target: &Target) -> anyhow::Result<Value> {
        self.ask("POST", format!("/{order}?device={}", target.text()?)).await
    }
}

const POLL: Duration = Duration::from_secs(1);
