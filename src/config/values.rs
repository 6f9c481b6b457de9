//! Values of the file that are more than text or numbers. Each refuses what it cannot mean, so that the
//! parser can name the line.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;

use crate::net::{HttpUrl, Networks};
use crate::policy::Egress;

use super::file::OneOrMany;

/// A duration in seconds, fractions allowed.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(try_from = "f64")]
pub(super) struct Seconds(pub Duration);

impl TryFrom<f64> for Seconds {
    type Error = String;

    fn try_from(seconds: f64) -> Result<Self, String> {
        if !(0.0..=MOST_SECONDS).contains(&seconds) {
            return Err(format!("a duration in seconds is from 0 to {MOST_SECONDS}"));
        }
        Ok(Self(Duration::from_secs_f64(seconds)))
    }
}

impl Seconds {
    pub fn of(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    pub fn ms(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }
}

/// An `http` or `https` URL.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Url(pub HttpUrl);

impl TryFrom<String> for Url {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        HttpUrl::parse(&text).map(Self).map_err(|error| format!("{error}; such as http://acs.example:7547/"))
    }
}

/// A `ws` or `wss` URL.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct WsUrl(pub HttpUrl);

impl TryFrom<String> for WsUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        HttpUrl::parse_ws(&text).map(Self).map_err(|error| format!("{error}; such as wss://usp.example/usp"))
    }
}

/// Places of `http` and `https`, as [`Egress`] writes them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub(super) struct WebPlaces(pub Vec<String>);

impl TryFrom<Vec<String>> for WebPlaces {
    type Error = String;

    fn try_from(texts: Vec<String>) -> Result<Self, String> {
        let web = |text: &&String| text.starts_with("http://") || text.starts_with("https://");
        let such = "such as https://*.acs.example or http://10.0.0.5:7547/acs/";
        if let Some(other) = texts.iter().find(|text| !web(text)) {
            return Err(format!("'{other}' is no place of http or https; {such}"));
        }
        let parsed = Egress::of(texts.iter().map(String::as_str));
        parsed.map_err(|error| format!("'{}' is no place; {such}", error.0))?;
        Ok(Self(texts))
    }
}

/// What the path of a POST begins with.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct PostPath(pub String);

impl TryFrom<String> for PostPath {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.contains(['?', '#', '*']);
        if plain && text.starts_with('/') {
            Ok(Self(text))
        } else {
            Err(format!(
                "'{text}' is no path; such as /business, without query and wildcard: all below it is meant"
            ))
        }
    }
}

/// Names in `Host`.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "OneOrMany")]
pub(super) struct HostNames(pub Vec<String>);

impl TryFrom<OneOrMany> for HostNames {
    type Error = String;

    fn try_from(texts: OneOrMany) -> Result<Self, String> {
        let is_name = |text: &str| {
            let name = text.strip_prefix("*.").unwrap_or(text);
            let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
            let plain = !name.is_empty() && !name.starts_with('.') && name.bytes().all(letters);
            plain || text.parse::<std::net::Ipv6Addr>().is_ok()
        };
        list(texts, "acs.example or *.acs.example, without a port", is_name, str::to_ascii_lowercase)
            .map(Self)
    }
}

/// Addresses of the gateway or of a front, each with a port perhaps.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "OneOrMany")]
pub(super) struct Addresses(pub Vec<(IpAddr, Option<u16>)>);

impl TryFrom<OneOrMany> for Addresses {
    type Error = String;

    fn try_from(texts: OneOrMany) -> Result<Self, String> {
        let read = |text: &str| match (text.parse::<IpAddr>(), text.parse::<SocketAddr>()) {
            (Ok(ip), _) => Some((ip.to_canonical(), None)),
            (_, Ok(place)) => Some((place.ip().to_canonical(), Some(place.port()))),
            _ => None,
        };
        let such = "198.51.100.7 or [2001:db8::7]:7547, an address that CPEs call";
        let texts = list(texts, such, |text| read(text).is_some(), str::to_owned)?;
        Ok(Self(texts.iter().filter_map(|text| read(text)).collect()))
    }
}

/// Manufacturers' OUIs.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "OneOrMany")]
pub(super) struct Ouis(pub Vec<String>);

