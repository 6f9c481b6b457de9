//! Who a client is where it comes through a TLS front or load balancer: what the front says of it counts,
//! and what anybody else says of himself does not.

use std::net::{IpAddr, SocketAddr};

use hyper::HeaderMap;

use crate::net::{Networks, Stream, certificate};
use crate::transport::client::{Certificate, Client};
use crate::transport::http::{Hop, Node, parse_client_cert, parse_forwarded};
use crate::transport::proxy_protocol::Header;

/// The fronts, and which of the ways to speak of clients they use.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Front {
    /// Where fronts are; nobody else is believed.
    pub trusted: Networks,
    /// Their connections begin with a PROXY protocol header, version 2.
    pub proxy_protocol: bool,
    /// Their `Forwarded` header is theirs.
    pub forwarded: bool,
    /// Their `Client-Cert` header is theirs: a certificate that they have verified.
    pub client_cert: bool,
}

impl Front {
    /// Whose connections begin with a PROXY protocol header.
    pub(super) fn proxies(&self) -> Networks {
        if self.proxy_protocol { self.trusted.clone() } else { Networks::default() }
    }

    /// The client as far as its connection tells.
    pub(super) fn of_connection(
        &self,
        peer: SocketAddr,
        local: Option<SocketAddr>,
        header: Option<&Header>,
        stream: &Stream,
    ) -> Client {
        // A front that speaks HTTP has ended the client's TLS: what it shows us itself is its own.
        let speaks_http = (self.forwarded || self.client_cert) && self.trusted.contain(peer.ip());
        let shown = stream.peer_certificate().filter(|_| !speaks_http);
        let direct = Client {
            address: Some(peer.ip().to_canonical()),
            port: Some(peer.port()),
            tls: stream.is_tls(),
            certificate: shown.and_then(certificate),
            reached: local.map(|local| (local.ip().to_canonical(), local.port())),
            ..Client::default()
        };
        let Some(Header::Proxied(proxied)) = header else { return direct };
        let client = Client {
            address: proxied.source.map(|(address, _)| address),
            port: proxied.source.map(|(_, port)| port),
            via: direct.address,
            reached: proxied.destination,
            ..direct
        };
        // Without a word of TLS the front has passed it through, and what we saw is the client's.
        match proxied.tls {
            true => Client { tls: true, certificate: proxied.certificate.as_ref().map(told), ..client },
            false => client,
        }
    }

    /// The client as the request's headers tell of it, on a connection of `client`, where its target names `authority`
    /// perhaps, which goes before `Host` (RFC 9112 3.2.2); the reason if they cannot be understood.
    pub(super) fn of_request(
        &self,
        peer: IpAddr,
        client: &Client,
        authority: Option<&str>,
        headers: &HeaderMap,
    ) -> Result<Client, &'static str> {
        let mut client = client.clone();
        client.host = match authority {
            Some(authority) => Some(authority.to_owned()),
            None => text(headers, "host")?,
        };
        if !self.trusted.contain(peer) {
            return Ok(client);
        }
        if self.forwarded {
            client.via = Some(peer.to_canonical());
            (client.address, client.port) = (None, None);
            if let Some(text) = text(headers, "forwarded")? {
                let hops = parse_forwarded(&text).map_err(|_| "the front's Forwarded is malformed")?;
                self.take_hops(&mut client, hops);
            }
        }
        if self.client_cert {
            client.certificate = match text(headers, "client-cert")? {
                Some(text) => {
                    let der = parse_client_cert(&text).and_then(certificate);
                    Some(der.ok_or("the front's Client-Cert is no certificate")?)
                }
                None => None,
            };
        }
        Ok(client)
    }

    /// The last hop is the front's own word; those before it count as far as fronts have written them.
    fn take_hops(&self, client: &mut Client, hops: Vec<Hop>) {
        for hop in hops.into_iter().rev() {
            client.tls = hop.proto.as_deref() == Some("https");
            client.host = hop.host.or(client.host.take());
            (client.address, client.port) = match hop.from {
                Some(Node::Address(address, port)) => (Some(address), port),
                _ => (None, None),
            };
            if !client.address.is_some_and(|address| self.trusted.contain(address)) {
                return;
            }
        }
    }
}

