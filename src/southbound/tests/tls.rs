//! The door behind TLS, with and without certificates of CPEs.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt as _;

use super::pki::Pki;
use super::rig::{Rig, Told, post};

#[tokio::test]
async fn tls_without_certificates_of_cpes_serves_everyone() {
    let pki = Pki::new();
    let rig = pki.door(None, false).await;
    assert_eq!(pki.answer(&rig, None).await.unwrap().body, "inform");
    assert_eq!(pki.answer(&rig, Some("cpe")).await.unwrap().body, "inform");
    assert!(pki.connect(&rig, "other-ca", None).await.is_err(), "the client must be able to refuse the door");
}

#[tokio::test]
async fn a_certificate_that_is_asked_for_may_be_missing_but_not_foreign() {
    let pki = Pki::new();
    let rig = pki.door(Some(&pki.file("ca")), false).await;
    assert_eq!(pki.answer(&rig, None).await.unwrap().body, "inform");
    assert_eq!(pki.answer(&rig, Some("cpe")).await.unwrap().body, "inform");
    assert!(pki.answer(&rig, Some("stranger")).await.is_none());
}

#[tokio::test]
async fn a_certificate_that_is_required_opens_and_its_lack_does_not() {
    let pki = Pki::new();
    let mut rig = pki.door(Some(&pki.file("ca")), true).await;
    assert!(pki.answer(&rig, None).await.is_none());
    assert!(pki.answer(&rig, Some("stranger")).await.is_none());
    assert_eq!(pki.answer(&rig, Some("cpe")).await.unwrap().body, "inform");
    assert_eq!(rig.request().await.body, "inform");
}

#[tokio::test]
async fn a_handshake_that_never_comes_holds_up_nobody() {
    let pki = Pki::new();
    let rig = pki.door(None, false).await;
    let silent = rig.connect().await;
    assert_eq!(pki.answer(&rig, None).await.unwrap().body, "inform");
    let mut plain = rig.connect().await;
    plain.write(post("/", "", "no TLS at all")).await;
    // An alert is no HTTP; what counts is that the connection ends.
    plain.ended().await;
    drop(silent);
}

#[tokio::test]
async fn t03_half_close_works_through_tls() {
    let pki = Pki::new();
    let mut rig = pki.door(None, false).await;
    let mut client = pki.connect(&rig, "ca", None).await.unwrap();
    client.write(post("/held", "", "inform")).await;
    rig.request().await;
    client.stream.shutdown().await.unwrap();
    assert!(matches!(rig.told().await, Told::HalfClosed(_)));
    rig.release();
    assert_eq!(client.answer().await.unwrap().body, "inform");
    assert!(matches!(rig.told().await, Told::Gone(_)));
}

#[tokio::test]
async fn handshakes_that_never_come_are_bounded_and_those_over_the_bound_wait() {
    let pki = Pki::new();
    let rig = pki.door_with(|config| {
        config.limits.openings = 1;
        config.limits.opening_time = SHORT;
    });
    let rig = rig.await;
    let silent = rig.connect().await;
    // The door must have taken the silent one up first.
    tokio::time::sleep(SHORT / 10).await;
    let started = Instant::now();
    assert_eq!(pki.answer(&rig, None).await.unwrap().body, "inform");
    assert!(started.elapsed() >= SHORT / 2, "two handshakes were under way");
    drop(silent);
    assert!(
        rig.metrics.render().contains("not_opened_total{outcome=\"slow\"} 1"),
        "{}",
        rig.metrics.render()
    );
}

#[tokio::test]
async fn a_handshake_counts_as_an_open_connection() {
    let pki = Pki::new();
    let rig = pki.door_with(|config| {
        config.limits.connections = 1;
        config.limits.opening_time = SHORT;
    });
    let rig: Rig = rig.await;
    let silent = rig.connect().await;
    tokio::time::sleep(SHORT / 10).await;
    let started = Instant::now();
    assert_eq!(pki.answer(&rig, None).await.unwrap().body, "inform");
    assert!(started.elapsed() >= SHORT / 2, "a connection was open beside the only one allowed");
    drop(silent);
}

const SHORT: Duration = Duration::from_millis(500);
