//! Certificates of peers as far as others than TLS look at them.

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
