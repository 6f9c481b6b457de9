//! The door behind a front: what the front says counts, what others say does not.

use std::time::Duration;

use crate::net::{Networks, TlsServer};
use crate::southbound::{DoorConfig, Front};
use crate::transport::http::client_cert;

use super::pki::Pki;
use super::rig::{Rig, post};

fn trusting(network: &str) -> Front {
    Front { trusted: Networks::parse(&[network]).unwrap(), ..Front::default() }
}

async fn behind(network: &str, configure: impl FnOnce(&mut Front)) -> Rig {
    let mut front = trusting(network);
    configure(&mut front);
    Rig::with(|config| config.front = front).await
}

async fn behind_proxy_protocol() -> Rig {
    behind("127.0.0.1/32", |front| front.proxy_protocol = true).await
}

/// A header of version 2 for a client at 203.0.113.7:4711, with these entries.
pub fn header(command: u8, entries: &[u8]) -> Vec<u8> {
    let addresses = [203, 0, 113, 7, 127, 0, 0, 1, 0x12, 0x67, 0x1d, 0x7b];
    let length = u16::try_from(addresses.len() + entries.len()).unwrap().to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[command, 0x11][..], &length, &addresses, entries].concat()
}

/// The entry that says: by TLS, with a verified certificate of the name `cpe`.
pub const WITH_CERTIFICATE: [u8; 14] = [0x20, 0, 11, 3, 0, 0, 0, 0, 0x22, 0, 3, b'c', b'p', b'e'];

#[tokio::test]
async fn the_proxy_protocol_tells_of_the_client() {
    let mut rig = behind_proxy_protocol().await;
    let mut client = rig.connect().await;
    client.write([header(0x21, &WITH_CERTIFICATE), post("/", "", "one")].concat()).await;
    assert_eq!(client.answer().await.unwrap().body, "one");
    let seen = rig.request().await.client;
    assert_eq!(seen.to_string(), "203.0.113.7:4711 tls certificate=cpe via 127.0.0.1");
    // Byte by byte, as a slow network brings it.
    let mut slow = rig.connect().await;
    for byte in header(0x21, &[]) {
        slow.write([byte]).await;
    }
    slow.write(post("/", "", "two")).await;
    assert_eq!(slow.answer().await.unwrap().body, "two");
    assert_eq!(rig.next_request().await.client.to_string(), "203.0.113.7:4711 via 127.0.0.1");
    // A health check of the front itself.
    let mut check = rig.connect().await;
    check.write([header(0x20, &[]), post("/", "", "three")].concat()).await;
    assert_eq!(check.answer().await.unwrap().body, "three");
    assert!(rig.next_request().await.client.via.is_none());
}

#[tokio::test]
async fn a_front_without_a_header_of_version_2_is_closed_with_a_metric() {
    let rig = behind_proxy_protocol().await;
    let version_one = b"PROXY TCP4 203.0.113.7 127.0.0.1 4711 7547\r\n".to_vec();
    let cut_off = header(0x21, &[0x20, 0, 99]);
    for (count, bytes) in (1..).zip([version_one, post("/", "", "x"), cut_off]) {
        let mut client = rig.connect().await;
        client.write(bytes).await;
        assert!(client.answers().await.is_empty());
        let metrics = rig.metrics.render();
        let counted = format!("not_opened_total{{outcome=\"proxy-protocol\"}} {count}");
        assert!(metrics.contains(&counted), "{metrics}");
    }
}

#[tokio::test]
async fn a_header_that_never_comes_ends_the_connection() {
    let mut front = trusting("127.0.0.1/32");
    front.proxy_protocol = true;
    let configure = |config: &mut DoorConfig| {
        config.front = front;
        config.limits.opening_time = Duration::from_millis(100);
    };
    let rig = Rig::with(configure).await;
    let mut client = rig.connect().await;
    client.write(&header(0x21, &[])[..20]).await;
    assert!(client.answers().await.is_empty());
    assert!(rig.metrics.render().contains("outcome=\"slow\"} 1"));
}

