//! Our certificate and key, and whose certificates we take: signs records and checks signatures (R-E2E.29 to
//! R-E2E.31), and makes connections of TLS.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::Signer;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, SignatureScheme,
};
use thiserror::Error;
use webpki::EndEntityCert;

use crate::identity::EndpointId;
use crate::net::{Anchors, Authority, Identity, TlsError, room, roots};
use crate::usp::record::{Integrity, Record};
use crate::usp::{Shown, is_of_endpoint, urn};

use super::verifier::PeerVerifier;

/// Why payload security cannot be set up.
#[derive(Debug, Error)]
pub enum KeyringError {
    #[error(transparent)]
    Pem(#[from] TlsError),
    /// R-E2E.31, R-E2E.40b.
    #[error("the key for payload security is not on the curve NIST P-256")]
    NotP256,
    #[error("certificates for payload security are not usable: {0}")]
    Unusable(String),
}

/// What the endpoints of this process prove themselves with.
pub struct Keyring {
    own: Own,
    roots: Arc<RootCertStore>,
    anchors: Anchors,
    chains: Arc<dyn ClientCertVerifier>,
    provider: Arc<CryptoProvider>,
    /// Whether transports do not protect records, so that each is signed, and is to be.
    signs: bool,
    /// What our certificates take in a record at most, in bytes.
    room: usize,
}

/// Where our certificates are from.
enum Own {
    /// One for all of us, whose name may end in a wildcard (R-SEC.11).
    Shared(Arc<Identity>),
    /// Each has its own (R-SEC.10).
    Issued(Arc<Authority>),
}

impl Keyring {
    /// `ca` signed the certificates of peers; all of us have that of `chain`. `signs`: records without a MAC
    /// are signed, and those of peers must be (R-E2E.29, R-E2E.30); otherwise the transports are trusted.
    pub fn load(ca: &Path, chain: &Path, key: &Path, signs: bool) -> Result<Self, KeyringError> {
        Self::of(ca, Own::Shared(Arc::new(Identity::load(chain, key)?)), signs)
    }

    /// The same, where each of us gets a certificate of its own.
    pub fn issued(ca: &Path, by: Arc<Authority>, signs: bool) -> Result<Self, KeyringError> {
        Self::of(ca, Own::Issued(by), signs)
    }

