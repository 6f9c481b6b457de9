//! What certificates say of controllers (TR-369 "Analysis of Controller Certificates"): which one a controller
//! must show, and which roles it inherits from the one that vouches for it. Shells have verified them before.

use crate::identity::EndpointId;
use crate::usp::{Certificate, Shown};

use super::certificates::CERTIFICATES;
use super::local_agent::{CONTROLLERS, LocalAgent};
use super::tree::{as_object, as_reference};

/// Whether what controllers inherit rests on this row or parameter.
pub(super) fn concerns(name: &str) -> bool {
    name.starts_with(CERTIFICATES) || name.starts_with(CREDENTIALS)
}

impl LocalAgent {
    /// Whether the controller of a row may speak, having shown this (R-SEC.4, R-SEC.8): where its row names
    /// certificates, it is one of them that it must have shown. The error says why not.
    pub fn admits(&self, row: &str, shown: &Shown) -> Result<(), &'static str> {
        let named = self.tree.references(&format!("{row}Credential"));
        if named.is_empty() {
            return Ok(());
        }
        match shown {
            // Whoever trusts a broker lets it say who sent what (R-SEC.4c).
            Shown::Untold => Ok(()),
            Shown::Nothing => Err("it has shown no certificate, and its row names some"),
            Shown::Path(path) => {
                let own = path.first();
                let is_shown = |row: &String| self.enabled(row).is_some_and(|it| Some(it.der()) == own);
                let known = named.iter().any(is_shown);
                if known { Ok(()) } else { Err("it has shown another certificate than those of its row") }
            }
        }
    }

    /// Notes what the controller of a row has shown, and gives it the roles that go with it.
    pub fn has_shown(&mut self, controller: &EndpointId, row: &str, shown: &Shown) {
        // Nearly every record shows what the one before it did.
        if self.shown.get(controller) != Some(shown) {
            self.shown.insert(controller.clone(), shown.clone());
        }
        self.inherit(row, shown);
    }

    /// What trust rests on has changed: nobody keeps a role that nobody vouches for.
    pub(super) fn inherit_anew(&mut self) {
        for row in self.tree.rows(CONTROLLERS) {
            let controller = self.controller_of(&row).and_then(|it| EndpointId::parse(it).ok());
            let shown = controller.and_then(|it| self.shown.get(&it).cloned()).unwrap_or_default();
            self.inherit(&row, &shown);
        }
    }

    /// Adds a certificate to those that a controller may show.
    pub fn add_credential(&mut self, controller: &str, certificate: &str) {
        let name = format!("{controller}Credential");
        let mut named = self.tree.references(&name);
        named.push(certificate.to_owned());
        let list: Vec<&str> = named.iter().map(|row| as_reference(row)).collect();
        self.put(&name, &list.join(","));
    }

    fn inherit(&mut self, row: &str, shown: &Shown) {
        let roles = match shown {
            Shown::Path(path) => path.iter().find_map(|der| self.vouched(der)).unwrap_or_default(),
            Shown::Untold | Shown::Nothing => String::new(),
        };
        let name = format!("{row}InheritedRole");
        if self.tree.value(&name).is_some_and(|current| current != roles) {
            self.put(&name, &roles);
        }
    }

    /// The roles of the credential that is this certificate, if there is one. The first on a path decides, also
    /// by giving none (R-SEC.25).
    fn vouched(&self, der: &[u8]) -> Option<String> {
        let credentials = self.tree.rows(CREDENTIALS).into_iter();
        let row = credentials.filter(|row| self.tree.is(&format!("{row}Enable"))).find(|row| {
            let named = as_object(self.tree.value(&format!("{row}Credential")).unwrap_or(""));
            self.enabled(&named).is_some_and(|certificate| certificate.der() == der)
        })?;
        // A CA for transports alone authenticates nobody.
        let alone = self.tree.value(&format!("{row}AllowedUses")) == Some("MTP-only");
        let roles = self.tree.value(&format!("{row}Role")).filter(|_| !alone);
        Some(roles.unwrap_or("").to_owned())
    }

    /// The certificate of a row that is enabled.
    fn enabled(&self, row: &str) -> Option<&Certificate> {
        self.certificates.get(row).filter(|_| self.tree.is(&format!("{row}Enable")))
    }
}

pub(super) const CREDENTIALS: &str = "Device.LocalAgent.ControllerTrust.Credential.";
