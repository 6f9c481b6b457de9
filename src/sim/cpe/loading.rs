//! Loads firmware over HTTP, in two pieces as real devices do that were interrupted, and looks whether it is for this
//! device.

use std::time::Duration;

use bytes::Bytes;

use crate::net::{HttpClient, HttpLimits, HttpReply, HttpRequest, HttpUrl};

use super::image::version_of;
use super::transfers::Transfer;

/// The transfer with its end: the version that the image brings stands for its name, else a fault.
pub(super) async fn load(transfer: Transfer) -> Transfer {
    match image(&transfer.url).await {
        Ok(content) => match version_of(&content) {
            Some(version) => Transfer { file_name: version, ..transfer },
            None => Transfer { fault_code: CORRUPT, ..transfer },
        },
        Err(fault_code) => Transfer { fault_code, ..transfer },
    }
}

async fn image(url: &str) -> Result<Bytes, u32> {
    let url = HttpUrl::parse(url).map_err(|_| FAILED)?;
    if url.tls {
        return Err(FAILED);
    }
    let first = get(&url, &format!("bytes=0-{}", PIECE - 1)).await?;
    match first.status {
        206 if first.body.len() < PIECE => Ok(first.body),
        206 => {
            let rest = get(&url, &format!("bytes={PIECE}-")).await?;
            match rest.status {
                206 => Ok([first.body, rest.body].concat().into()),
                // There is nothing behind the first piece.
                416 => Ok(first.body),
                _ => Err(FAILED),
            }
        }
        200 => Ok(first.body),
        401 | 403 | 404 => Err(NO_ACCESS),
        _ => Err(FAILED),
    }
}

async fn get(url: &HttpUrl, range: &str) -> Result<HttpReply, u32> {
    let mut client = HttpClient::connect(url, None, LIMITS).await.map_err(|_| NO_SERVER)?;
    let headers = vec![("Range".to_owned(), range.to_owned())].into();
    let request = HttpRequest { method: "GET", target: url.target.clone(), headers, body: Bytes::new() };
    client.send(request).await.map_err(|_| FAILED)
}

/// Bytes that are loaded first.
const PIECE: usize = 1_000;
/// The faults of TR-069 table A.5.1: in general, the server not reached, the file not reached, the file corrupt.
const FAILED: u32 = 9_010;
const NO_SERVER: u32 = 9_015;
const NO_ACCESS: u32 = 9_016;
const CORRUPT: u32 = 9_018;
const LIMITS: HttpLimits =
    HttpLimits { connect: Duration::from_secs(5), answer: Duration::from_secs(60), body: 64 << 20 };
