//! `Device.LocalAgent.Certificate.{i}.`: the certificates that an agent keeps of controllers and CAs. Keeping one
//! trusts nobody: `Controller.{i}.Credential` and `ControllerTrust.Credential.{i}.` say what it is good for.

use std::collections::BTreeMap;

use crate::translation::{Local as _, Refusal};
use crate::usp::{Certificate, CertificateError, ErrorCode};

use super::keys;
use super::local_agent::LocalAgent;
use super::schema::Object;

impl LocalAgent {
    /// Adds the row of a certificate in PEM and gives its path. Issuer and serial number tell rows apart.
    pub fn add_certificate(&mut self, pem: &str, alias: Option<&str>) -> Result<String, Refusal> {
        let failed = |why: String| Refusal::new(ErrorCode::COMMAND_FAILURE, why);
        let Some(object) = Object::of_table(CERTIFICATES) else {
            return Err(failed("there is no table for certificates".into()));
        };
        let certificate = Certificate::from_pem(pem).map_err(|error: CertificateError| {
            Refusal::new(ErrorCode::INVALID_COMMAND_ARGUMENTS, format!("Certificate: {error}"))
        })?;
        if self.tree.model.instances(CERTIFICATES).len() >= object.max_rows() {
            let why = format!("{CERTIFICATES} holds {} rows at most", object.max_rows());
            return Err(Refusal::new(ErrorCode::RESOURCES_EXCEEDED, why));
        }
        let mut params = described(&certificate);
        params.insert("Enable".into(), "true".into());
        params.extend(alias.map(|alias| ("Alias".to_owned(), alias.to_owned())));
        for (name, value) in &params {
            let Some(column) = object.column(name) else { continue };
            self.check_value(object, column, value)
                .map_err(|refusal| Refusal::new(ErrorCode::INVALID_COMMAND_ARGUMENTS, refusal.why))?;
        }
        let instance = self.fresh(CERTIFICATES);
        let row = format!("{CERTIFICATES}{instance}.");
        keys::give(&self.tree, object, CERTIFICATES, instance, &mut params);
        keys::check(&self.tree, object, &row, &params).map_err(|refusal| failed(refusal.why))?;
        self.tree.put_row(object, &row, &params);
        self.certificates.insert(row.clone(), certificate);
        self.touch(&row);
        Ok(row)
    }

    /// The certificate of a row.
    pub fn certificate(&self, row: &str) -> Option<&Certificate> {
        self.certificates.get(row)
    }

    /// Removes the row of a certificate, and what refers to it.
    pub fn remove_certificate(&mut self, row: &str) {
        self.certificates.remove(row);
        self.delete(row);
    }
}

/// What the row of a certificate tells of it.
pub(super) fn described(certificate: &Certificate) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("SerialNumber".to_owned(), certificate.serial_number().to_owned()),
        ("Issuer".to_owned(), certificate.issuer().to_owned()),
    ])
}

pub(super) const CERTIFICATES: &str = "Device.LocalAgent.Certificate.";
