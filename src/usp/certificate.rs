//! X.509 certificates as USP looks at them: who issued them, which endpoint they name (R-SEC.0a), and what tells
//! one from another. Nothing here says whether a certificate is genuine: that is TLS's to verify.

use std::fmt;

use bytes::Bytes;
use sha2::{Digest as _, Sha224, Sha256, Sha384, Sha512};
use thiserror::Error;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Why something is no certificate.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CertificateError {
    #[error("it is not in the PEM format of RFC 7468")]
    NotPem,
    #[error("it holds {0} PEM blocks; one certificate is wanted")]
    Many(usize),
    #[error("the PEM block is labelled {0}, not CERTIFICATE")]
    Label(String),
    #[error("it is {0} bytes long, {MAX_DER} at most")]
    Long(usize),
    #[error("it is no X.509 certificate")]
    NotX509,
}

/// A certificate. It is compared by its bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Bytes,
    serial_number: String,
    issuer: String,
}

impl Certificate {
    /// Reads one PEM block (RFC 7468); text around it is no harm.
    pub fn from_pem(text: &str) -> Result<Self, CertificateError> {
        let blocks: Result<Vec<Pem>, _> = Pem::iter_from_buffer(text.as_bytes()).take(MAX_BLOCKS).collect();
        let blocks = blocks.map_err(|_| CertificateError::NotPem)?;
        match blocks.as_slice() {
            [] => Err(CertificateError::NotPem),
            [block] if block.label != "CERTIFICATE" => {
                Err(CertificateError::Label(block.label.chars().take(MAX_LABEL).collect()))
            }
            [block] => Self::from_der(&block.contents),
            many => Err(CertificateError::Many(many.len())),
        }
    }

    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > MAX_DER {
            return Err(CertificateError::Long(der.len()));
        }
        let parsed = parse(der).ok_or(CertificateError::NotX509)?;
        Ok(Self {
            serial_number: serial_number(parsed.raw_serial()),
            issuer: parsed.issuer().to_string(),
            der: Bytes::copy_from_slice(der),
        })
    }

    pub fn der(&self) -> &Bytes {
        &self.der
    }

    /// In hexadecimal digits, a colon between bytes.
    pub fn serial_number(&self) -> &str {
        &self.serial_number
    }

    /// The distinguished name of who issued it.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Its fingerprint in hexadecimal digits, by an algorithm of [`FINGERPRINTS`].
    pub fn fingerprint(&self, algorithm: &str) -> Option<String> {
        Some(match algorithm {
            "SHA-224" => hex(&Sha224::digest(&self.der)),
            "SHA-256" => hex(&Sha256::digest(&self.der)),
            "SHA-384" => hex(&Sha384::digest(&self.der)),
            "SHA-512" => hex(&Sha512::digest(&self.der)),
            _ => return None,
        })
    }

    /// Whether it is this endpoint's, by the names in it.
    pub fn is_of(&self, endpoint: &str) -> bool {
        is_of_endpoint(&self.der, endpoint)
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({} of {})", self.serial_number, self.issuer)
    }
}

/// Whether a certificate is an endpoint's (R-SEC.0a, R-SEC.10a): its subject alternative names hold the
/// endpoint's URN, or of an `fqdn` endpoint the host.
pub fn is_of_endpoint(der: &[u8], endpoint: &str) -> bool {
    let Some(parsed) = parse(der) else { return false };
    let Ok(Some(found)) = parsed.subject_alternative_name() else { return false };
    let host = endpoint.strip_prefix("fqdn::");
    found.value.general_names.iter().any(|name| match name {
        GeneralName::URI(uri) => names(uri, endpoint),
        GeneralName::DNSName(name) => host.is_some_and(|host| name.eq_ignore_ascii_case(host)),
        _ => false,
    })
}

/// Whether a certificate is some endpoint's, by its URN: then it is no other's.
pub fn is_of_an_endpoint(der: &[u8]) -> bool {
    let Some(parsed) = parse(der) else { return false };
    let Ok(Some(found)) = parsed.subject_alternative_name() else { return false };
    found.value.general_names.iter().any(|name| match name {
        GeneralName::URI(uri) => strip_prefix_ignoring_case(uri, URN).is_some(),
        _ => false,
    })
}

/// The URN of an endpoint (R-ARC.3). Endpoint ids are percent-encoded already where they have to be (R-ARC.5).
pub fn urn(endpoint: &str) -> String {
    format!("{URN}{endpoint}")
}

/// The whole of the bytes, or nothing.
fn parse(der: &[u8]) -> Option<X509Certificate<'_>> {
    X509Certificate::from_der(der).ok().and_then(|(rest, parsed)| rest.is_empty().then_some(parsed))
}

