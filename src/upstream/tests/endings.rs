//! An ACS that is slow, breaks off, or closes connections.

use super::*;

/// The error of a request that a server deals with so.
async fn failure(say: Say) -> HttpError {
    let server = Server::start(vec![say]).await;
    let mut acs = acs(&server.url(), &[]);
    acs.limits.answer = Duration::from_millis(200);
    match leg(acs).send(post(&[], "inform")).await {
        Err(AcsError::Http(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_acs_that_is_slow_breaks_off_or_talks_nonsense_has_given_no_answer() {
    assert!(matches!(failure(Say::Nothing).await, HttpError::Slow(_)));
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n<half";
    assert!(matches!(failure(Say::Last(half.into())).await, HttpError::Broken(_)));
    // As slow with the rest of the body as with the whole of it.
    assert!(matches!(failure(Say::Text(half.into())).await, HttpError::Slow(_)));
    let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nhalf";
    assert!(matches!(failure(Say::Last(chunks.into())).await, HttpError::Broken(_)));
    assert!(matches!(failure(Say::Last("SSH-2.0-what\r\n\r\n".into())).await, HttpError::Broken(_)));
    assert!(matches!(failure(Say::Last(String::new())).await, HttpError::Broken(_)));
    assert!(matches!(failure(answer(200, &[], &"x".repeat(1_001))).await, HttpError::TooLarge(1_000)));
    let gone = Server::bind().await.0.url();
    let refused = leg(acs(&gone, &[])).send(post(&[], "inform")).await;
    assert!(matches!(refused, Err(AcsError::Http(HttpError::Connect { .. }))), "{refused:?}");
}

#[tokio::test]
async fn a_session_has_one_connection_and_its_cookie_comes_with_every_request() {
    let cookie = ["Set-Cookie: session=1; Path=/elsewhere; Domain=other.example"];
    let server = Server::start(vec![
        answer(200, &cookie, "one"),
        answer(200, &[], "other session"),
        answer(200, &[], "two"),
        answer(204, &[], ""),
    ])
    .await;
    let mut session = leg(acs(&server.url(), &[]));
    session.send(post(&[], "inform")).await.unwrap();
    let mut other = leg(acs(&server.url(), &[]));
    other.send(post(&[], "other inform")).await.unwrap();
    // What the CPE may say of cookies does not reach this far; nor is a connection shared.
    let reply = session.send(post(&[("Cookie", "session=forged")], "")).await.unwrap();
    assert!(!reply.headers.has("set-cookie"));
    session.send(post(&[], "answer")).await.unwrap();
    let seen = server.seen();
    let connections: Vec<usize> = seen.iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [1, 2, 1, 1]);
    let with: Vec<bool> = seen.iter().map(|seen| seen.head.contains("\r\ncookie: session=1\r\n")).collect();
    assert_eq!(with, [false, false, true, true]);
    assert!(!seen[2].head.contains("forged"));
}

#[tokio::test]
async fn a_connection_that_the_acs_closes_between_two_rpcs_is_opened_again_with_the_cookie() {
    let closing = |more: &str| {
        Say::Last(format!("HTTP/1.1 200 OK\r\nSet-Cookie: session=1\r\n{more}Content-Length: 3\r\n\r\nrpc"))
    };
    // Announced, and not.
    let server =
        Server::start(vec![closing("Connection: close\r\n"), closing(""), answer(204, &[], "")]).await;
    let mut session = leg(acs(&server.url(), &[]));
    for body in ["inform", "", "answer"] {
        session.send(post(&[], body)).await.unwrap();
        // The end of the connection is on its way.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let seen = server.seen();
    let connections: Vec<usize> = seen.iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [1, 2, 3]);
    assert!(seen[1..].iter().all(|seen| seen.head.contains("cookie: session=1\r\n")));
}

#[tokio::test]
async fn a_request_that_may_have_been_heard_is_not_sent_twice() {
    let server =
        Server::start(vec![answer(200, &[], "rpc"), Say::Last(String::new()), answer(204, &[], "")]).await;
    let mut session = leg(acs(&server.url(), &[]));
    session.send(post(&[], "inform")).await.unwrap();
    assert!(session.send(post(&[], "answer")).await.is_err());
    assert_eq!(server.seen().len(), 2, "the ACS hears the answer to its RPC twice");
}
