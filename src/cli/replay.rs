//! `dragoman sim cpe --replay` and `dragoman sim acs --replay`: a capture played back, and what differed.

use std::fs::File;
use std::io::BufReader;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context as _, bail};

use crate::capture::{LegName, Script};
use crate::net::{HttpUrl, TlsClient, TlsServer};
use crate::sim::replay::{ReplayAcs, ReplayAcsConfig, ReplayCpeConfig, Report, play};

use super::output;

/// Plays the CPEs.
pub(super) async fn cpe(
    file: &Path,
    url: &str,
    ca: Option<&Path>,
    credentials: Option<(String, String)>,
    timed: bool,
) -> anyhow::Result<()> {
    let url = HttpUrl::parse(url)?;
    if url.tls && ca.is_none() {
        bail!("https:// needs --ca, the file with the CAs to trust");
    }
    let tls = ca.map(|ca| TlsClient::new(ca, None)).transpose()?;
    let script = read(file, LegName::Cpe)?;
    let report = play(&script, &ReplayCpeConfig { url, tls, credentials, timed }).await;
    tell(&report)
}

/// Plays the ACS, until all has been played or the time is over.
pub(super) async fn acs(
    file: &Path,
    listen: SocketAddr,
    tls: Option<TlsServer>,
    timed: bool,
    end: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let script = read(file, LegName::Acs)?;
    let acs = ReplayAcs::start(&script, ReplayAcsConfig { listen, tls, timed }).await;
    let acs = acs.with_context(|| format!("failed to listen on {listen}"))?;
    let sessions = script.on(LegName::Acs).count();
    output::line(format_args!("ACS at {}, with {sessions} sessions to play", acs.url()))?;
    tokio::select! {
        () = acs.finished() => {}
        () = end => {}
    }
    tell(&acs.stop())
}

fn read(file: &Path, leg: LegName) -> anyhow::Result<Script> {
    let name = file.display();
    let opened = File::open(file).with_context(|| format!("failed to read {name}"))?;
    let script = Script::read(BufReader::new(opened)).with_context(|| format!("{name} cannot be played"))?;
    if script.end == "truncated" || script.end == "failed" {
        output::tell(format_args!(
            "{name} is not whole: more passed than could be written, and something is missing"
        ));
    }
    let sessions = script.on(leg).count();
    if sessions == 0 {
        let side = if leg == LegName::Cpe { "a CPE" } else { "the ACS" };
        bail!("{name} holds no session of {side}'s leg; {} USP records are not played", script.records);
    }
    Ok(script)
}

fn tell(report: &Report) -> anyhow::Result<()> {
    report.lines().iter().try_for_each(output::line)?;
    match report.differences() {
        0 => Ok(()),
        count => bail!("{count} of {} exchanges are not as recorded", report.rows.len()),
    }
}
