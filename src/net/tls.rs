//! TLS 1.2 and 1.3 by rustls: certificates from PEM files, mutual authentication where asked for.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::anchors::Anchors;
use super::authority::Authority;

/// Why TLS cannot be set up; the text names the file.
#[derive(Debug, Error)]
pub enum TlsError {
    #[error("failed to read {file}: {why}")]
    Pem { file: String, why: String },
    #[error("{file} holds no certificate")]
    NoCertificate { file: String },
    #[error("certificate and key are not usable: {0}")]
    Unusable(String),
}

/// The client's half: whom to trust, and who we are if the server asks.
#[derive(Clone)]
pub struct TlsClient {
    connector: TlsConnector,
    /// Who gives each of those who connect a certificate of its own.
    authority: Option<Arc<Authority>>,
    /// Whom it trusts.
    anchors: Arc<Anchors>,
}

/// The server's half.
#[derive(Clone)]
pub struct TlsServer(TlsAcceptor);

impl TlsClient {
    /// Trusts the CAs in `ca`; `identity` is a certificate chain and its key.
    pub fn new(ca: &Path, identity: Option<(&Path, &Path)>) -> Result<Self, TlsError> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_root_certificates(roots(ca)?);
        let config = match identity {
            Some((chain, key)) => {
                builder.with_client_auth_cert(certificates(chain)?, private_key(key)?).map_err(unusable)?
            }
            None => builder.with_no_client_auth(),
        };
        let anchors = Arc::new(Anchors::load(ca)?);
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), authority: None, anchors })
    }

    /// Whom it trusts.
    pub fn anchors(&self) -> &Anchors {
        &self.anchors
    }

    /// Each who connects shows a certificate of its own, unless all have one.
    pub fn issued_by(self, authority: &Arc<Authority>) -> Self {
        let all = self.connector.config().client_auth_cert_resolver.has_certs();
        Self { authority: (!all).then(|| Arc::clone(authority)), ..self }
    }

    /// As the one of this URI: with its certificate as it is at the time. Where none can be issued it goes
    /// without, and the server decides.
    pub fn of(&self, uri: &str) -> Self {
        let Some(authority) = &self.authority else { return self.clone() };
        let identity = match authority.identity(uri) {
            Ok(identity) => identity,
            Err(error) => {
                tracing::warn!(uri, %error, "there is no certificate to connect with");
                return self.clone();
            }
        };
        let mut config = ClientConfig::clone(self.connector.config());
        config.client_auth_cert_resolver = identity.resolver();
        // A session that is resumed is that of whoever began it.
        config.resumption = Resumption::disabled();
        let anchors = Arc::clone(&self.anchors);
        Self { connector: TlsConnector::from(Arc::new(config)), authority: None, anchors }
    }

    pub(super) async fn connect(
        &self,
        host: &str,
        socket: TcpStream,
    ) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        self.connector.connect(name, socket).await
    }
}

impl TlsServer {
    /// Shows the chain; `client_ca` is whose client certificates count, and `required` whether one is a must.
    pub fn new(chain: &Path, key: &Path, client_ca: Option<&Path>, required: bool) -> Result<Self, TlsError> {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(unusable)?;
        let builder = match client_ca {
            Some(ca) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(ca)?), provider());
                let verifier = if required { verifier } else { verifier.allow_unauthenticated() };
                builder.with_client_cert_verifier(verifier.build().map_err(unusable)?)
            }
            None => builder.with_no_client_auth(),
        };
        let config = builder.with_single_cert(certificates(chain)?, private_key(key)?).map_err(unusable)?;
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    pub(super) async fn accept(
        &self,
        socket: TcpStream,
    ) -> io::Result<tokio_rustls::server::TlsStream<TcpStream>> {
        self.0.accept(socket).await
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// The CAs in a PEM file.
pub fn roots(file: &Path) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(file)? {
        store.add(certificate).map_err(unusable)?;
    }
    Ok(store)
}

/// The certificates in a PEM file, one at least.
pub fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = |why: rustls::pki_types::pem::Error| unreadable(file, why);
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).map_err(pem)?.collect();
    let found = found.map_err(pem)?;
    if found.is_empty() {
        return Err(TlsError::NoCertificate { file: file.display().to_string() });
    }
    Ok(found)
}

/// The first private key in a PEM file.
pub fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(file).map_err(|why| unreadable(file, why))
}

fn unreadable(file: &Path, why: rustls::pki_types::pem::Error) -> TlsError {
    TlsError::Pem { file: file.display().to_string(), why: why.to_string() }
}

fn unusable(why: impl ToString) -> TlsError {
    TlsError::Unusable(why.to_string())
}
