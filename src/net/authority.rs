//! A CA that issues certificates when they are needed: the operator's, or one that is made for trials. What it
//! has issued is kept for a while and never stored; who verifies trusts the CA.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData as _, SanType,
};
use rustls::crypto::aws_lc_rs::sign::any_ecdsa_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use thiserror::Error;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::identity::{Identity, pem, pem_of};
use super::secret_file::write_secret;
use super::tls::{TlsError, certificates, private_key};

/// Why a CA cannot issue certificates.
#[derive(Debug, Error)]
pub enum AuthorityError {
    #[error(transparent)]
    Pem(#[from] TlsError),
    #[error("failed to {what} {file}: {why}")]
    File { what: &'static str, file: String, why: std::io::Error },
    #[error("the CA is not usable: {0}")]
    Unusable(String),
    #[error("a certificate could not be issued: {0}")]
    Issue(#[from] rcgen::Error),
    #[error("the key of a certificate is not usable: {0}")]
    Key(#[from] rustls::Error),
}

/// Issues certificates, each for one URI.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// What goes along with each: the CA's own certificate, unless it is a root, and those above it.
    chain: Vec<CertificateDer<'static>>,
    validity: Duration,
    /// The end of the CA's own time.
    until: SystemTime,
    issued: Mutex<Issued>,
    new: Mutex<Option<New>>,
}

/// The files of a CA that has just been made, and what is to stand in them.
struct New {
    certificate: (PathBuf, String),
    key: (PathBuf, String),
}

#[derive(Default)]
struct Issued {
    known: HashMap<String, (Arc<Identity>, SystemTime)>,
    /// The oldest goes first.
    order: VecDeque<String>,
}

impl Authority {
    /// The operator's CA: its certificate, which may be followed by those above it, and its key. What it issues
    /// is valid for so long.
    pub fn load(certificate: &Path, key: &Path, validity: Duration) -> Result<Self, AuthorityError> {
        Self::of(certificates(certificate)?, &private_key(key)?, validity)
    }

    /// A CA of the gateway's own in these files. Where they are not there it is a new one, which [`Self::keep`]
    /// writes.
    pub fn open(certificate: &Path, key: &Path, validity: Duration) -> Result<Self, AuthorityError> {
        if certificate.exists() || key.exists() {
            return Self::load(certificate, key, validity);
        }
        let (made, secret) = create()?;
        let text = pem_of(&made);
        let new = New {
            certificate: (certificate.to_owned(), text),
            key: (key.to_owned(), pem("PRIVATE KEY", [secret.secret_der()])),
        };
        let authority = Self::of(vec![made], &secret, validity)?;
        Ok(Self { new: Mutex::new(Some(new)), ..authority })
    }

    /// Writes a new CA to its files; the key is for the owner of the process alone.
    pub fn keep(&self) -> Result<(), AuthorityError> {
        let mut new = self.new.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(New { certificate, key }) = new.as_ref() {
            // Without its key the certificate would be for nothing, so that the key comes first.
            write_secret(&key.0, &key.1).map_err(|why| file_error("write", &key.0, why))?;
            std::fs::write(&certificate.0, &certificate.1)
                .map_err(|why| file_error("write", &certificate.0, why))?;
            tracing::info!(certificate = %certificate.0.display(), "a CA for the certificates of agents was made");
        }
        *new = None;
        Ok(())
    }

    fn of(
        mut chain: Vec<CertificateDer<'static>>,
        key: &PrivateKeyDer<'_>,
        validity: Duration,
    ) -> Result<Self, AuthorityError> {
        let key = KeyPair::try_from(key).map_err(|error| unusable(format!("its key: {error}")))?;
        let Some(own) = chain.first() else { return Err(unusable("there is no certificate")) };
        let until = check(own, &key)?;
        let issuer = Issuer::from_ca_cert_der(own, key).map_err(unusable)?;
        // Those who verify have the root themselves.
        chain.retain(|it| !is_root(it));
        Ok(Self { issuer, chain, validity, until, issued: Mutex::default(), new: Mutex::new(None) })
    }

    /// The certificate for a URI, a new one if there is none that is good for a while yet.
    pub fn identity(&self, uri: &str) -> Result<Arc<Identity>, AuthorityError> {
        self.identity_at(uri, SystemTime::now())
    }

    fn identity_at(&self, uri: &str, now: SystemTime) -> Result<Arc<Identity>, AuthorityError> {
        if let Some((identity, renew)) = self.issued().known.get(uri)
            && now < *renew
        {
            return Ok(Arc::clone(identity));
        }
        // Others need not wait while this one is made; should two be, the later is kept.
        let identity = Arc::new(self.issue(uri, now)?);
        let mut issued = self.issued();
        // A third of its time is left to whoever holds it.
        let renew = now + self.validity * 2 / 3;
        if issued.known.insert(uri.to_owned(), (Arc::clone(&identity), renew)).is_none() {
            issued.order.push_back(uri.to_owned());
        }
        if issued.order.len() > MAX_ISSUED
            && let Some(oldest) = issued.order.pop_front()
        {
            issued.known.remove(&oldest);
        }
        Ok(identity)
    }

    fn issued(&self) -> MutexGuard<'_, Issued> {
        self.issued.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn issue(&self, uri: &str, now: SystemTime) -> Result<Identity, AuthorityError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::<String>::new())?;
        params.subject_alt_names.push(SanType::URI(Ia5String::try_from(uri)?));
        let name = uri.strip_prefix("urn:bbf:usp:id:").unwrap_or(uri);
        params.distinguished_name.push(DnType::CommonName, name.chars().take(MAX_NAME).collect::<String>());
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        // Within records an endpoint is either side of TLS.
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        // Clocks of others may be behind.
        params.not_before = (now - SKEW).into();
        // Beyond the CA's own time nobody would believe it.
        params.not_after = (now + self.validity).min(self.until).into();
        let certificate = params.signed_by(&key, &self.issuer)?;
        let mut chain = vec![certificate.der().clone()];
        chain.extend(self.chain.iter().cloned());
        let signing = any_ecdsa_type(&PrivatePkcs8KeyDer::from(key.serialize_der()).into())?;
        Ok(Identity::new(CertifiedKey::new(chain, signing)))
    }
}

/// Whether a certificate is a CA's, of this key and valid; until when it is.
fn check(certificate: &CertificateDer<'_>, key: &KeyPair) -> Result<SystemTime, AuthorityError> {
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(unusable)?;
    if !parsed.is_ca() {
        return Err(unusable("its certificate is not that of a CA"));
    }
    if !parsed.validity().is_valid() {
        return Err(unusable(format!("its certificate is valid from {} only", period(&parsed))));
    }
    if parsed.public_key().raw != key.subject_public_key_info() {
        return Err(unusable("certificate and key do not belong together"));
    }
    let end = parsed.validity().not_after.timestamp();
    let end = Duration::from_secs(u64::try_from(end).unwrap_or_default());
    SystemTime::UNIX_EPOCH.checked_add(end).ok_or_else(|| unusable("its end is beyond all time"))
}

fn period(certificate: &X509Certificate<'_>) -> String {
    format!("{} to {}", certificate.validity().not_before, certificate.validity().not_after)
}

fn is_root(certificate: &CertificateDer<'_>) -> bool {
    X509Certificate::from_der(certificate).is_ok_and(|(_, it)| it.subject() == it.issuer())
}

/// A new CA, and its key.
fn create() -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>), AuthorityError> {
    let pair = KeyPair::generate()?;
    let mut params = CertificateParams::new(Vec::<String>::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, "Dragoman agents (trial CA)");
    let now = SystemTime::now();
    params.not_before = (now - SKEW).into();
    params.not_after = (now + TRIAL_VALIDITY).into();
    let secret = PrivatePkcs8KeyDer::from(pair.serialize_der());
    Ok((params.self_signed(&pair)?.der().clone(), secret.into()))
}

