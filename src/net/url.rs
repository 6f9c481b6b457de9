//! `http` and `https` URLs, split as a client needs them.

use std::fmt;

use thiserror::Error;

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpUrl {
    pub tls: bool,
    /// Name or address, IPv6 without brackets.
    pub host: String,
    pub port: u16,
    /// Path and query, at least `/`.
    pub target: String,
}

/// Why a text is no URL that we can use.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UrlError {
    #[error("'{0}' is no URL")]
    Malformed(String),
    #[error("'{0}' has neither the scheme {1} nor {1}s")]
    Scheme(String, &'static str),
    #[error("'{0}' names no host")]
    Host(String),
}

impl HttpUrl {
    /// Parses an absolute URL with scheme `http` or `https`.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        Self::parse_as(text, "http", 80, 443)
    }

    /// Parses an absolute URL with scheme `ws` or `wss`.
    pub fn parse_ws(text: &str) -> Result<Self, UrlError> {
        Self::parse_as(text, "ws", 80, 443)
    }

    fn parse_as(text: &str, scheme: &'static str, plain: u16, secure: u16) -> Result<Self, UrlError> {
        let uri: hyper::Uri = text.trim().parse().map_err(|_| UrlError::Malformed(text.to_owned()))?;
        let given = uri.scheme_str().unwrap_or("");
        let tls = given.strip_prefix(scheme) == Some("s");
        if given != scheme && !tls {
            return Err(UrlError::Scheme(text.to_owned(), scheme));
        }
        let host = uri.host().unwrap_or("").trim_matches(['[', ']']).to_owned();
        if host.is_empty() {
            return Err(UrlError::Host(text.to_owned()));
        }
        let port = uri.port_u16().unwrap_or(if tls { secure } else { plain });
        let target = uri.path_and_query().map_or("/", |it| it.as_str());
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        Ok(Self { tls, host, port, target })
    }

    /// What belongs in the `Host` header.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        match (self.tls, self.port) {
            (false, 80) | (true, 443) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = if self.tls { "s" } else { "" };
        write!(f, "http{s}://{}{}", self.authority(), self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_split_and_put_together_again() {
        for text in ["http://acs.example/", "https://acs.example:7547/a?b=c", "http://[::1]:8080/x"] {
            assert_eq!(HttpUrl::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(HttpUrl::parse("http://h").unwrap().target, "/");
        assert_eq!(HttpUrl::parse_ws("wss://h/usp").unwrap().port, 443);
    }

    #[test]
    fn other_texts_are_refused_with_the_reason() {
        assert!(matches!(HttpUrl::parse("ftp://h/"), Err(UrlError::Scheme(..))));
        assert!(matches!(HttpUrl::parse("/only/path"), Err(UrlError::Scheme(..))));
        assert!(matches!(HttpUrl::parse("http://a b/"), Err(UrlError::Malformed(_))));
    }
}
