//! The running gateway, for commands that give it orders over its admin listener.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use clap::Args;
use serde_json::Value;

use crate::config::{Settings, admin_token};
use crate::net::{HttpClient, HttpLimits, HttpRequest, HttpUrl};

/// The running gateway.
#[derive(Debug, Args)]
pub(super) struct Running {
    /// Its configuration file, which says where its admin listener is.
    #[arg(long, required_unless_present = "admin")]
    config: Option<PathBuf>,
    /// Its admin listener, if not that of the configuration.
    #[arg(long, value_name = "HOST:PORT")]
    admin: Option<String>,
    /// The file with its token, if not that of the configuration.
    #[arg(long)]
    token_file: Option<PathBuf>,
}

/// Where orders go, and what proves them.
pub(super) struct Gateway {
    url: HttpUrl,
    token: Option<String>,
}

impl Running {
    pub fn find(&self) -> anyhow::Result<Gateway> {
        let configured = self.config.as_deref().map(Settings::read).transpose()?.and_then(|it| it.admin);
        let at = match (&self.admin, &configured) {
            (Some(at), _) => at.clone(),
            (None, Some(admin)) => admin.listen.to_string(),
            (None, None) => bail!("the configuration has no [admin] listener"),
        };
        let token = match &self.token_file {
            Some(file) => Some(admin_token(file)?),
            None => configured.and_then(|admin| admin.token.map(|token| token.to_string())),
        };
        let url =
            HttpUrl::parse(&format!("http://{at}/")).with_context(|| format!("{at} is no HOST:PORT"))?;
        Ok(Gateway { url, token })
    }
}

impl Gateway {
    pub async fn ask(&self, method: &'static str, target: String) -> anyhow::Result<Value> {
        let limits = HttpLimits { connect: CONNECT, answer: ANSWER, body: MAX_BODY };
        let mut client = HttpClient::connect(&self.url, None, limits).await?;
        let token = self.token.iter().map(|token| ("Authorization".to_owned(), format!("Bearer {token}")));
        let request = HttpRequest { method, target, headers: token.collect(), body: Bytes::new() };
        let reply = client.send(request).await?;
        let text = String::from_utf8_lossy(&reply.body);
        if reply.status != 200 {
            bail!("the gateway answers {}: {}", reply.status, text.trim());
        }
        serde_json::from_str(&text).context("the gateway's answer is not understood")
    }
}

const CONNECT: Duration = Duration::from_secs(5);
/// It reads the list of all devices.
const ANSWER: Duration = Duration::from_secs(60);
const MAX_BODY: usize = 64 << 20;
