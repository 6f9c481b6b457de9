//! `[agent_certificates]` and `[payload_security]` as meant: who vouches for agents, and what they prove
//! themselves with.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::agent::{CertificateConfig, ControllerConfig, CredentialConfig, RoleConfig};
use crate::mtp::mqtt::MqttConfig;
use crate::mtp::stomp::StompConfig;
use crate::mtp::websocket::WebSocketConfig;
use crate::net::{Authority, TlsClient};
use crate::payload_security::Keyring;
use crate::usp::Certificate;

use super::file;
use super::roles::roles_of;
use super::settings::{Refusal, refuse};

/// The CA of agents. One of the gateway's own is beside the store.
pub(super) fn authority(
    certificates: &file::AgentCertificates,
    store: &Path,
) -> Result<Arc<Authority>, Refusal> {
    let days = certificates.days.unwrap_or(DEFAULT_DAYS);
    if !(1..=MOST_DAYS).contains(&days) {
        return refuse("agent_certificates.days", format!("is from 1 to {MOST_DAYS}"));
    }
    let validity = Duration::from_secs(u64::from(days) * 86_400);
    let authority = match (&certificates.ca, &certificates.key) {
        (Some(ca), Some(key)) => Authority::load(ca, key, validity),
        (None, None) => {
            Authority::open(&beside(store, ".agents-ca.pem"), &beside(store, ".agents-ca.key"), validity)
        }
        _ => return refuse("agent_certificates", "ca and key belong together"),
    };
    authority.map(Arc::new).or_else(|error| refuse("agent_certificates", error))
}

/// The certificates that the file names for controllers, each once.
#[derive(Default)]
pub(super) struct Known(pub Vec<CertificateConfig>);

impl Known {
    /// The place of the one certificate of a PEM file.
    pub fn place_of(&mut self, key: &str, file: &Path) -> Result<usize, Refusal> {
        let named = |why: &dyn ToString| (key.to_owned(), format!("{}: {}", file.display(), why.to_string()));
        let text = std::fs::read_to_string(file).map_err(|error| named(&error))?;
        let certificate = Certificate::from_pem(&text).map_err(|error| named(&error))?;
        if let Some(place) = self.0.iter().position(|it| it.certificate == certificate) {
            return Ok(place);
        }
        let instance = u32::try_from(self.0.len() + 1).unwrap_or(u32::MAX);
        if self.0.len() >= MOST_CERTIFICATES {
            return refuse(key, format!("is one certificate more than {MOST_CERTIFICATES}"));
        }
        self.0.push(CertificateConfig { instance, certificate });
        Ok(self.0.len() - 1)
    }
}

/// Which certificates vouch for controllers.
pub(super) fn credentials(
    configured: &[file::Credential],
    roles: &[RoleConfig],
    known: &mut Known,
) -> Result<Vec<CredentialConfig>, Refusal> {
    let mut credentials: Vec<CredentialConfig> = Vec::new();
    for (instance, credential) in (1..).zip(configured) {
        let key = format!("credential {}", credential.certificate.display());
        let certificate = known.place_of(&key, &credential.certificate)?;
        if credentials.iter().any(|other| other.certificate == certificate) {
            return refuse(key, "is there twice");
        }
        let names = match &credential.role {
            None => Vec::new(),
            named => roles_of(&key, named.as_ref(), roles)?,
        };
        let allowed_uses = match credential.allowed_uses {
            file::AllowedUses::Transport => "MTP-only",
            file::AllowedUses::Controllers => "MTP-and-USP",
            file::AllowedUses::Brokers => "MTP-and-broker",
        };
        let allowed_uses = allowed_uses.to_owned();
        credentials.push(CredentialConfig { instance, certificate, roles: names, allowed_uses });
    }
    Ok(credentials)
}

/// What controllers that name certificates must show where agents come to them.
pub(super) fn pin(
    websocket: &mut [WebSocketConfig],
    controllers: &[ControllerConfig],
    known: &[CertificateConfig],
) {
    for config in websocket {
        let mut of_this = controllers.iter().filter(|it| it.endpoint_id == config.controller);
        let Some(named) = of_this.find_map(|it| (!it.certificates.is_empty()).then_some(&it.certificates))
        else {
            continue;
        };
        let certificates = named.iter().filter_map(|place| known.get(*place));
        config.must_show = Some(certificates.map(|it| it.certificate.der().clone()).collect());
    }
}

/// Connections that are an agent's own show its certificate, where the configuration names none.
pub(super) fn equip(
    authority: &Arc<Authority>,
    mqtt: &mut [MqttConfig],
    stomp: &mut [StompConfig],
    websocket: &mut [WebSocketConfig],
    egress: &mut Option<TlsClient>,
) {
    let all = mqtt.iter_mut().map(|it| &mut it.tls);
    let all = all.chain(stomp.iter_mut().map(|it| &mut it.tls));
    let all = all.chain(websocket.iter_mut().map(|it| &mut it.tls));
    for tls in all.chain([egress]) {
        *tls = tls.take().map(|tls| tls.issued_by(authority));
    }
}

pub(super) fn keyring(
    security: &file::PayloadSecurity,
    authority: Option<&Arc<Authority>>,
) -> Result<Arc<Keyring>, Refusal> {
    let (ca, signs) = (&security.ca, security.sign_records);
    let keyring = match (&security.certificate, &security.key, authority) {
        (Some(certificate), Some(key), _) => Keyring::load(ca, certificate, key, signs),
        (None, None, Some(authority)) => Keyring::issued(ca, Arc::clone(authority), signs),
        (None, None, None) => {
            return refuse("payload_security", "needs certificate and key, or [agent_certificates]");
        }
        _ => return refuse("payload_security", "certificate and key belong together"),
    };
    keyring.map(Arc::new).or_else(|error| refuse("payload_security", error))
}

fn beside(store: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(store);
    name.push(ending);
    name.into()
}

/// Certificates for controllers in the file: their rows leave room for those that controllers add.
const MOST_CERTIFICATES: usize = 16;
const DEFAULT_DAYS: u32 = 90;
const MOST_DAYS: u32 = 3_650;
