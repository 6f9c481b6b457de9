//! The PROXY protocol, version 2, as its receiver: what a front says of a connection before its first byte.
//!
//! Version 1 is recognised in order to be refused by name; it cannot tell of TLS.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;

use super::client::Certificate;

/// What the front said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Header {
    /// The front's own connection, such as a health check.
    Local,
    /// A connection that it relays.
    Proxied(Proxied),
}

/// A relayed connection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Proxied {
    /// Where the client calls from; none for clients without an IP address.
    pub source: Option<(IpAddr, u16)>,
    /// The address of the front's that it called.
    pub destination: Option<(IpAddr, u16)>,
    /// Whether the client spoke TLS with the front.
    pub tls: bool,
    /// The certificate that the front has verified: its name, and all of it where the front sends that.
    pub certificate: Option<Certificate>,
}

/// How far decoding is.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many more bytes are part of the header for sure: reading them takes nothing of what follows.
    Needs(usize),
    /// The header is whole, and the bytes given are exactly it.
    Done(Header),
}

/// Why a connection cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProxyError {
    #[error("no PROXY protocol header")]
    Missing,
    #[error("PROXY protocol version 1; version 2 is needed (haproxy: send-proxy-v2)")]
    VersionOne,
    #[error("PROXY protocol version {0} is not known")]
    Version(u8),
    #[error("PROXY protocol command {0} is not known")]
    Command(u8),
    #[error("PROXY protocol address family {0:#04x} is not known")]
    Family(u8),
    #[error("PROXY protocol header of {0} bytes; {MAX_HEADER} are taken at most")]
    TooLong(usize),
    #[error("PROXY protocol header is cut off in its {0}")]
    Short(&'static str),
    #[error("PROXY protocol header has {0} twice")]
    Twice(&'static str),
    #[error("PROXY protocol checksum is wrong")]
    Checksum,
}

/// Decodes what has come so far.
pub fn decode(bytes: &[u8]) -> Result<Progress, ProxyError> {
    let seen = bytes.len().min(SIGNATURE.len());
    if bytes[..seen] != SIGNATURE[..seen] {
        let seen = bytes.len().min(VERSION_ONE.len());
        let one = bytes[..seen] == VERSION_ONE[..seen];
        return Err(if one { ProxyError::VersionOne } else { ProxyError::Missing });
    }
    let Some(&[version_command, family, high, low]) = bytes.get(SIGNATURE.len()..FIXED) else {
        return Ok(Progress::Needs(FIXED - bytes.len()));
    };
    if version_command >> 4 != 2 {
        return Err(ProxyError::Version(version_command >> 4));
    }
    let whole = FIXED + usize::from(u16::from_be_bytes([high, low]));
    if whole > MAX_HEADER {
        return Err(ProxyError::TooLong(whole));
    }
    if bytes.len() < whole {
        return Ok(Progress::Needs(whole - bytes.len()));
    }
    let bytes = &bytes[..whole];
    match version_command & 0x0f {
        // Whatever else stands in it is to be passed over.
        0 => Ok(Progress::Done(Header::Local)),
        1 => proxied(bytes, family).map(|proxied| Progress::Done(Header::Proxied(proxied))),
        other => Err(ProxyError::Command(other)),
    }
}

fn proxied(header: &[u8], family: u8) -> Result<Proxied, ProxyError> {
    let mut rest = &header[FIXED..];
    if family & 0x0f > 2 {
        return Err(ProxyError::Family(family));
    }
    let short = || ProxyError::Short("addresses");
    let (source, destination) = match family >> 4 {
        // Unspecified: addresses are not told, whatever follows is passed over up to the end.
        0 => return Ok(Proxied::default()),
        1 => {
            let addresses: [u8; 12] = take(&mut rest).ok_or_else(short)?;
            let [a, b, c, d, e, f, g, h, high, low, upper, lower] = addresses;
            let place = |ip: [u8; 4], port| (IpAddr::V4(Ipv4Addr::from(ip)), u16::from_be_bytes(port));
            (Some(place([a, b, c, d], [high, low])), Some(place([e, f, g, h], [upper, lower])))
        }
        2 => {
            let address: [u8; 16] = take(&mut rest).ok_or_else(short)?;
            let called: [u8; 16] = take(&mut rest).ok_or_else(short)?;
            let [high, low, upper, lower] = take(&mut rest).ok_or_else(short)?;
            let place = |ip: [u8; 16], port| {
                (IpAddr::V6(Ipv6Addr::from(ip)).to_canonical(), u16::from_be_bytes(port))
            };
            (Some(place(address, [high, low])), Some(place(called, [upper, lower])))
        }
        3 => {
            let _paths: [u8; 216] = take(&mut rest).ok_or_else(short)?;
            (None, None)
        }
        _ => return Err(ProxyError::Family(family)),
    };
    let mut proxied = Proxied { source, destination, ..Proxied::default() };
    let mut ssl = None;
    let mut tlvs = Tlvs(rest);
    while let Some(tlv) = tlvs.next() {
        let (kind, value) = tlv?;
        match kind {
            SSL if ssl.replace(value).is_some() => return Err(ProxyError::Twice("TLS")),
            CRC32C => check(header, header.len() - tlvs.0.len() - value.len(), value)?,
            _ => {}
        }
    }
    if let Some(value) = ssl {
        (proxied.tls, proxied.certificate) = tls(value)?;
    }
    Ok(proxied)
}

/// Whether the client spoke TLS, and the certificate that counts.
fn tls(mut value: &[u8]) -> Result<(bool, Option<Certificate>), ProxyError> {
    let short = || ProxyError::Short("TLS entry");
    let [flags] = take(&mut value).ok_or_else(short)?;
    let verify = u32::from_be_bytes(take(&mut value).ok_or_else(short)?);
    let (mut name, mut der) = (None, None);
    for tlv in Tlvs(value) {
        let (kind, value) = tlv?;
        match kind {
            SSL_CN if name.replace(String::from_utf8_lossy(value).into_owned()).is_some() => {
                return Err(ProxyError::Twice("the certificate's name"));
            }
            SSL_CLIENT_CERT if der.replace(value.to_vec()).is_some() => {
                return Err(ProxyError::Twice("the certificate"));
            }
            _ => {}
        }
    }
    let tls = flags & CLIENT_SSL != 0;
    // Shown in this connection, or in the TLS session that it resumes; zero says that it was found good.
    let shown = tls && flags & (CLIENT_CERT_CONN | CLIENT_CERT_SESS) != 0 && verify == 0;
    Ok((tls, shown.then(|| Certificate::new(name.into_iter().collect(), der))))
}

/// Type, length, value.
struct Tlvs<'a>(&'a [u8]);