#[tokio::test]
async fn nobody_but_the_front_may_say_where_a_cpe_is() {
    let mut rig = behind("192.0.2.0/24", |front| {
        (front.proxy_protocol, front.forwarded, front.client_cert) = (true, true, true);
    })
    .await;
    let (answers, requests) = rig.send_all([header(0x21, &[]), post("/", "", "x")].concat()).await;
    assert!(requests.is_empty() && answers.iter().all(|answer| answer.status == 400), "{answers:?}");
    let lies = "Forwarded: for=10.0.0.1;proto=https\r\nClient-Cert: :AAAA:\r\nX-Forwarded-For: 10.0.0.1\r\n";
    let mut client = rig.connect().await;
    client.write(post("/", lies, "x")).await;
    assert_eq!(client.answer().await.unwrap().status, 200);
    let request = rig.request().await;
    assert!(request.headers.is_empty(), "{:?}", request.headers);
    assert!(request.client.to_string().starts_with("127.0.0.1:"), "{}", request.client);
    assert!(!request.client.tls && request.client.certificate.is_none());
}

#[tokio::test]
async fn a_front_that_speaks_http_tells_by_its_headers() {
    let pki = Pki::new();
    let mut rig = behind("127.0.0.0/8", |front| (front.forwarded, front.client_cert) = (true, true)).await;
    let mut client = rig.connect().await;
    let lines = format!(
        "Forwarded: for=10.9.9.9\r\nForwarded: for=\"[2001:db8::7]:99\";proto=https;host=acs.example\r\n\
         Client-Cert: {}\r\n",
        client_cert(&pki.der("cpe"))
    );
    client.write(post("/", &lines, "x")).await;
    assert_eq!(client.answer().await.unwrap().status, 200);
    let request = rig.request().await;
    assert_eq!(request.client.to_string(), "[2001:db8::7]:99 tls certificate=cpe via 127.0.0.1");
    assert_eq!(request.client.host.as_deref(), Some("acs.example"));
    assert!(request.headers.is_empty(), "what the front said is not for the ACS as it stands");
    for malformed in ["Forwarded: for=1.2.3\r\n", "Client-Cert: :AAAA:\r\n"] {
        let (answers, requests) = rig.send_all(post("/", malformed, "x")).await;
        assert!(answers[0].status == 400 && requests.is_empty(), "{malformed}");
    }
}

#[tokio::test]
async fn a_certificate_that_the_front_verified_opens_where_one_is_required() {
    let mut front = trusting("127.0.0.1/32");
    front.proxy_protocol = true;
    let rig = Rig::with(|config| (config.front, config.require_certificate) = (front, true)).await;
    let unverified = [0x20, 0, 5, 3, 0, 0, 0, 1];
    for (entries, status) in [(&WITH_CERTIFICATE[..], 200), (&[], 403), (&unverified, 403)] {
        let mut client = rig.connect().await;
        client.write([header(0x21, entries), post("/", "", "x")].concat()).await;
        assert_eq!(client.answer().await.unwrap().status, status);
    }
}

#[tokio::test]
async fn a_front_that_passes_tls_through_leaves_the_handshake_to_the_door() {
    let pki = Pki::new();
    let tls = TlsServer::new(&pki.file("server"), &pki.file("server-key"), Some(&pki.file("ca")), false);
    let mut front = trusting("127.0.0.1/32");
    front.proxy_protocol = true;
    let mut rig = Rig::with(|config| {
        (config.front, config.tls, config.require_certificate) = (front, Some(tls.unwrap()), true);
    })
    .await;
    let mut client = pki.connect_behind(&rig, &header(0x21, &[]), "cpe").await;
    client.write(post("/", "", "inform")).await;
    assert_eq!(client.answer().await.unwrap().body, "inform");
    let seen = rig.request().await.client.to_string();
    assert_eq!(seen, "203.0.113.7:4711 tls certificate=cpe via 127.0.0.1");
}
