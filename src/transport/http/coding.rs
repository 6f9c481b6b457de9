//! Content codings of HTTP bodies, with a bound on what they inflate to.

use std::io::{Read, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
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
        "deflate" if is_zlib(body) => read(ZlibDecoder::new(&body[..]), most)?,
        "deflate" => read(DeflateDecoder::new(&body[..]), most)?,
        other => return Err(CodingError::Unknown(other.to_owned())),
    };
    Ok(Some(inflated))
}

/// A body in the coding in which another one came, `like`; `None` where that is not known here.
pub fn encode_body(coding: &str, body: &[u8], like: &[u8]) -> Option<Bytes> {
    let (level, out) = (Compression::fast(), Vec::new());
    let coded = match coding.trim().to_ascii_lowercase().as_str() {
        "gzip" | "x-gzip" => {
            let mut encoder = GzEncoder::new(out, level);
            encoder.write_all(body).and_then(|()| encoder.finish())
        }
        "deflate" if is_zlib(like) => {
            let mut encoder = ZlibEncoder::new(out, level);
            encoder.write_all(body).and_then(|()| encoder.finish())
        }
        "deflate" => {
            let mut encoder = DeflateEncoder::new(out, level);
            encoder.write_all(body).and_then(|()| encoder.finish())
        }
        _ => return None,
    };
    coded.ok().map(Bytes::from)
}

/// By `deflate` the standard means zlib; some peers send bare deflate.
fn is_zlib(body: &[u8]) -> bool {
    body.first().is_some_and(|first| first & 0x0f == 8)
}

fn read(decoder: impl Read, most: usize) -> Result<Bytes, CodingError> {
    let mut out = Vec::new();
    let bound = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    decoder.take(bound).read_to_end(&mut out).map_err(|error| CodingError::Damaged(error.to_string()))?;
    if out.len() > most { Err(CodingError::TooLarge(most)) } else { Ok(out.into()) }
}

#[cfg(test)]
mod tests {
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
    fn what_is_coded_anew_is_coded_as_it_came() {
        let mut bare = DeflateEncoder::new(Vec::new(), Compression::best());
        bare.write_all(b"hello").unwrap();
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
        zlib.write_all(b"hello").unwrap();
        let ways = [("x-gzip", gzip(b"hello")), ("deflate", bare.finish().unwrap().into())];
        for (coding, came) in ways.into_iter().chain([("deflate", zlib.finish().unwrap().into())]) {
            let coded = encode_body(coding, b"other", &came).unwrap();
            assert_eq!(is_zlib(&coded), is_zlib(&came), "{coding}");
            assert_eq!(decode_body(Some(coding), &coded, 99), Ok(Some(Bytes::from_static(b"other"))));
        }
        assert_eq!(encode_body("br", b"other", b""), None);
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
