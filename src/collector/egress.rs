//! Where reports may go: the operator's policy, asked about URLs.

use thiserror::Error;

use crate::net::{HttpUrl, UrlError};
use crate::policy::{self, PlaceError};

/// The places that are allowed; none by default.
#[derive(Debug, Clone, Default)]
pub struct Egress(policy::Egress);

/// Why an URL is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EgressError {
    #[error(transparent)]
    Url(#[from] UrlError),
    #[error(transparent)]
    Place(#[from] PlaceError),
    #[error("the operator's egress policy does not allow {0}")]
    Forbidden(String),
}

impl From<policy::Egress> for Egress {
    fn from(policy: policy::Egress) -> Self {
        Self(policy)
    }
}

impl Egress {
    /// From places, as [`policy::Egress::of`] has them.
    pub fn of<'p>(places: impl IntoIterator<Item = &'p str>) -> Result<Self, EgressError> {
        Ok(Self(policy::Egress::of(places)?))
    }

    /// Reads a URL and says whether the gateway may go there.
    pub fn check(&self, url: &str) -> Result<HttpUrl, EgressError> {
        let wanted = HttpUrl::parse(url)?;
        let scheme = if wanted.tls { "https" } else { "http" };
        if self.0.allows(scheme, &wanted.host, wanted.port, &wanted.target) {
            return Ok(wanted);
        }
        Err(EgressError::Forbidden(wanted.authority()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_judged_by_what_a_client_would_make_of_it() {
        let egress = Egress::of(["https://bdc.example/reports/", "http://*.lan.example:8080/"]).unwrap();
        for url in ["https://BDC.example:443/reports/x?y=z", "http://b.a.lan.example:8080/"] {
            assert!(egress.check(url).is_ok(), "{url}");
        }
        for url in [
            "https://bdc.example/reports/../admin",
            "https://bdc.example@evil.example/reports/",
            "http://lan.example:8080/",
            "file:///etc/passwd",
        ] {
            assert!(egress.check(url).is_err(), "{url}");
        }
        assert!(matches!(Egress::default().check("http://a.example/"), Err(EgressError::Forbidden(_))));
    }
}
