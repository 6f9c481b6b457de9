//! How connections end, and that the handler is told in time: a parked session must not wait for a CPE that
//! has gone.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt as _;

use super::rig::{LARGE, Rig, Told, post, within};

#[tokio::test]
async fn t03_who_closes_its_sending_side_still_gets_its_answer() {
    let mut rig = Rig::open().await;
    let mut client = rig.connect().await;
    client.write(post("/held", "", "inform")).await;
    client.stream.shutdown().await.unwrap();
    let connection = rig.request().await.connection;
    assert!(matches!(rig.told().await, Told::HalfClosed(it) if it == connection));
    rig.release();
    assert_eq!(client.answer().await.unwrap().body, "inform");
    assert!(client.answer().await.is_none());
    assert!(matches!(rig.told().await, Told::Gone(it) if it == connection));
}

#[tokio::test]
async fn t03_a_half_closed_connection_ends_with_its_answer_and_not_with_a_time_out() {
    let mut rig = Rig::open().await;
    let begin = Instant::now();
    let (answers, requests) = rig.send_all(post("/", "", "inform")).await;
    assert_eq!((answers.len(), requests.len()), (1, 1));
    assert!(begin.elapsed() < A_MOMENT);
}

#[tokio::test]
async fn t03_a_large_answer_reaches_a_half_closed_peer_whole() {
    let mut rig = Rig::open().await;
    let mut client = rig.connect().await;
    client.write(post("/large", "", "")).await;
    client.stream.shutdown().await.unwrap();
    rig.request().await;
    // The peer reads late: the answer does not fit into the sockets meanwhile.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(client.answer().await.unwrap().body.len(), LARGE);
}

#[tokio::test]
async fn t13_pipelined_requests_of_a_half_closed_peer_are_all_answered() {
    let mut rig = Rig::open().await;
    let mut client = rig.connect().await;
    client.write([post("/held", "", "one"), post("/held", "", "two"), post("/", "", "three")].concat()).await;
    client.stream.shutdown().await.unwrap();
    rig.request().await;
    rig.release();
    assert_eq!(client.answer().await.unwrap().body, "one");
    tokio::time::sleep(Duration::from_millis(50)).await;
    rig.release();
    assert_eq!(client.answer().await.unwrap().body, "two");
    assert_eq!(client.answer().await.unwrap().body, "three");
    assert!(client.answer().await.is_none());
}

#[tokio::test]
async fn t04_who_expects_100_and_half_closes_gets_its_answer() {
    let mut rig = Rig::open().await;
    let mut client = rig.connect().await;
    let whole = post("/held", "Expect: 100-continue\r\n", "inform");
    let (head, body) = whole.split_at(whole.len() - "inform".len());
    client.write(head).await;
    assert_eq!(client.answer().await.unwrap().status, 100);
    client.write(body).await;
    client.stream.shutdown().await.unwrap();
    rig.request().await;
    assert!(matches!(rig.told().await, Told::HalfClosed(_)));
    rig.release();
    assert_eq!(client.answer().await.unwrap().body, "inform");
}

#[tokio::test]
async fn s17_a_cpe_that_vanishes_while_its_session_is_parked_is_reported_in_a_moment() {
    let mut rig = Rig::open().await;
    let mut client = rig.connect().await;
    client.write(post("/held", "", "")).await;
    let connection = rig.request().await.connection;
    drop(client);
    let begin = Instant::now();
    assert!(matches!(rig.told().await, Told::HalfClosed(it) if it == connection));
    assert!(begin.elapsed() < A_MOMENT);
    rig.release();
    assert!(matches!(rig.told().await, Told::Gone(it) if it == connection));
}

#[tokio::test]
async fn s17_a_reset_ends_the_request_and_is_reported() {
    let mut rig = Rig::open().await;
    let mut client = rig.connect().await;
    client.write(post("/held", "", "")).await;
    let connection = rig.request().await.connection;
    client.stream.set_zero_linger().unwrap();
    drop(client);
    assert!(matches!(rig.told().await, Told::Gone(it) if it == connection));
}

#[tokio::test]
async fn s17_a_reset_after_the_half_close_is_no_reason_to_hold_the_request_for_ever() {
    let mut rig = Rig::open().await;
    let mut client = rig.connect().await;
    client.write(post("/held", "", "")).await;
    let connection = rig.request().await.connection;
    client.stream.shutdown().await.unwrap();
    assert!(matches!(rig.told().await, Told::HalfClosed(_)));
    client.stream.set_zero_linger().unwrap();
    drop(client);
    rig.release();
    assert!(matches!(rig.told().await, Told::Gone(it) if it == connection));
}

#[tokio::test]
async fn h25_a_request_cut_off_is_dropped_at_once_and_never_a_message() {
    let mut rig = Rig::open().await;
    for cut in [
        "POST / HT",
        "POST / HTTP/1.1\r\nHost: gw\r\nContent-Length: 100\r\n\r\nonly this",
        "POST / HTTP/1.1\r\nHost: gw\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        "POST / HTTP/1.1\r\nHost: gw\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
    ] {
        let begin = Instant::now();
        let (answers, requests) = rig.send_all(cut).await;
        assert!(requests.is_empty(), "{cut:?}");
        assert!(answers.iter().all(|answer| answer.status == 400), "{cut:?}: {answers:?}");
        assert!(begin.elapsed() < A_MOMENT, "{cut:?} held its connection");
    }
}

#[tokio::test]
async fn a_door_that_closes_finishes_what_is_under_way() {
    let mut rig = Rig::open().await;
    let mut client = rig.connect().await;
    client.write(post("/held", "", "inform")).await;
    rig.request().await;
    rig.stop();
    rig.release();
    assert_eq!(client.answer().await.unwrap().body, "inform");
    assert!(client.answer().await.is_none());
    let refused = within(tokio::net::TcpStream::connect(rig.address)).await;
    if let Ok(stream) = refused {
        // The listener may still have been closing: but nobody answers.
        let mut late = super::rig::Client::new(stream);
        late.write(post("/", "", "")).await;
        assert!(late.answer().await.is_none());
    }
}

/// Far below every time limit of the test's door.
const A_MOMENT: Duration = Duration::from_secs(3);
