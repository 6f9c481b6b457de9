//! `[firmware]` as meant: the stage of firmware images, and the server that CPEs load them from.

use std::time::Duration;

use crate::file_server::{ServerConfig, StageConfig};

use super::file;
use super::settings::{Refusal, refuse, server_tls};
use super::values::Seconds;

/// What a stage and its server are opened with.
pub struct FirmwareSettings {
    pub stage: StageConfig,
    pub server: ServerConfig,
}

pub(super) fn firmware(firmware: &file::Firmware) -> Result<FirmwareSettings, Refusal> {
    let url = &firmware.url.0;
    let text = format!("http{}://{}{}", if url.tls { "s" } else { "" }, url.authority(), url.target);
    if text.len() > MAX_URL || url.target.contains(['?', '#']) {
        let what = format!("has {MAX_URL} characters at most and no query: a CPE's room for a URL is 256");
        return refuse("firmware.url", what);
    }
    let max_bytes = firmware.max_image_bytes.unwrap_or(MAX_IMAGE);
    let total_bytes = firmware.max_total_bytes.unwrap_or(MAX_TOTAL);
    if max_bytes == 0 || max_bytes > total_bytes {
        return refuse("firmware.max_image_bytes", "is 1 at least, and max_total_bytes at most");
    }
    let downloads = firmware.max_downloads.unwrap_or(MAX_DOWNLOADS);
    if downloads == 0 || firmware.bytes_per_second == Some(0) {
        return refuse("firmware", "max_downloads and bytes_per_second are 1 at least");
    }
    let tls = match &firmware.tls {
        Some(tls) => Some(server_tls("firmware.tls", tls, true)?),
        None => None,
    };
    let stage = StageConfig {
        directory: firmware.directory.clone(),
        url: text,
        max_bytes,
        total_bytes,
        fetch_time: firmware.fetch_seconds.unwrap_or(Seconds::of(600)).0,
        connect: Duration::from_secs(10),
        idle: Duration::from_secs(60),
        link_time: firmware.link_seconds.unwrap_or(Seconds::of(86_400)).0,
    };
    let server = ServerConfig {
        listen: firmware.listen.into(),
        tls,
        downloads,
        bytes_per_second: firmware.bytes_per_second,
        connection_time: Duration::from_secs(7_200),
    };
    Ok(FirmwareSettings { stage, server })
}

/// Characters of the public URL.
const MAX_URL: usize = 100;
const MAX_IMAGE: u64 = 256 << 20;
const MAX_TOTAL: u64 = 4 << 30;
const MAX_DOWNLOADS: usize = 64;