/// Whether a URI names this endpoint. A wildcard at its end stands for the rest of the instance id, where the
/// scheme says who gives these out (R-SEC.11, R-SEC.12).
fn names(uri: &str, endpoint: &str) -> bool {
    let Some(named) = strip_prefix_ignoring_case(uri, URN) else { return false };
    let Some(start) = named.strip_suffix('*') else { return named == endpoint };
    let mut parts = start.splitn(3, ':');
    let (Some(scheme), Some(_), Some(instance)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let allowed = match scheme {
        "oui" | "cid" | "pen" => true,
        // The OUI before the first dash is not to be wildcarded.
        "os" | "ops" => instance.contains('-'),
        _ => false,
    };
    allowed && !start.contains('*') && endpoint.starts_with(start)
}

fn strip_prefix_ignoring_case<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// The sign of a positive number takes a byte of zeros where its first bit is set.
fn serial_number(raw: &[u8]) -> String {
    let digits = match raw {
        [0, rest @ ..] if !rest.is_empty() => rest,
        all => all,
    };
    digits.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// The algorithms of fingerprints, as `SupportedFingerprintAlgorithms` lists them. SHA-1 is broken and left out.
pub const FINGERPRINTS: &str = "SHA-224,SHA-256,SHA-384,SHA-512";
/// Largest certificate in DER, in bytes: those with post-quantum signatures have their place.
pub const MAX_DER: usize = 16 << 10;
/// So many blocks of one text are looked at, to tell of them.
const MAX_BLOCKS: usize = 8;
/// So much of a wrong label is told.
const MAX_LABEL: usize = 32;
/// What the URN of an endpoint begins with.
const URN: &str = "urn:bbf:usp:id:";

#[cfg(test)]
mod tests {
    use super::*;

    fn self_signed(uri: Option<&str>, dns: &[&str]) -> rcgen::Certificate {
        let dns: Vec<String> = dns.iter().map(|name| (*name).to_owned()).collect();
        let mut params = rcgen::CertificateParams::new(dns).unwrap();
        let uri = uri.map(|uri| rcgen::SanType::URI(uri.try_into().unwrap()));
        params.subject_alt_names.extend(uri);
        params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap()
    }

    #[test]
    fn r_sec_0a_r_sec_11_r_sec_12_a_name_is_an_endpoints_and_wildcards_stop_at_the_assigning_entity() {
        let agent = "ops::00256D-HG-S1";
        for (uri, is) in [
            ("urn:bbf:usp:id:ops::00256D-HG-S1", true),
            ("URN:BBF:USP:ID:ops::00256D-HG-S1", true),
            ("urn:bbf:usp:id:ops::00256D-HG-S2", false),
            ("urn:bbf:usp:id:ops::00256D-HG-S", false),
            ("ops::00256D-HG-S1", false),
            ("urn:bbf:usp:id:ops::00256D-*", true),
            ("urn:bbf:usp:id:ops::*", false),
            ("urn:bbf:usp:id:ops::0025*", false),
            ("urn:bbf:usp:id:*", false),
            ("urn:bbf:usp:id:ops::00256D-*-*", false),
        ] {
            assert_eq!(names(uri, agent), is, "{uri}");
        }
        assert!(!names("urn:bbf:usp:id:self::*", "self::x"));
        assert!(names("urn:bbf:usp:id:oui:00256D:*", "oui:00256D:x"));
    }

    #[test]
    fn r_sec_0a_the_host_of_an_fqdn_endpoint_is_a_name_and_of_no_other() {
        let der = self_signed(Some("urn:bbf:usp:id:self::ctl"), &["usp.example"]);
        let der = der.der();
        for (endpoint, is) in [
            ("self::ctl", true),
            ("fqdn::usp.example", true),
            ("fqdn::USP.example", true),
            ("self::usp.example", false),
            ("fqdn::example", false),
        ] {
            assert_eq!(is_of_endpoint(der, endpoint), is, "{endpoint}");
        }
        assert!(!is_of_endpoint(b"\x30\x03abc", "self::ctl"));
    }

    #[test]
    fn one_pem_certificate_is_read_and_nothing_else() {
        let made = self_signed(None, &["a"]);
        let read = Certificate::from_pem(&made.pem()).unwrap();
        assert_eq!(read.der().as_ref(), made.der().as_ref());
        assert!(read.issuer().starts_with("CN="), "{}", read.issuer());
        assert_eq!(Certificate::from_pem(&format!("a note\n{}", made.pem())).unwrap(), read);
        let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let cut = made.pem().replacen("\nMII", "\nMIJ", 1);
        for (text, error) in [
            (String::new(), CertificateError::NotPem),
            ("garbage".into(), CertificateError::NotPem),
            ("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n".into(), CertificateError::NotPem),
            (key, CertificateError::Label("PRIVATE KEY".into())),
            (made.pem().repeat(3), CertificateError::Many(3)),
            (cut, CertificateError::NotX509),
        ] {
            assert_eq!(Certificate::from_pem(&text), Err(error), "{text}");
        }
        let long = vec![0x30; MAX_DER + 1];
        assert_eq!(Certificate::from_der(&long), Err(CertificateError::Long(MAX_DER + 1)));
        let more = [made.der().as_ref(), b"x"].concat();
        assert_eq!(Certificate::from_der(&more), Err(CertificateError::NotX509));
    }

    #[test]
    fn fingerprints_are_of_the_whole_certificate() {
        let read = Certificate::from_der(self_signed(None, &["a"]).der()).unwrap();
        for (algorithm, digits) in [("SHA-224", 56), ("SHA-256", 64), ("SHA-384", 96), ("SHA-512", 128)] {
            assert_eq!(read.fingerprint(algorithm).map(|it| it.len()), Some(digits), "{algorithm}");
            assert!(FINGERPRINTS.contains(algorithm));
        }
        assert_eq!(read.fingerprint("SHA-1"), None);
        let openssl =
            Sha256::digest(read.der()).iter().fold(String::new(), |all, it| format!("{all}{it:02X}"));
        assert_eq!(read.fingerprint("SHA-256"), Some(openssl));
    }
}