impl TryFrom<OneOrMany> for Ouis {
    type Error = String;

    fn try_from(texts: OneOrMany) -> Result<Self, String> {
        let is_oui = |text: &str| text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        list(texts, "00256D, six hexadecimal digits", is_oui, str::to_ascii_uppercase).map(Self)
    }
}

/// Texts that are each such as wanted; an empty list would hold for nobody.
fn list(
    texts: OneOrMany,
    such: &str,
    fits: impl Fn(&str) -> bool,
    mean: impl Fn(&str) -> String,
) -> Result<Vec<String>, String> {
    let texts = texts.into_vec();
    match texts.iter().find(|text| !fits(text)) {
        Some(other) => Err(format!("'{other}' is not such as {such}")),
        None if texts.is_empty() => Err(format!("names none; such as {such}")),
        None => Ok(texts.iter().map(|text| mean(text)).collect()),
    }
}

/// Networks whose word is taken.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub(super) struct Trusted(pub Networks);

impl TryFrom<Vec<String>> for Trusted {
    type Error = String;

    fn try_from(texts: Vec<String>) -> Result<Self, String> {
        Networks::parse(&texts).map(Self).map_err(|error| error.to_string())
    }
}

/// A broker: `mqtt://host[:1883]` or `mqtts://host[:8883]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Broker {
    pub tls: bool,
    pub host: String,
    pub port: u16,
}

impl TryFrom<String> for Broker {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text, "mqtt", 1_883, 8_883)
    }
}

/// A broker: `stomp://host[:61613]` or `stomps://host[:61614]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct StompBroker(pub Broker);

impl TryFrom<String> for StompBroker {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Broker::parse(&text, "stomp", 61_613, 61_614).map(Self)
    }
}

impl Broker {
    fn parse(text: &str, scheme: &str, plain: u16, secure: u16) -> Result<Self, String> {
        let wrong =
            || format!("'{text}' is no broker; such as {scheme}://broker.example:{plain} or {scheme}s://...");
        let (given, rest) = text.split_once("://").ok_or_else(wrong)?;
        let tls = given.strip_prefix(scheme) == Some("s");
        if given != scheme && !tls {
            return Err(wrong());
        }
        let default = if tls { secure } else { plain };
        let rest = rest.trim_end_matches('/');
        let bracketed = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        let (host, port) = match bracketed {
            Some((host, port)) => (host, port.strip_prefix(':')),
            None => rest.rsplit_once(':').map_or((rest, None), |(host, port)| (host, Some(port))),
        };
        let port = port.map_or(Ok(default), |port| port.parse().map_err(|_| wrong()))?;
        if host.is_empty() || host.contains('/') {
            return Err(wrong());
        }
        Ok(Self { tls, host: host.to_owned(), port })
    }
}

/// Longest duration: a month.
const MOST_SECONDS: f64 = 2_592_000.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_are_read_with_their_default_ports() {
        let broker = |text: &str| Broker::try_from(text.to_owned());
        assert_eq!(broker("mqtt://b").unwrap().port, 1_883);
        assert_eq!(broker("mqtts://b/").unwrap(), Broker { tls: true, host: "b".into(), port: 8_883 });
        assert_eq!(broker("mqtt://[::1]:9").unwrap(), Broker { tls: false, host: "::1".into(), port: 9 });
        let stomp = |text: &str| StompBroker::try_from(text.to_owned()).map(|broker| broker.0.port);
        assert_eq!((stomp("stomp://b"), stomp("stomps://b")), (Ok(61_613), Ok(61_614)));
        assert!(stomp("mqtt://b").unwrap_err().contains("stomp://broker.example:61613"));
        for wrong in ["b:1883", "tcp://b", "mqtt://", "mqtt://b:x", "mqtt://b/path"] {
            assert!(broker(wrong).unwrap_err().contains("mqtt://broker.example"), "{wrong}");
        }
    }

    #[test]
    fn durations_may_be_fractions_but_not_negative() {
        assert_eq!(Seconds::try_from(0.25).unwrap().ms(), 250);
        assert!(Seconds::try_from(-1.0).is_err());
    }
}
