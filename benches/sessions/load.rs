//! The load: CPEs that open a session over a connection of its own, one after the other, several at a time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::bodies;
use super::http::{Peer, header};

/// Runs so many sessions, spread over the addresses, and judges every answer.
pub async fn run(addresses: Arc<[SocketAddr]>, sessions: usize) {
    let next = Arc::new(AtomicUsize::new(0));
    let callers: Vec<_> = (0..AT_A_TIME)
        .map(|_| {
            let (addresses, next) = (Arc::clone(&addresses), Arc::clone(&next));
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= sessions {
                        return;
                    }
                    session(addresses[number % addresses.len()], number % DEVICES).await;
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.expect("every session ends well");
    }
}

async fn session(address: SocketAddr, device: usize) {
    let mut cpe = Peer::connect(address).await;
    let mut cookies = String::new();
    post(&mut cpe, &mut cookies, bodies::inform(device).as_bytes(), 200, &bodies::inform_response()).await;
    post(&mut cpe, &mut cookies, b"", 200, &bodies::request()).await;
    post(&mut cpe, &mut cookies, bodies::response().as_bytes(), 204, "").await;
}

async fn post(cpe: &mut Peer, cookies: &mut String, body: &[u8], status: u16, wanted: &str) {
    let kind = if body.is_empty() { "" } else { "Content-Type: text/xml; charset=\"utf-8\"\r\n" };
    let head = format!(
        "POST /cwmp HTTP/1.1\r\nHost: acs.example.net:7547\r\nUser-Agent: HG100-cwmp/4.12\r\n{kind}\
         SOAPAction: \"\"\r\n{cookies}Content-Length: {}\r\n\r\n",
        body.len()
    );
    assert!(cpe.send(&head, body).await, "the relay closed the connection");
    let answer = cpe.receive().await.expect("an answer");
    assert_eq!(answer.head.split(' ').nth(1), Some(status.to_string().as_str()), "{}", answer.head);
    assert_eq!(answer.body, wanted.as_bytes(), "the ACS's bytes pass");
    if let Some(cookie) = header(answer.head, "set-cookie") {
        *cookies = format!("Cookie: {}\r\n", cookie.split(';').next().unwrap_or_default());
    }
}

/// Sessions open at a time.
const AT_A_TIME: usize = 32;
/// Different devices.
pub const DEVICES: usize = 1_000;
