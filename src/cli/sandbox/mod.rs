//! `dragoman sandbox`: gateway, ACS, CPEs, broker and controller in one process, and a story to watch.

mod story;
mod voice;
mod world;

use clap::Args;

use crate::observe::{LogFormat, start_log};

use super::output::Gone;
use voice::Voice;
use world::World;

#[derive(Debug, Args)]
pub(super) struct SandboxArgs {
    /// End after the story, with status 0 if all of it went well.
    #[arg(long)]
    once: bool,
    /// Simulated CPEs.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(2..=1000))]
    cpes: u16,
    /// Show the gateway's own log as well, with a filter such as `info`.
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
}

pub(super) async fn run(arguments: SandboxArgs) -> anyhow::Result<()> {
    start_log(arguments.log.as_deref().unwrap_or("error"), LogFormat::Text);
    let voice = Voice::start();
    let world = World::build(usize::from(arguments.cpes), &voice).await?;
    let told = tokio::select! {
        told = show(&world, &voice, arguments.once) => told,
        () = voice.gone() => Err(Gone.into()),
    };
    if let Err(error) = &told {
        voice.fail(&format!("{error:#}"));
    }
    world.end(&voice).await;
    told
}

async fn show(world: &World, voice: &Voice, once: bool) -> anyhow::Result<()> {
    story::tell(world, voice).await?;
    if !once {
        world.invite(voice);
        tokio::signal::ctrl_c().await?;
    }
    Ok(())
}
