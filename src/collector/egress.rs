//! Where the gateway may be sent by controllers. A controller that may write a URL must not be able to make
//! the gateway, which stands inside the operator's network, speak to anything it likes.

use thiserror::Error;

use crate::net::{HttpUrl, UrlError};

/// The places that are allowed; none by default.
#[derive(Debug, Clone, Default)]
pub struct Egress {
    allowed: Vec<Place>,
}

#[derive(Debug, Clone)]
struct Place {
    url: HttpUrl,
    /// Without a dot at the front: this host alone. With one: all hosts below the domain.
    host: String,
}

/// Why an URL is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EgressError {
    #[error(transparent)]
    Url(#[from] UrlError),
    #[error("the operator's egress policy does not allow {0}")]
    Forbidden(String),
    #[error("{0} names more than a scheme, a host, a port and the beginning of a path")]
    Place(String),
}

impl Egress {
    /// Each place is `http://host:port/path` or `https://...`; a host that begins with `*.` stands for all
    /// below the domain, and a path for all that begin with it.
    pub fn of<'p>(places: impl IntoIterator<Item = &'p str>) -> Result<Self, EgressError> {
        let allowed = places.into_iter().map(|text| {
            let url = HttpUrl::parse(&text.replacen("://*.", "://", 1))?;
            let wild = text.contains("://*.");
            if url.target.contains(['?', '#']) {
                return Err(EgressError::Place(text.to_owned()));
            }
            let host = if wild { format!(".{}", url.host) } else { url.host.clone() };
            Ok(Place { url, host: host.to_ascii_lowercase() })
        });
        Ok(Self { allowed: allowed.collect::<Result<_, _>>()? })
    }

    /// Reads a URL and says whether the gateway may go there.
    pub fn check(&self, url: &str) -> Result<HttpUrl, EgressError> {
        let wanted = HttpUrl::parse(url)?;
        if self.allowed.iter().any(|place| place.holds(&wanted)) {
            return Ok(wanted);
        }
        Err(EgressError::Forbidden(wanted.authority()))
    }
}

impl Place {
    fn holds(&self, wanted: &HttpUrl) -> bool {
        let host = wanted.host.to_ascii_lowercase();
        let same_host = match self.host.strip_prefix('.') {
            Some(_) => host.ends_with(&self.host),
            None => host == self.host,
        };
        same_host
            && wanted.tls == self.url.tls
            && wanted.port == self.url.port
            && !climbs(&wanted.target)
            && wanted.target.starts_with(&self.url.target)
    }
}

/// Whether a path leads out of the one it begins with.
fn climbs(target: &str) -> bool {
    let path = target.split(['?', '#']).next().unwrap_or(target).to_ascii_lowercase().replace("%2e", ".");
    path.split('/').any(|segment| segment == "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_allowed_that_was_not_said() {
        let egress = Egress::of(["https://bdc.example/reports/", "http://*.lan.example:8080/"]).unwrap();
        for url in [
            "https://bdc.example/reports/",
            "https://BDC.example:443/reports/x?y=z",
            "http://a.lan.example:8080/x",
            "http://b.a.lan.example:8080/",
        ] {
            assert!(egress.check(url).is_ok(), "{url}");
        }
        for url in [
            "http://bdc.example/reports/",
            "https://bdc.example/other",
            "https://bdc.example/reports/../admin",
            "https://bdc.example/reports/%2E%2e/admin",
            "https://bdc.example:444/reports/",
            "https://evil.example/reports/",
            "http://lan.example:8080/",
            "http://evil-lan.example:8080/",
            "https://bdc.example@evil.example/reports/",
            "file:///etc/passwd",
        ] {
            assert!(egress.check(url).is_err(), "{url}");
        }
        assert!(matches!(Egress::default().check("http://a.example/"), Err(EgressError::Forbidden(_))));
    }
}
