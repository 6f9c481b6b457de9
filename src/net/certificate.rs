//! Certificates of peers as far as others than TLS look at them.

use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::transport::client::Certificate;

/// A certificate with its names; `None` if the bytes are none, or more than one.
pub fn certificate(der: Vec<u8>) -> Option<Certificate> {
    let (rest, parsed) = X509Certificate::from_der(&der).ok()?;
    if !rest.is_empty() {
        return None;
    }
    let common = parsed.subject().iter_common_name().filter_map(|name| name.as_str().ok());
    let alternative = parsed.subject_alternative_name().ok().flatten();
    let alternative = alternative.map(|it| it.value.general_names.as_slice()).unwrap_or_default();
    let dns = alternative.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(*name),
        _ => None,
    });
    let names = common.chain(dns).take(MOST_NAMES).map(str::to_owned).collect();
    Some(Certificate::new(names, Some(der)))
}

/// Names that are looked at: a CPE's certificate has one or two.
const MOST_NAMES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_has_its_common_name_and_its_dns_names() {
        let names = vec!["cpe1.example".to_owned(), "192.0.2.1".to_owned()];
        let mut params = rcgen::CertificateParams::new(names).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let key = rcgen::KeyPair::generate().unwrap();
        let bare = certificate(params.self_signed(&key).unwrap().der().to_vec()).unwrap();
        assert_eq!((bare.name.as_str(), &bare.names[..]), ("cpe1.example", &["cpe1.example".to_owned()][..]));
        params.distinguished_name.push(rcgen::DnType::CommonName, "00256D-1");
        let named = certificate(params.self_signed(&key).unwrap().der().to_vec()).unwrap();
        assert_eq!((named.name.as_str(), named.names.len()), ("00256D-1", 2));
        assert!(certificate(b"junk".to_vec()).is_none());
    }
}
