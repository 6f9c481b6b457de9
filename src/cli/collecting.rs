//! Collectors of bulk data for the checks of `dragoman conformance`, as their options say.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use crate::net::{HttpUrl, TlsServer};
use crate::sim::collector::{Collector, CollectorConfig};

/// Where the agent brings bulk data to.
#[derive(Debug, Args)]
pub(super) struct Collecting {
    /// Where to listen for bulk data over HTTP; the agent must reach it, and be allowed to.
    #[arg(long, value_name = "ADDRESS:PORT")]
    collector: Option<SocketAddr>,
    /// What the agent calls to come there, if that is something else.
    #[arg(long, value_name = "URL", requires = "collector", value_parser = plain)]
    collector_url: Option<String>,
    /// Where to listen for bulk data over HTTPS; the agent must trust the certificate.
    #[arg(long, value_name = "ADDRESS:PORT", requires_all = ["collector_cert", "collector_key"])]
    collector_tls: Option<SocketAddr>,
    /// What the agent calls to come there, if that is something else.
    #[arg(long, value_name = "URL", requires = "collector_tls", value_parser = secure)]
    collector_tls_url: Option<String>,
    /// The collector's certificate chain, for the name or address by which the agent calls it.
    #[arg(long, value_name = "FILE", requires = "collector_tls")]
    collector_cert: Option<PathBuf>,
    /// The key of that certificate.
    #[arg(long, value_name = "FILE", requires = "collector_tls")]
    collector_key: Option<PathBuf>,
}

/// Over HTTP, and over HTTPS.
pub(super) type Collectors = (Option<Collector>, Option<Collector>);

impl Collecting {
    /// Starts what is asked for.
    pub async fn start(&self) -> anyhow::Result<Collectors> {
        let plain = match self.collector {
            Some(listen) => Some(start(listen, None, self.collector_url.clone()).await?),
            None => None,
        };
        let secure = match (self.collector_tls, &self.collector_cert, &self.collector_key) {
            (Some(listen), Some(chain), Some(key)) => {
                let tls = TlsServer::new(chain, key, None, false)?;
                Some(start(listen, Some(tls), self.collector_tls_url.clone()).await?)
            }
            _ => None,
        };
        Ok((plain, secure))
    }
}

async fn start(listen: SocketAddr, tls: Option<TlsServer>, url: Option<String>) -> anyhow::Result<Collector> {
    let collector = Collector::start(CollectorConfig { listen, tls, url }).await;
    collector.with_context(|| format!("failed to listen for bulk data on {listen}"))
}

fn plain(text: &str) -> Result<String, String> {
    url(text, false)
}

fn secure(text: &str) -> Result<String, String> {
    url(text, true)
}

fn url(text: &str, tls: bool) -> Result<String, String> {
    let url = HttpUrl::parse(text).map_err(|error| error.to_string())?;
    match url.tls == tls && !url.target.contains('?') {
        true => Ok(text.to_owned()),
        false => Err(format!("it begins with http{}:// and has no query", if tls { "s" } else { "" })),
    }
}
