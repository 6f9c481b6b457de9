//! An ACS that sends sessions elsewhere (TR-069 3.4).

use super::*;

fn to(location: &str) -> Say {
    answer(302, &[&format!("Location: {location}")], "")
}

fn unfollowed(result: Result<AcsReply, AcsError>) -> Unfollowed {
    match result {
        Err(AcsError::Redirect(why)) => why,
        other => panic!("{other:?}"),
    }
}

/// Two servers on different ports of one host: the ACS and where it sends sessions.
async fn pair(first: impl Fn(&str) -> Vec<Say>, second: impl Fn(&str) -> Vec<Say>) -> (Server, Server) {
    let ((one, at_one), (two, at_two)) = (Server::bind().await, Server::bind().await);
    let (first, second) = (first(&two.url()), second(&one.url()));
    (one.says(at_one, first), two.says(at_two, second))
}

#[tokio::test]
async fn tr_069_3_4_the_same_post_goes_where_the_acs_wants_it_and_so_does_the_rest_of_the_session() {
    for status in [301, 302, 307, 308] {
        let sends = |to: &str| {
            let location = format!("Location: {to}/node?n=2");
            vec![answer(status, &[&location, "Set-Cookie: lb=1"], "<html>ignored</html>")]
        };
        let speaks =
            |_: &str| vec![answer(200, &["Set-Cookie: session=2"], "InformResponse"), answer(204, &[], "")];
        let (acs_server, node) = pair(sends, speaks).await;
        let mut session = leg(acs(&format!("{}/acs", acs_server.url()), &[]));
        let lines = [("Content-Type", "text/xml; charset=utf-8"), ("SOAPAction", "\"\"")];
        let reply = session.send(post(&lines, "inform")).await.unwrap();
        assert_eq!((reply.status, &reply.body[..]), (200, &b"InformResponse"[..]));
        assert!(!reply.headers.has("location") && !reply.headers.has("set-cookie"));
        assert_eq!(session.send(post(&lines, "")).await.unwrap().status, 204);
        let (first, then) = (acs_server.seen(), node.seen());
        assert_eq!((first.len(), then.len()), (1, 2), "{status}");
        assert!(first[0].head.starts_with("post /acs http/1.1\r\n"));
        let host = format!("host: 127.0.0.1:{}\r\n", node.port);
        for seen in &then {
            assert!(seen.head.starts_with("post /node?n=2 http/1.1\r\n"), "{}", seen.head);
            assert!(seen.head.contains(&host) && seen.head.contains("soapaction: \"\"\r\n"), "{}", seen.head);
            assert_eq!(seen.connection, 1);
        }
        assert_eq!((first[0].body.as_str(), then[0].body.as_str()), ("inform", "inform"));
        // As a CPE would do it: the session's cookies go along.
        assert!(then[0].head.contains("cookie: lb=1\r\n"), "{}", then[0].head);
        assert!(then[1].head.contains("cookie: lb=1; session=2\r\n"), "{}", then[1].head);
        // The next session begins where the ACS is by its URL.
        let _ = leg(acs(&format!("{}/acs", acs_server.url()), &[])).send(post(&lines, "next")).await;
        assert_eq!(acs_server.seen().last().unwrap().body, "next");
    }
}

#[tokio::test]
async fn a_redirect_in_mid_session_repeats_that_post() {
    let sends = |to: &str| vec![answer(200, &[], "InformResponse"), self::to(&format!("{to}/late"))];
    let (acs_server, node) = pair(sends, |_| vec![answer(204, &[], "")]).await;
    let mut session = leg(Acs { keep_target: true, ..acs(&acs_server.url(), &[]) });
    session.send(post(&[], "inform")).await.unwrap();
    assert_eq!(session.send(post(&[], "answer")).await.unwrap().status, 204);
    assert!(acs_server.seen()[1].head.starts_with("post /cpe?its=own "));
    let seen = node.seen();
    assert_eq!((seen.len(), seen[0].body.as_str()), (1, "answer"));
    assert!(seen[0].head.starts_with("post /late "));
}

#[tokio::test]
async fn what_is_not_allowed_is_not_asked_and_the_operator_hears_why() {
    let (node, listener) = Server::bind().await;
    let node = node.says(listener, vec![answer(200, &[], "")]);
    // The same machine by another name is another host.
    let location = format!("http://localhost:{}/x?secret=1", node.port);
    let server = Server::start(vec![to(&location), to(&location)]).await;
    let why = unfollowed(leg(acs(&server.url(), &[])).send(post(&[], "inform")).await);
    assert_eq!(why.to_string(), format!("http://localhost:{} is not allowed by acs.redirects", node.port));
    assert!(node.seen().is_empty(), "it was asked all the same");
    let allowed = format!("http://localhost:{}", node.port);
    let reply = leg(acs(&server.url(), &[&allowed])).send(post(&[], "inform")).await.unwrap();
    assert_eq!((reply.status, node.seen().len()), (200, 1));
    let secure = Server::start(vec![to("https://127.0.0.1/")]).await;
    let why = unfollowed(leg(acs(&secure.url(), &[])).send(post(&[], "inform")).await);
    assert!(matches!(why, Unfollowed::NoTrust(_)), "{why}");
}

