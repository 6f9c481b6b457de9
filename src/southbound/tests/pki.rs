//! Certificates for doors and CPEs, and connections that show them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::net::{Stream, TlsClient, TlsServer};
use crate::southbound::DoorConfig;

use super::rig::{Answer, Client, Rig, post};

/// Certificates in a folder that is removed in the end.
pub struct Pki {
    folder: PathBuf,
}

impl Drop for Pki {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Pki {
    /// Two CAs, a server's certificate of the first and a CPE's of each.
    pub fn new() -> Self {
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
                let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
                params.distinguished_name.push(DnType::CommonName, *leaf);
                std::fs::write(pki.file(leaf), params.signed_by(&key, &issuer).unwrap().pem()).unwrap();
                std::fs::write(pki.file(&format!("{leaf}-key")), key.serialize_pem()).unwrap();
            }
        }
        pki
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.pem"))
    }

    pub async fn door(&self, client_ca: Option<&Path>, required: bool) -> Rig {
        let tls =
            TlsServer::new(&self.file("server"), &self.file("server-key"), client_ca, required).unwrap();
        Rig::with(|config| config.tls = Some(tls)).await
    }

    /// A door with TLS that asks for no certificate, configured further.
    pub async fn door_with(&self, configure: impl FnOnce(&mut DoorConfig)) -> Rig {
        let tls = TlsServer::new(&self.file("server"), &self.file("server-key"), None, false).unwrap();
        Rig::with(|config| {
            config.tls = Some(tls);
            configure(config);
        })
        .await
    }

    /// Connects as the CPE of that name, or as one without a certificate.
    pub async fn connect(
        &self,
        rig: &Rig,
        ca: &str,
        identity: Option<&str>,
    ) -> std::io::Result<Client<Stream>> {
        let files = identity.map(|name| (self.file(name), self.file(&format!("{name}-key"))));
        let identity = files.as_ref().map(|(chain, key)| (chain.as_path(), key.as_path()));
        let tls = TlsClient::new(&self.file(ca), identity).unwrap();
        let patience = Duration::from_secs(5);
        Stream::connect("127.0.0.1", rig.address.port(), Some(&tls), patience).await.map(Client::new)
    }

    /// A certificate as it is within TLS.
    pub fn der(&self, name: &str) -> Vec<u8> {
        let pem = std::fs::read_to_string(self.file(name)).unwrap();
        CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec()
    }

    /// Connects as a front that writes this first and then passes the CPE's TLS through.
    pub async fn connect_behind(&self, rig: &Rig, header: &[u8], name: &str) -> Client<TlsStream<TcpStream>> {
        let mut socket = TcpStream::connect(rig.address).await.unwrap();
        socket.write_all(header).await.unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(self.der("ca").into()).unwrap();
        let key = PrivateKeyDer::from_pem_file(self.file(&format!("{name}-key"))).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![self.der(name).into()], key)
            .unwrap();
        let server = "127.0.0.1".try_into().unwrap();
        Client::new(TlsConnector::from(Arc::new(config)).connect(server, socket).await.unwrap())
    }

    /// What a CPE with that certificate gets; a refusal may come with the handshake or, as TLS 1.3 has it,
    /// after it.
    pub async fn answer(&self, rig: &Rig, identity: Option<&str>) -> Option<Answer> {
        let mut client = self.connect(rig, "ca", identity).await.ok()?;
        client.write(post("/", "", "inform")).await;
        client.answer().await
    }
}
