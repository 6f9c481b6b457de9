//! CPEs whose authentication ends at the gateway.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use dragoman::sim::acs::{Acs, AcsConfig, Seen};
use dragoman::sim::cpe::{Fleet, FleetConfig, Model, Quirk, Quirks};
use dragoman::transport::http::basic_answer;

use super::gateway::Setup;
use super::usp::{PATIENCE, TR_181};

fn setup(acs: &Acs, scheme: &str) -> Setup {
    Setup::new(
        0,
        &format!(
            "[cwmp.authentication]\nscheme = \"{scheme}\"\nusers = {{ cpe = \"secret\" }}\n[acs]\nurl = \"{}\"\n",
            acs.url()
        ),
    )
}

/// The simulated CPEs answer each challenge with a count of one, as the most careless of real ones.
#[tokio::test(flavor = "multi_thread")]
async fn cpes_are_let_in_by_digest_with_and_without_cookies_and_the_acs_sees_no_credentials() {
    let acs = Acs::start(AcsConfig::default()).await.unwrap();
    let setup = setup(&acs, "digest");
    let gateway = setup.start();
    let model = Arc::new(Model::parse(TR_181).unwrap());
    for (first_serial, no_cookies) in [(1, false), (11, true)] {
        let mut config = FleetConfig::new(gateway.url(), Arc::clone(&model), 3);
        config.first_serial = first_serial;
        config.acs_credentials = Some(("cpe".into(), "secret".into()));
        let all = if no_cookies { vec![Quirk::NoCookies] } else { Vec::new() };
        config.quirks = Quirks { all, ..Quirks::default() };
        let fleet = Fleet::start(config).await.unwrap();
        for cpe in fleet.device_ids() {
            let ended = |seen: &[Seen]| seen.iter().any(|it| matches!(it, Seen::End));
            let cpe = cpe.endpoint_id();
            assert!(acs.until(&cpe, PATIENCE, ended).await, "{cpe}: {}", setup.log());
            let Some(Seen::Inform { headers, .. }) = acs.seen(&cpe).into_iter().next() else { panic!() };
            assert!(headers.iter().all(|(name, _)| name != "authorization"));
        }
        assert_eq!(fleet.statistics().sessions_failed, 0, "{:?}", fleet.statistics().last_failure);
        fleet.stop().await;
    }
    assert!(!setup.log().contains("wrong credentials"), "{}", setup.log());
    acs.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_reads_who_guesses_and_an_honest_cpe_at_that_address_comes_in() {
    let acs = Acs::start(AcsConfig::default()).await.unwrap();
    let setup = setup(&acs, "basic");
    let gateway = setup.start();
    let address = gateway.cwmp;
    let post = move |password: &str| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let authorization = basic_answer("cpe", password);
        let request = format!(
            "POST / HTTP/1.1\r\nHost: gw\r\nAuthorization: {authorization}\r\nConnection: close\r\n\
             Content-Length: 0\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    let statuses = tokio::task::spawn_blocking(move || {
        let guessed: Vec<String> = (0..15).map(|number| post(&format!("guess {number}"))).collect();
        (guessed, post("secret"))
    });
    let (guessed, honest) = statuses.await.unwrap();
    assert_eq!((guessed[0].as_str(), guessed[14].as_str()), ("401", "503"));
    assert_eq!(honest, "204");
    let log = setup.log();
    assert_eq!(log.matches("wrong credentials time and again").count(), 1, "{log}");
    assert!(log.contains("client=127.0.0.1:") && log.contains("user=\"cpe\""), "{log}");
    assert!(!log.contains("guess 3"), "a password is in the log");
    acs.stop().await;
}
