//! How the names of header lines were written. The HTTP library keeps that to itself, and shows it only by writing.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body_util::Empty;
use hyper::Request;
use hyper::client::conn::http1;
use hyper::rt::{Read, ReadBufCursor, Write};

use crate::transport::http::Headers;

use super::headers::put;

/// The lines of a message's head with their names as they were written, or are going to be. For those who look on:
/// it takes as long as writing them.
pub fn as_written(headers: Headers) -> Vec<(String, Bytes)> {
    let (mut request, lines) = (Request::new(Empty::<Bytes>::new()), headers.clone());
    // What HTTP does not allow was left out when it was read.
    let mut map = hyper::HeaderMap::new();
    let _ = put(lines, &mut map, request.extensions_mut());
    *request.headers_mut() = map;
    let mut names = written_names(request);
    let (lines, _) = headers.into_parts();
    let spelt = lines.into_iter().map(|(name, value)| {
        let known = names.get_mut(&name.to_ascii_lowercase()).and_then(|all| all.pop());
        (known.unwrap_or_else(|| title_case(&name)), value)
    });
    spelt.collect()
}

/// The names that the library writes, the last of each first.
fn written_names(request: Request<Empty<Bytes>>) -> HashMap<String, Vec<String>> {
    let sink = Sink::default();
    let written = Arc::clone(&sink.0);
    let mut context = Context::from_waker(Waker::noop());
    let handshake = http1::Builder::new()
        .title_case_headers(true)
        .preserve_header_case(true)
        .handshake::<_, Empty<Bytes>>(sink);
    let mut handshake = std::pin::pin!(handshake);
    // Nothing of it waits for a peer.
    if let Poll::Ready(Ok((mut sender, mut connection))) = handshake.as_mut().poll(&mut context) {
        let _ = Pin::new(&mut connection).poll(&mut context);
        let mut sending = std::pin::pin!(sender.send_request(request));
        let _ = sending.as_mut().poll(&mut context);
        let _ = Pin::new(&mut connection).poll(&mut context);
    }
    let written = written.lock().unwrap_or_else(PoisonError::into_inner);
    let mut names = HashMap::<String, Vec<String>>::new();
    for line in written.split(|byte| *byte == b'\n').rev() {
        let Some(end) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = String::from_utf8_lossy(&line[..end]).into_owned();
        names.entry(name.to_ascii_lowercase()).or_default().push(name);
    }
    names
}

fn title_case(name: &str) -> String {
    let mut upper = true;
    let mut cased = |c: char| {
        let c = if upper { c.to_ascii_uppercase() } else { c };
        upper = c == '-';
        c
    };
    name.chars().map(&mut cased).collect()
}

/// Takes what is written and has nothing to read.
#[derive(Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Read for Sink {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl Write for Sink {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::Full;
    use hyper::server::conn::http1 as server;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use tokio::io::AsyncWriteExt as _;

    use super::*;
    use crate::net::received;

    #[tokio::test]
    async fn names_come_back_as_the_peer_has_written_them() {
        let (mut peer, ours) = tokio::io::duplex(4_096);
        let head = b"POST / HTTP/1.1\r\nhost: a\r\nSOAPAction: \r\nX-oDD: 1\r\nx-other: 2\r\nX-ODD: 3\r\n\
                     transfer-ENCODING: chunked\r\n\r\n0\r\n\r\n";
        peer.write_all(head).await.unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let service = service_fn(|request: Request<hyper::body::Incoming>| {
            let (head, _) = request.into_parts();
            *seen.lock().unwrap() = as_written(received(&head.headers, head.extensions));
            async { Ok::<_, Infallible>(hyper::Response::new(Full::new(Bytes::new()))) }
        });
        let serving =
            server::Builder::new().preserve_header_case(true).serve_connection(TokioIo::new(ours), service);
        drop(tokio::time::timeout(std::time::Duration::from_millis(200), serving).await);
        let names: Vec<_> = seen.lock().unwrap().iter().map(|(name, _)| name.clone()).collect();
        assert_eq!(names, ["host", "SOAPAction", "X-oDD", "X-ODD", "x-other", "Transfer-Encoding"]);
    }

    #[test]
    fn names_of_our_own_are_written_as_they_will_be() {
        let headers =
            vec![("content-type".to_owned(), "a".to_owned()), ("Soapaction".to_owned(), String::new())];
        let names: Vec<_> = as_written(headers.into()).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["Content-Type", "Soapaction"]);
    }
}
