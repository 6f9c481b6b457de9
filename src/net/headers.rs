//! Header lines between the HTTP library and what passes them on: each byte of a value stays, and the names leave
//! written as they came.

use std::sync::Arc;

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use hyper::http::Extensions;

use crate::transport::http::Headers;

/// The lines of a message's head. Its extensions hold how the names were written, where the connection keeps that.
pub fn received(map: &HeaderMap, extensions: Extensions) -> Headers {
    let mut headers =
        if extensions.is_empty() { Headers::default() } else { Headers::spelt(Arc::new(extensions)) };
    for (name, value) in map {
        headers.push(name.as_str(), Bytes::copy_from_slice(value.as_bytes()));
    }
    headers
}

/// Puts lines into a message's head. A line that HTTP does not allow is left out, and the first is told.
pub fn put(headers: Headers, map: &mut HeaderMap, extensions: &mut Extensions) -> Result<(), String> {
    let (lines, spelling) = headers.into_parts();
    let mut first = Ok(());
    for (name, value) in lines {
        match (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_maybe_shared(value)) {
            (Ok(name), Ok(value)) => drop(map.append(name, value)),
            (Err(error), _) => first = first.and(Err(error.to_string())),
            (_, Err(error)) => first = first.and(Err(error.to_string())),
        }
    }
    if let Some(spelling) = spelling.and_then(|spelling| spelling.downcast::<Extensions>().ok()) {
        *extensions = Arc::unwrap_or_clone(spelling);
    }
    first
}
