//! Limits of time, size and number.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

use super::rig::{Rig, post};

const SHORT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn h23_header_floods_are_refused() {
    let mut rig = Rig::open().await;
    let long = format!("X-Long: {}\r\n", "x".repeat(200_000));
    let many = (0..500).map(|n| format!("X-{n}: 1\r\n")).collect::<String>();
    for lines in [long, many] {
        let (answers, requests) = rig.send_all(post("/", &lines, "")).await;
        assert!(requests.is_empty());
        assert!(answers.iter().all(|answer| answer.status == 431), "{answers:?}");
    }
    // A client that waits with its last byte hears why it is refused.
    let mut client = rig.connect().await;
    let many = (0..101).map(|n| format!("X-{n}: 1\r\n")).collect::<String>();
    client.write(post("/", &many, "")).await;
    assert_eq!(client.answer().await.unwrap().status, 431);
    assert!(client.answer().await.is_none());
}

#[tokio::test]
async fn h28_silence_and_slow_heads_end_the_connection() {
    let mut rig = Rig::with(|config| config.limits.idle = SHORT).await;
    let mut silent = rig.connect().await;
    assert!(silent.answer().await.is_none());
    let mut slow = rig.connect().await;
    slow.write("POST / HTTP/1.1\r\nHost").await;
    tokio::time::sleep(SHORT / 2).await;
    // Another byte in time does not prolong it.
    slow.write(":").await;
    assert!(slow.answers().await.iter().all(|answer| answer.status == 408));
    let mut idle = rig.connect().await;
    assert_eq!(idle.post("/", "x").await.body, "x");
    assert!(idle.answer().await.is_none());
    for _ in 0..2 {
        assert!(rig.requests_until_gone().await.is_empty());
    }
    assert_eq!(rig.requests_until_gone().await.len(), 1);
}

#[tokio::test]
async fn h28_the_limit_on_silence_does_not_end_a_request_in_hand() {
    let mut rig = Rig::with(|config| config.limits.idle = SHORT).await;
    let mut client = rig.connect().await;
    client.write(post("/held", "", "inform")).await;
    rig.request().await;
    tokio::time::sleep(SHORT * 2).await;
    rig.release();
    assert_eq!(client.answer().await.unwrap().body, "inform");
}

#[tokio::test]
async fn h28_a_slow_body_is_answered_with_408() {
    let mut rig = Rig::with(|config| config.limits.body_time = SHORT).await;
    let mut client = rig.connect().await;
    client.write("POST / HTTP/1.1\r\nHost: gw\r\nContent-Length: 10\r\n\r\n").await;
    for _ in 0..8 {
        client.write("x").await;
        tokio::time::sleep(SHORT / 5).await;
    }
    assert_eq!(client.answer().await.unwrap().status, 408);
    assert!(client.answer().await.is_none());
    drop(client);
    assert!(rig.requests_until_gone().await.is_empty());
}

#[tokio::test]
async fn more_connections_than_allowed_wait_for_one_to_end() {
    let mut rig = Rig::with(|config| config.limits.connections = 1).await;
    let mut first = rig.connect().await;
    first.post("/", "1").await;
    rig.request().await;
    let mut second = rig.connect().await;
    second.write(post("/", "", "2")).await;
    let early = tokio::time::timeout(SHORT, second.answer()).await;
    assert!(early.is_err(), "a connection over the limit was served");
    first.stream.shutdown().await.unwrap();
    assert_eq!(second.answer().await.unwrap().body, "2");
}
