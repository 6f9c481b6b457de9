//! The `Client-Cert` header (RFC 9440): a certificate as a byte sequence of structured fields (RFC 8941 3.3.5).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The DER between the colons; `None` if it is no byte sequence and nothing else. Whether it is a
/// certificate is for others to see.
pub fn parse_client_cert(header: &str) -> Option<Vec<u8>> {
    let encoded = header.trim_matches(' ').strip_prefix(':')?.strip_suffix(':')?;
    if encoded.is_empty() || encoded.len() > MAX_CLIENT_CERT {
        return None;
    }
    STANDARD.decode(encoded).ok()
}

/// The header for a certificate in DER.
pub fn client_cert(der: &[u8]) -> String {
    format!(":{}:", STANDARD.encode(der))
}

/// Characters of the encoded certificate: those of CPEs have two thousand.
const MAX_CLIENT_CERT: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_read_as_it_was_written_and_anything_else_is_refused() {
        assert_eq!(parse_client_cert(&client_cert(b"\x30\x03abc")), Some(b"\x30\x03abc".to_vec()));
        assert_eq!(parse_client_cert(" :MANhYmM=: "), Some(b"0\x03abc".to_vec()));
        let long = format!(":{}:", "AAAA".repeat(5_000));
        for text in [
            "",
            ":",
            "::",
            "MANhYmM=",
            ":MANhYmM=",
            ":MANhY mM=:",
            ":MANhYmM=:, :MANhYmM=:",
            ":MANhYmM=:;a=1",
        ] {
            assert_eq!(parse_client_cert(text), None, "{text}");
        }
        assert_eq!(parse_client_cert(&long), None);
    }
}
