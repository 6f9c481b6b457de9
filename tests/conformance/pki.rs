//! Certificates for payload security: of the agents, and of controllers with what they pretend to be.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dragoman::conformance::Secrets;
use dragoman::payload_security::Keyring;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType, date_time_ymd,
};

pub struct Pki {
    folder: PathBuf,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Pki {
    pub fn new(folder: &Path) -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "USP CA");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        std::fs::write(folder.join("ca.pem"), issuer.pem()).unwrap();
        Self { folder: folder.to_owned(), issuer }
    }

    /// Chain and key in one file.
    fn endpoint(&self, file: &str, name: &str, last_year: i32) -> PathBuf {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, file);
        let uri = Ia5String::try_from(format!("urn:bbf:usp:id:{name}")).unwrap();
        params.subject_alt_names.push(SanType::URI(uri));
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(last_year, 1, 1);
        let pem = params.signed_by(&key, &self.issuer).unwrap().pem() + &key.serialize_pem();
        let file = self.folder.join(format!("{file}.pem"));
        std::fs::write(&file, pem).unwrap();
        file
    }

    /// The gateway's table.
    pub fn table(&self) -> String {
        let agents = self.endpoint("agents", "ops::00256D-*", 4000).display().to_string();
        let ca = self.folder.join("ca.pem");
        format!("[payload_security]\nca = '{}'\ncertificate = '{agents}'\nkey = '{agents}'\n", ca.display())
    }

    /// What one agent has.
    pub fn keyring(&self, agent: &str) -> Arc<Keyring> {
        let file = self.endpoint("agent", agent, 4000);
        Arc::new(Keyring::load(&self.folder.join("ca.pem"), &file, &file, true).unwrap())
    }

    /// What a controller has.
    pub fn secrets(&self, controller: &str) -> Secrets {
        let file = |what: &str| format!("{what}-{}", controller.replace(':', "_"));
        let own = self.endpoint(&file("own"), controller, 4000);
        let stranger = self.endpoint(&file("stranger"), "self::somebody-else", 4000);
        let expired = self.endpoint(&file("expired"), controller, 2021);
        Secrets::load(&self.folder.join("ca.pem"), &own, Some(&stranger), Some(&expired)).unwrap()
    }
}
