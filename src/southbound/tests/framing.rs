//! Where a request begins and ends: keep-alive, chunks, pipelines, and every known way to hide one request
//! in another.

use super::rig::{Rig, chunked, post};

#[tokio::test]
async fn t11_the_next_session_comes_on_the_same_connection() {
    let mut rig = Rig::open().await;
    let mut client = rig.connect().await;
    assert_eq!(client.post("/", "one").await.body, "one");
    assert_eq!(client.post("/a?b=c", "two").await.body, "two");
    let (first, second) = (rig.request().await, rig.request().await);
    assert_eq!(first.connection, second.connection);
    assert_eq!(second.target, "/a?b=c");
    let mut other = rig.connect().await;
    other.post("/", "").await;
    assert_ne!(rig.request().await.connection, first.connection);
}

#[tokio::test]
async fn a_handler_that_closes_is_obeyed() {
    let rig = Rig::open().await;
    let mut client = rig.connect().await;
    assert_eq!(client.post("/close", "x").await.header("connection"), Some("close"));
    assert!(client.answer().await.is_none());
}

#[tokio::test]
async fn t01_http_1_0_is_closed_after_the_answer_unless_it_asks_to_stay() {
    let rig = Rig::open().await;
    let mut client = rig.connect().await;
    client.write("POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi").await;
    assert_eq!(client.answer().await.unwrap().body, "hi");
    assert!(client.answer().await.is_none());

    let mut client = rig.connect().await;
    for _ in 0..2 {
        // Any spelling will do (T16).
        client.write("POST / HTTP/1.0\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nhi").await;
        let answer = client.answer().await.unwrap();
        assert_eq!(answer.body, "hi");
        assert_eq!(answer.header("connection").map(str::to_ascii_lowercase).as_deref(), Some("keep-alive"));
    }
}

#[tokio::test]
async fn t02_chunks_with_extensions_and_trailers_are_put_together() {
    let mut rig = Rig::open().await;
    let mut client = rig.connect().await;
    client.write(chunked("", &["Hello, ", "world"])).await;
    assert_eq!(client.answer().await.unwrap().body, "Hello, world");
    let odd = "POST / HTTP/1.1\r\nHost: gw\r\nTransfer-Encoding: chunked\r\n\r\n\
               0003;name=\"v\"\r\nabc\r\n0\r\nX-Trailer: 1\r\n\r\n";
    client.write(odd).await;
    assert_eq!(client.answer().await.unwrap().body, "abc");
    rig.request().await;
    let headers = rig.request().await.headers;
    assert!(!headers.iter().any(|(name, _)| name == "x-trailer" || name == "transfer-encoding"));
}

#[tokio::test]
async fn t05_t07_an_empty_post_needs_no_length() {
    let mut rig = Rig::open().await;
    let mut client = rig.connect().await;
    client.write("POST / HTTP/1.1\r\nHost: gw\r\n\r\n").await;
    assert_eq!(client.answer().await.unwrap().status, 200);
    client.write(post("/", "Content-Type: text/xml\r\nSOAPAction: \"\"\r\n", "")).await;
    assert_eq!(client.answer().await.unwrap().status, 200);
    assert!(rig.request().await.body.is_empty());
    assert!(rig.request().await.body.is_empty());
}

