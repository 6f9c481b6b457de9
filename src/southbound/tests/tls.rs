//! The door behind TLS, with and without certificates of CPEs.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::AsyncWriteExt as _;

use crate::net::{Stream, TlsClient, TlsServer};

use super::rig::{Answer, Client, Rig, Told, post};

/// Certificates in a folder that is removed in the end.
struct Pki {
    folder: PathBuf,
}

impl Drop for Pki {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Pki {
    /// Two CAs, a server's certificate of the first and a CPE's of each.
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("dragoman-door-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let pki = Self { folder: std::env::temp_dir().join(name) };
        std::fs::create_dir_all(&pki.folder).unwrap();
        for (ca, leaves) in [("ca", &["server", "cpe"][..]), ("other-ca", &["stranger"])] {
            let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
            std::fs::write(pki.file(ca), issuer.pem()).unwrap();
            for leaf in leaves {
                let key = KeyPair::generate().unwrap();
                let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
                std::fs::write(pki.file(leaf), params.signed_by(&key, &issuer).unwrap().pem()).unwrap();
                std::fs::write(pki.file(&format!("{leaf}-key")), key.serialize_pem()).unwrap();
            }
        }
        pki
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.pem"))
    }

    async fn door(&self, client_ca: Option<&Path>, required: bool) -> Rig {
        let tls =
            TlsServer::new(&self.file("server"), &self.file("server-key"), client_ca, required).unwrap();
        Rig::with(|config| config.tls = Some(tls)).await
    }

    /// Connects as the CPE of that name, or as one without a certificate.
    async fn connect(&self, rig: &Rig, ca: &str, identity: Option<&str>) -> std::io::Result<Client<Stream>> {
        let files = identity.map(|name| (self.file(name), self.file(&format!("{name}-key"))));
        let identity = files.as_ref().map(|(chain, key)| (chain.as_path(), key.as_path()));
        let tls = TlsClient::new(&self.file(ca), identity).unwrap();
        let patience = Duration::from_secs(5);
        Stream::connect("127.0.0.1", rig.address.port(), Some(&tls), patience).await.map(Client::new)
    }

    /// What a CPE with that certificate gets; a refusal may come with the handshake or, as TLS 1.3 has it,
    /// after it.
    async fn answer(&self, rig: &Rig, identity: Option<&str>) -> Option<Answer> {
        let mut client = self.connect(rig, "ca", identity).await.ok()?;
        client.write(post("/", "", "inform")).await;
        client.answer().await
    }
}

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
