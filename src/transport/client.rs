//! What is known of who sent a request: from its connection, or told by a front that is trusted.

use core::fmt;
use core::net::IpAddr;

/// The client of a session. Text in it is of a form that a log line can bear.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Client {
    /// Where it calls from; none where a front does not say.
    pub address: Option<IpAddr>,
    pub port: Option<u16>,
    /// Whether it came by TLS, to us or to the front.
    pub tls: bool,
    /// What it has proved to own; verified, by us or by the front.
    pub certificate: Option<Certificate>,
    /// The front that it came through.
    pub via: Option<IpAddr>,
    /// The address and port that it called: the gateway's, or the front's where that tells by the PROXY protocol.
    pub reached: Option<(IpAddr, u16)>,
    /// The host that it asked for, as it named it.
    pub host: Option<String>,
}

/// What a client calls the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Called<'c> {
    /// As it was said, port and all.
    pub authority: &'c str,
    /// The name or the address alone, without brackets.
    pub host: &'c str,
}

impl Client {
    /// What it calls the server. `None` if it says nothing, or several things, or what can be no host: an old CPE
    /// is not refused for it, but it is not believed either.
    pub fn called(&self) -> Option<Called<'_>> {
        let authority = self.host.as_deref().filter(|said| said.len() <= MAX_HOST)?;
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']')?;
                host.parse::<core::net::Ipv6Addr>().ok()?;
                (host, port)
            }
            None => {
                let end = authority.find(':').unwrap_or(authority.len());
                let (host, port) = authority.split_at(end);
                let known = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
                let fits = !host.is_empty() && host.bytes().all(known);
                (fits.then_some(host)?, port)
            }
        };
        let is_port =
            |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
        let fits = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        fits.then_some(Called { authority, host })
    }
}

/// A verified client certificate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Certificate {
    /// The first of its names, printable and bounded; empty if there is none.
    pub name: String,
    /// The common names of its subject and its DNS names, as they are.
    pub names: Vec<String>,
    /// All of it; none where a front tells the name only.
    pub der: Option<Vec<u8>>,
}

impl Certificate {
    pub fn new(names: Vec<String>, der: Option<Vec<u8>>) -> Self {
        let visible = |char: &char| !char.is_control() && !char.is_whitespace();
        let first = names.first().map_or("", String::as_str);
        Self { name: first.chars().filter(visible).take(MAX_NAME).collect(), names, der }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.address, self.port) {
            (Some(IpAddr::V6(address)), Some(port)) => write!(f, "[{address}]:{port}")?,
            (Some(address), Some(port)) => write!(f, "{address}:{port}")?,
            (Some(address), None) => write!(f, "{address}")?,
            (None, _) => f.write_str("unknown")?,
        }
        if self.tls {
            f.write_str(" tls")?;
        }
        if let Some(certificate) = &self.certificate {
            write!(f, " certificate={}", certificate.name)?;
        }
        if let Some(via) = self.via {
            write!(f, " via {via}")?;
        }
        Ok(())
    }
}

/// Characters of a certificate's name: X.520 has 64 for a common name.
const MAX_NAME: usize = 64;
/// Bytes of a host with its port.
const MAX_HOST: usize = 260;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_cpe_calls_the_server_is_a_host_or_nothing() {
        let host = |said: &str| {
            let client = Client { host: Some(said.to_owned()), ..Client::default() };
            client.called().map(|called| {
                assert_eq!(called.authority, said);
                called.host.to_owned()
            })
        };
        for (said, name) in [
            ("acs.example", "acs.example"),
            ("ACS_1.example:7547", "ACS_1.example"),
            ("192.0.2.1", "192.0.2.1"),
            ("[2001:db8::1]:80", "2001:db8::1"),
            ("[::1]", "::1"),
        ] {
            assert_eq!(host(said).as_deref(), Some(name));
        }
        let long = format!("{}.example", "x".repeat(MAX_HOST));
        for bad in [
            "",
            " ",
            "a b",
            "user@acs.example",
            "acs.example/x",
            "acs.example:",
            "acs.example:x",
            "acs.example:+80",
            "acs.example:99999",
            "acs.example:80:80",
            "::1",
            "[::1",
            "[acs]",
            "a.example, b.example",
            "a\\b",
            "%61cs.example",
            "<script>",
            &long,
        ] {
            assert_eq!(host(bad), None, "{bad}");
        }
        assert_eq!(Client::default().called(), None);
    }

    #[test]
    fn a_client_is_told_in_one_line_whatever_its_certificate_says() {
        let certificate = Some(Certificate::new(vec!["00256D-1\n ended: \u{1b}[31m".into()], None));
        let mut client = Client {
            address: Some(IpAddr::from([203, 0, 113, 7])),
            port: Some(4_711),
            tls: true,
            certificate,
            via: Some(IpAddr::from([127, 0, 0, 1])),
            ..Client::default()
        };
        assert_eq!(client.to_string(), "203.0.113.7:4711 tls certificate=00256D-1ended:[31m via 127.0.0.1");
        client = Client { address: Some("2001:db8::1".parse().unwrap()), port: Some(1), ..Client::default() };
        assert_eq!(client.to_string(), "[2001:db8::1]:1");
        assert_eq!(Client::default().to_string(), "unknown");
    }
}
