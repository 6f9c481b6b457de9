//! Where an ACS may send a session (TR-069 3.4): a redirect is followed by the gateway, within what the operator
//! allows, and never reaches the CPE.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use thiserror::Error;

use crate::net::{Host, HttpUrl};
use crate::policy::Egress;

/// The places beside the ACS's own host that a session may be sent to, and what is known of their addresses.
#[derive(Default)]
pub struct Redirects {
    allowed: Egress,
    hosts: Mutex<HashMap<(String, u16), Host>>,
}

/// The ACS as the operator knows it, and as the CPE does where the ACS hears that name.
#[derive(Clone, Copy)]
pub(super) struct Own<'o> {
    pub url: &'o HttpUrl,
    pub known_as: Option<&'o str>,
}

/// Why a redirect is not followed; the text is for the operator.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unfollowed {
    #[error("status {0} asks for something other than the same POST elsewhere")]
    Status(u16),
    #[error("status {0} says no Location")]
    Nowhere(u16),
    #[error("its Location is no URL of http or https, or says more than where to go")]
    Malformed,
    #[error("{0} is not allowed by acs.redirects")]
    Forbidden(String),
    #[error("{0} is in the clear, and the ACS was not")]
    Insecure(String),
    #[error("{0} needs acs.ca, the CA to trust there")]
    NoTrust(String),
    #[error("{0} asks for credentials, which acs.redirect_credentials keeps from it")]
    NoCredentials(String),
    #[error("it leads in a circle, by {0}")]
    Loop(String),
    #[error("it is the {n}th in a row", n = MOST + 1)]
    TooMany,
}

impl Redirects {
    pub fn new(allowed: Egress) -> Self {
        Self { allowed, hosts: Mutex::default() }
    }

    /// Where a redirect from `at` leads, if it may be followed: to the host of the ACS's configured URL, on any
    /// port, or to what is allowed; never from TLS to none. The name by which the CPE knows the ACS leads to the
    /// gateway since the take-over: it means the configured URL.
    pub(super) fn judge(
        &self,
        own: Own<'_>,
        at: &HttpUrl,
        status: u16,
        location: Option<&str>,
    ) -> Result<HttpUrl, Unfollowed> {
        // 303 wants a GET, by which no session goes on. After 301, which browsers follow by a GET too, a CPE
        // repeats its POST, for this session only, as after 302.
        if !matches!(status, 301 | 302 | 307 | 308) {
            return Err(Unfollowed::Status(status));
        }
        let to = locate(at, location.ok_or(Unfollowed::Nowhere(status))?).ok_or(Unfollowed::Malformed)?;
        if at.tls && !to.tls {
            return Err(Unfollowed::Insecure(origin(&to)));
        }
        if own.known_as.is_some_and(|name| name.eq_ignore_ascii_case(&to.authority())) {
            return Ok(HttpUrl { target: to.target, ..own.url.clone() });
        }
        let (scheme, path) = (if to.tls { "https" } else { "http" }, path(&to));
        let is_own = to.host.eq_ignore_ascii_case(&own.url.host);
        if is_own || self.allowed.allows(scheme, &to.host, to.port, path) {
            Ok(to)
        } else {
            Err(Unfollowed::Forbidden(origin(&to)))
        }
    }

    /// The host of a place, its addresses known if sessions have gone there before.
    pub(super) fn host(&self, url: &HttpUrl) -> Host {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (url.host.to_ascii_lowercase(), url.port);
        match hosts.get(&key) {
            Some(host) => host.clone(),
            None if hosts.len() >= MOST_HOSTS => Host::new(&url.host, url.port),
            None => hosts.entry(key).or_insert_with(|| Host::new(&url.host, url.port)).clone(),
        }
    }
}

/// Whether a status sends the session elsewhere, or tries to.
pub(super) fn is_redirect(status: u16) -> bool {
    (300..400).contains(&status)
}

/// Scheme and authority, which say enough in the log: paths and queries may hold what is private.
pub(super) fn origin(url: &HttpUrl) -> String {
    format!("http{}://{}", if url.tls { "s" } else { "" }, url.authority())
}

fn path(url: &HttpUrl) -> &str {
    url.target.split('?').next().unwrap_or_default()
}

