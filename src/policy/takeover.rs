//! CPEs that come to the gateway since their `ManagementServer.URL` says so, in place of their ACS's: the ACS goes on
//! seeing the URL that it set, and its own is kept from the CPE.

/// The two URLs, and what becomes of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Takeover {
    gateway: String,
    acs: String,
    /// Whether an ACS that writes another URL is told that it was done, and it is not; else the CPE goes there.
    pub holds_others: bool,
}

/// What a write of `ManagementServer.URL` by the ACS means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UrlWrite {
    /// The ACS's own: written to the CPE it would lead around the gateway.
    Acs,
    /// The gateway's, which the CPE has.
    Gateway,
    /// It leads the CPE away from both.
    Other,
}

impl Takeover {
    /// `gateway` is the URL that CPEs have, `acs` the one that they had; both absolute.
    pub fn new(gateway: String, acs: String, holds_others: bool) -> Self {
        Self { gateway, acs, holds_others }
    }

    /// The URL that CPEs have.
    pub fn gateway(&self) -> &str {
        &self.gateway
    }

    pub fn judge(&self, url: &str) -> UrlWrite {
        if is_same(url, &self.gateway) {
            UrlWrite::Gateway
        } else if is_same(url, &self.acs) {
            UrlWrite::Acs
        } else {
            UrlWrite::Other
        }
    }

    /// What the ACS is told where the CPE says that it has this URL; `set` is what the ACS set last, as far as that is
    /// not what the CPE has. `None`: the CPE's own word.
    pub fn for_acs<'u>(&'u self, said: &str, set: Option<&'u str>) -> Option<&'u str> {
        is_same(said, &self.gateway).then(|| set.unwrap_or(&self.acs)).filter(|told| *told != said)
    }
}

/// Whether two URLs name the same place: scheme and host in either case, the scheme's port or none, `/` or no path
/// (RFC 3986 6.2).
fn is_same(one: &str, other: &str) -> bool {
    parts(one) == parts(other)
}

fn parts(url: &str) -> (String, String, &str) {
    let (scheme, rest) = url.trim().split_once("://").unwrap_or(("", url.trim()));
    let (authority, target) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (scheme, authority) = (scheme.to_ascii_lowercase(), authority.to_ascii_lowercase());
    let port = if scheme == "https" { ":443" } else { ":80" };
    let host = authority.strip_suffix(port).unwrap_or(&authority).to_owned();
    (scheme, host, if target.is_empty() { "/" } else { target })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takeover() -> Takeover {
        Takeover::new("https://gw.example:7547/".into(), "http://acs.example/cwmp".into(), false)
    }

    #[test]
    fn urls_are_told_apart_by_where_they_lead_and_not_by_how_they_are_written() {
        let is = |url, wanted| assert_eq!(takeover().judge(url), wanted, "{url}");
        for url in ["http://acs.example/cwmp", "HTTP://ACS.example:80/cwmp", " http://acs.example/cwmp "] {
            is(url, UrlWrite::Acs);
        }
        is("https://gw.example:7547", UrlWrite::Gateway);
        for url in ["http://acs.example/", "http://acs.example:8080/cwmp", "https://acs.example/cwmp", ""] {
            is(url, UrlWrite::Other);
        }
        is("https://gw.example/", UrlWrite::Other);
    }

    #[test]
    fn the_acs_reads_what_it_set_only_where_the_cpe_has_the_gateways() {
        let it = takeover();
        let gateway = "https://gw.example:7547/";
        assert_eq!(it.for_acs(gateway, None), Some("http://acs.example/cwmp"));
        assert_eq!(it.for_acs(gateway, Some("http://else.example/")), Some("http://else.example/"));
        assert_eq!(it.for_acs(gateway, Some(gateway)), None, "it set that itself");
        assert_eq!(it.for_acs("http://factory.example/", None), None, "the truth");
    }
}