#[tokio::test]
async fn t09_t12_absolute_targets_and_blank_lines_before_a_request_are_taken() {
    let mut rig = Rig::open().await;
    let mut client = rig.connect().await;
    client
        .write("\r\n\r\nPOST http://gw:7547/cwmp?x=1 HTTP/1.1\r\nHost: gw\r\nContent-Length: 0\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.unwrap().status, 200);
    let request = rig.request().await;
    assert_eq!((request.target.as_str(), request.client.host.as_deref()), ("/cwmp?x=1", Some("gw:7547")));
}

#[tokio::test]
async fn t13_pipelined_requests_are_answered_in_order() {
    let mut rig = Rig::open().await;
    let mut client = rig.connect().await;
    client.write([post("/held", "", "first"), post("/", "", "second")].concat()).await;
    assert_eq!(rig.request().await.body, "first");
    rig.release();
    assert_eq!(client.answer().await.unwrap().body, "first");
    assert_eq!(client.answer().await.unwrap().body, "second");
}

/// A request that an attacker hopes will be taken for one of its own.
const HIDDEN: &str = "POST /hidden HTTP/1.1\r\nHost: gw\r\nContent-Length: 0\r\n\r\n";

/// The door must not take `bytes` for more than `most` requests, none of them the hidden one, and must
/// close the connection.
async fn assert_nothing_hides(bytes: impl AsRef<[u8]>, most: usize) {
    let shown = String::from_utf8_lossy(bytes.as_ref()).into_owned();
    let mut rig = Rig::open().await;
    let mut client = rig.connect().await;
    client.write(bytes.as_ref()).await;
    // The client does not close: it is the door that must end the connection.
    let answers = client.answers().await;
    drop(client);
    let requests = rig.requests_until_gone().await;
    assert!(requests.len() <= most, "{shown:?} was taken for {} requests", requests.len());
    assert!(requests.iter().all(|request| request.target != "/hidden"), "{shown:?} hid a request");
    if most == 0 {
        assert!(answers.iter().all(|answer| answer.status == 400), "{shown:?}: {answers:?}");
    }
}

#[tokio::test]
async fn h20_two_ways_to_tell_the_length_hide_no_request() {
    let first = "POST / HTTP/1.1\r\nHost: gw\r\n";
    for framing in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    ] {
        // Chunks count, and the connection ends: what follows is nobody's request.
        assert_nothing_hides(format!("{first}{framing}\r\n0\r\n\r\n{HIDDEN}"), 1).await;
    }
}

#[tokio::test]
async fn h20_obfuscated_transfer_encodings_are_refused() {
    for coding in ["xchunked", "chunked, identity", "identity", "chunked\x0b", "\"chunked\"", "chunked;q=1"] {
        let bytes = format!(
            "POST / HTTP/1.1\r\nHost: gw\r\nContent-Length: 5\r\nTransfer-Encoding: {coding}\r\n\r\n\
             0\r\n\r\n{HIDDEN}"
        );
        assert_nothing_hides(bytes, 0).await;
    }
    let old = format!("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{HIDDEN}");
    assert_nothing_hides(old, 0).await;
}

#[tokio::test]
async fn h21_odd_lengths_are_refused() {
    for lengths in [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 6\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 5 5\r\n",
        "Content-Length: \r\n",
        "Content-Length: 99999999999999999999\r\n",
    ] {
        assert_nothing_hides(format!("POST / HTTP/1.1\r\nHost: gw\r\n{lengths}\r\nhello{HIDDEN}"), 0).await;
    }
}

#[tokio::test]
async fn h22_odd_chunks_are_refused() {
    let head = "POST / HTTP/1.1\r\nHost: gw\r\nTransfer-Encoding: chunked\r\n\r\n";
    for chunks in [
        "zz\r\nabc\r\n0\r\n\r\n",
        "-1\r\nabc\r\n0\r\n\r\n",
        "fffffffffffffffff\r\nabc\r\n0\r\n\r\n",
        "2\r\nabc\r\n0\r\n\r\n",
        "3\nabc\n0\n\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
    ] {
        assert_nothing_hides(format!("{head}{chunks}{HIDDEN}"), 0).await;
    }
}

#[tokio::test]
async fn h23_folded_and_broken_header_lines_are_refused() {
    for line in [
        "X-Fold: a\r\n b\r\n",
        "X-Bare: a\rTransfer-Encoding: chunked\r\n",
        "Content-Length : 5\r\n",
        " X-First: 1\r\n",
        "X-Nul: \0\r\n",
        "no colon\r\n",
        ": no name\r\n",
    ] {
        let bytes = format!("POST / HTTP/1.1\r\nHost: gw\r\n{line}Content-Length: 0\r\n\r\n{HIDDEN}");
        assert_nothing_hides(bytes, 0).await;
    }
}

#[tokio::test]
async fn h24_what_is_not_http_is_closed() {
    for junk in
        ["SSH-2.0-OpenSSH_9.7\r\n\r\n", "\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03", "POST /\r\n\r\n"]
    {
        assert_nothing_hides(junk, 0).await;
    }
}

#[tokio::test]
async fn h25_a_body_longer_than_announced_is_no_message() {
    let mut rig = Rig::open().await;
    let (_, requests) =
        rig.send_all("POST / HTTP/1.1\r\nHost: gw\r\nContent-Length: 2\r\n\r\nhiJUNK\r\n\r\n").await;
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].body, "hi");
}