    fn of(ca: &Path, own: Own, signs: bool) -> Result<Self, KeyringError> {
        let provider = Arc::new(provider());
        let roots = Arc::new(roots(ca)?);
        let chains = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider));
        let chains = chains.build().map_err(|error| KeyringError::Unusable(error.to_string()))?;
        let room = match &own {
            Own::Shared(identity) => {
                scheme(identity).ok_or(KeyringError::NotP256)?;
                identity.pem().len()
            }
            Own::Issued(authority) => {
                let longest = urn("").len() + EndpointId::MAX_LENGTH;
                room(authority, longest).map_err(|error| KeyringError::Unusable(error.to_string()))?
            }
        };
        Ok(Self { own, roots, anchors: Anchors::load(ca)?, chains, provider, signs, room })
    }

    /// The certificate of one of our endpoints.
    fn identity(&self, endpoint: &str) -> Result<Arc<Identity>, rustls::Error> {
        match &self.own {
            Own::Shared(identity) => Ok(Arc::clone(identity)),
            Own::Issued(authority) => {
                authority.identity(&urn(endpoint)).map_err(|error| rustls::Error::General(error.to_string()))
            }
        }
    }

    /// What a signature and our certificates add to a record at most, in bytes.
    pub fn signature_room(&self) -> usize {
        if self.signs { self.room + SIGNATURE_ROOM } else { 0 }
    }

    /// Signs a record that carries no MAC, if records are to be signed (R-E2E.31).
    pub fn sign(&self, bytes: Bytes) -> Bytes {
        if !self.signs {
            return bytes;
        }
        let Ok(mut record) = Record::decode(bytes.clone()) else { return bytes };
        if !record.mac_signature.is_empty() {
            return bytes;
        }
        let Ok(identity) = self.identity(&record.from_id) else {
            tracing::warn!("a record could not be signed: there is no certificate");
            return bytes;
        };
        record.sender_cert = identity.pem().clone();
        match scheme(&identity).map(|signer| signer.sign(&record.covered())) {
            Some(Ok(signature)) => {
                record.mac_signature = signature.into();
                record.encode()
            }
            _ => {
                tracing::warn!("a record could not be signed");
                bytes
            }
        }
    }

    /// What is to be thought of a record that came.
    pub fn integrity(&self, bytes: &Bytes) -> Integrity {
        self.examine(bytes).0
    }

    /// The same, and what its signer has shown.
    pub fn examine(&self, bytes: &Bytes) -> (Integrity, Shown) {
        // What cannot be decoded is refused by those who look into it.
        let Ok(record) = Record::decode(bytes.clone()) else { return (Integrity::Unproven, Shown::Untold) };
        if record.mac_signature.is_empty() {
            let found = if self.signs { Integrity::Unproven } else { Integrity::Trusted };
            return (found, Shown::Untold);
        }
        match self.signer(&record) {
            Some(path) => (Integrity::Signed, path),
            None => (Integrity::Unproven, Shown::Untold),
        }
    }

    /// The certificates of who signed a record, if it is its sender.
    fn signer(&self, record: &Record) -> Option<Shown> {
        if record.sender_cert.is_empty() || record.sender_cert.len() > MAX_CHAIN {
            return None;
        }
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&record.sender_cert).collect();
        let chain = read.ok()?;
        let (first, others) = chain.split_first()?;
        let trusted = self.chains.verify_client_cert(first, others, UnixTime::now()).is_ok();
        if !trusted || !is_of_endpoint(first, &record.from_id) {
            return None;
        }
        let certificate = EndEntityCert::try_from(first).ok()?;
        let known = self.provider.signature_verification_algorithms.mapping.iter();
        let mut algorithms = known
            .filter(|(scheme, _)| *scheme == SignatureScheme::ECDSA_NISTP256_SHA256)
            .flat_map(|(_, algorithms)| algorithms.iter());
        let covered = record.covered();
        let signed =
            algorithms.any(|it| certificate.verify_signature(*it, &covered, &record.mac_signature).is_ok());
        signed.then(|| self.shown(&chain))
    }

    /// What a chain that has been verified shows.
    pub(super) fn shown(&self, chain: &[CertificateDer<'_>]) -> Shown {
        self.anchors.path(chain).map_or(Shown::Nothing, Shown::Path)
    }

    fn verifier(&self, peer: &EndpointId) -> Arc<PeerVerifier> {
        Arc::new(PeerVerifier {
            peer: peer.as_str().to_owned(),
            chain: Arc::clone(&self.chains),
            roots: Arc::clone(&self.roots),
            algorithms: self.provider.signature_verification_algorithms,
        })
    }

    pub(super) fn client(
        &self,
        own: &EndpointId,
        peer: &EndpointId,
    ) -> Result<ClientConnection, rustls::Error> {
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS12])?
            .dangerous()
            .with_custom_certificate_verifier(self.verifier(peer))
            .with_client_cert_resolver(self.identity(own.as_str())?.resolver());
        config.resumption = Resumption::disabled();
        config.enable_sni = false;
        // Endpoints have no names of hosts; the verifier knows whom it expects.
        let name = ServerName::try_from("usp").map_err(|error| rustls::Error::General(error.to_string()))?;
        ClientConnection::new(Arc::new(config), name)
    }

    pub(super) fn server(
        &self,
        own: &EndpointId,
        peer: &EndpointId,
    ) -> Result<ServerConnection, rustls::Error> {
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS12])?
            .with_client_cert_verifier(self.verifier(peer))
            .with_cert_resolver(self.identity(own.as_str())?.resolver());
        config.session_storage = Arc::new(NoServerSessionStorage {});
        ServerConnection::new(Arc::new(config))
    }
}

/// R-E2E.31, R-E2E.40b: what signs is on the curve NIST P-256.
fn scheme(identity: &Identity) -> Option<Box<dyn Signer>> {
    identity.signing_key().choose_scheme(&[SignatureScheme::ECDSA_NISTP256_SHA256])
}

/// R-E2E.40, R-E2E.40a: one cipher, one group.
fn provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: vec![aws_lc_rs::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256],
        kx_groups: vec![aws_lc_rs::kx_group::SECP256R1],
        ..aws_lc_rs::default_provider()
    }
}

/// A signature of ECDSA with P-256 in DER, and the heads of its fields.
const SIGNATURE_ROOM: usize = 84;
/// Largest chain of certificates that is looked at, in bytes of PEM.
const MAX_CHAIN: usize = 64 << 10;
