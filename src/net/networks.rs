//! Lists of IP networks, as operators write them.

use std::net::IpAddr;

use thiserror::Error;

/// Networks; the empty list holds nobody.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Networks(Vec<Network>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u8,
}

/// Why a text is no network.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NetworkError {
    #[error("'{0}' is no network; such as 192.0.2.0/24 or 2001:db8::/32")]
    Malformed(String),
    #[error("'{0}' has bits set beyond its prefix")]
    HostBits(String),
}

impl Networks {
    /// Reads networks such as `192.0.2.0/24`; an address alone is a network of one.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, NetworkError> {
        texts.iter().map(|text| Network::parse(text.as_ref())).collect::<Result<_, _>>().map(Self)
    }

    /// Whether one of them holds the address. IPv4 addresses of dual-stack sockets are IPv4.
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(address))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Network {
    fn parse(text: &str) -> Result<Self, NetworkError> {
        let malformed = || NetworkError::Malformed(text.to_owned());
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| malformed())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => {
                bits.parse().map_err(|_| malformed())?
            }
            Some(_) => return Err(malformed()),
            None => most,
        };
        if bits > most {
            return Err(malformed());
        }
        let network = Self { address, bits };
        let beyond = number(address) & !network.mask() != 0;
        if beyond { Err(NetworkError::HostBits(text.to_owned())) } else { Ok(network) }
    }

    fn contains(&self, address: IpAddr) -> bool {
        let same_family = self.address.is_ipv4() == address.is_ipv4();
        same_family && number(address) & self.mask() == number(self.address)
    }

    /// Ones where the prefix is, in the highest bits of the family.
    fn mask(&self) -> u128 {
        let width = if self.address.is_ipv4() { 32 } else { 128 };
        u128::MAX.checked_shl(width - u32::from(self.bits)).unwrap_or(0)
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(networks: &[&str], address: &str) -> bool {
        Networks::parse(networks).unwrap().contain(address.parse().unwrap())
    }

    #[test]
    fn an_address_is_in_its_networks_and_in_no_other() {
        let networks = ["127.0.0.1/32", "10.8.0.0/13", "2001:db8::/33", "192.0.2.9"];
        for address in ["127.0.0.1", "10.15.255.255", "2001:db8:7fff::1", "192.0.2.9", "::ffff:127.0.0.1"] {
            assert!(holds(&networks, address), "{address}");
        }
        for address in ["127.0.0.2", "10.16.0.0", "2001:db8:8000::1", "192.0.2.8", "::1", "::7f00:1"] {
            assert!(!holds(&networks, address), "{address}");
        }
        assert!(
            holds(&["0.0.0.0/0"], "255.1.2.3") && !holds(&["0.0.0.0/0"], "::1") && holds(&["::/0"], "::1")
        );
        assert!(!Networks::default().contain("127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0.0/",
            "localhost",
            "::/129",
            "10.0.0.0/8/8",
        ] {
            assert!(matches!(Networks::parse(&[text]), Err(NetworkError::Malformed(_))), "{text}");
        }
        assert!(matches!(Networks::parse(&["10.0.0.1/8"]), Err(NetworkError::HostBits(_))));
        assert!(matches!(Networks::parse(&["2001:db8::1/32"]), Err(NetworkError::HostBits(_))));
    }
}
