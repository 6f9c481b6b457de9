//! `dragoman serve`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::app::{Birth, Gateway, Left};
use crate::config::{Settings, UpgradeSettings};
use crate::handover::{self, Door, Hello, Met};
use crate::net::Sockets;
use crate::observe::start_log;

use super::{output, service};

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// The configuration file; `dragoman config example` prints one.
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,
    /// Take the place of the gateway that runs, at the socket that `[upgrade]` names: see docs/upgrade.md.
    #[arg(long)]
    take_over: bool,
}

/// What a process needs to be taken over, and to begin anew if the one that took over dies.
struct Process {
    file: PathBuf,
    text: String,
    sockets: Sockets,
    store: PathBuf,
    upgrade: Option<UpgradeSettings>,
    terminate: Signal,
    interrupt: Signal,
}

pub(super) async fn serve(arguments: ServeArgs) -> anyhow::Result<()> {
    let text = read(&arguments.config)?;
    let settings = Settings::parse(&arguments.config, &text)?;
    start_log(&settings.log_filter, settings.log_format);
    let (store, upgrade) = (settings.store.file.clone(), settings.upgrade.clone());
    let birth = match (&upgrade, arguments.take_over) {
        (_, false) => Birth::Alone(Sockets::default()),
        (Some(upgrade), true) => Birth::Taking(handover::take(&upgrade.socket, &absolute(&store)).await?),
        (None, true) => anyhow::bail!("{}: there is no [upgrade] socket", arguments.config.display()),
    };
    let sockets = birth.sockets().clone();
    let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut process = Process { file: arguments.config, text, sockets, store, upgrade, terminate, interrupt };
    let mut gateway = Gateway::begin(settings, birth).await?;
    let mut door = process.open()?;
    service::tell_ready();
    // Scripts wait for this line, and read from it which ports were bound.
    let admin = gateway.admin.map_or_else(|| "none".to_owned(), |address| address.to_string());
    // Whoever does not read it has gateways and CPEs all the same.
    let _ = output::line(format_args!("dragoman is ready: cwmp={} admin={admin}", gateway.cwmp));
    while let Some(met) = process.met(&gateway, door.as_ref()).await {
        let Some(next) = process.leave(gateway, met).await? else { return Ok(()) };
        gateway = next;
        door = process.open()?;
        service::tell_ready();
    }
    tracing::info!("stopping: open sessions are finished first");
    service::tell_stopping();
    gateway.stop().await;
    tracing::info!("stopped");
    Ok(())
}

impl Process {
    /// Where the next process comes, if it may.
    fn open(&self) -> anyhow::Result<Option<Door>> {
        let Some(upgrade) = &self.upgrade else { return Ok(None) };
        let opened = Door::open(&upgrade.socket);
        let opened =
            opened.with_context(|| format!("failed to open the socket {}", upgrade.socket.display()))?;
        Ok(Some(opened))
    }

    /// Waits for one who takes over; `None` when the gateway is to stop.
    async fn met(&mut self, gateway: &Gateway, door: Option<&Door>) -> Option<Met> {
        let Self { sockets, store, terminate, interrupt, .. } = self;
        let refuse = |hello: &Hello| {
            if gateway.is_divided() {
                return Some("the process before it has sessions yet: try again when they have ended".into());
            }
            let ours = absolute(store).display().to_string();
            (hello.store != ours).then(|| format!("its store is {ours}, not {}", hello.store))
        };
        loop {
            let meeting = async {
                match door {
                    Some(door) => door.meet(sockets, refuse).await,
                    None => std::future::pending().await,
                }
            };
            let result = tokio::select! {
                result = meeting => result,
                _ = terminate.recv() => return None,
                _ = interrupt.recv() => return None,
            };
            match result {
                Ok((hello, met)) => {
                    tracing::info!(process = hello.process, release = %hello.release, "another process takes over");
                    return Some(met);
                }
                Err(error) => {
                    tracing::warn!(%error, "nobody took over: all goes on as before");
                    // Such as when there are too many open files.
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Leaves its place. The gateway that is given back goes on in this process, since the one that took over is gone.
    async fn leave(&mut self, gateway: Gateway, met: Met) -> anyhow::Result<Option<Gateway>> {
        let patience = self.upgrade.as_ref().map_or(Duration::ZERO, |upgrade| upgrade.drain);
        let hurry = CancellationToken::new();
        let left = {
            let mut leaving = std::pin::pin!(gateway.leave(met, patience, &hurry));
            loop {
                tokio::select! {
                    left = leaving.as_mut() => break left,
                    _ = self.terminate.recv() => hurry.cancel(),
                    _ = self.interrupt.recv() => hurry.cancel(),
                }
            }
        };
        match left {
            Left::Done => {
                tracing::info!("all is handed over: this process ends");
                return Ok(None);
            }
            Left::Abandoned if hurry.is_cancelled() => return Ok(None),
            Left::Abandoned => tracing::error!("the process that took over is gone: this one goes on"),
        }
        let (ours, theirs) = handover::pair()?;
        let settings = Settings::parse(&self.file, &self.text)?;
        tokio::spawn(async move {
            // Nobody is left to go on if the gateway of this very process is gone.
            let _ = gateway.leave(ours, patience, &CancellationToken::new()).await;
        });
        Gateway::begin(settings, Birth::After(theirs, self.sockets.clone())).await.map(Some)
    }
}

fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("failed to read {}", file.display()))
}

/// As both processes would name it, wherever they were started.
fn absolute(file: &Path) -> PathBuf {
    std::path::absolute(file).unwrap_or_else(|_| file.to_owned())
}

/// Between two tries of others to take over.
const PAUSE: Duration = Duration::from_millis(100);