/// A certificate that a front tells of in its PROXY protocol header: with the names that stand in it, where the
/// front sends all of it.
fn told(told: &Certificate) -> Certificate {
    let whole = told.der.clone().and_then(certificate);
    whole.unwrap_or_else(|| Certificate { der: None, ..told.clone() })
}

/// All lines of a header as one.
fn text(headers: &HeaderMap, name: &str) -> Result<Option<String>, &'static str> {
    let mut whole: Option<String> = None;
    for line in headers.get_all(name) {
        let line = line.to_str().map_err(|_| "a header about the client is no text")?;
        whole = Some(whole.map_or_else(|| line.to_owned(), |before| format!("{before}, {line}")));
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIRECT: &str = "198.51.100.1";

    fn front() -> Front {
        let trusted = Networks::parse(&["127.0.0.1/32", "10.0.0.0/8"]).unwrap();
        Front { trusted, proxy_protocol: false, forwarded: true, client_cert: true }
    }

    fn client(front: &Front, peer: &str, lines: &[(&'static str, &str)]) -> Result<Client, &'static str> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        let peer: IpAddr = peer.parse().unwrap();
        let connection = Client { address: Some(peer), port: Some(1), ..Client::default() };
        front.of_request(peer, &connection, None, &headers)
    }

    fn address(client: &Client) -> Option<String> {
        client.address.map(|address| address.to_string())
    }

    #[test]
    fn only_a_trusted_peer_is_believed() {
        let lines = [("forwarded", "for=192.0.2.9;proto=https")];
        let behind = client(&front(), "127.0.0.1", &lines).unwrap();
        assert_eq!((address(&behind).as_deref(), behind.tls), (Some("192.0.2.9"), true));
        let liar = client(&front(), DIRECT, &lines).unwrap();
        assert_eq!((address(&liar).as_deref(), liar.tls), (Some(DIRECT), false));
        let junk = [("forwarded", "junk"), ("client-cert", "junk")];
        assert!(client(&front(), DIRECT, &junk).unwrap().certificate.is_none());
        let off = Front { trusted: front().trusted, ..Front::default() };
        assert_eq!(address(&client(&off, "127.0.0.1", &lines).unwrap()).as_deref(), Some("127.0.0.1"));
    }

    #[test]
    fn what_a_client_wrote_before_the_fronts_word_does_not_count() {
        let forged =
            [("forwarded", "for=192.0.2.66"), ("forwarded", "for=192.0.2.9, for=10.0.0.7;proto=https")];
        let through_two = client(&front(), "127.0.0.1", &forged).unwrap();
        assert_eq!(address(&through_two).as_deref(), Some("192.0.2.9"));
        let hidden = client(&front(), "127.0.0.1", &[("forwarded", "for=192.0.2.66, for=unknown")]).unwrap();
        assert_eq!(address(&hidden), None);
        assert_eq!(address(&client(&front(), "127.0.0.1", &[]).unwrap()), None, "the front is no client");
    }

    #[test]
    fn a_front_that_cannot_be_understood_is_not_guessed_at() {
        assert!(client(&front(), "10.1.1.1", &[("forwarded", "for=1.2.3")]).is_err());
        assert!(client(&front(), "10.1.1.1", &[("client-cert", ":AAAA:")]).is_err());
        let cert = rcgen::generate_simple_self_signed(vec!["x".to_owned()]).unwrap();
        let good = crate::transport::http::client_cert(cert.cert.der());
        assert!(client(&front(), "10.1.1.1", &[("client-cert", &good)]).unwrap().certificate.is_some());
        let twice = [("client-cert", good.as_str()), ("client-cert", &good)];
        assert!(client(&front(), "10.1.1.1", &twice).is_err());
    }
}
