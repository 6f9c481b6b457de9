//! Certificates of the tests' own, and TLS as CPEs speak it.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dragoman::net::TlsServer;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio_rustls::TlsConnector;

use super::mosquitto::folder;

/// A CA and certificates for 127.0.0.1 that it signed, as PEM files; they go with this.
pub struct Pki {
    folder: PathBuf,
}

impl Drop for Pki {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Pki {
    pub fn new(leaves: &[&str]) -> Self {
        Self::within(folder("pki"), leaves)
    }

    /// The same in a folder that is there already.
    pub fn within(folder: PathBuf, leaves: &[&str]) -> Self {
        let pki = Self { folder };
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // OpenSSL takes a certificate whose subject is its issuer's for one that signed itself.
        params.distinguished_name.push(DnType::CommonName, "test CA");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        std::fs::write(pki.file("ca"), issuer.pem()).unwrap();
        for leaf in leaves {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
            params.distinguished_name.push(DnType::CommonName, *leaf);
            let pem = params.signed_by(&key, &issuer).unwrap().pem();
            std::fs::write(pki.file(leaf), &pem).unwrap();
            std::fs::write(pki.file(&format!("{leaf}-key")), key.serialize_pem()).unwrap();
            std::fs::write(pki.file(&format!("{leaf}-both")), pem + &key.serialize_pem()).unwrap();
        }
        pki
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.pem"))
    }

    pub fn path(&self, name: &str) -> String {
        self.file(name).display().to_string()
    }

    pub fn server(&self, name: &str) -> TlsServer {
        TlsServer::new(&self.file(name), &self.file(&format!("{name}-key")), None, false).unwrap()
    }

    pub fn der(&self, name: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.file(name)).unwrap()
    }

    /// Posts an Inform by TLS from that address of the loopback, as the CPE of that certificate, and returns
    /// the answer's head and the port that it was posted from. The error is the handshake's.
    pub async fn inform(
        &self,
        from: [u8; 4],
        port: u16,
        identity: Option<&str>,
        inform: &str,
    ) -> std::io::Result<(String, u16)> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((IpAddr::from(from), 0).into())?;
        let socket = socket.connect(([127, 0, 0, 1], port).into()).await?;
        let source = socket.local_addr()?.port();
        let config = Arc::new(self.client(identity));
        let mut stream = TlsConnector::from(config).connect("127.0.0.1".try_into().unwrap(), socket).await?;
        stream.write_all(post(inform).as_bytes()).await?;
        let mut answer = Vec::new();
        // How it is closed does not matter.
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        if answer.is_empty() {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok((answer, source))
    }

    fn client(&self, identity: Option<&str>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.der("ca")).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        match identity {
            Some(name) => {
                let key = PrivateKeyDer::from_pem_file(self.file(&format!("{name}-key"))).unwrap();
                builder.with_client_auth_cert(vec![self.der(name)], key).unwrap()
            }
            None => builder.with_no_client_auth(),
        }
    }
}

/// The POST of an Inform after which the connection ends.
pub fn post(inform: &str) -> String {
    format!(
        "POST /acs HTTP/1.1\r\nHost: gw.example:7548\r\nContent-Type: text/xml; charset=utf-8\r\n\
         Forwarded: for=10.66.66.66\r\nClient-Cert: :AAAA:\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{inform}",
        inform.len()
    )
}

/// A certificate that none of ours has signed.
pub fn foreign_ca(path: &Path) {
    let other = rcgen::generate_simple_self_signed(vec!["other".to_owned()]).unwrap();
    std::fs::write(path, other.cert.pem()).unwrap();
}
