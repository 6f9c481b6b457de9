//! Authentication that ends at the door, with a client of another make (`digest_auth`).

use base64::Engine as _;
use digest_auth::{AuthContext, HttpMethod};

use crate::southbound::{DoorAuth, DoorScheme};
use crate::transport::http::Algorithm;

use super::rig::{Rig, post};

async fn rig(scheme: DoorScheme) -> Rig {
    let users = [("00256D-1".to_owned(), "p:w\"d".to_owned()), ("empty".to_owned(), String::new())].into();
    Rig::with(|config| {
        config.auth = Some(DoorAuth { scheme, realm: "gw".into(), users, secret: [7; 32] });
    })
    .await
}

fn answer(challenge: &str, password: &str, target: &str) -> String {
    let context = AuthContext::new_with_method("00256D-1", password, target, None::<&[u8]>, HttpMethod::POST);
    let header = digest_auth::parse(challenge).unwrap().respond(&context).unwrap();
    format!("Authorization: {header}\r\n")
}

#[tokio::test]
async fn a01_digest_opens_the_door_and_the_connection_survives_the_challenge() {
    for algorithm in [Algorithm::Md5, Algorithm::Sha256, Algorithm::Md5Sess] {
        let mut rig = rig(DoorScheme::Digest(algorithm)).await;
        let mut client = rig.connect().await;
        let refused = client.post("/cwmp", "inform").await;
        assert_eq!(refused.status, 401);
        let challenge = refused.header("www-authenticate").unwrap().to_owned();
        assert!(!challenge.contains("stale=true"), "{challenge}");
        let wrong = post("/cwmp", &answer(&challenge, "wrong", "/cwmp"), "inform");
        client.write(wrong).await;
        assert_eq!(client.answer().await.unwrap().status, 401);
        let right = post("/cwmp", &answer(&challenge, "p:w\"d", "/cwmp"), "inform");
        client.write(right).await;
        assert_eq!(client.answer().await.unwrap().body, "inform");
        let request = rig.request().await;
        assert!(
            request.headers.iter().all(|(name, _)| name != "authorization"),
            "credentials were passed on"
        );
    }
}

#[tokio::test]
async fn a04_a_nonce_of_another_life_is_called_stale_only_to_who_knows_the_password() {
    let first = rig(DoorScheme::Digest(Algorithm::Md5)).await;
    let challenge = first.connect().await.post("/", "").await;
    let challenge = challenge.header("www-authenticate").unwrap().to_owned();
    // The nonce is of this door's making no more: as after a restart.
    let forged = challenge.replace("nonce=\"0", "nonce=\"1");
    assert_ne!(forged, challenge);
    let mut client = first.connect().await;
    client.write(post("/", &answer(&forged, "p:w\"d", "/"), "")).await;
    let again = client.answer().await.unwrap();
    assert_eq!(again.status, 401);
    assert!(again.header("www-authenticate").unwrap().contains("stale=true"));
    client.write(post("/", &answer(&forged, "wrong", "/"), "")).await;
    let again = client.answer().await.unwrap();
    assert!(!again.header("www-authenticate").unwrap().contains("stale=true"));
}

#[tokio::test]
async fn a05_an_answer_for_another_path_does_not_open() {
    let mut rig = rig(DoorScheme::Digest(Algorithm::Md5)).await;
    let mut client = rig.connect().await;
    let challenge = client.post("/", "").await.header("www-authenticate").unwrap().to_owned();
    client.write(post("/cwmp", &answer(&challenge, "p:w\"d", "/"), "")).await;
    assert_eq!(client.answer().await.unwrap().status, 401);
    let absolute = answer(&challenge, "p:w\"d", "http://gw:7547/cwmp");
    client.write(post("/cwmp", &absolute, "inform")).await;
    assert_eq!(client.answer().await.unwrap().body, "inform");
    rig.request().await;
}

#[tokio::test]
async fn a10_a_header_that_says_nothing_is_challenged() {
    let mut rig = rig(DoorScheme::Digest(Algorithm::Md5)).await;
    for header in ["", "Digest", "Digest username=\"", "Digest ,,,=,", "Bearer x", "Basic !!!", "\u{fc}"] {
        let bytes = post("/", &format!("Authorization: {header}\r\nConnection: close\r\n"), "");
        let (answers, requests) = rig.send_all(bytes).await;
        assert_eq!(answers[0].status, 401, "{header:?}");
        assert!(requests.is_empty(), "{header:?}");
    }
}

