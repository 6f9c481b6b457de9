//! `dragoman serve`.

use std::path::PathBuf;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use crate::app::Gateway;
use crate::config::Settings;
use crate::observe::start_log;

use super::output;

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// The configuration file; `dragoman config example` prints one.
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,
}

pub(super) async fn serve(arguments: ServeArgs) -> anyhow::Result<()> {
    let settings = Settings::read(&arguments.config)?;
    start_log(&settings.log_filter, settings.log_format);
    let mut terminate = signal(SignalKind::terminate())?;
    let gateway = Gateway::start(settings).await?;
    // Scripts wait for this line, and read from it which ports were bound.
    let admin = gateway.admin.map_or_else(|| "none".to_owned(), |address| address.to_string());
    // Whoever does not read it has gateways and CPEs all the same.
    let _ = output::line(format_args!("dragoman is ready: cwmp={} admin={admin}", gateway.cwmp));
    tokio::select! {
        _ = terminate.recv() => {}
        result = tokio::signal::ctrl_c() => result?,
    }
    tracing::info!("stopping: open sessions are finished first");
    gateway.stop().await;
    tracing::info!("stopped");
    Ok(())
}
