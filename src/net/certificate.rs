//! Certificates of peers as far as others than TLS look at them.

use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::transport::client::Certificate;

/// A certificate with its subject's common name; `None` if the bytes are none, or more than one.
pub fn certificate(der: Vec<u8>) -> Option<Certificate> {
    let (rest, parsed) = X509Certificate::from_der(&der).ok()?;
    if !rest.is_empty() {
        return None;
    }
    let mut names = parsed.subject().iter_common_name().filter_map(|name| name.as_str().ok());
    let name = names.next().unwrap_or_default().to_owned();
    drop(names);
    Some(Certificate::new(&name, Some(der)))
}

/// Whether a certificate is that of a USP endpoint (R-SEC.10a): its subject alternative names hold the
/// endpoint's URN.
pub fn is_of_endpoint(der: &[u8], endpoint: &str) -> bool {
    let Ok((_, parsed)) = X509Certificate::from_der(der) else { return false };
    let Ok(Some(names)) = parsed.subject_alternative_name() else { return false };
    let wanted = format!("urn:bbf:usp:id:{endpoint}");
    names.value.general_names.iter().any(|name| matches!(name, GeneralName::URI(uri) if *uri == wanted))
}