/// The URL that a Location means (RFC 9110 10.2.2): absolute, without its scheme, or a path that begins with `/`.
fn locate(at: &HttpUrl, location: &str) -> Option<HttpUrl> {
    let location = location.trim();
    let text = if location.starts_with("//") {
        format!("http{}:{location}", if at.tls { "s" } else { "" })
    } else if location.starts_with('/') {
        format!("{}{location}", origin(at))
    } else {
        location.to_owned()
    };
    let (_, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let printable = text.len() <= LONGEST && text.bytes().all(|byte| byte.is_ascii_graphic());
    // Who names a user in a URL wants to mislead somebody.
    if !printable || authority.contains(['@', '\\']) {
        return None;
    }
    HttpUrl::parse(&text).ok()
}

/// Redirects in a row that are followed (TR-069 3.4).
pub(super) const MOST: usize = 5;
/// Bytes of a Location.
const LONGEST: usize = 2_048;
/// Hosts whose addresses are kept; a resolver is asked for further ones by each session.
const MOST_HOSTS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(at: &str, status: u16, location: Option<&str>) -> Result<String, Unfollowed> {
        let allowed = ["https://*.acs.example", "http://10.0.0.5:7547/acs/", "http://plain.example"];
        let redirects = Redirects::new(Egress::of(allowed).unwrap());
        let own = HttpUrl::parse("http://acs.example/own").unwrap();
        let at = HttpUrl::parse(at).unwrap();
        let own = Own { url: &own, known_as: Some("known.example:7547") };
        redirects.judge(own, &at, status, location).map(|url| url.to_string())
    }

    #[test]
    fn a_redirect_leads_where_the_operator_allows_and_to_the_acs_s_own_host() {
        let at = "http://acs.example/own?x";
        for (location, to) in [
            ("/node2", "http://acs.example/node2"),
            ("/node2?session=1#top", "http://acs.example/node2?session=1"),
            ("http://ACS.example:7547/x", "http://ACS.example:7547/x"),
            ("https://acs.example", "https://acs.example/"),
            ("//acs.example/x", "http://acs.example/x"),
            ("https://node2.acs.example/x", "https://node2.acs.example/x"),
            ("https://Known.example:7547/x?y", "http://acs.example/x?y"),
            (" http://10.0.0.5:7547/acs/?a=b ", "http://10.0.0.5:7547/acs/?a=b"),
        ] {
            for status in [301, 302, 307, 308] {
                assert_eq!(judge(at, status, Some(location)).as_deref(), Ok(to), "{status} {location}");
            }
        }
        for location in [
            "https://acs.example.evil.example/",
            "https://evil-acs.example/",
            "http://node2.acs.example/",
            "https://node2.acs.example:444/",
            "http://known.example/",
            "http://10.0.0.5:7547/other",
            "http://10.0.0.5:7547/acs/../other",
            "http://127.0.0.1:9090/bypass",
            "http://[::1]/",
        ] {
            let refused = judge(at, 302, Some(location));
            assert!(matches!(refused, Err(Unfollowed::Forbidden(_))), "{location}: {refused:?}");
        }
    }

    #[test]
    fn what_is_no_place_or_no_redirect_of_a_post_is_not_followed() {
        let at = "http://acs.example/";
        for location in [
            "",
            "node2",
            "?x=1",
            "ftp://acs.example/",
            "javascript:x",
            "http://acs.example@evil.example/",
            "http://user:pw@acs.example/",
            "http:///x",
            "http://acs.example/a b",
            "http://acs.example\\@evil.example/",
            "http://acs.ex\u{e4}mple/",
        ] {
            assert_eq!(judge(at, 302, Some(location)), Err(Unfollowed::Malformed), "{location}");
        }
        let long = format!("/{}", "x".repeat(LONGEST));
        assert_eq!(judge(at, 302, Some(&long)), Err(Unfollowed::Malformed));
        assert_eq!(judge(at, 307, None), Err(Unfollowed::Nowhere(307)));
        for status in [300, 303, 304, 305, 306, 399] {
            assert_eq!(judge(at, status, Some("/x")), Err(Unfollowed::Status(status)));
        }
    }

    #[test]
    fn no_redirect_leads_from_tls_to_none_whatever_is_allowed() {
        for location in ["http://acs.example/", "http://plain.example/"] {
            let refused = judge("https://node2.acs.example/", 302, Some(location));
            assert!(matches!(refused, Err(Unfollowed::Insecure(_))), "{location}: {refused:?}");
            assert!(judge("http://acs.example/", 302, Some(location)).is_ok());
        }
        assert!(judge("https://node2.acs.example/", 302, Some("/x")).is_ok());
    }
}
