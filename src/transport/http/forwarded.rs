//! The `Forwarded` header (RFC 7239): what fronts say of the client, read strictly, and our own word to the ACS.

use core::net::{IpAddr, Ipv6Addr};

use thiserror::Error;

use crate::transport::client::Client;

/// What one hop said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hop {
    /// From whom the request came to it.
    pub from: Option<Node>,
    /// At which of its own addresses.
    pub by: Option<Node>,
    /// `http` or `https`, in lower case.
    pub proto: Option<String>,
    pub host: Option<String>,
}

/// A party to a hop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    Address(IpAddr, Option<u16>),
    /// `unknown`, or a name of the front's own making.
    Hidden,
}

/// Where the header breaks its grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("malformed Forwarded header")]
pub struct Malformed;

/// Reads the header, all its lines joined by commas: the hop next to us is the last.
pub fn parse_forwarded(text: &str) -> Result<Vec<Hop>, Malformed> {
    if text.len() > MAX_FORWARDED {
        return Err(Malformed);
    }
    let mut rest = text.trim_matches(BLANK);
    let mut hops = vec![Hop::default()];
    let mut names = Vec::new();
    loop {
        let (name, value, left) = pair(rest)?;
        if names.contains(&name) {
            return Err(Malformed);
        }
        if let Some(hop) = hops.last_mut() {
            take_in(hop, &name, value)?;
        }
        names.push(name);
        if left.is_empty() {
            return Ok(hops);
        }
        // A pair follows at once, an element after optional blanks.
        rest = match left.strip_prefix(';') {
            Some(pairs) => pairs,
            None => {
                let next = left.trim_start_matches(BLANK).strip_prefix(',').ok_or(Malformed)?;
                names.clear();
                hops.push(Hop::default());
                next.trim_start_matches(BLANK)
            }
        };
        if hops.len() > MAX_HOPS {
            return Err(Malformed);
        }
    }
}

/// The header that tells the ACS of a client; none where its address is not known.
pub fn forwarded(client: &Client) -> Option<String> {
    let from = match (client.address?, client.port) {
        (IpAddr::V4(address), None) => address.to_string(),
        (IpAddr::V4(address), Some(port)) => format!("\"{address}:{port}\""),
        (IpAddr::V6(address), None) => format!("\"[{address}]\""),
        (IpAddr::V6(address), Some(port)) => format!("\"[{address}]:{port}\""),
    };
    let proto = if client.tls { "https" } else { "http" };
    let host = client.host.as_deref().filter(|host| is_host(host));
    let host = host.map_or_else(String::new, |host| format!(";host=\"{host}\""));
    Some(format!("for={from};proto={proto}{host}"))
}

/// A pair, and what follows it.
fn pair(text: &str) -> Result<(String, String, &str), Malformed> {
    let (name, rest) = text.split_once('=').ok_or(Malformed)?;
    if !is_token(name) {
        return Err(Malformed);
    }
    let name = name.to_ascii_lowercase();
    if let Some(quoted) = rest.strip_prefix('"') {
        let (value, rest) = unquote(quoted).ok_or(Malformed)?;
        return Ok((name, value, rest));
    }
    let end = rest.find([';', ',', ' ', '\t']).unwrap_or(rest.len());
    let (value, rest) = rest.split_at(end);
    if is_token(value) { Ok((name, value.to_owned(), rest)) } else { Err(Malformed) }
}

fn take_in(hop: &mut Hop, name: &str, value: String) -> Result<(), Malformed> {
    match name {
        "for" => hop.from = Some(node(&value)?),
        "by" => hop.by = Some(node(&value)?),
        "proto" => {
            let proto = value.to_ascii_lowercase();
            if !matches!(proto.as_str(), "http" | "https") {
                return Err(Malformed);
            }
            hop.proto = Some(proto);
        }
        "host" if !is_host(&value) => return Err(Malformed),
        "host" => hop.host = Some(value),
        // Extensions are allowed.
        _ => {}
    }
    Ok(())
}

/// RFC 7239 section 6.
fn node(text: &str) -> Result<Node, Malformed> {
    let (name, port) = match text.strip_prefix('[') {
        Some(bracketed) => {
            let (address, port) = bracketed.split_once(']').ok_or(Malformed)?;
            let address: Ipv6Addr = address.parse().map_err(|_| Malformed)?;
            let port = if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or(Malformed)?) };
            (Some(IpAddr::V6(address)), port)
        }
        None => {
            let (name, port) = text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port)));
            let hidden =
                name.eq_ignore_ascii_case("unknown") || name.strip_prefix('_').is_some_and(is_obscure);
            let address = if hidden { None } else { Some(IpAddr::V4(name.parse().map_err(|_| Malformed)?)) };
            (address, port)
        }
    };
    let port = match port {
        Some(port) if port.strip_prefix('_').is_some_and(is_obscure) => None,
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) && port.len() <= 5 => {
            Some(port.parse().map_err(|_| Malformed)?)
        }
        Some(_) => return Err(Malformed),
        None => None,
    };
    Ok(name.map_or(Node::Hidden, |address| Node::Address(address.to_canonical(), port)))
}

fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(chars.next().map(|(_, char)| char).filter(is_text)?),
            char if is_text(&char) => value.push(char),
            _ => return None,
        }
    }
    None
}

fn is_text(char: &char) -> bool {
    *char == '\t' || (' '..='~').contains(char)
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

fn is_obscure(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// A `Host` as clients send it, with nothing that would need quoting.
fn is_host(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]%".contains(&byte);
    !text.is_empty() && text.len() <= MAX_HOST && text.bytes().all(known)
}

const BLANK: [char; 2] = [' ', '\t'];
/// Bytes of the header.
const MAX_FORWARDED: usize = 4 << 10;
/// Hops that a request may have come over.
const MAX_HOPS: usize = 16;
const MAX_HOST: usize = 260;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(text: &str, port: Option<u16>) -> Option<Node> {
        Some(Node::Address(text.parse().unwrap(), port))
    }

    #[test]
    fn rfc_7239_examples_are_read() {
        let hops = parse_forwarded("for=\"_gazonk\"").unwrap();
        assert_eq!(hops[0].from, Some(Node::Hidden));
        let hops = parse_forwarded("For=\"[2001:db8:cafe::17]:4711\"").unwrap();
        assert_eq!(hops[0].from, address("2001:db8:cafe::17", Some(4_711)));
        let hops =
            parse_forwarded("for=192.0.2.60;proto=HTTP;by=203.0.113.43;host=\"acs.example:7547\"").unwrap();
        assert_eq!(
            (hops[0].from.clone(), hops[0].by.clone()),
            (address("192.0.2.60", None), address("203.0.113.43", None))
        );
        assert_eq!(
            (hops[0].proto.as_deref(), hops[0].host.as_deref()),
            (Some("http"), Some("acs.example:7547"))
        );
        let hops = parse_forwarded("for=192.0.2.43, for=198.51.100.17 ,for=unknown;secret=x").unwrap();
        let from: Vec<_> = hops.into_iter().map(|hop| hop.from).collect();
        assert_eq!(from, [address("192.0.2.43", None), address("198.51.100.17", None), Some(Node::Hidden)]);
    }

    #[test]
    fn what_breaks_the_grammar_is_refused() {
        let long = format!("for=1.2.3.4;x=\"{}\"", "y".repeat(5_000));
        let many = vec!["for=1.2.3.4"; 17].join(",");
        for text in [
            "",
            "for",
            "for=",
            "=1.2.3.4",
            "for=1.2.3.4;",
            "for=1.2.3.4,",
            "for=1.2.3.4; proto=http",
            "for=1.2.3.4;for=5.6.7.8",
            "for=2001:db8::1",
            "for=\"2001:db8::1\"",
            "for=\"[1.2.3.4]\"",
            "for=\"[::1]x\"",
            "for=\"1.2.3.4:\"",
            "for=\"1.2.3.4:99999\"",
            "for=\"1.2.3.4:+5\"",
            "for=1.2.3.4:80",
            "for=\"1.2.3.4",
            "for=1.2.3.4x",
            "for=acs.example",
            "for=1.2.3.4 proto=http",
            "for = 1.2.3.4",
            "for=1.2.3.4;proto=gopher",
            "for=1.2.3.4;host=\"a b\"",
            "for=\"1.2.3.4\u{1}\"",
            "for=_",
            &long,
            &many,
        ] {
            assert_eq!(parse_forwarded(text), Err(Malformed), "{text}");
        }
    }

    #[test]
    fn our_own_word_is_read_back() {
        for (from, port) in
            [("192.0.2.1", Some(80)), ("192.0.2.1", None), ("2001:db8::1", Some(80)), ("::1", None)]
        {
            let host = Some("gw.example:7547".to_owned());
            let client =
                Client { address: Some(from.parse().unwrap()), port, tls: true, host, ..Client::default() };
            let hops = parse_forwarded(&forwarded(&client).unwrap()).unwrap();
            assert_eq!((hops.len(), hops[0].from.clone()), (1, address(from, port)));
            assert_eq!((hops[0].proto.as_deref(), hops[0].host.clone()), (Some("https"), client.host));
        }
        let host = Some("x\", for=\"10.0.0.1".to_owned());
        let client = Client { address: Some("192.0.2.1".parse().unwrap()), host, ..Client::default() };
        assert_eq!(
            forwarded(&client).unwrap(),
            "for=192.0.2.1;proto=http",
            "a CPE's Host wrote into the header"
        );
        assert_eq!(forwarded(&Client::default()), None);
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in "[a-z0-9=;,\"\\[\\]:._ \\\\é-]{0,60}") {
            let _ = parse_forwarded(&text);
        }
    }
}