#[tokio::test]
async fn circles_end_at_once_and_long_ways_after_five() {
    let (one, two) = pair(
        |two| (0..9).map(|_| to(&format!("{two}/"))).collect(),
        |one| (0..9).map(|_| to(&format!("{one}/"))).collect(),
    )
    .await;
    let why = unfollowed(leg(acs(&one.url(), &[])).send(post(&[], "inform")).await);
    assert!(matches!(why, Unfollowed::Loop(_)), "{why}");
    assert_eq!((one.seen().len(), two.seen().len()), (1, 1));
    let long = Server::start((0..9).map(|n| to(&format!("/{n}"))).collect()).await;
    let why = unfollowed(leg(acs(&long.url(), &[])).send(post(&[], "inform")).await);
    assert_eq!((why, long.seen().len()), (Unfollowed::TooMany, 6));
    let five = Server::start((0..5).map(|n| to(&format!("/{n}"))).chain([answer(200, &[], "")]).collect());
    assert_eq!(leg(acs(&five.await.url(), &[])).send(post(&[], "inform")).await.unwrap().status, 200);
}

#[tokio::test]
async fn to_the_same_place_with_another_cookie_is_no_circle() {
    let server =
        Server::start(vec![answer(302, &["Location: /", "Set-Cookie: node=3"], ""), answer(200, &[], "")]);
    let server = server.await;
    assert_eq!(leg(acs(&server.url(), &[])).send(post(&[], "inform")).await.unwrap().status, 200);
    assert!(server.seen()[1].head.contains("cookie: node=3\r\n"));
    assert_eq!(server.seen()[1].connection, 1);
}

#[tokio::test]
async fn what_a_cpe_proves_to_one_origin_is_shown_to_another_only_when_that_has_asked() {
    let challenge = "WWW-Authenticate: Basic realm=\"node\"";
    let (acs_server, node) = pair(
        |to| vec![self::to(to)],
        |_| vec![answer(401, &[challenge], ""), answer(200, &[], "InformResponse")],
    )
    .await;
    let mut session = leg(acs(&acs_server.url(), &[]));
    let proof = [("Authorization", "Basic Y3BlOnB3")];
    let reply = session.send(post(&proof, "inform")).await.unwrap();
    assert_eq!(
        (reply.status, reply.headers.has("www-authenticate")),
        (401, true),
        "it is the CPE's to answer"
    );
    session.send(post(&proof, "inform")).await.unwrap();
    assert!(acs_server.seen()[0].head.contains("authorization: "));
    let with: Vec<bool> = node.seen().iter().map(|seen| seen.head.contains("authorization: ")).collect();
    assert_eq!(with, [false, true]);
}

#[tokio::test]
async fn the_gateways_own_credentials_go_to_another_origin_only_if_the_operator_says_so() {
    let challenge = "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"";
    for allowed in [false, true] {
        let (acs_server, node) = pair(
            |to| vec![answer(401, &[challenge], ""), self::to(to)],
            |_| vec![answer(401, &[challenge], ""), answer(200, &[], "InformResponse")],
        )
        .await;
        let credentials = Some(("gateway".to_owned(), "secret".to_owned()));
        let acs = Acs { credentials, redirect_credentials: allowed, ..acs(&acs_server.url(), &[]) };
        let result = leg(acs).send(post(&[], "inform")).await;
        assert!(acs_server.seen()[1].head.contains("authorization: digest "));
        let with: Vec<bool> = node.seen().iter().map(|seen| seen.head.contains("authorization: ")).collect();
        if allowed {
            assert_eq!((result.unwrap().status, with), (200, vec![false, true]));
        } else {
            assert!(matches!(unfollowed(result), Unfollowed::NoCredentials(_)));
            assert_eq!(with, [false]);
        }
    }
}

#[tokio::test]
async fn however_many_places_there_are_the_cpe_waits_no_longer_than_for_one_more_answer() {
    let late = |n| match to(&format!("/{n}")) {
        Say::Text(text) => Say::Late(text),
        other => other,
    };
    let server = Server::start((0..9).map(late).collect()).await;
    let mut acs = acs(&server.url(), &[]);
    (acs.limits.connect, acs.limits.answer) = (Duration::from_millis(10), LATE * 2);
    let result = leg(acs).send(post(&[], "inform")).await;
    assert!(matches!(result, Err(AcsError::Http(HttpError::Slow(_)))), "{result:?}");
    assert!((3..5).contains(&server.seen().len()), "{}", server.seen().len());
}

#[tokio::test]
async fn the_host_that_the_cpe_calls_goes_to_the_acs_that_wants_it_and_to_no_other_origin() {
    let (acs_server, node) = pair(
        |to| {
            vec![answer(200, &[], ""), answer(302, &["Location: http://known.example/own"], ""), self::to(to)]
        },
        |_| vec![answer(200, &[], "")],
    )
    .await;
    let mut session = leg(acs(&acs_server.url(), &[]));
    let called = [("Host", "known.example")];
    session.send(post(&called, "inform")).await.unwrap();
    session.send(post(&called, "")).await.unwrap();
    let seen = acs_server.seen();
    assert!(seen.iter().all(|seen| seen.head.matches("host: known.example\r\n").count() == 1), "{seen:?}");
    assert!(seen.iter().all(|seen| seen.head.matches("\r\nhost: ").count() == 1), "{seen:?}");
    assert!(seen[2].head.starts_with("post /own "));
    assert!(!node.seen()[0].head.contains("known.example"), "{:?}", node.seen());
}