#[tokio::test]
async fn a12_basic_is_taken_without_a_challenge_and_with_an_empty_password() {
    let mut rig = rig(DoorScheme::Basic).await;
    let mut client = rig.connect().await;
    let refused = client.post("/", "").await;
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some("Basic realm=\"gw\"")));
    for (who, status) in
        [("00256D-1:p:w\"d", 200), ("empty:", 200), ("empty:x", 401), ("00256D-1:", 401), ("nobody:", 401)]
    {
        let encoded = base64::engine::general_purpose::STANDARD.encode(who);
        client.write(post("/", &format!("Authorization: Basic {encoded}\r\n"), "")).await;
        assert_eq!(client.answer().await.unwrap().status, status, "{who}");
    }
    assert!(rig.request().await.headers.is_empty());
}

#[tokio::test]
async fn the_body_of_who_is_refused_is_read_and_bounded() {
    let mut rig = rig(DoorScheme::Basic).await;
    let (answers, _) = rig.send_all(post("/", "Connection: close\r\n", "x".repeat(4_000))).await;
    assert_eq!(answers[0].status, 401);
    let (answers, requests) = rig.send_all(post("/", "", "x".repeat(5_000))).await;
    assert_eq!(answers[0].status, 413);
    assert!(requests.is_empty());
}

#[tokio::test]
async fn a11_a_replayed_header_gets_a_fresh_nonce_and_does_not_open() {
    let mut rig = rig(DoorScheme::Digest(Algorithm::Md5)).await;
    let mut client = rig.connect().await;
    let challenge = client.post("/", "").await.header("www-authenticate").unwrap().to_owned();
    let authorization = answer(&challenge, "p:w\"d", "/");
    client.write(post("/", &authorization, "inform")).await;
    assert_eq!(client.answer().await.unwrap().body, "inform");
    rig.request().await;
    let mut thief = rig.connect().await;
    thief.write(post("/", &authorization, "inform")).await;
    let refused = thief.answer().await.unwrap();
    assert_eq!(refused.status, 401);
    assert!(refused.header("www-authenticate").unwrap().contains("stale=true"));
    assert!(rig.metrics.render().contains("authentications_total{outcome=\"replayed\"} 1"));
    // A CPE that never counts on answers the fresh challenge, and is in.
    let fresh = answer(refused.header("www-authenticate").unwrap(), "p:w\"d", "/");
    client.write(post("/", &fresh, "inform")).await;
    assert_eq!(client.answer().await.unwrap().body, "inform");
}

#[tokio::test]
async fn a08_a_session_that_is_open_goes_on_without_an_answer_but_no_inform_does() {
    let mut rig = rig(DoorScheme::Digest(Algorithm::Md5)).await;
    let mut client = rig.connect().await;
    let challenge = client.post("/", "").await.header("www-authenticate").unwrap().to_owned();
    let authorization = answer(&challenge, "p:w\"d", "/");
    client.write(post("/", &authorization, "inform")).await;
    client.answer().await.unwrap();
    rig.request().await;
    let ours = "Cookie: dragoman=c00kie\r\n";
    let again = format!("{ours}{authorization}");
    let wrong = format!("{ours}{}", answer(&challenge, "wrong", "/"));
    for (headers, body, status) in [
        (ours, "", 200),
        (&again, "response", 200),
        (ours, "inform", 401),
        (&again, "inform", 401),
        (&wrong, "response", 401),
        ("Cookie: dragoman=guessed\r\n", "response", 401),
    ] {
        client.write(post("/", headers, body)).await;
        assert_eq!(client.answer().await.unwrap().status, status, "{headers}{body}");
    }
}

#[tokio::test]
async fn a09_who_guesses_is_told_to_come_back_later_and_others_come_in() {
    let rig = rig(DoorScheme::Basic).await;
    let basic = |who: &str| {
        let encoded = base64::engine::general_purpose::STANDARD.encode(who);
        post("/", &format!("Authorization: Basic {encoded}\r\n"), "")
    };
    let mut statuses = Vec::new();
    for number in 0..15 {
        let mut client = rig.connect().await;
        client.write(basic(&format!("empty:guess{number}"))).await;
        let answer = client.answer().await.unwrap();
        if answer.status == 503 {
            assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() > 0);
            assert!(client.answer().await.is_none(), "the connection stays open for more guesses");
        }
        statuses.push(answer.status);
    }
    assert_eq!(statuses[..10], [401; 10]);
    assert!(statuses[11..].iter().all(|status| *status == 503), "{statuses:?}");
    for who in ["empty:", "00256D-1:p:w\"d"] {
        let mut client = rig.connect().await;
        client.write(basic(who)).await;
        assert_eq!(client.answer().await.unwrap().status, 200, "{who} pays for the guesses");
    }
    assert!(rig.metrics.render().contains("authentications_total{outcome=\"held-off\"}"));
}
