//! Content codings of HTTP bodies, with a bound on what they inflate to.

use std::io::Read;

use bytes::Bytes;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use thiserror::Error;

/// Why a coded body cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CodingError {
    #[error("content coding '{0}' is not known here")]
    Unknown(String),
    #[error("body is damaged: {0}")]
    Damaged(String),
    #[error("body inflates to more than {0} bytes")]
    TooLarge(usize),
}

/// The body in identity coding; `None` if it is so already.
pub fn decode_body(coding: Option<&str>, body: &Bytes, most: usize) -> Result<Option<Bytes>, CodingError> {
    let coding = coding.unwrap_or("identity").trim().to_ascii_lowercase();
    if coding.is_empty() || coding == "identity" || body.is_empty() {
        return Ok(None);
    }
    let inflated = match coding.as_str() {
        "gzip" | "x-gzip" => read(MultiGzDecoder::new(&body[..]), most)?,
        // The standard means zlib, some peers send bare deflate.
        "deflate" if body[0] & 0x0f == 8 => read(ZlibDecoder::new(&body[..]), most)?,
        "deflate" => read(DeflateDecoder::new(&body[..]), most)?,
        other => return Err(CodingError::Unknown(other.to_owned())),
    };
    Ok(Some(inflated))
}

fn read(decoder: impl Read, most: usize) -> Result<Bytes, CodingError> {
    let mut out = Vec::new();
    let bound = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    decoder.take(bound).read_to_end(&mut out).map_err(|error| CodingError::Damaged(error.to_string()))?;
    if out.len() > most { Err(CodingError::TooLarge(most)) } else { Ok(out.into()) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    fn gzip(text: &[u8]) -> Bytes {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap().into()
    }

    #[test]
    fn every_coding_a_cpe_uses_is_read() {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(b"hello").unwrap();
        let mut bare = DeflateEncoder::new(Vec::new(), Compression::fast());
        bare.write_all(b"hello").unwrap();
        let hello = Some(Bytes::from_static(b"hello"));
        assert_eq!(decode_body(Some("gzip"), &gzip(b"hello"), 99), Ok(hello.clone()));
        assert_eq!(decode_body(Some("deflate"), &zlib.finish().unwrap().into(), 99), Ok(hello.clone()));
        assert_eq!(decode_body(Some("deflate"), &bare.finish().unwrap().into(), 99), Ok(hello));
        assert_eq!(decode_body(None, &gzip(b"x"), 99), Ok(None));
    }

    #[test]
    fn a_bomb_is_stopped_at_the_limit_and_junk_is_told() {
        let bomb = gzip(&vec![0; 1 << 20]);
        assert_eq!(decode_body(Some("gzip"), &bomb, 1 << 16), Err(CodingError::TooLarge(1 << 16)));
        let junk = Bytes::from_static(b"no gzip at all");
        assert!(matches!(decode_body(Some("gzip"), &junk, 99), Err(CodingError::Damaged(_))));
        assert!(matches!(decode_body(Some("br"), &junk, 99), Err(CodingError::Unknown(_))));
    }
}
