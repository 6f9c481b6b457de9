//! The table `[acs]`: where the existing ACS is and how it is spoken to.

use crate::net::{Host, HttpLimits, HttpUrl};
use crate::policy::Egress;
use crate::upstream::{Acs, Redirects};

use super::file::{self, File};
use super::settings::{Refusal, client_tls, refuse};
use super::values::{Seconds, WebPlaces};

pub(super) fn acs(acs: file::Acs) -> Result<Acs, Refusal> {
    let key = "acs";
    let url = acs.url.0;
    let tls = client_tls(key, url.tls, acs.ca, acs.certificate, acs.key)?;
    let limits = HttpLimits {
        connect: acs.connect_seconds.unwrap_or(Seconds::of(10)).0,
        answer: acs.answer_seconds.unwrap_or(Seconds::of(30)).0,
        body: MAX_ACS_BODY,
    };
    let credentials = match (acs.username, acs.password) {
        (Some(user), Some(password)) => Some((user, password)),
        (None, None) => None,
        _ => return refuse(format!("{key}.username"), format!("and {key}.password belong together")),
    };
    if acs.redirect_credentials && credentials.is_none() {
        return refuse(format!("{key}.redirect_credentials"), "needs username and password");
    }
    let redirects = redirects(key, &url, tls.is_some(), &acs.redirects)?;
    Ok(Acs {
        host: Host::new(&url.host, url.port),
        url,
        tls,
        keep_target: acs.keep_target,
        credentials,
        redirects,
        redirect_credentials: acs.redirect_credentials,
        forwarded: acs.forwarded,
        client_cert: acs.client_cert,
        limits,
    })
}

/// A place that no redirect could ever lead to is a mistake of the file.
fn redirects(key: &str, url: &HttpUrl, trusts: bool, places: &WebPlaces) -> Result<Redirects, Refusal> {
    let key = format!("{key}.redirects");
    for place in &places.0 {
        let secure = place.starts_with("https://");
        if url.tls && !secure {
            return refuse(
                key,
                format!("{place} is in the clear, and from an ACS with TLS no session goes there"),
            );
        }
        if secure && !trusts {
            return refuse(key, format!("{place} needs ca, the CA that signed the servers"));
        }
    }
    let allowed = Egress::of(places.0.iter().map(String::as_str));
    allowed.map(Redirects::new).or_else(|error| refuse(key, error))
}

/// Whether CPEs are answered in the ACS's place: only those that the gateway knows to be genuine.
pub(super) fn answer_when_down(file: &File) -> Result<bool, Refusal> {
    let answer = file.acs.as_ref().is_some_and(|acs| acs.when_down == file::WhenDown::Answer);
    let certified = file.cwmp.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some())
        || file.cwmp.front.as_ref().is_some_and(|front| front.client_cert);
    if answer && file.cwmp.authentication.is_none() && !certified {
        return refuse(
            "acs.when_down",
            "can be \"answer\" only where the gateway authenticates CPEs itself: by [cwmp.authentication], or by \
             client certificates with cwmp.tls.client_ca or cwmp.front.client_cert",
        );
    }
    Ok(answer)
}

/// Largest answer of an ACS that is relayed.
const MAX_ACS_BODY: usize = 32 << 20;
