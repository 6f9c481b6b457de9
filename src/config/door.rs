//! The table `[cwmp]`: the door for CPEs, whom it lets in, and as which device.

use std::collections::HashMap;

use crate::connection_request;
use crate::identity::DeviceTemplate;
use crate::policy::CallSecret;
use crate::southbound::{Binding, DoorAuth, DoorConfig, DoorLimits, DoorScheme, Front};
use crate::transport::http::Algorithm;

use super::file::{self, OneOrMany};
use super::settings::{Refusal, admin_token, refuse, server_tls};
use super::values::Trusted;

pub(super) fn door(cwmp: file::Cwmp) -> Result<DoorConfig, Refusal> {
    let defaults = DoorLimits::default();
    let limits = DoorLimits {
        body: cwmp.max_body_bytes.unwrap_or(defaults.body),
        connections: cwmp.max_connections.unwrap_or(defaults.connections),
        openings: cwmp.max_handshakes.unwrap_or(defaults.openings),
        opening_time: cwmp.handshake_seconds.map_or(defaults.opening_time, |seconds| seconds.0),
        idle: cwmp.idle_seconds.map_or(defaults.idle, |seconds| seconds.0),
        body_time: defaults.body_time,
    };
    if limits.connections == 0 || limits.openings == 0 {
        return refuse("cwmp", "max_connections and max_handshakes are 1 at least");
    }
    let asks = |tls: &file::ServerTls| tls.client_certificate == file::ClientCertificate::Required;
    let mut require_certificate = cwmp.tls.as_ref().is_some_and(asks);
    let front = match &cwmp.front {
        Some(front) => {
            let own_ca = cwmp.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
            require_certificate |= front.client_certificate == file::ClientCertificate::Required;
            front_of(front, require_certificate && !own_ca)?
        }
        None => Front::default(),
    };
    let certified = cwmp.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some())
        || cwmp.front.as_ref().is_some_and(|front| front.proxy_protocol || front.client_cert);
    let binding =
        cwmp.identity.map(|it| binding_of(it, cwmp.authentication.is_some(), certified)).transpose()?;
    let tls = match cwmp.tls {
        // Behind a front the handshake may be the front's own: there the request tells.
        Some(tls) => Some(server_tls("cwmp.tls", &tls, cwmp.front.is_none())?),
        None => None,
    };
    let auth = match cwmp.authentication {
        Some(authentication) => Some(authentication_of(authentication)?),
        None => None,
    };
    let (listen, binding) = (cwmp.listen.into(), binding.unwrap_or_default());
    Ok(DoorConfig { listen, tls, auth, front, binding, require_certificate, limits })
}

fn front_of(front: &file::Front, certificate_needed: bool) -> Result<Front, Refusal> {
    let file::Front { trusted: Trusted(trusted), proxy_protocol, forwarded, client_cert, .. } = front;
    let (proxy_protocol, forwarded, client_cert) = (*proxy_protocol, *forwarded, *client_cert);
    if trusted.is_empty() {
        return refuse("cwmp.front.trusted", "names no network; such as [\"192.0.2.10/32\"]");
    }
    if !(proxy_protocol || forwarded || client_cert) {
        return refuse("cwmp.front", "needs one of proxy_protocol, forwarded and client_cert to be true");
    }
    if certificate_needed && !(proxy_protocol || client_cert) {
        return refuse(
            "cwmp.front.client_certificate",
            "can be \"required\" with proxy_protocol or client_cert",
        );
    }
    Ok(Front { trusted: trusted.clone(), proxy_protocol, forwarded, client_cert })
}

/// What becomes of the ACS's connection requests.
pub(super) struct Calls {
    /// Where they come, if they come here.
    pub door: Option<connection_request::DoorConfig>,
    /// The URL below which the ACS is told to send them.
    pub base: Option<String>,
    pub answer_alone: bool,
    /// Of what CPEs get credentials where none are known.
    pub secret: Option<CallSecret>,
}