impl<'a> Iterator for Tlvs<'a> {
    type Item = Result<(u8, &'a [u8]), ProxyError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let head: Option<[u8; 3]> = take(&mut self.0);
        let found = head.and_then(|[kind, high, low]| {
            let (value, rest) = self.0.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?;
            self.0 = rest;
            Some((kind, value))
        });
        if found.is_none() {
            self.0 = &[];
        }
        Some(found.ok_or(ProxyError::Short("entries")))
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, left) = rest.split_first_chunk()?;
    *rest = left;
    Some(*first)
}

/// The checksum covers the header with zeros in its own place, which begins at `at`.
fn check(header: &[u8], at: usize, value: &[u8]) -> Result<(), ProxyError> {
    let given: [u8; 4] = value.try_into().map_err(|_| ProxyError::Checksum)?;
    let zeroed = header
        .iter()
        .enumerate()
        .map(|(index, byte)| if (at..at + given.len()).contains(&index) { 0 } else { *byte });
    if crc32c(zeroed) == u32::from_be_bytes(given) { Ok(()) } else { Err(ProxyError::Checksum) }
}

/// CRC-32C (RFC 3720 appendix B.4), bit by bit: a header has some hundred bytes.
fn crc32c(bytes: impl Iterator<Item = u8>) -> u32 {
    !bytes.fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg()))
    })
}

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
const VERSION_ONE: [u8; 6] = *b"PROXY ";
/// Signature, version and command, family, length.
const FIXED: usize = 16;
/// Bytes of a header. Addresses and all entries that fronts send have some hundred.
pub const MAX_HEADER: usize = 8 << 10;
const CRC32C: u8 = 0x03;
const SSL: u8 = 0x20;
const SSL_CN: u8 = 0x22;
const SSL_CLIENT_CERT: u8 = 0x28;
const CLIENT_SSL: u8 = 0x01;
const CLIENT_CERT_CONN: u8 = 0x02;
const CLIENT_CERT_SESS: u8 = 0x04;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[0x20 | command, family], &length, rest].concat()
    }

    fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(value.len()).unwrap().to_be_bytes();
        [&[kind], &length[..], value].concat()
    }

    fn ssl(flags: u8, verify: u32, more: &[u8]) -> Vec<u8> {
        tlv(SSL, &[&[flags], &verify.to_be_bytes()[..], more].concat())
    }

    const V4: [u8; 12] = [203, 0, 113, 7, 10, 0, 0, 1, 0x12, 0x67, 0x1d, 0x7b];

    fn v4(tlvs: &[u8]) -> Vec<u8> {
        header(1, 0x11, &[&V4, tlvs].concat())
    }

    fn done(bytes: &[u8]) -> Proxied {
        match decode(bytes) {
            Ok(Progress::Done(Header::Proxied(proxied))) => proxied,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn addresses_of_every_family_are_read() {
        let of_v4 = done(&v4(&[]));
        let source = of_v4.source.unwrap();
        assert_eq!((source.0.to_string().as_str(), source.1), ("203.0.113.7", 4_711));
        let called = of_v4.destination.unwrap();
        assert_eq!((called.0.to_string().as_str(), called.1), ("10.0.0.1", 7_547));
        let mut v6 = [0; 36];
        v6[..4].copy_from_slice(&[0x20, 1, 0x0d, 0xb8]);
        (v6[15], v6[31], v6[33], v6[35]) = (9, 1, 80, 81);
        let called = done(&header(1, 0x21, &v6)).destination.unwrap();
        assert_eq!((called.0.to_string().as_str(), called.1), ("::1", 81));
        let source = done(&header(1, 0x21, &v6)).source.unwrap();
        assert_eq!((source.0.to_string().as_str(), source.1), ("2001:db8::9", 80));
        assert_eq!(done(&header(1, 0x31, &[b'/'; 216])).source, None);
        assert_eq!(done(&header(1, 0x00, b"anything")).source, None);
        let mut mapped = [0; 36];
        mapped[10..16].copy_from_slice(&[0xff, 0xff, 192, 0, 2, 1]);
        assert_eq!(done(&header(1, 0x22, &mapped)).source.unwrap().0.to_string(), "192.0.2.1");
    }

    #[test]
    fn a_local_connection_is_the_fronts_own() {
        assert_eq!(decode(&header(0, 0, &[])), Ok(Progress::Done(Header::Local)));
        assert_eq!(decode(&header(0, 0x11, b"whatever")), Ok(Progress::Done(Header::Local)));
    }

    #[test]
    fn a_certificate_counts_if_it_was_shown_and_found_good() {
        let name = tlv(SSL_CN, b"00256D-1");
        let certificate = |flags, verify| done(&v4(&ssl(flags, verify, &name))).certificate;
        let good = Some(Certificate::new(vec!["00256D-1".into()], None));
        assert_eq!(certificate(0x03, 0), good);
        assert_eq!(certificate(0x05, 0), good);
        assert_eq!(certificate(0x03, 10), None, "the front did not verify it");
        assert_eq!(certificate(0x01, 0), None, "none was shown");
        assert_eq!(certificate(0x02, 0), None, "there was no TLS");
        assert!(done(&v4(&ssl(0x01, 0, &[]))).tls && !done(&v4(&[])).tls);
        let whole = [name.as_slice(), &tlv(SSL_CLIENT_CERT, b"der")].concat();
        let whole = |verify| done(&v4(&ssl(0x03, verify, &whole))).certificate;
        assert_eq!(whole(0), Some(Certificate::new(vec!["00256D-1".into()], Some(b"der".to_vec()))));
        assert_eq!(whole(10), None);
    }

    #[test]
    fn nothing_beyond_the_header_is_asked_for() {
        let whole = v4(&ssl(1, 0, &[]));
        let (mut have, mut reads) = (0, 0);
        while let Progress::Needs(more) = decode(&whole[..have]).unwrap() {
            (have, reads) = (have + more, reads + 1);
        }
        assert_eq!((have, reads), (whole.len(), 2));
    }

    #[test]
    fn what_is_malformed_is_refused_with_its_reason() {
        let twice = [ssl(1, 0, &[]), ssl(1, 0, &[])].concat();
        let certificates = tlv(SSL_CLIENT_CERT, b"x").repeat(2);
        for (bytes, error) in [
            (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n".to_vec(), ProxyError::VersionOne),
            (b"PROXY UNKNOWN\r\n".to_vec(), ProxyError::VersionOne),
            (b"POST / HTTP/1.1\r\n".to_vec(), ProxyError::Missing),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00".to_vec(), ProxyError::Missing),
            ([&SIGNATURE[..], &[0x31, 0x11, 0, 0]].concat(), ProxyError::Version(3)),
            (header(2, 0x11, &V4), ProxyError::Command(2)),
            (header(1, 0x41, &V4), ProxyError::Family(0x41)),
            (header(1, 0x13, &V4), ProxyError::Family(0x13)),
            ([&SIGNATURE[..], &[0x21, 0x11, 0xff, 0xff]].concat(), ProxyError::TooLong(65_551)),
            (header(1, 0x11, &V4[..11]), ProxyError::Short("addresses")),
            (header(1, 0x21, &[0; 35]), ProxyError::Short("addresses")),
            (header(1, 0x31, &[0; 215]), ProxyError::Short("addresses")),
            (v4(&[SSL, 0, 9, 1]), ProxyError::Short("entries")),
            (v4(&[4]), ProxyError::Short("entries")),
            (v4(&tlv(SSL, &[1, 0, 0])), ProxyError::Short("TLS entry")),
            (v4(&twice), ProxyError::Twice("TLS")),
            (v4(&ssl(1, 0, &certificates)), ProxyError::Twice("the certificate")),
            (v4(&tlv(CRC32C, &[0; 4])), ProxyError::Checksum),
            (v4(&tlv(CRC32C, &[0; 3])), ProxyError::Checksum),
        ] {
            assert_eq!(decode(&bytes), Err(error));
        }
    }

    #[test]
    fn a_checksum_is_verified() {
        // RFC 3720 B.4: 32 bytes of zeros.
        assert_eq!(crc32c([0; 32].into_iter()), 0x8a91_36aa);
        let mut bytes = v4(&tlv(CRC32C, &[0; 4]));
        let sum = crc32c(bytes.iter().copied());
        let at = bytes.len() - 4;
        bytes[at..].copy_from_slice(&sum.to_be_bytes());
        assert!(done(&bytes).source.is_some());
        bytes[17] ^= 1;
        assert_eq!(decode(&bytes), Err(ProxyError::Checksum));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic_nor_ask_for_more_than_the_limit(
            command in any::<u8>(), family in any::<u8>(), rest in proptest::collection::vec(any::<u8>(), 0..400),
            cut in 0usize..500
        ) {
            let mut bytes = header(0, family, &rest);
            bytes[12] = command;
            let _ = decode(&bytes);
            bytes.truncate(cut);
            if let Ok(Progress::Needs(more)) = decode(&bytes) {
                prop_assert!(more > 0 && bytes.len() + more <= MAX_HEADER);
            }
            let _ = decode(&rest);
        }
    }
}
