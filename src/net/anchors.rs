//! The CAs of a file, and the way from a peer's certificate up to one of them. TLS says whether there is one;
//! this says which, since roles hang on it.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::tls::{TlsError, certificates};

/// CAs that are trusted, whole.
pub struct Anchors {
    certificates: Vec<CertificateDer<'static>>,
    anchors: Vec<TrustAnchor<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Anchors {
    /// The CAs in a PEM file.
    pub fn load(file: &Path) -> Result<Self, TlsError> {
        let certificates = certificates(file)?;
        let anchors = certificates.iter().map(|it| anchor_from_trusted_cert(it).map(|it| it.to_owned()));
        let anchors = anchors.collect::<Result<_, _>>();
        let anchors = anchors.map_err(|error| TlsError::Unusable(format!("{}: {error}", file.display())))?;
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
        Ok(Self { certificates, anchors, algorithms })
    }

    /// The certificates from a peer's own to the CA, each signed by the next; what else was in its chain is
    /// left out, for it proves nothing. `None` if none of the CAs vouches for it.
    pub fn path(&self, chain: &[CertificateDer<'_>]) -> Option<Arc<[Bytes]>> {
        let (first, others) = chain.split_first()?;
        let own = EndEntityCert::try_from(first).ok()?;
        let now = UnixTime::now();
        let verified = [KeyUsage::client_auth(), KeyUsage::server_auth()].into_iter().find_map(|usage| {
            own.verify_for_usage(self.algorithms.all, &self.anchors, others, now, usage, None, None).ok()
        })?;
        let between = verified.intermediate_certificates().map(|it| Bytes::copy_from_slice(&it.der()));
        let mut path = vec![Bytes::copy_from_slice(first)];
        path.extend(between);
        let anchor = verified.anchor();
        let same = |it: &TrustAnchor<'_>| {
            it.subject == anchor.subject && it.subject_public_key_info == anchor.subject_public_key_info
        };
        let at = self.anchors.iter().position(same)?;
        path.push(Bytes::copy_from_slice(self.certificates.get(at)?));
        Some(path.into())
    }
}
