//! Where the gateway may be sent by controllers. A controller that may write an address must not be able to
//! make the gateway, which stands inside the operator's network, speak to anything it likes.

use thiserror::Error;

/// The places that are allowed; none by default.
#[derive(Debug, Clone, Default)]
pub struct Egress {
    allowed: Vec<Place>,
}

#[derive(Debug, Clone)]
struct Place {
    scheme: &'static str,
    /// Without a dot at the front: this host alone. With one: all hosts below the domain.
    host: String,
    port: u16,
    /// What paths begin with.
    path: String,
}

/// A text that names no place.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("'{0}' is no place; such as mqtts://*.example:8883 or https://host.example/path/")]
pub struct PlaceError(pub String);

impl Egress {
    /// Each place is `scheme://host[:port][/path]`, where a host that begins with `*.` stands for all below
    /// the domain, and a path for all that begin with it.
    pub fn of<'p>(places: impl IntoIterator<Item = &'p str>) -> Result<Self, PlaceError> {
        let places = places.into_iter().map(|text| Place::parse(text).ok_or(PlaceError(text.to_owned())));
        Ok(Self { allowed: places.collect::<Result<_, _>>()? })
    }

    /// Allows one place more: one that the configuration itself names.
    pub fn add(&mut self, scheme: &'static str, host: &str, port: u16, path: &str) {
        let (host, path) = (host.to_ascii_lowercase(), path.to_owned());
        self.allowed.push(Place { scheme, host, port, path });
    }

    /// Whether the gateway may go there. `path` is empty for protocols that have none.
    pub fn allows(&self, scheme: &str, host: &str, port: u16, path: &str) -> bool {
        let host = host.to_ascii_lowercase();
        self.allowed.iter().any(|place| place.holds(scheme, &host, port, path))
    }

    /// The same of a URL, whose query does not count.
    pub fn allows_url(&self, url: &str) -> bool {
        let bare = url.split(['?', '#']).next().unwrap_or(url);
        let place = Place::parse(bare).filter(|place| !place.host.starts_with('.'));
        place.is_some_and(|place| self.allows(place.scheme, &place.host, place.port, &place.path))
    }

    /// Whether there is anything at all that the gateway may reach on this host by one of these schemes:
    /// what can be said of a host while its port is still to be written.
    pub fn knows_host(&self, schemes: &[&str], host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        self.allowed.iter().any(|place| schemes.contains(&place.scheme) && place.is_host(&host))
    }
}

impl Place {
    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let (scheme, default) = SCHEMES.into_iter().find(|(known, _)| *known == scheme)?;
        let (authority, path) = match rest.find('/') {
            Some(at) => (&rest[..at], &rest[at..]),
            None => (rest, "/"),
        };
        let has_path = scheme.starts_with("http") || scheme.starts_with("ws");
        if path.contains(['?', '#']) || climbs(path) || (!has_path && path != "/") {
            return None;
        }
        let (host, port) = match authority.strip_prefix('[').map(|rest| rest.split_once(']')) {
            Some(bracketed) => bracketed.map(|(host, port)| (host, port.strip_prefix(':')))?,
            None => authority.rsplit_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
        };
        let port = port.map_or(Some(default), |port| port.parse().ok())?;
        let (wild, host) = match host.strip_prefix("*.") {
            Some(domain) => (".", domain),
            None => ("", host),
        };
        let is_host = |host: &str| !host.is_empty() && !host.contains(['@', '*', ' ', '/', '%']);
        let path = if has_path { path.to_owned() } else { String::new() };
        is_host(host).then(|| Self {
            scheme,
            host: format!("{wild}{}", host.to_ascii_lowercase()),
            port,
            path,
        })
    }

    fn is_host(&self, host: &str) -> bool {
        match self.host.strip_prefix('.') {
            Some(_) => host.ends_with(&self.host),
            None => host == self.host,
        }
    }

    fn holds(&self, scheme: &str, host: &str, port: u16, path: &str) -> bool {
        self.scheme == scheme
            && self.is_host(host)
            && self.port == port
            && !climbs(path)
            && path.starts_with(&self.path)
    }
}

/// Whether a path leads out of the one it begins with.
fn climbs(target: &str) -> bool {
    let path = target.split(['?', '#']).next().unwrap_or(target).to_ascii_lowercase().replace("%2e", ".");
    path.split('/').any(|segment| segment == "..")
}

/// The schemes of places, with the ports that are theirs.
const SCHEMES: [(&str, u16); 8] = [
    ("http", 80),
    ("https", 443),
    ("ws", 80),
    ("wss", 443),
    ("mqtt", 1_883),
    ("mqtts", 8_883),
    ("stomp", 61_613),
    ("stomps", 61_614),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_allowed_that_was_not_said() {
        let places = [
            "https://bdc.example/reports/",
            "mqtts://*.lan.example",
            "ws://[::1]:8080",
            "mqtt://B.example:9",
        ];
        let mut egress = Egress::of(places).unwrap();
        egress.add("stomp", "named.example", 61_613, "");
        for (scheme, host, port, path) in [
            ("https", "BDC.example", 443, "/reports/x?y=z"),
            ("mqtts", "b.a.lan.example", 8_883, ""),
            ("ws", "::1", 8_080, "/usp"),
            ("mqtt", "b.example", 9, ""),
            ("stomp", "named.example", 61_613, ""),
        ] {
            assert!(egress.allows(scheme, host, port, path), "{scheme} {host} {port} {path}");
        }
        for (scheme, host, port, path) in [
            ("http", "bdc.example", 443, "/reports/"),
            ("https", "bdc.example", 444, "/reports/"),
            ("https", "bdc.example", 443, "/other"),
            ("https", "bdc.example", 443, "/reports/%2E%2e/admin"),
            ("mqtts", "lan.example", 8_883, ""),
            ("mqtts", "evil-lan.example", 8_883, ""),
            ("mqtt", "a.lan.example", 8_883, ""),
            ("stomps", "named.example", 61_613, ""),
        ] {
            assert!(!egress.allows(scheme, host, port, path), "{scheme} {host} {port} {path}");
        }
        assert!(egress.knows_host(&["mqtt", "mqtts"], "x.lan.example"));
        assert!(!egress.knows_host(&["stomp", "stomps"], "x.lan.example"));
        assert!(!Egress::default().allows("http", "a.example", 80, "/"));
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for text in [
            "bdc.example",
            "ftp://h/",
            "https://a@b/",
            "https://*/",
            "https://h/?x",
            "https://h/a/../b",
            "mqtt://h/path",
            "mqtt://h:many",
            "mqtt://",
        ] {
            assert_eq!(Egress::of([text]).unwrap_err().0, text);
        }
    }
}