fn unusable(why: impl ToString) -> AuthorityError {
    AuthorityError::Unusable(why.to_string())
}

fn file_error(what: &'static str, file: &Path, why: std::io::Error) -> AuthorityError {
    AuthorityError::File { what, file: file.display().to_string(), why }
}

/// The bytes that a URI's certificates take in records at most, whatever the length of the URI.
pub(crate) fn room(authority: &Authority, longest: usize) -> Result<usize, AuthorityError> {
    let longest = authority.issue(&"x".repeat(longest), SystemTime::now())?;
    Ok(longest.pem().len() + SIGNATURE_VARIES)
}

/// What has been issued and is kept; further ones push out the oldest.
const MAX_ISSUED: usize = 4_096;
/// X.520: characters of a common name.
const MAX_NAME: usize = 64;
/// How much the clocks of others may be behind.
const SKEW: Duration = Duration::from_secs(3_600);
/// Ten years.
const TRIAL_VALIDITY: Duration = Duration::from_secs(3_650 * 86_400);
/// The signature in a certificate is longer or shorter by some bytes, and more in base64.
const SIGNATURE_VARIES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(std::path::PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("dragoman-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }

        fn file(&self, name: &str) -> std::path::PathBuf {
            self.0.join(name)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    const URI: &str = "urn:bbf:usp:id:ops::00256D-HG%20100-1";
    const DAYS: Duration = Duration::from_secs(30 * 86_400);

    #[test]
    fn r_sec_10_what_is_issued_names_its_endpoint_and_the_ca_vouches_for_it_after_a_restart_too() {
        let folder = Folder::new("authority");
        let (ca, key) = (folder.file("ca.pem"), folder.file("ca.key"));
        let first = Authority::open(&ca, &key, DAYS).unwrap();
        assert!(!ca.exists() && !key.exists(), "a look at the configuration leaves no files");
        first.keep().unwrap();
        let anchors = crate::net::Anchors::load(&ca).unwrap();
        let second = Authority::open(&ca, &key, DAYS).unwrap();
        for authority in [&first, &second] {
            let identity = authority.identity(URI).unwrap();
            let path = anchors.path(identity.chain()).expect("the CA vouches for it");
            assert_eq!(path.len(), 2);
            assert!(crate::usp::is_of_endpoint(&path[0], "ops::00256D-HG%20100-1"));
            assert!(!crate::usp::is_of_endpoint(&path[0], "ops::00256D-HG%20100-2"));
            assert!(identity.pem().len() <= room(authority, 270).unwrap());
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn what_is_issued_ends_with_its_ca() {
        let folder = Folder::new("end");
        let long = TRIAL_VALIDITY * 2;
        let authority = Authority::open(&folder.file("ca"), &folder.file("key"), long).unwrap();
        let identity = authority.identity(URI).unwrap();
        let (_, parsed) = X509Certificate::from_der(&identity.chain()[0]).unwrap();
        let end = parsed.validity().not_after.timestamp();
        let until = authority.until.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        assert_eq!(u64::try_from(end).unwrap(), until);
    }

    #[test]
    fn a_certificate_is_kept_until_a_third_of_its_time_is_left_and_so_many_at_most() {
        let folder = Folder::new("renewal");
        let authority = Authority::open(&folder.file("ca"), &folder.file("key"), DAYS).unwrap();
        let now = SystemTime::now();
        let first = authority.identity_at(URI, now).unwrap();
        let later = authority.identity_at(URI, now + DAYS / 2).unwrap();
        assert!(Arc::ptr_eq(&first, &later));
        let renewed = authority.identity_at(URI, now + DAYS * 3 / 4).unwrap();
        assert!(!Arc::ptr_eq(&first, &renewed));
        assert_eq!(authority.issued.lock().unwrap().order.len(), 1);
        for number in 0..MAX_ISSUED {
            authority.identity_at(&format!("urn:{number}"), now).unwrap();
        }
        let issued = authority.issued.lock().unwrap();
        assert_eq!((issued.known.len(), issued.order.len()), (MAX_ISSUED, MAX_ISSUED));
        assert!(!issued.known.contains_key(URI));
    }

    #[test]
    fn a_ca_that_could_vouch_for_nobody_is_refused_at_the_start() {
        let folder = Folder::new("no-authority");
        let file = |name: &str| folder.file(name);
        Authority::open(&file("ca"), &file("key"), DAYS).unwrap().keep().unwrap();
        Authority::open(&file("other"), &file("other-key"), DAYS).unwrap().keep().unwrap();
        let refused = |ca: &str, key: &str| {
            Authority::load(&file(ca), &file(key), DAYS).err().map(|error| error.to_string()).unwrap()
        };
        assert!(refused("ca", "other-key").contains("do not belong together"));
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["a".to_owned()]).unwrap().self_signed(&key).unwrap();
        std::fs::write(file("leaf"), leaf.pem()).unwrap();
        std::fs::write(file("leaf-key"), key.serialize_pem()).unwrap();
        assert!(refused("leaf", "leaf-key").contains("not that of a CA"));
        assert!(refused("ca", "leaf").contains("leaf"));
        assert!(refused("absent", "key").contains("absent"));
        // Half of it is no reason to make another.
        std::fs::remove_file(file("other")).unwrap();
        assert!(Authority::open(&file("other"), &file("other-key"), DAYS).is_err());
    }
}
