//! Takes out of texts what a capture must not hold: secrets by the standards' tables and by names, credentials in
//! URLs, what the operator's policy hides, and all of it wherever it turns up again.

use percent_encoding::percent_decode_str;

use crate::datamodel::supported::{is_secret, is_secret_name};
use crate::identity::DeviceId;

use super::policy::Policy;
use super::pseudonyms::Pseudonyms;

/// One capture's.
#[derive(Debug, Default)]
pub(super) struct Redactor {
    pub policy: Policy,
    pub names: Pseudonyms,
}

impl Redactor {
    pub fn new(policy: Policy) -> Self {
        Self { policy, names: Pseudonyms::default() }
    }

    /// Who a device is, from its Inform.
    pub fn learn(&mut self, device: &DeviceId) {
        if self.policy.pseudonymise {
            self.names.serial(&device.serial_number);
        }
    }

    /// An endpoint ID, or OUI and serial number. A device's ends in its serial number.
    pub fn endpoint(&mut self, endpoint: &str) -> String {
        if !self.policy.pseudonymise {
            return endpoint.to_owned();
        }
        let before = if endpoint.starts_with("ops::") { 3 } else { 2 };
        let serial = endpoint.splitn(before, '-').nth(before - 1);
        let known = !endpoint.contains("::") || endpoint.starts_with("os::") || before == 3;
        match serial.filter(|_| known) {
            Some(serial) => {
                // As the Inform has it.
                let name = self.names.serial(&percent_decode_str(serial).decode_utf8_lossy());
                format!("{}{name}", &endpoint[..endpoint.len() - serial.len()])
            }
            None => self.text(endpoint),
        }
    }

    /// Any text in which no secret has a place of its own.
    pub fn text(&mut self, text: &str) -> String {
        let text = without_userinfo(text, &mut self.names);
        let text = self.names.swept(&text);
        if self.policy.pseudonymise { self.names.readdressed(&text) } else { text }
    }

    /// A parameter's value, by the parameter's path.
    pub fn value(&mut self, path: &str, value: &str) -> String {
        if is_secret(path) || self.policy.hides(path) {
            return self.names.secret(value);
        }
        let name = path.rsplit('.').next().unwrap_or(path);
        // Of commands and of events.
        match path.contains("().") || path.contains("!.") || name == "SerialNumber" {
            true => self.argument(name, value),
            false => self.text(value),
        }
    }

    /// What stands under a name that is no path: an argument of an RPC.
    pub fn argument(&mut self, name: &str, text: &str) -> String {
        if is_secret_name(name) || name == "Username" {
            return self.names.secret(text);
        }
        if self.policy.pseudonymise && name == "SerialNumber" {
            return self.names.serial(text);
        }
        let is_url = name.to_ascii_lowercase().ends_with("url");
        match text.split_once('?').filter(|_| is_url && text.contains("://")) {
            // Links are signed by what follows.
            Some((place, query)) => format!("{}?{}", self.text(place), self.names.secret(query)),
            None => self.text(text),
        }
    }

    /// A path, perhaps with expressions that compare secrets: all that is compared there is replaced.
    pub fn path(&mut self, path: &str) -> String {
        let mut parts = path.split('"');
        let mut out = self.text(parts.next().unwrap_or(""));
        let mut quoted = true;
        let mut about = out.clone();
        for part in parts {
            out.push('"');
            let name = about
                .trim_end_matches(['=', '!', '<', '>', '~'])
                .rsplit(['[', '&', '.'])
                .next()
                .unwrap_or("");
            let said = if quoted && is_secret_name(name) { self.names.secret(part) } else { self.text(part) };
            out.push_str(&said);
            about = part.to_owned();
            quoted = !quoted;
        }
        out
    }

    /// Path and query of a request.
    pub fn target(&mut self, target: &str) -> String {
        let Some((path, query)) = target.split_once('?') else { return self.text(target) };
        let pairs = query.split('&').map(|pair| match pair.split_once('=') {
            Some((name, value)) if may_prove(name) => format!("{name}={}", self.names.secret(value)),
            _ => pair.to_owned(),
        });
        let query = pairs.collect::<Vec<_>>().join("&");
        self.text(&format!("{path}?{query}"))
    }
}

/// Whether what bears this name may prove something to somebody.
pub(super) fn may_prove(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    is_secret_name(&name) || PROOFS.iter().any(|word| name.contains(word))
}

/// The text with the passwords in its URLs replaced (RFC 3986 3.2.1).
fn without_userinfo(text: &str, names: &mut Pseudonyms) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let end = after.find(['/', '?', '#', ' ', '"', '<', '>', ',']).unwrap_or(after.len());
        let (authority, behind) = after.split_at(end);
        match authority.rsplit_once('@') {
            Some((userinfo, host)) => {
                let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
                out.push_str(&names.secret(user));
                if !password.is_empty() {
                    out.push(':');
                    out.push_str(&names.secret(password));
                }
                out.push('@');
                out.push_str(host);
            }
            None => out.push_str(authority),
        }
        rest = behind;
    }
    out.push_str(rest);
    out
}

const PROOFS: [&str; 5] = ["token", "auth", "apikey", "api-key", "sig"];
