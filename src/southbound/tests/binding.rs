//! An Inform of another device than its sender has proved to be (TR-069 3.4.4).

use crate::identity::DeviceTemplate;
use crate::net::{Networks, TlsServer};
use crate::southbound::{DoorAuth, DoorScheme, Front};
use crate::transport::http::basic_answer;

use super::front::{WITH_CERTIFICATE, header};
use super::pki::Pki;
use super::rig::{Rig, Told, post};

fn template(text: &str) -> Vec<DeviceTemplate> {
    vec![DeviceTemplate::parse(text).unwrap()]
}

async fn bound_to_users() -> Rig {
    let users = [("00256D-1".to_owned(), "one".to_owned()), ("00256D-2".to_owned(), "two".to_owned())].into();
    Rig::with(|config| {
        let (scheme, realm) = (DoorScheme::Basic, "gw".into());
        config.auth = Some(DoorAuth { scheme, realm, users, secret: [7; 32] });
        config.binding.username = template("{OUI}-{SerialNumber}");
    })
    .await
}

fn as_one() -> String {
    format!("Authorization: {}\r\n", basic_answer("00256D-1", "one"))
}

#[tokio::test]
async fn an_inform_of_another_device_than_the_users_is_refused_and_counted() {
    let mut rig = bound_to_users().await;
    let mut client = rig.connect().await;
    client.write(post("/", &as_one(), "inform 2")).await;
    assert_eq!(client.answer().await.unwrap().status, 403);
    assert!(rig.metrics.render().contains("dragoman_cwmp_impersonations_total 1"));
    // In a session that is open already no other device may be said either.
    let mut client = rig.connect().await;
    client.write(post("/", &format!("{}Cookie: dragoman=c00kie\r\n", as_one()), "inform 2")).await;
    assert_eq!(client.answer().await.unwrap().status, 403);
    for _ in 0..2 {
        assert!(matches!(rig.told().await, Told::Gone(_)), "it went on");
    }
}

#[tokio::test]
async fn a_device_that_is_who_its_user_name_says_comes_in() {
    let mut rig = bound_to_users().await;
    let mut client = rig.connect().await;
    for body in ["inform 1", "", "a response"] {
        client.write(post("/", &as_one(), body)).await;
        assert_eq!(client.answer().await.unwrap().body, body);
    }
    let device = rig.request().await.device.unwrap();
    assert_eq!(device.serial_number, "1");
    assert!(rig.request().await.device.is_none());
}

#[tokio::test]
async fn an_inform_of_another_device_than_the_certificates_is_refused() {
    let pki = Pki::new();
    for (named, body, status) in
        [("{SerialNumber}", "inform cpe", 200), ("{SerialNumber}", "inform cpe2", 403)]
    {
        let tls = TlsServer::new(&pki.file("server"), &pki.file("server-key"), Some(&pki.file("ca")), false)
            .unwrap();
        let rig = Rig::with(|config| {
            (config.tls, config.binding.certificate) = (Some(tls), template(named));
        })
        .await;
        let mut client = pki.connect_behind(&rig, &[], "cpe").await;
        client.write(post("/", "", body)).await;
        assert_eq!(client.answer().await.unwrap().status, status, "{body}");
    }
}

#[tokio::test]
async fn a_device_without_a_certificate_is_none_where_it_is_known_by_that() {
    let trusted = Networks::parse(&["127.0.0.1/32"]).unwrap();
    let front = Front { trusted, proxy_protocol: true, ..Front::default() };
    let rig =
        Rig::with(|config| (config.front, config.binding.certificate) = (front, template("{SerialNumber}")));
    let rig = rig.await;
    for (entries, status) in [(&WITH_CERTIFICATE[..], 200), (&[], 403)] {
        let mut client = rig.connect().await;
        client.write([header(0x21, entries), post("/", "", "inform cpe")].concat()).await;
        assert_eq!(client.answer().await.unwrap().status, status);
    }
}

#[tokio::test]
async fn the_whole_certificate_that_a_front_sends_is_handed_on() {
    let pki = Pki::new();
    let der = crate::net::certificates(&pki.file("cpe")).unwrap().remove(0).to_vec();
    let entry = |kind: u8, value: &[u8]| {
        [&[kind], &u16::try_from(value.len()).unwrap().to_be_bytes()[..], value].concat()
    };
    let trusted = Networks::parse(&["127.0.0.1/32"]).unwrap();
    let front = Front { trusted, proxy_protocol: true, ..Front::default() };
    let mut rig = Rig::with(|config| config.front = front).await;
    for (sent, kept) in [(&der[..], Some(&der)), (b"junk", None)] {
        let entries = [entry(0x22, b"by front"), entry(0x28, sent)].concat();
        let mut client = rig.connect().await;
        client
            .write(
                [header(0x21, &entry(0x20, &[&[3, 0, 0, 0, 0], &entries[..]].concat())), post("/", "", "x")]
                    .concat(),
            )
            .await;
        client.answer().await.unwrap();
        let certificate = rig.next_request().await.client.certificate.clone().unwrap();
        assert_eq!(certificate.der.as_ref(), kept);
        assert_eq!(certificate.name, if kept.is_some() { "cpe" } else { "byfront" });
    }
}