pub(super) fn connection_requests(
    table: Option<&file::ConnectionRequests>,
    acs: bool,
) -> Result<Calls, Refusal> {
    let Some(table) = table else {
        return Ok(Calls { door: None, base: None, answer_alone: false, secret: None });
    };
    let key = "connection_requests";
    if !acs {
        return refuse(key, "needs [acs]: without one nobody else calls the CPEs");
    }
    let url = &table.url.0;
    if url.tls {
        return refuse(format!("{key}.url"), "is http: TR-069 knows no TLS for connection requests");
    }
    if !url.target.ends_with('/') || url.target.contains(['?', '&', '<']) {
        return refuse(format!("{key}.url"), "ends in a / behind which the CPE is named, and has no query");
    }
    let base = format!("http://{}{}", url.authority(), url.target);
    let trusted = table.trusted.as_ref().map(|Trusted(networks)| networks.clone()).unwrap_or_default();
    let (listen, prefix, secret) = (table.listen.into(), url.target.clone(), secret(key)?);
    let door = Some(connection_request::DoorConfig { listen, prefix, trusted, secret });
    let own = table.own_credentials_file.as_deref().map(admin_token).transpose();
    let own = own.or_else(|error| refuse(format!("{key}.own_credentials_file"), error))?;
    let answer_alone = table.answer_own_calls.unwrap_or(true);
    Ok(Calls { door, base: Some(base), answer_alone, secret: own.as_deref().map(CallSecret::of) })
}

fn secret(key: &str) -> Result<[u8; 32], Refusal> {
    let mut secret = [0; 32];
    match aws_lc_rs::rand::fill(&mut secret) {
        Ok(()) => Ok(secret),
        Err(_) => refuse(key, "cannot be used: the system gives no randomness"),
    }
}

fn authentication_of(authentication: file::Authentication) -> Result<DoorAuth, Refusal> {
    if authentication.users.is_empty() {
        return refuse("cwmp.authentication.users", "names nobody, so that no CPE could ever come in");
    }
    let scheme = match authentication.scheme {
        file::Scheme::Basic => DoorScheme::Basic,
        file::Scheme::Digest => DoorScheme::Digest(Algorithm::Md5),
        file::Scheme::DigestMd5Sess => DoorScheme::Digest(Algorithm::Md5Sess),
        file::Scheme::DigestSha256 => DoorScheme::Digest(Algorithm::Sha256),
    };
    let secret = secret("cwmp.authentication")?;
    let users: HashMap<String, String> = authentication.users.into_iter().collect();
    Ok(DoorAuth { scheme, realm: authentication.realm.unwrap_or_else(|| "acs".into()), users, secret })
}

/// A rule that nothing could meet is refused; `authenticated` and `certified` say what CPEs can prove here.
fn binding_of(identity: file::Identity, authenticated: bool, certified: bool) -> Result<Binding, Refusal> {
    if identity.username.is_none() && identity.certificate.is_none() {
        return refuse("cwmp.identity", "needs username or certificate");
    }
    if identity.username.is_some() && !authenticated {
        return refuse(
            "cwmp.identity.username",
            "needs [cwmp.authentication]: user names are the ACS's otherwise",
        );
    }
    if identity.certificate.is_some() && !certified {
        let what =
            "needs client certificates: cwmp.tls.client_ca, or proxy_protocol or client_cert in cwmp.front";
        return refuse("cwmp.identity.certificate", what);
    }
    let templates = |key: &str, given: Option<OneOrMany>| {
        let given = given.map(OneOrMany::into_vec).unwrap_or_default();
        let parsed = given.iter().map(|text| DeviceTemplate::parse(text));
        parsed.collect::<Result<Vec<_>, _>>().or_else(|error| refuse(key, error))
    };
    Ok(Binding {
        username: templates("cwmp.identity.username", identity.username)?,
        certificate: templates("cwmp.identity.certificate", identity.certificate)?,
    })
}
