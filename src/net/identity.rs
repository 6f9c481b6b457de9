//! A certificate chain with its key, as TLS shows it on either side and as records carry it.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::CertificateDer;
use rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};

use super::tls::{TlsError, certificates, private_key};

/// Who somebody is, and the proof.
pub struct Identity {
    certified: Arc<CertifiedKey>,
    pem: Bytes,
}

impl Identity {
    pub(super) fn new(certified: CertifiedKey) -> Self {
        let pem = pem(CERTIFICATE, certified.cert.iter().map(AsRef::as_ref));
        Self { pem: pem.into(), certified: Arc::new(certified) }
    }

    /// The chain in a PEM file, and its key in another.
    pub fn load(chain: &Path, key: &Path) -> Result<Self, TlsError> {
        let unusable = |error: rustls::Error| TlsError::Unusable(error.to_string());
        let signing = any_supported_type(&private_key(key)?).map_err(unusable)?;
        let certified = CertifiedKey::new(certificates(chain)?, signing);
        match certified.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
                Ok(Self::new(certified))
            }
            Err(error) => Err(unusable(error)),
        }
    }

    /// Its own certificate first.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.certified.cert
    }

    /// The chain as records carry it.
    pub fn pem(&self) -> &Bytes {
        &self.pem
    }

    pub fn signing_key(&self) -> &dyn SigningKey {
        self.certified.key.as_ref()
    }

    /// For a configuration of TLS, on either side.
    pub fn resolver(&self) -> Arc<SingleCertAndKey> {
        Arc::new(SingleCertAndKey::from(Arc::clone(&self.certified)))
    }
}

/// Blocks of PEM (RFC 7468).
pub(super) fn pem<'d>(label: &str, blocks: impl IntoIterator<Item = &'d [u8]>) -> String {
    let mut text = String::new();
    for block in blocks {
        text.push_str(&format!("-----BEGIN {label}-----\n"));
        let body = BASE64.encode(block);
        let mut rest = body.as_str();
        while !rest.is_empty() {
            let (line, more) = rest.split_at(rest.len().min(LINE));
            text.push_str(line);
            text.push('\n');
            rest = more;
        }
        text.push_str(&format!("-----END {label}-----\n"));
    }
    text
}

/// A certificate in PEM.
pub fn pem_of(certificate: &CertificateDer<'_>) -> String {
    pem(CERTIFICATE, [certificate.as_ref()])
}

/// What certificates are called in PEM.
const CERTIFICATE: &str = "CERTIFICATE";
/// Characters in a line of PEM.
const LINE: usize = 64;
