//! The table `[takeover]`: CPEs that come since their URL has been changed.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use crate::agent::AgentConfig;
use crate::policy::{CallSecret, KnownDevices, Takeover, UrlWrite};

use super::file::{self, OtherUrls};
use super::settings::{Refusal, refuse};

/// What the table means.
#[derive(Default)]
pub(super) struct Taken {
    pub urls: Option<Takeover>,
    pub known: Option<Arc<KnownDevices>>,
    /// Whether a factory reset takes CPEs away.
    pub reset_departs: bool,
}

impl Taken {
    /// What of it, and of the secret for credentials, agents have to know.
    pub fn agent(&self, call_secret: Option<CallSecret>) -> AgentConfig {
        AgentConfig { reset_departs: self.reset_departs, call_secret, ..AgentConfig::default() }
    }
}

pub(super) fn takeover(file: &file::File) -> Result<Taken, Refusal> {
    let Some(table) = &file.takeover else { return Ok(Taken::default()) };
    let Some(acs) = &file.acs else {
        return refuse("takeover", "needs [acs]: without one there is nobody to take CPEs over from");
    };
    let only = acs.url.as_ref().filter(|_| acs.route.is_empty());
    let Some(acs) = table.acs_url.as_ref().or(only) else {
        return refuse(
            "takeover.acs_url",
            "is needed beside [[acs.route]]: CPEs are taken over from one URL",
        );
    };
    let urls = Takeover::new(table.url.0.to_string(), acs.0.to_string(), table.other_urls == OtherUrls::Hold);
    if urls.judge(&acs.0.to_string()) == UrlWrite::Gateway {
        return refuse("takeover.url", "is the ACS's own: taken over by its name, CPEs need no new URL");
    }
    let known = table.hide_bootstrap.as_deref().map(known).transpose()?;
    Ok(Taken { urls: Some(urls), known: known.map(Arc::new), reset_departs: !table.reset_leads_back })
}

fn known(list: &Path) -> Result<KnownDevices, Refusal> {
    let key = "takeover.hide_bootstrap";
    let mut text = String::new();
    let read = File::open(list).and_then(|file| file.take(MAX_LIST).read_to_string(&mut text));
    match read {
        Err(error) => refuse(key, format!("{}: {error}", list.display())),
        Ok(length) if length as u64 == MAX_LIST => refuse(key, format!("{} is too large", list.display())),
        Ok(_) => KnownDevices::parse(&text).or_else(|error| refuse(key, error)),
    }
}

/// Bytes of a list of known devices.
const MAX_LIST: u64 = 2 << 30;
