//! Methods, codings of bodies, headers and cookies.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

use super::rig::{BODY, Rig, chunked, post};

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn t14_every_content_coding_that_cpes_use_is_read() {
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
    zlib.write_all(b"inform").unwrap();
    let mut bare = DeflateEncoder::new(Vec::new(), Compression::fast());
    bare.write_all(b"inform").unwrap();
    let (zlib, bare) = (zlib.finish().unwrap(), bare.finish().unwrap());
    let mut rig = Rig::open().await;
    let mut client = rig.connect().await;
    for (coding, body) in [
        ("gzip", gzip(b"inform")),
        ("x-gzip", gzip(b"inform")),
        ("GZIP", gzip(b"inform")),
        ("deflate", zlib),
        ("deflate", bare),
        ("identity", b"inform".to_vec()),
    ] {
        client.write(post("/", &format!("Content-Encoding: {coding}\r\n"), &body)).await;
        assert_eq!(client.answer().await.unwrap().body, "inform", "{coding}");
        let request = rig.request().await;
        let original = request.original_body.unwrap_or_else(|| request.body.clone());
        assert_eq!(original, body, "{coding}: the bytes received are kept");
    }
    // The empty POST may be marked as compressed too.
    client.write(post("/", "Content-Encoding: gzip\r\n", "")).await;
    assert_eq!(client.answer().await.unwrap().status, 200);
}

#[tokio::test]
async fn t14_unknown_and_damaged_codings_are_told_apart() {
    let rig = Rig::open().await;
    let mut torn = gzip(b"some text that is long enough to be torn");
    torn.truncate(torn.len() - 9);
    for (coding, body, status) in [
        ("br", b"inform".to_vec(), 415),
        ("gzip, gzip", gzip(&gzip(b"inform")), 415),
        ("gzip", b"no gzip at all".to_vec(), 400),
        ("gzip", torn, 400),
        ("deflate", b"no deflate".to_vec(), 400),
    ] {
        let mut client = rig.connect().await;
        client.write(post("/", &format!("Content-Encoding: {coding}\r\n"), body)).await;
        assert_eq!(client.answer().await.unwrap().status, status, "{coding}");
    }
}

#[tokio::test]
async fn t14_two_content_encoding_lines_are_not_taken_for_one() {
    let mut rig = Rig::open().await;
    let twice = gzip(&gzip(b"inform"));
    let bytes = post("/", "Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n", twice);
    let (answers, requests) = rig.send_all(bytes).await;
    assert_eq!(answers[0].status, 415);
    assert!(requests.is_empty());
}

#[tokio::test]
async fn h13_a_body_over_the_limit_is_refused_however_it_comes() {
    let mut rig = Rig::open().await;
    let most = "x".repeat(BODY);
    let over = "x".repeat(BODY + 1);
    for (bytes, status) in [
        (post("/", "", &most), 200),
        (post("/", "", &over), 413),
        (chunked("", &[&most]), 200),
        (chunked("", &[&most, "x"]), 413),
    ] {
        let (answers, requests) = rig.send_all(bytes).await;
        assert_eq!(answers.len(), 1);
        assert_eq!(answers[0].status, status);
        assert_eq!(requests.len(), usize::from(status == 200));
    }
}

#[tokio::test]
async fn h13_a_body_over_the_limit_is_refused_before_it_is_sent() {
    let rig = Rig::open().await;
    let mut client = rig.connect().await;
    client.write("POST / HTTP/1.1\r\nHost: gw\r\nContent-Length: 50000000\r\n\r\n").await;
    assert_eq!(client.answer().await.unwrap().status, 413);
    assert!(client.answer().await.is_none());
}

#[tokio::test]
async fn h14_a_gzip_bomb_is_refused() {
    let mut rig = Rig::open().await;
    let bomb = gzip(&vec![0; 64 * BODY]);
    assert!(bomb.len() < BODY);
    let (answers, requests) = rig.send_all(post("/", "Content-Encoding: gzip\r\n", bomb)).await;
    assert_eq!(answers[0].status, 413);
    assert!(requests.is_empty());
}

#[tokio::test]
async fn t04_who_expects_100_gets_it_at_once() {
    let mut rig = Rig::open().await;
    let mut client = rig.connect().await;
    let whole = post("/", "Expect: 100-continue\r\n", "inform");
    let (head, body) = whole.split_at(whole.len() - "inform".len());
    client.write(head).await;
    assert_eq!(client.answer().await.unwrap().status, 100);
    client.write(body).await;
    assert_eq!(client.answer().await.unwrap().body, "inform");
    assert!(rig.request().await.headers.iter().all(|(name, _)| name != "expect"));
    // Who does not wait is answered too.
    client.write(&whole).await;
    let mut answer = client.answer().await.unwrap();
    if answer.status == 100 {
        answer = client.answer().await.unwrap();
    }
    assert_eq!(answer.body, "inform");
}

#[tokio::test]
async fn t15_other_methods_are_told_what_is_allowed() {
    let mut rig = Rig::open().await;
    for method in ["GET", "PUT", "DELETE", "OPTIONS", "TRACE", "FOO"] {
        let (answers, requests) = rig.send_all(format!("{method} / HTTP/1.1\r\nHost: gw\r\n\r\n")).await;
        assert_eq!(answers[0].status, 405, "{method}");
        assert_eq!(answers[0].header("allow"), Some("POST"), "{method}");
        assert!(requests.is_empty(), "{method}");
    }
}

#[tokio::test]
async fn c03_c05_our_cookie_is_set_for_every_path_and_found_again() {
    let mut rig = Rig::open().await;
    let mut client = rig.connect().await;
    let answer = client.post("/cookie", "").await;
    assert_eq!(answer.header("set-cookie"), Some("dragoman=c00kie; Path=/; HttpOnly"));
    assert_eq!(rig.request().await.cookie, None);
    for line in [
        "Cookie: dragoman=c00kie\r\n",
        "cookie: JSESSIONID=1; dragoman=c00kie\r\n",
        "Cookie: $Version=\"1\"; dragoman=\"c00kie\"; $Path=\"/\"\r\n",
        "Cookie: a=b,dragoman=c00kie\r\n",
        "Cookie: a=b\r\nCookie: dragoman=c00kie\r\n",
    ] {
        client.write(post("/", line, "")).await;
        client.answer().await.unwrap();
        assert_eq!(rig.request().await.cookie.as_deref(), Some("c00kie"), "{line}");
    }
}

#[tokio::test]
async fn headers_of_one_hop_and_cookies_stay_at_the_door() {
    let mut rig = Rig::open().await;
    let mut client = rig.connect().await;
    let lines = "Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 300\r\nTE: trailers\r\n\
                 Upgrade: h2c\r\nProxy-Authorization: x\r\nCookie: a=b\r\nSOAPAction: \"\"\r\nX-Kept: 1\r\n\
                 Authorization: Digest x\r\nX-Bytes: ";
    let mut bytes = post("/", lines, "");
    // A byte above ASCII in a header is no reason to lose the request.
    bytes.truncate(bytes.len() - 2);
    bytes.extend_from_slice(b"\xfc\r\n\r\n");
    client.write(bytes).await;
    assert_eq!(client.answer().await.unwrap().status, 200);
    let headers = rig.request().await.headers;
    let mut names: Vec<&str> = headers.iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    assert_eq!(names, ["authorization", "soapaction", "x-bytes", "x-kept"]);
}
