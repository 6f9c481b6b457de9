//! The table `[acs]`: where the existing ACSs are, how they are spoken to, and which CPEs are whose.

use std::sync::Arc;

use crate::net::{Host, HttpLimits, HttpUrl};
use crate::policy::{AcsRule, Egress, Glob};
use crate::upstream::{Acs, Redirects};

use super::file::{self, File, OneOrMany};
use super::settings::{Refusal, client_tls, refuse};
use super::values::{Seconds, WebPlaces};

/// The ACSs in the order in which they are asked: those of routes, then the one for all others. Where there are several
/// their names are put into `names`.
pub(super) fn servers(
    acs: Option<file::Acs>,
    names: &mut Vec<Arc<str>>,
) -> Result<Vec<(AcsRule, Arc<Acs>)>, Refusal> {
    let Some(mut acs) = acs else { return Ok(Vec::new()) };
    let routes = std::mem::take(&mut acs.route);
    let mut servers: Vec<(AcsRule, Arc<Acs>)> = Vec::new();
    if routes.len() > MAX_ROUTES {
        return refuse("acs.route", format!("is there {} times, {MAX_ROUTES} at most", routes.len()));
    }
    for (place, route) in (1..).zip(routes) {
        let (rule, acs) = route_of(&format!("acs.route {place}"), route)?;
        let key = format!("acs.route {}", acs.name);
        if servers.iter().any(|(_, known)| known.name == acs.name) {
            return refuse(key, "is there twice; each has a name of its own");
        }
        if let Some((_, first)) = servers.iter().find(|(known, _)| *known == rule) {
            return refuse(key, format!("is never reached: {} before it is for the same CPEs", first.name));
        }
        servers.push((rule, Arc::new(acs)));
    }
    if let Some((key, _)) = conditions(&acs).into_iter().find(|(_, said)| *said) {
        return refuse(format!("acs.{key}"), "belongs in an [[acs.route]]: [acs] is for all other CPEs");
    }
    if acs.name.is_some() {
        return refuse("acs.name", format!("is \"{DEFAULT}\"; an [[acs.route]] has a name"));
    }
    if acs.url.is_some() {
        servers.push((AcsRule::default(), Arc::new(acs_of("acs", DEFAULT.to_owned(), acs)?)));
    } else if servers.is_empty() {
        return refuse("acs.url", "is needed; such as \"http://acs.example:7547/\"");
    } else if let Some((key, _)) = manners(&acs).into_iter().find(|(_, said)| *said) {
        return refuse(format!("acs.{key}"), "is of no use without acs.url: each [[acs.route]] has its own");
    }
    if servers.len() > 1 {
        names.extend(servers.iter().map(|(_, acs)| Arc::from(acs.name.as_str())));
    }
    Ok(servers)
}

fn route_of(key: &str, mut route: file::Acs) -> Result<(AcsRule, Acs), Refusal> {
    let such = "such as \"business\": letters, digits, - and _, 64 at most";
    let Some(name) = route.name.take() else {
        return refuse(format!("{key}: name"), format!("is needed; {such}"));
    };
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if name.is_empty() || name.len() > 64 || !name.bytes().all(letters) || name == DEFAULT {
        let what = format!("'{name}' is no name; {such}, and not {DEFAULT}, which is [acs] itself");
        return refuse(format!("{key}: name"), what);
    }
    let key = format!("acs.route {name}");
    if !route.route.is_empty() {
        return refuse(
            key,
            "has a route of its own; all stand in [[acs.route]], in the order in which they are asked",
        );
    }
    if route.when_down.is_some() {
        return refuse(format!("{key}: when_down"), "stands in [acs], for all of them");
    }
    let rule = AcsRule {
        path: route.path.take().map(|path| path.0),
        hosts: route.host.take().map(|hosts| hosts.0).unwrap_or_default(),
        addresses: route.address.take().map(|addresses| addresses.0).unwrap_or_default(),
        ouis: route.oui.take().map(|ouis| ouis.0).unwrap_or_default(),
        product_classes: globs(&format!("{key}: product_class"), route.product_class.take())?,
        serial_numbers: globs(&format!("{key}: serial_number"), route.serial_number.take())?,
    };
    if rule.is_open() {
        let what =
            "is for all CPEs, as [acs] is; it needs path, host, address, oui, product_class or serial_number";
        return refuse(key, what);
    }
    Ok((rule, acs_of(&key, name, route)?))
}

fn globs(key: &str, texts: Option<OneOrMany>) -> Result<Vec<Glob>, Refusal> {
    let Some(texts) = texts.map(OneOrMany::into_vec) else { return Ok(Vec::new()) };
    if texts.is_empty() || texts.iter().any(|text| text.chars().all(|letter| letter == '*')) {
        return refuse(key, "says nothing; such as [\"Gateway-*\", \"X1\"], where * is any text");
    }
    Ok(texts.into_iter().map(Glob::new).collect())
}

/// What says whose a CPE is, and whether it is said.
fn conditions(acs: &file::Acs) -> [(&'static str, bool); 6] {
    [
        ("path", acs.path.is_some()),
        ("host", acs.host.is_some()),
        ("address", acs.address.is_some()),
        ("oui", acs.oui.is_some()),
        ("product_class", acs.product_class.is_some()),
        ("serial_number", acs.serial_number.is_some()),
    ]
}

/// What says how an ACS is spoken to, and whether it is said.
fn manners(acs: &file::Acs) -> [(&'static str, bool); 13] {
    [
        ("ca", acs.ca.is_some()),
        ("certificate", acs.certificate.is_some()),
        ("key", acs.key.is_some()),
        ("username", acs.username.is_some()),
        ("password", acs.password.is_some()),
        ("keep_target", acs.keep_target),
        ("keep_host", acs.keep_host),
        ("redirects", !acs.redirects.0.is_empty()),
        ("redirect_credentials", acs.redirect_credentials),
        ("forwarded", acs.forwarded),
        ("client_cert", acs.client_cert),
        ("answer_seconds", acs.answer_seconds.is_some()),
        ("connect_seconds", acs.connect_seconds.is_some()),
    ]
}

fn acs_of(key: &str, name: String, acs: file::Acs) -> Result<Acs, Refusal> {
    let Some(url) = acs.url.map(|url| url.0) else {
        return refuse(format!("{key}.url"), "is needed; such as \"http://acs.example:7547/\"");
    };
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
        name,
        host: Host::new(&url.host, url.port),
        url,
        tls,
        keep_target: acs.keep_target,
        keep_host: acs.keep_host,
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
    let answer = file.acs.as_ref().is_some_and(|acs| acs.when_down == Some(file::WhenDown::Answer));
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

/// How `[acs]` itself is called where there are others.
const DEFAULT: &str = "default";
/// Each Inform is held against each of them.
const MAX_ROUTES: usize = 64;
/// Largest answer of an ACS that is relayed.
const MAX_ACS_BODY: usize = 32 << 20;
